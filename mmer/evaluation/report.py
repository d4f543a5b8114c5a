"""What an evaluation found, written down: JSON, tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmer.data.clips import Clip
from mmer.evaluation.scores import subsets_of
from mmer.labels import DIMENSIONS, EMOTIONS
from mmer.metrics import Floats, Probabilities
from mmer.plots.evaluation import plot_evaluation
from mmer.reporting import Report, write_csv, write_json


def write_report(
    report: Report,
    probabilities: Mapping[str, Probabilities],
    clips: Sequence[Clip],
    out: Path,
    affect: Floats | None = None,
) -> None:
    """Write what `evaluate` found: the same input gives the same bytes.

    `metrics.json` holds the few numbers that one compares between versions, `details.json` everything,
    `predictions.csv` a row per clip, `answers.csv` what is said of each where only some modalities are given,
    `subsets.csv` a row per set of modalities, `votes.csv` people and model side by side (no rows where nobody voted),
    `figures/` the pictures; and where valence and arousal [n, 2] are said, `affect.csv` a row per clip.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", summary(report))
    write_json(out / "details.json", report)
    names = subsets_of(probabilities)
    write_predictions(out / "predictions.csv", clips, probabilities[names[-1]])
    write_csv(
        out / "answers.csv",
        ["clip_id", "corpus", "speaker", "label", *names],
        (
            [c.clip_id, c.corpus, c.speaker, c.label, *(EMOTIONS[probabilities[name][i].argmax()] for name in names)]
            for i, c in enumerate(clips)
        ),
    )
    write_csv(
        out / "subsets.csv",
        ["modalities", "n", "uar", "low", "high", "ece"],
        ([name, s["n"], s["uar"], s["uar_low"], s["uar_high"], s["ece"]] for name, s in report["subsets"].items()),
    )
    columns = ["n", "uar", "uar_low", "uar_high", "war", "cross_entropy", "kl"]
    write_csv(
        out / "votes.csv",
        ["given", "who", "against", *columns],
        ([*names, *(scores.get(column) for column in columns)] for *names, scores in judged(report)),
    )
    if affect is not None:
        write_csv(
            out / "affect.csv",
            ["clip_id", "corpus", "speaker", *(f"{name}{of}" for of in ("", "_said") for name in DIMENSIONS)],
            (
                [c.clip_id, c.corpus, c.speaker, c.valence, c.arousal, *("" if v != v else f"{v:.4f}" for v in row)]
                for c, row in zip(clips, affect.tolist(), strict=True)
            ),
        )
    plot_evaluation(report, out / "figures")


def summary(report: Report) -> Report:
    """The part of a report that is compared between versions: scalars, and the UAR by modality and by corpus."""
    told: Report = {k: v for k, v in report.items() if isinstance(v, int | float)}
    told |= {"tested": report["tested"], "pairing": report["pairing"]}
    gain = report["fusion_gain"]
    if gain is not None:
        told |= {"fusion_gain": gain["gain"], "fusion_gain_low": gain["low"], "fusion_gain_high": gain["high"]}

    def each(of: str, key: str) -> Report:
        return {name: scores[key] for name, scores in report[of].items() if scores[key] is not None}

    if affect := report.get("affect"):
        told |= {
            f"ccc_{name}_by_corpus": {c: s[name]["ccc"] for c, s in affect["by_corpus"].items()} for name in DIMENSIONS
        }
    return told | {
        "uar_by_corpus": each("by_corpus", "uar"),
        "uar_by_modality": each("subsets", "uar"),
        "ece_by_modality": each("subsets", "ece"),
    }


def headline(metrics: Report, package: Report) -> Report:
    """The few figures by which versions are told apart, for `dvc metrics show`.

    Args:
        metrics: what `summary` says.
        package: what stage `package` says of the graph.
    """
    alone = {f"uar_{name}": uar for name, uar in metrics["uar_by_modality"].items() if "+" not in name}
    scores = {"uar": metrics["uar"], "uar_low": metrics["uar_low"], "uar_high": metrics["uar_high"], **alone}
    size = {"parameters": package["parameters"], "graph_mb": round(package["graph_bytes"] / 1e6, 2)}
    return {"drawings": metrics["drawings"], **scores, "ece": metrics["ece"], **size}


def judged(report: Mapping[str, Any]) -> Iterable[tuple[str, str, str, Report]]:
    """People and the model on the same clips: what was given, who answers, against which truth, and the scores (of the
    votes as a distribution: `cross_entropy` and `kl`, else `uar` and `war`).
    """
    for given, told in report["votes"].items():
        yield given, "one person", "intended", told["raters"]
        yield given, "majority of people", "intended", told["majority"]
        if model := told["model"]:
            yield given, "model", "intended", model["intended"]
            yield given, "model", "majority", model["majority"]
            if agreed := model["consensus"]:
                yield given, "model", "consensus", agreed
            yield given, "model", "votes", model["votes"]


def write_predictions(
    path: Path, clips: Sequence[Clip], probabilities: Probabilities, classes: Sequence[str] = EMOTIONS
) -> None:
    """A row per clip: whose it is, what was meant, what was said and how likely each class is."""
    write_csv(
        path,
        ["clip_id", "corpus", "speaker", "label", "predicted", "confidence", *(f"p_{name}" for name in classes)],
        (
            [c.clip_id, c.corpus, c.speaker, c.label, classes[row.argmax()], *(f"{p:.4f}" for p in (row.max(), *row))]
            for c, row in zip(clips, probabilities, strict=True)
        ),
    )
