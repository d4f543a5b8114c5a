"""The model card: what a released model is, was made from, can do and must not be used for, in Markdown.

After Mitchell et al. 2019 ("Model cards for model reporting"). Every figure comes from the pipeline's reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmer import corpora
from mmer.labels import EMOTIONS, MODALITIES
from mmer.recognizer import ModelInfo

Report = Mapping[str, Any]

STATUS = {
    "candidate": "**A candidate, not a release:** plain training, nothing searched or compared. It is here so that the "
    "service and the page have a model of real people to run.",
    "experiment": "**An experiment.**",
    "release": "A release.",
}
PURPOSE = """\
For research, teaching and trying out interfaces with people who know that it runs and want it to.

Not for judging people: not for hiring, work, school, police, insurance, health, lie detection or advertising. In the
EU, inferring emotions at the workplace or in education is forbidden (AI Act, Article 5(1)(f)), and elsewhere such
systems must tell the people concerned (Article 50). **Most of what it learnt from is acted.** An acted emotion is not a
felt one, and a face or a voice does not show what somebody feels (Barrett et al. 2019): the label says what a clip
looks and sounds like to this model, nothing more.
"""
NOT_MEASURED = """\
Not measured: people of an age, skin colour, language or culture other than in these corpora; glasses, masks, beards;
spontaneous emotions; children; several people in one picture.
"""


def model_card(info: ModelInfo, details: Report, package: Report) -> str:
    """The card of a packaged model.

    Args:
        info: what the graph says of itself.
        details: `reports/evaluate/details.json`.
        package: `reports/package.json`.
    """
    return "\n".join(
        [
            "# Model card",
            "",
            STATUS[info.status],
            "",
            *_facts(info, package),
            "",
            "## What it is for, and what not",
            "",
            PURPOSE,
            "## What it learnt from",
            "",
            *_data(info),
            "",
            "## How well it does",
            "",
            details["protocol"],
            "",
            *([f"Note: {details['note']}.", ""] if "note" in details else []),
            *_table(["tested on", "n", "UAR (95%)", "accuracy (95%)"], _scores(details["by_corpus"])),
            "",
            *_table(["given only", "n", "UAR (95%)", "accuracy (95%)"], _scores(details["subsets"])),
            "",
            *_per_class(details),
            "",
            *_slices(details),
            f"Expected calibration error {details['ece']:.3f}, over all of the clips.",
            "",
            NOT_MEASURED,
        ]
    )


def _facts(info: ModelInfo, package: Report) -> list[str]:
    given = info.input
    off = [m for m in MODALITIES if m not in info.modalities]
    parity = package["parity"]
    rows = [
        ["version", f"{info.version}, git {info.git[:12]}"],
        ["emotions", ", ".join(info.labels)],
        [
            "sees and hears",
            ", ".join(info.modalities) + (f" (off, since no data had it: {', '.join(off)})" if off else ""),
        ],
        [
            "a step",
            f"every {given.step_s:g} s: a face of {given.face_size} pixels, {given.voice_window_s:g} s of voice",
        ],
        ["size", f"{package['parameters']:,} parameters; graph {package['graph_bytes'] / 1e6:.1f} MB (float32)"],
        [
            "graph against network",
            f"same label for {parity['agreement']:.1%} of {parity['clips']:,} clips, probabilities within "
            f"{parity['max_difference']:.0e}",
        ],
        ["`mmer.int8.onnx`", _small(package)],
    ]
    return _table(["", ""], rows)


def _small(package: Report) -> str:
    """What the graph with int8 weights costs and gains."""
    small = package["quantised"]
    parity = small["parity"]
    low, high = parity["uar_loss_low"], parity["uar_loss_high"]
    between = "" if low is None else f" (95%: {low:.4f} to {high:.4f})"
    told = (
        f"UAR less by {parity['uar_loss']:.4f}{between}, same label for {parity['agreement']:.1%} of the clips, "
        f"probabilities within {parity['max_difference']:g}"
    )
    if not small["ships"]:
        return f"does not ship: {told}; at most {small['max_loss']:g} may be lost"
    return (
        f"{small['graph_bytes'] / 1e6:.1f} MB instead of {package['graph_bytes'] / 1e6:.1f}; {small['graph_ms']:g} ms "
        f"of CPU a step instead of {package['graph_ms']:g}, measured in turns where it was packaged; {told}"
    )


def _data(info: ModelInfo) -> list[str]:
    readers = [corpora.get(name) for name in info.corpora]
    lines = _table(["corpus", "licence", "reference"], [[r.title, r.licence, r.citation] for r in readers])
    lines += ["", "The weights may be used only as all of these licences allow."]
    if info.face_weights:
        lines += [
            "",
            f"The face network started from face-recognition weights (`{info.face_weights.split()[0]}`: GitHub "
            "foamliu/MobileFaceNet, Apache-2.0), trained by their author on MS-Celeb-1M: pictures of people from the "
            "web, a set that its owner has withdrawn.",
        ]
    if info.pairing != "none":
        lines += ["", "Faces and voices of different people were joined into artificial clips of one emotion."]
    return lines


def _scores(of: Report) -> list[list[str]]:
    return [
        [name.replace("+", " + "), f"{s['n']:,}", _interval(s, "uar"), _interval(s, "war")] for name, s in of.items()
    ]


def _interval(scores: Report, key: str) -> str:
    if scores.get(key) is None:
        return "–"
    told = f"{scores[key]:.3f}"
    if scores.get(f"{key}_low") is not None:
        told += f" ({scores[f'{key}_low']:.3f}–{scores[f'{key}_high']:.3f})"
    return told


def _per_class(details: Report) -> list[str]:
    """Recall, precision and the confusion in one table: rows are the truth."""
    counts, each = details["confusion"]["counts"], details["per_class"]
    rows = []
    for emotion, line in zip(EMOTIONS, counts, strict=True):
        scores = [each[emotion][key] for key in ("recall", "precision")]
        rows.append([emotion, *("–" if s is None else f"{s:.2f}" for s in scores), *map(str, line)])
    return [
        "Over all clips; rows are the truth, columns the answer:",
        "",
        *_table(["", "recall", "precision", *EMOTIONS], rows),
    ]


def _slices(details: Report) -> list[str]:
    lines: list[str] = []
    for name, values in details["slices"].items():
        lines += [*_table([name, "n", "UAR (95%)", "accuracy (95%)"], _scores(values)), ""]
    return lines


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
