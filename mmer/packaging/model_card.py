"""The model card: what a released model is, was made from, can do and must not be used for, in Markdown.

After Mitchell et al. 2019 ("Model cards for model reporting"). Every figure comes from the pipeline's reports.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmer.data import corpora
from mmer.evaluation.report import judged
from mmer.evaluation.scores import FEW
from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES
from mmer.reporting import counted
from mmer.runtime.graph import ModelInfo

Report = Mapping[str, Any]

STATUS = {
    "candidate": "**A candidate, not a release:** it is still being worked on.",
    "experiment": "**An experiment.**",
    "release": "A release.",
}
PURPOSE = """\
**For** research, teaching and trying out interfaces, with people who know that it runs and want it to.

**Not for** judging people: not for hiring, work, school, police, insurance, health, lie detection or advertising; not
for watching people who did not ask for it; not for deciding anything about anybody.

**Most of what it learnt from is acted.** An acted emotion is not a felt one, and a face or a voice does not show what
somebody feels (Barrett et al. 2019): the label says what a clip looks and sounds like to this model, nothing more.
"""
LAW = """\
In the European Union the AI Act (Regulation 2024/1689) forbids systems that infer emotions in the areas of workplace
and education, save for medical or safety reasons (Article 5(1)(f)). Elsewhere an emotion recognition system is
high-risk (Annex III, 1(c)), and whoever deploys one must tell the people exposed to it (Article 50(3)). Faces and
voices are personal data. This is no legal advice.
"""
NOT_MEASURED = """\
- how it does by age, skin colour or culture, and by language other than as the corpora differ;
- glasses, masks and beards as people wear them, children, several real people in one picture;
- spontaneous emotions, and conversations longer than a clip;
- the detector: scores of faces are of those that it found.
"""
NOT_SPOILT = "- how it does in noise, in the dark and on small faces;\n"
UAR = """\
UAR is unweighted average recall: of each emotion that the corpus has the share that is found, and of these the mean.
"""

#: What the labels of a corpus say, and what the people in it agreed to.
LABELS = {
    "fer2013": (
        "perceived: what those who sorted the pictures saw in them",
        "pictures from a web search; nobody in them is known to have been asked",
    ),
    "ravdess": (
        "intended: what the actor was asked to show",
        "professional actors, recorded for the corpus, which is published for such use; not asked about this model",
    ),
    "crema_d": (
        "intended: what the actor was asked to show; beside it, what a crowd perceived",
        "actors, recorded for the corpus, which is published for such use; not asked about this model",
    ),
    "javanese": (
        "intended: what the speaker was asked to act",
        "ten speakers of Javanese, recorded for the corpus, which is published for any use; not asked about this model",
    ),
    "banglaser": (
        "intended: what the speaker was asked to act",
        "non-professional actors, recorded for the corpus, which is published for any use; not asked about this model",
    ),
    "nemo": (
        "intended: what the actor was asked to show",
        "actors, recorded for the corpus, which is published for such use; not asked about this model",
    ),
    "ased": (
        "intended, and kept only where five of eight judges heard the same",
        "volunteers, recorded for the corpus, which is published without a licence; not asked about this model",
    ),
    "emovo": (
        "intended: what the actor was asked to show",
        "actors, recorded for the corpus, which is published for research; not asked about this model",
    ),
}
LABELS["ravdess_crops"] = LABELS["ravdess"]

WATTS = 15
"""What a busy core is taken to draw, with its share of the machine: an assumption, nothing was metered."""
SHARE_ALIKE = "CC BY-NC-SA 4.0"
DEED = "https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode"

#: Of the evaluation's slices, those that do not merely tell the corpora apart.
SLICES = ("sex", "intensity", "published training part")
FIGURES = "The figures are in `figures/` beside this card in the repository; an installed package leaves them out."
FRAGILE = 10
"""An interval over fewer speakers says little."""


@dataclass(frozen=True)
class Evidence:
    """What the pipeline measured, as its reports hold it."""

    details: Report
    """`reports/evaluate/details.json`."""
    package: Report
    """`reports/package.json`."""
    cost: Report
    """`reports/train/cost.json`."""
    curves: Report | None = None
    """`reports/robustness/curves.json`, where that was measured."""
    folds: Mapping[str, Report] = field(default_factory=dict)
    """Cross-validations by what they tell apart ("7 emotions"): `reports/folds/metrics.json`."""


def model_card(info: ModelInfo, evidence: Evidence) -> str:
    """The card of a packaged model, under the headings of Mitchell et al. 2019, "Model cards for model reporting".

    Its figures are linked as `figures/NAME.png`.

    Args:
        info: what the graph says of itself.
        evidence: what was measured.
    """
    details = evidence.details
    parts = {
        "## Model details": [STATUS[info.status], "", *_facts(info, evidence.package), "", FIGURES],
        "## Intended use": [PURPOSE],
        "## Ethical considerations": [LAW],
        "## Training data": _data(info),
        "## Evaluation": _scores_of(details),
        "### Cross-validation": _folds(evidence.folds),
        "### Intended and perceived emotions": _perceived(details),
        "### Confusion matrix": _confusion(details),
        "### Slices": _slices(details),
        "### Valence and arousal": _affect(info, details),
        "## Calibration": _calibration(details),
        "### As shown live": _as_shown(evidence.package["shown"]),
        "## Robustness": _robustness(evidence.curves),
        "## Limitations": _failures(details, evidence.curves),
        "### Not measured": [NOT_MEASURED if evidence.curves else NOT_SPOILT + NOT_MEASURED],
        "## Training cost": _cost(evidence.cost),
        "## Licence": _licence(info),
    }
    lines = ["# Model card"]
    for title, part in parts.items():
        if part:
            lines += ["", title, "", "\n".join(part).rstrip()]
    return "\n".join(lines) + "\n"


def _facts(info: ModelInfo, package: Report) -> list[str]:
    given = info.input
    off = [m for m in MODALITIES if m not in info.modalities]
    parity = package["parity"]
    rows = [
        ["version", f"{info.version}, git {info.git[:12]}"],
        ["emotions", ", ".join(info.labels)],
        [
            "sees and hears",
            ", ".join(info.modalities) + (f" (not trained: {', '.join(off)})" if off else ""),
        ],
        *([["says besides", "valence and arousal, from " + " or ".join(info.affect)]] if info.affect else []),
        [
            "a step",
            f"every {given.step_s:g} s: a face of {given.face_size} pixels, {given.voice_window_s:g} s of voice",
        ],
        ["size", f"{package['parameters']:,} parameters; graph {package['graph_bytes'] / 1e6:.1f} MB (float32)"],
        [
            "graph against network",
            f"same label for {parity['agreement']:.1%} of {counted(parity['clips'], 'clip')}, probabilities within "
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
    unknown = ("not known", "not known")
    lines = _table(
        ["corpus", "licence", "its labels are", "its people", "reference"],
        [[r.title, r.licence, *LABELS.get(r.name, unknown), r.citation] for r in readers],
    )
    if info.face_weights:
        lines += [
            "",
            f"The face network started from face-recognition weights (`{info.face_weights.split()[0]}`: GitHub "
            "foamliu/MobileFaceNet, Apache-2.0), trained by their author on MS-Celeb-1M: pictures of people from the "
            "web, a set that its owner has withdrawn.",
        ]
    if info.voice_weights:
        lines += [
            "",
            f"The voice started from speaker-recognition weights ({info.voice_weights.split()[0].capitalize()}, "
            "Apache-2.0: GE2E, Wan et al. 2018), trained by their authors on LibriSpeech and VoxCeleb 1 and 2: "
            "readers, and interviews from the web.",
        ]
    if info.start:
        earlier = "; ".join(map(str, info.start))
        lines += ["", f"It went on from earlier trainings (weights by sha256, the newest first): {earlier}."]
    if info.pairing != "none":
        lines += ["", "Faces and voices of different recordings were joined into artificial clips of one emotion."]
    return lines


def _scores_of(details: Report) -> list[str]:
    """By corpus, by modality, and clip by clip where there are too few for a score."""
    lines = [
        details["protocol"],
        "",
        UAR,
        *([f"Note: {details['note']}.", ""] if "note" in details else []),
        *_table(["tested on", *SCORED], _scores(details["by_corpus"])),
        "",
        *_fragile(details["by_corpus"]),
    ]
    for name, clips in details["few"].items():
        rows = [[c["clip_id"], c["label"], c["predicted"], f"{c['confidence']:.0%}"] for c in clips]
        lines += [
            f"Of {name} there are too few for a score. Clip by clip:",
            "",
            *_table(["clip", "meant as", "taken for", "how sure"], rows),
            "",
        ]
    singles = {name: s for name, s in details["subsets"].items() if "+" not in name}
    lines += [
        "Where it is given one modality alone, on all clips that hold it (of all corpora):",
        "",
        *_table(["given only", *SCORED], _scores(singles)),
        "",
    ]
    gain = details["fusion_gain"]
    if gain is None or gain["n"] < FEW:
        held = "No test clip holds" if gain is None else f"Only {counted(gain['n'], 'test clip')} held"
        lines.append(f"{held} more than one modality: **how well they work together is not known.**")
    else:
        between = "" if gain["low"] is None else f" ({gain['low']:+.3f} to {gain['high']:+.3f})"
        lines.append(
            f"Together they bring {gain['gain']:+.3f} UAR{between} over {gain['best_single']} alone, on the "
            f"{gain['n']:,} clips that hold more than one."
        )
    return lines


SCORED = ("of", "UAR (95%)", "accuracy (95%)")


def _scores(of: Report) -> list[list[str]]:
    """A row for each that has a score."""
    scored = {name: s for name, s in of.items() if s["uar"] is not None}
    return [[name, s["tested"], _interval(s, "uar"), _interval(s, "war")] for name, s in scored.items()]


def _interval(scores: Report, key: str) -> str:
    if scores.get(key) is None:
        return "–"
    told = f"{scores[key]:.3f}"
    if scores.get(f"{key}_low") is not None:
        told += f" ({scores[f'{key}_low']:.3f}–{scores[f'{key}_high']:.3f})"
    return told


def _fragile(corpora_of: Report) -> list[str]:
    """What an interval over a handful of speakers is worth."""
    lines: list[str] = []
    for name, scores in corpora_of.items():
        n = scores["n_speakers"]
        if scores["uar"] is not None and 0 < n < FRAGILE:
            lines += [
                f"**The interval of {name} is fragile:** it rests on {n} speakers, of whom there are only "
                f"{math.comb(2 * n - 1, n):,} different resamples. Another {n} may well lie outside it.",
                "",
            ]
    return lines


def _folds(folds: Mapping[str, Report]) -> list[str]:
    if not folds:
        return []
    rows, protocols = [], []
    for name, told in folds.items():
        spread = told["per_speaker"]["uar"]
        rows.append(
            [
                name,
                f"{told['n_clips']:,}",
                f"{told['n_speakers']}",
                f"{_interval(told, 'uar')}",
                f"{told['uar_sd']:.3f}",
                _interval(told["pooled"], "uar"),
                f"{spread['min']:.2f}, {spread['median']:.2f}, {spread['max']:.2f}",
            ]
        )
        protocols += [f"{name}: {told['protocol']}", ""]
    return [
        "Networks like this one's, each tested on speakers that it never met: what the voice is worth over all "
        "speakers, not over the few alone that the shipped model was tested on.",
        "",
        *_table(
            [
                "tells apart",
                "n",
                "speakers",
                "UAR, mean of folds (95%)",
                "sd",
                "UAR, pooled (95%)",
                "least, median, most",
            ],
            rows,
        ),
        "",
        *protocols,
        "![UAR of each speaker](figures/speakers.png)",
    ]


def _perceived(details: Report) -> list[str]:
    """Intended against perceived, where people judged the same clips."""
    lines = [
        "A score is against the corpus's label, and that is what an actor was asked for or what somebody saw in a "
        "picture (see the table of the corpora): neither is what the person felt.",
        "",
    ]
    votes = {given: told for given, told in details["votes"].items() if told["n"] >= FEW}
    if not votes:
        n = max((told["n"] for told in details["votes"].values()), default=0)
        judged_too = f"only {counted(n, 'test clip')}" if n else "no test clip"
        return [*lines, f"People judged {judged_too} too, so model and people cannot be compared here."]
    rows = [
        [given, who, against, f"{scores['n']:,}", _interval(scores, "uar"), _interval(scores, "war")]
        for given, who, against, scores in judged(details)
        if given in votes and "uar" in scores
    ]
    return [*lines, *_table(["given", "who", "against", "n", "UAR (95%)", "accuracy (95%)"], rows)]


def _confusion(details: Report) -> list[str]:
    """Recall, precision and the confusion in one table: rows are the truth."""
    counts, each = details["confusion"]["counts"], details["per_class"]
    rows = []
    for emotion, line in zip(EMOTIONS, counts, strict=True):
        scores = [each[emotion][key] for key in ("recall", "precision")]
        rows.append([emotion, *("–" if s is None else f"{s:.2f}" for s in scores), *map(str, line)])
    return [
        f"Over all of the {details['tested']}; rows are the truth, columns the answer:",
        "",
        *_table(["", "recall", "precision", *EMOTIONS], rows),
        "",
        "![What was taken for what](figures/confusion.png)",
    ]


def _slices(details: Report) -> list[str]:
    lines: list[str] = []
    for name in SLICES:
        known = {value: s for value, s in details["slices"].get(name, {}).items() if value != "unknown"}
        if rows := _scores(known):
            lines += [*_table([name, *SCORED], rows), ""]
    if any(0 < s["n_speakers"] < FRAGILE for name in SLICES for s in details["slices"].get(name, {}).values()):
        lines += [f"An interval over fewer than {FRAGILE} speakers is fragile, as is said above.", ""]
    if lines and details["few"]:
        lines.append(f"Without {', '.join(details['few'])}, of which there is too little.")
    return lines


def _affect(info: ModelInfo, details: Report) -> list[str]:
    """How well the two dimensions are told, where the model says them."""
    if not info.affect:
        return []
    if not (affect := details.get("affect")):
        return ["No test clip tells them: **how well the model says them is not known.**"]
    rows = [
        [name, s["tested"], *(cell for of in DIMENSIONS for cell in (_interval(s[of], "ccc"), f"{s[of]['rmse']:.3f}"))]
        for each in ("by_corpus", "subsets")
        for name, s in affect[each].items()
        if each == "by_corpus" or "+" not in name
    ]
    return [
        "From -1 to 1, unpleasant to pleasant and calm to excited, as the corpora's owners had them judged. CCC: the "
        "concordance correlation coefficient (Lin 1989) over clips; 1 is best, 0 is what a constant reaches. RMSE: the "
        "root of the mean squared difference. By corpus, then where it is given one modality alone.",
        "",
        *_table(["of", "tested on", "valence, CCC (95%)", "RMSE", "arousal, CCC (95%)", "RMSE"], rows),
    ]


def _calibration(details: Report) -> list[str]:
    """Expected calibration error, before and after the temperatures."""

    def error(scores: Report | None) -> str:
        return "–" if scores is None or scores["ece"] is None else f"{scores['ece']:.3f}"

    rows = [
        [name.replace("+", " + "), f"{s['n']:,}", error(s["uncalibrated"]), error(s)]
        for name, s in details["subsets"].items()
    ]
    return [
        "Expected calibration error (Guo et al. 2017; 0 is best): how far confidence and accuracy are apart, on the "
        "test clips, with the temperatures that were fitted on validation clips and without them. Right is here what a "
        "clip's label says; where people's votes were learnt too, the temperatures are fitted on both.",
        "",
        *_table(["given", "n", "without", "with"], rows),
        "",
        "![Reliability](figures/calibration.png)",
    ]


def _as_shown(shown: Report) -> list[str]:
    """What people see step by step, with the temperatures of the steps and, of the error, without them."""
    if not shown["after"]:
        return []

    def number(value: float | None, form: str = ".3f") -> str:
        return "–" if value is None else format(value, form)

    rows = [
        [
            kind if kind != "both" else "face and voice",
            f"{told['n_clips']:,}",
            f"{told['n_steps']:,}",
            number(told["accuracy"]),
            number(shown["before"][kind]["ece"]),
            number(told["ece"]),
            number(told["sure"], ".0%"),
            number(told["sure_right"], ".0%"),
            number(told["changes"], ".2f"),
        ]
        for kind, told in shown["after"].items()
    ]
    columns = [
        "given",
        "clips",
        "steps",
        "accuracy",
        "error without",
        "error with",
        "sure",
        "of these right",
        "changes",
    ]
    return [
        "A stream is looked at from its first moment on. Each test clip (a random part of them, where there are many) "
        "is a stream of its own; counted are the steps that show a label. Error: expected calibration error, with the "
        "temperatures by seconds of evidence that were fitted on validation clips, and without. Sure: shown with 90% "
        "or more. Changes: of the label, in three seconds of a clip, which has one emotion throughout. Still "
        "pictures are looked at for three seconds.",
        "",
        *_table(columns, rows),
    ]


def _robustness(curves: Report | None) -> list[str]:
    """Each curve as a row: clean, and at a mild, a middle and the worst level."""
    if curves is None or not curves["curves"]:
        return []

    def at(point: Report) -> str:
        return f"{point['level']:g}: {_interval(point['together'], 'uar')}"

    rows = []
    for curve in curves["curves"]:
        points = curve["points"]
        chosen = (points[0], points[len(points) // 2], points[-1])
        rows.append(
            [
                curve["corpus"],
                f"{curve['kind']} ({curve['axis']})",
                f"{curve['n']:,}",
                _interval(curve["clean"]["together"], "uar"),
                *map(at, chosen),
            ]
        )
    return [
        curves["protocol"],
        "",
        *_table(["corpus", "what", "n", "UAR clean (95%)", "mild", "middle", "worst"], rows),
        "",
        "![UAR under noise, blur, darkness, small faces](figures/degradation.png)",
    ]


def _failures(details: Report, curves: Report | None) -> list[str]:
    """What the figures above say against it, the worst first."""
    counts = details["confusion"]["counts"]
    shares = [
        (line[said] / sum(line), sum(line), EMOTIONS[meant], EMOTIONS[said])
        for meant, line in enumerate(counts)
        for said in range(len(EMOTIONS))
        if said != meant and sum(line)
    ]
    lines = [
        f"- {meant} is taken for {said} in {share:.0%} (n={n:,})"
        for share, n, meant, said in sorted(shares, reverse=True)[:5]
    ]
    for curve in curves["curves"] if curves else []:
        clean, chance = curve["clean"]["together"]["uar"], 1 / curve["n_classes"]
        half = next((p for p in curve["points"] if p["together"]["uar"] < (clean + chance) / 2), None)
        if half:
            left = f"UAR {half['together']['uar']:.2f}, clean {clean:.2f}, n={curve['n']:,}"
            lines.append(
                f"- {curve['corpus']}, {curve['kind']}: at {half['level']:g} ({curve['axis']}) less than half is left "
                f"of what it knows beyond chance ({left})"
            )
    mistakes = details.get("mistakes", [])
    if not mistakes:
        return lines
    rows = [
        [
            f"[{m['corpus']} {m['clip_id']}](figures/mistakes/{m['figure']})",
            m["label"],
            m["predicted"],
            f"{m['confidence']:.0%}",
            ", ".join(f"{name} {nats:+.1f}" for name, nats in m["brought"].items()),
        ]
        for m in mistakes
    ]
    return [
        *lines,
        "",
        "The mistakes that it was surest of, in each corpus. The figures show what spoke for the answer; no person is "
        "shown, a drawn outline stands for the face:",
        "",
        *_table(["clip", "meant as", "taken for", "how sure", "what spoke for it, nats"], rows),
        "",
        f"![Why the surest of them was made](figures/mistakes/{mistakes[0]['figure']})",
    ]


def _cost(cost: Report) -> list[str]:
    hours, cores = cost["seconds"] / 3600, cost["threads"]
    return [
        f"This one training took {hours:.1f} hours on {counted(cores, 'core')} of a CPU. **An estimate, not a "
        f"measurement:** {hours * cores * WATTS / 1000:.2f} kWh, if a busy core draws {WATTS} W. What was tried before "
        "it, and trainings whose weights it went on from, are not counted."
    ]


def _licence(info: ModelInfo) -> list[str]:
    return ["[LICENSE-WEIGHTS](LICENSE-WEIGHTS): " + _terms(info), "The code around them is under Apache-2.0."]


def _terms(info: ModelInfo) -> str:
    readers = [corpora.get(name) for name in info.corpora]
    alike = [reader.title for reader in readers if SHARE_ALIKE in reader.licence]
    if alike:
        return (
            f"{SHARE_ALIKE}, as {' and '.join(alike)} must be shared, and only as the licences of all that they were "
            "trained on allow."
        )
    return "only as the licences of all that they were trained on allow."


def weights_licence(info: ModelInfo) -> str:
    """The text of LICENSE-WEIGHTS, which lies beside the weights."""
    readers = [corpora.get(name) for name in info.corpora]
    deed = f"\n{SHARE_ALIKE}: {DEED}\n" if any(SHARE_ALIKE in reader.licence for reader in readers) else ""
    trained = "\n".join(f"- {reader.title}: {reader.licence}.\n  {reader.citation}" for reader in readers)
    return (
        "The weights in this folder (mmer.onnx, mmer.int8.onnx, network.safetensors) may be used and shared under\n"
        f"{_terms(info)}\n{deed}\nThey were trained on\n{trained}\n"
        + "".join(f"and started from {w.split()[0]}.\n" for w in (info.face_weights, info.voice_weights) if w)
        + "\nThe detector's nets in detector/ are those of facenet-pytorch (MIT). The code of this project is under\n"
        "Apache-2.0 (LICENSE).\n"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
