"""How well a network does on speakers it has not met: scores with intervals, each modality alone, slices."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer import charts, corpora, metrics
from mmer.clips import Clip
from mmer.labels import EMOTIONS, MODALITIES

Probabilities = npt.NDArray[np.floating[Any]]
Report = dict[str, Any]

DRAWN = "drawn people: no evidence about people"

#: What may make a clip hard. Each maps a clip to the slice it lies in.
SLICES: dict[str, Callable[[Clip], str]] = {
    "corpus": lambda c: c.corpus,
    "sex": lambda c: c.sex,
    "intensity": lambda c: c.intensity,
    "hidden": lambda c: c.hidden,
    "face": lambda c: "found" if c.has_face else "none found",
    "picture": lambda c: "there" if c.has_face or c.has_scene else "missing",
    "voice": lambda c: "heard" if c.voice_rate > 0 else "silent",
}


def subsets(modalities: Sequence[str] = MODALITIES) -> list[str]:
    """All ways to use these modalities, single ones first: `face`, ..., `face+voice`, ..., `face+scene+voice`."""
    ordered = [m for m in MODALITIES if m in modalities]
    return ["+".join(chosen) for size in range(1, len(ordered) + 1) for chosen in combinations(ordered, size)]


def evaluate(probabilities: Mapping[str, Probabilities], clips: Sequence[Clip], *, resamples: int, seed: int) -> Report:
    """Score a network on test clips.

    Args:
        probabilities: for each of `subsets(...)`, the clips' probabilities [n, 7] when only these modalities are given.
            A clip that lacks them counts too, answered from nothing.
        clips: [n], all of the test split.
        resamples: of the speakers, behind each interval.
        seed: of the resampling.

    Returns:
        What goes into JSON as it is: numbers rounded to 4 decimals, None where a score is not defined. Scores of the
        whole model stand at the top (`uar`, `uar_low`, `uar_high`, ...), then `subsets`, `fusion_gain`, `per_class`,
        `confusion`, `calibration`, `slices` and, where people voted, `votes`.

    Raises:
        ValueError: there are no clips, a clip is not of the test split, or the probabilities do not fit the clips.
    """
    names = _check(probabilities, clips)
    whole = probabilities[names[-1]]
    truth = np.array([c.target for c in clips])
    people = [c.person for c in clips]
    predicted = np.stack([probabilities[name].argmax(-1) for name in names])
    counts = np.stack([metrics.confusion(truth, row) for row in predicted])
    drawn = _drawn(clips)
    # The same resamples serve every score, so that differences between subsets are paired.
    resampled = metrics.bootstrap(truth, predicted, people, resamples, seed) if len(set(people)) > 1 else None

    def scores(which: int, *score: metrics.Score) -> Report:
        told: Report = {}
        for one in score:
            told |= _with_interval(
                one.__name__, one(counts[which]), None if resampled is None else one(resampled[:, which])
            )
        return told

    last = len(names) - 1
    report = {
        "protocol": _protocol(clips, resamples),
        "drawings": drawn,
        **({"note": DRAWN} if drawn else {}),
        "corpora": sorted({c.corpus for c in clips}),
        "n_clips": len(clips),
        "n_speakers": _speakers(clips),
        **scores(last, metrics.uar, metrics.war, metrics.macro_f1),
        "nll": metrics.negative_log_likelihood(whole, truth),
        "ece": metrics.expected_calibration_error(whole, truth),
        "subsets": {name: scores(i, metrics.uar, metrics.war) for i, name in enumerate(names)},
        "fusion_gain": _fusion_gain(names, counts, resampled),
        "per_class": metrics.per_class(counts[-1]),
        "confusion": {"labels": list(EMOTIONS), "rows": "truth", "counts": counts[-1].tolist()},
        "calibration": dict(
            zip(("confidence", "accuracy", "n"), (v.tolist() for v in metrics.reliability(whole, truth)), strict=True)
        ),
        "slices": _slices(clips, truth, predicted[-1], resamples, seed),
    }
    if any(c.votes for c in clips):
        report["votes"] = _against_votes(clips, predicted[-1], resamples, seed)
    rounded: Report = _plain(report)
    return rounded


def write_report(report: Report, probabilities: Mapping[str, Probabilities], clips: Sequence[Clip], out: Path) -> None:
    """Write what `evaluate` found: the same input gives the same bytes.

    `metrics.json` holds the few numbers that one compares between versions, `details.json` everything,
    `predictions.csv` a row per clip, `subsets.csv` a row per set of modalities, `figures/` the pictures.
    """
    out.mkdir(parents=True, exist_ok=True)
    _write_json(out / "metrics.json", summary(report))
    _write_json(out / "details.json", report)
    whole = probabilities[subsets_of(probabilities)[-1]]
    _write_csv(
        out / "predictions.csv",
        ["clip_id", "corpus", "speaker", "label", "predicted", "confidence", *(f"p_{e}" for e in EMOTIONS)],
        (
            [c.clip_id, c.corpus, c.speaker, c.label, EMOTIONS[row.argmax()], *(f"{p:.4f}" for p in (row.max(), *row))]
            for c, row in zip(clips, whole, strict=True)
        ),
    )
    _write_csv(
        out / "subsets.csv",
        ["modalities", "uar", "low", "high"],
        ([name, s["uar"], s["uar_low"], s["uar_high"]] for name, s in report["subsets"].items()),
    )
    charts.draw(report, out / "figures")


def summary(report: Report) -> Report:
    """The part of a report that is compared between versions: scalars, and the UAR of each set of modalities."""
    scalars = {k: v for k, v in report.items() if isinstance(v, int | float)}
    gain = report["fusion_gain"]
    if gain is not None:
        scalars |= {"fusion_gain": gain["gain"], "fusion_gain_low": gain["low"], "fusion_gain_high": gain["high"]}
    return scalars | {"uar_by_modality": {name: s["uar"] for name, s in report["subsets"].items()}}


def subsets_of(probabilities: Mapping[str, Any]) -> list[str]:
    """The names in `probabilities`, in the order of `subsets`; the last one is everything together.

    Raises:
        ValueError: they are not the subsets of some modalities.
    """
    named = {m for name in probabilities for m in name.split("+")}
    names = subsets([m for m in MODALITIES if m in named])
    if not names or set(names) != set(probabilities):
        raise ValueError(f"probabilities are needed for exactly {', '.join(names)}, not {', '.join(probabilities)}")
    return names


def _check(probabilities: Mapping[str, Probabilities], clips: Sequence[Clip]) -> list[str]:
    names = subsets_of(probabilities)
    if not clips:
        raise ValueError("there are no test clips: look at split.test_fold and at the folds of the corpora")
    seen = [f"{c.corpus}/{c.clip_id} ({c.split})" for c in clips if c.split != "test"]
    if seen:
        raise ValueError(f"only test clips may be scored; {len(seen)} are not: {', '.join(seen[:3])}")
    for name in names:
        given = probabilities[name]
        if given.shape != (len(clips), len(EMOTIONS)):
            raise ValueError(f"{name}: probabilities {given.shape} do not fit {len(clips)} clips")
        if not np.isfinite(given).all() or (given < 0).any() or np.abs(given.sum(-1) - 1).max() > 1e-3:
            raise ValueError(f"{name}: some rows are no probabilities (finite, not negative, summing to 1)")
    return names


def _protocol(clips: Sequence[Clip], resamples: int) -> str:
    """How the scores came about, in words."""
    parts = []
    for corpus in sorted({c.corpus for c in clips}):
        own = [c for c in clips if c.corpus == corpus]
        folds = sorted({c.fold for c in own if c.fold is not None})
        where = f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}" if folds else "the official test split"
        speakers = _speakers(own)
        if speakers:
            who = f"{speakers} speakers, none of them in training or validation (speaker-independent)"
        else:
            who = "speakers that the corpus does not know (each clip counts as one)"
        parts.append(f"{corpus}: {len(own)} clips of {who}, {where}.")
    return f"{' '.join(parts)} Against intended labels. Intervals: 95%, {resamples} resamples of the speakers."


def _speakers(clips: Sequence[Clip]) -> int:
    """Number of speakers that are known: where a corpus knows none, a clip's own id stands for its speaker."""
    return len({c.person for c in clips if c.speaker != c.clip_id})


def _drawn(clips: Sequence[Clip]) -> bool:
    """Whether all clips are drawings. A corpus without a reader here is taken for real people."""
    return all(name in corpora.names() and corpora.get(name).drawing for name in {c.corpus for c in clips})


def _with_interval(name: str, value: Any, resampled: npt.NDArray[np.float64] | None) -> Report:
    low, high = (None, None) if resampled is None else metrics.percentile_interval(resampled)
    return {name: float(value), f"{name}_low": low, f"{name}_high": high}


def _fusion_gain(
    names: Sequence[str], counts: metrics.Counts, resampled: npt.NDArray[np.float64] | None
) -> Report | None:
    """UAR of everything together minus that of the best single modality; None for a model of one modality.

    Which single modality is best is decided anew in each resample, so that the luck of that choice is in the interval.
    """
    single = sum("+" not in name for name in names)
    if single < 2:
        return None

    def gain(of: metrics.Counts) -> npt.NDArray[np.float64]:
        uar = metrics.uar(of)
        difference: npt.NDArray[np.float64] = uar[..., -1] - uar[..., :single].max(-1)
        return difference

    told = _with_interval("gain", gain(counts), None if resampled is None else gain(resampled))
    best = names[int(metrics.uar(counts[:single]).argmax())]
    return {"gain": told["gain"], "low": told["gain_low"], "high": told["gain_high"], "best_single": best}


def _score(truth: metrics.Ints, predicted: metrics.Ints, people: Sequence[str], resamples: int, seed: int) -> Report:
    """UAR over the classes that occur, with its interval; counts alone where there is too little for that."""
    told: Report = {"n": len(truth), "n_classes": len(np.unique(truth))}
    if len(truth) < 2 or len(set(people)) < 2:
        return told | {"uar": None, "uar_low": None, "uar_high": None}
    drawn = metrics.uar(metrics.bootstrap(truth, predicted, people, resamples, seed))
    return told | _with_interval("uar", metrics.uar(metrics.confusion(truth, predicted)), drawn)


def _slices(
    clips: Sequence[Clip], truth: metrics.Ints, predicted: metrics.Ints, resamples: int, seed: int
) -> dict[str, dict[str, Report]]:
    """Scores of each slice. What does not divide the clips (all of one corpus) is left out."""
    result: dict[str, dict[str, Report]] = {}
    for name, of in SLICES.items():
        values = np.array([of(c) for c in clips])
        if len(set(values)) > 1:
            result[name] = {}
            for value in sorted(set(values)):
                inside = values == value
                people = [c.person for c, keep in zip(clips, inside, strict=True) if keep]
                result[name][str(value)] = _score(truth[inside], predicted[inside], people, resamples, seed)
    return result


def _against_votes(clips: Sequence[Clip], predicted: metrics.Ints, resamples: int, seed: int) -> Report:
    """Scores against what most voters saw or heard, instead of what the actor meant. Tied clips are left out."""
    voted = [(i, np.asarray(c.votes)) for i, c in enumerate(clips) if c.votes]
    clear = [(i, int(v.argmax())) for i, v in voted if np.count_nonzero(np.isclose(v, v.max())) == 1]
    told: Report = {"against": "the majority of the votes, not the intended labels", "n_tied": len(voted) - len(clear)}
    if not clear:
        return told | {"n": 0}
    inside = np.array([i for i, _ in clear])
    truth = np.array([majority for _, majority in clear])
    intended = np.array([clips[i].target for i in inside])
    people = [clips[i].person for i in inside]
    told |= _score(truth, predicted[inside], people, resamples, seed)
    told["war"] = float(metrics.war(metrics.confusion(truth, predicted[inside])))
    told["majority_is_intended"] = float((truth == intended).mean())
    return told


def _plain(value: Any) -> Any:
    """Rounded to 4 decimals and fit for JSON: what is not a number becomes None."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return round(value, 4) + 0.0 if np.isfinite(value) else None
    return value


def _write_json(path: Path, value: Report) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
