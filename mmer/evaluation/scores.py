"""How well a network does on speakers it has not met: scores with intervals, each modality alone, slices, and people
beside it where people judged the same clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmer import metrics
from mmer.data.clips import Clip
from mmer.evaluation.protocol import about, describe, n_speakers, protocol
from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES
from mmer.metrics import Floats, Probabilities, one_hot
from mmer.reporting import Report, plain

#: What may make a clip hard. Each maps a clip to the slice it lies in.
SLICES: dict[str, Callable[[Clip], str]] = {
    "sex": lambda c: c.sex,
    "intensity": lambda c: c.intensity,
    "hidden": lambda c: c.hidden,
    "face": lambda c: "found" if c.has_face else "none found",
    "picture": lambda c: "there" if c.has_face or c.has_scene else "missing",
    "voice": lambda c: "heard" if c.voice_rate > 0 else "silent",
    "published training part": lambda c: "holds the same file" if c.copies else "does not",
}

#: Where people judged: what they were given, in this project's words, and the field of `Clip` with their votes.
VOTES = {"voice": "votes_voice", "face": "votes_face", "face+voice": "votes"}

#: A corpus of fewer test clips, or of one speaker, has no score of its own: it is told clip by clip.
FEW = 20


class Bootstrap(NamedTuple):
    """The resamples behind each interval."""

    resamples: int
    seed: int


def subsets(modalities: Sequence[str] = MODALITIES) -> list[str]:
    """All ways to use these modalities, single ones first: `face`, ..., `face+voice`, ..., `face+scene+voice`."""
    ordered = [m for m in MODALITIES if m in modalities]
    return ["+".join(chosen) for size in range(1, len(ordered) + 1) for chosen in combinations(ordered, size)]


def evaluate(
    probabilities: Mapping[str, Probabilities],
    clips: Sequence[Clip],
    *,
    resamples: int,
    seed: int,
    pairing: str = "none",
    cross_corpus: Sequence[str] = (),
    uncalibrated: Mapping[str, Probabilities] | None = None,
    affect: Mapping[str, Floats] | None = None,
) -> Report:
    """Score a network on test clips.

    Args:
        probabilities: for each of `subsets(...)`, the clips' probabilities [n, 7] when only these modalities are given.
        clips: [n], all of the test split.
        resamples: of the speakers, behind each interval.
        seed: of the resampling.
        pairing: what `train.pairing` was in the training of this network.
        cross_corpus: corpora that are tested whole, and of which nothing was trained (`split.test_corpora`).
        uncalibrated: like `probabilities`, of the same network before its temperatures were fitted.
        affect: likewise, valence and arousal [n, 2] of a network that says them, NaN where it does not.

    Returns:
        What goes into JSON as it is: numbers rounded to 4 decimals, None where a score is not defined. Scores of the
        whole model on all clips stand at the top (`uar`, `uar_low`, `uar_high`, ...), then `by_corpus`, `subsets` (each
        on the clips that hold one of its modalities or more, with its own calibration), `fusion_gain`, `per_class`,
        `confusion`, `slices`, where people voted `votes`, and `few`, the answers about each clip of a corpus that is
        too small for a score (`FEW`): it is in no slice, where its one or two people would pass for all. `affect` is
        there only where valence and arousal are said and told: their scores `by_corpus` and by `subsets`.

    Raises:
        ValueError: there are no clips, a clip is not of the test split, or the probabilities do not fit the clips.
    """
    names, bootstrap = _check(probabilities, clips), Bootstrap(resamples, seed)
    whole = probabilities[names[-1]]
    truth = np.array([c.target for c in clips])
    answers = np.stack([one_hot(probabilities[name]) for name in names])
    few = too_few(clips)
    scored = np.array([i for i, c in enumerate(clips) if c.corpus not in few], int)
    enough = _at(clips, scored)
    counts = metrics.confusion(truth, whole.argmax(-1))
    report: Report = {
        "protocol": protocol(clips, resamples, cross_corpus),
        **about(clips, pairing),
        **score(truth, answers[-1], clips, bootstrap, metrics.uar, metrics.war, metrics.macro_f1),
        **_sureness(whole, truth),
        "by_corpus": by(lambda c: c.corpus, truth, answers[-1], clips, bootstrap, unscored=few),
        "subsets": _subsets(probabilities, uncalibrated, truth, clips, bootstrap),
        "fusion_gain": _fusion_gain(names, truth, answers, clips, bootstrap),
        "per_class": metrics.per_class(counts),
        "confusion": {"labels": list(EMOTIONS), "rows": "truth", "counts": counts.tolist()},
        # What does not divide the clips (all of one sex) is left out.
        "slices": {
            name: by(of, truth[scored], answers[-1, scored], enough, bootstrap)
            for name, of in SLICES.items()
            if len({of(c) for c in enough}) > 1
        },
        "votes": _votes(probabilities, clips, bootstrap),
        "few": {name: _one_by_one(name, clips, whole) for name in few},
    }
    if affect is not None and any(c.affect for c in clips):
        report["affect"] = _affect({name: affect[name] for name in names}, clips, bootstrap)
    return {key: plain(value) for key, value in report.items()}


def score(
    truth: metrics.Ints, answers: Probabilities, clips: Sequence[Clip], bootstrap: Bootstrap, *scores: metrics.Score
) -> Report:
    """Scores with their intervals: `uar`, `uar_low`, `uar_high`, ...

    Args:
        truth: [n].
        answers: [n, 7], one-hot, or shares of votes.
        clips: [n], whose speakers are resampled; with less than two there is no interval (None).
    """
    people = [c.person for c in clips]
    found = metrics.soft_confusion(truth, answers)
    again = metrics.bootstrap(truth, answers, people, *bootstrap) if len(set(people)) > 1 else None
    told: Report = {}
    for one in scores:
        told |= _with_interval(one.__name__, one(found), None if again is None else one(again))
    return told


def concordance(said: Floats, clips: Sequence[Clip], bootstrap: Bootstrap) -> Report:
    """Of valence and of arousal: `ccc` with its interval over speakers, and `rmse`; `n`, the clips of which they are
    told and said, and `tested`.

    Args:
        said: [n, 2], NaN where nothing is said.
    """
    chosen = np.flatnonzero(np.isfinite(said).all(1) & np.array([c.affect is not None for c in clips]))
    own = _at(clips, chosen)
    rows = metrics.sums(np.array([c.affect for c in own]).reshape(-1, len(DIMENSIONS)), said[chosen])
    people = [c.person for c in own]
    again = metrics.ccc(metrics.bootstrap_sums(rows, people, *bootstrap)) if len(set(people)) > 1 else None
    found, apart = metrics.ccc(rows.sum(0)), metrics.rmse(rows.sum(0))
    told: Report = {"n": len(own), "tested": describe(own)}
    for k, name in enumerate(DIMENSIONS):
        told[name] = _with_interval("ccc", found[k], None if again is None else again[:, k]) | {"rmse": float(apart[k])}
    return told


def by(
    group: Callable[[Clip], str],
    truth: metrics.Ints,
    answers: Probabilities,
    clips: Sequence[Clip],
    bootstrap: Bootstrap,
    unscored: Sequence[str] = (),
) -> dict[str, Report]:
    """Scores of each group of clips; a count alone of those named as `unscored`, and where there are less than two
    speakers (or images of unknown people): too few for a score that says something of the group.
    """
    groups = np.array([group(c) for c in clips])
    result: dict[str, Report] = {}
    for name in sorted(set(groups.tolist())):
        inside = np.flatnonzero(groups == name)
        own = _at(clips, inside)
        told: Report = {"n": len(own), "n_speakers": n_speakers(own), "n_classes": len(set(truth[inside].tolist()))}
        told |= {"tested": describe(own)}
        if name not in unscored and len({c.person for c in own}) > 1:
            told |= score(truth[inside], answers[inside], own, bootstrap, metrics.uar, metrics.war)
        else:
            told |= {f"{of}{end}": None for of in ("uar", "war") for end in ("", "_low", "_high")}
        result[name] = told
    return result


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


def too_few(clips: Sequence[Clip]) -> list[str]:
    """The corpora that are too small for a score of their own."""
    of = {name: [c for c in clips if c.corpus == name] for name in sorted({c.corpus for c in clips})}
    return [name for name, own in of.items() if len(own) < FEW or len({c.person for c in own}) < 2]


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


def _one_by_one(corpus: str, clips: Sequence[Clip], probabilities: Probabilities) -> list[Report]:
    """What was meant and what was said of each clip of a corpus, at most `FEW` of them."""
    own = [(c, row) for c, row in zip(clips, probabilities, strict=True) if c.corpus == corpus]
    return [
        {"clip_id": c.clip_id, "label": c.label, "predicted": EMOTIONS[row.argmax()], "confidence": float(row.max())}
        for c, row in own[:FEW]
    ]


def _with_interval(name: str, value: Any, again: npt.NDArray[np.float64] | None) -> Report:
    low, high = (None, None) if again is None else metrics.percentile_interval(again)
    return {name: float(value), f"{name}_low": low, f"{name}_high": high}


def _holding(clips: Sequence[Clip]) -> npt.NDArray[np.bool_]:
    """Which modalities each clip holds, bool [n, 3]."""
    return np.array([[c.has_face, c.has_scene, c.has_voice] for c in clips])


def _columns(name: str) -> list[int]:
    """The columns of `_holding` that a set of modalities means: `face+voice`."""
    return [i for i, modality in enumerate(MODALITIES) if modality in name.split("+")]


def _at(clips: Sequence[Clip], indices: metrics.Ints) -> list[Clip]:
    return [clips[i] for i in indices.tolist()]


def _subsets(
    probabilities: Mapping[str, Probabilities],
    uncalibrated: Mapping[str, Probabilities] | None,
    truth: metrics.Ints,
    clips: Sequence[Clip],
    bootstrap: Bootstrap,
) -> dict[str, Report]:
    """Scores of each set of modalities, on the clips that hold one of them or more: in a mixture of corpora, what the
    face says is not asked of recordings that show none. Everything together is scored on all clips.
    """
    names, holding, result = subsets_of(probabilities), _holding(clips), {}
    for name in names:
        inside = holding[:, _columns(name)].any(1)
        chosen = np.arange(len(clips)) if name == names[-1] else np.flatnonzero(inside)
        own, said, meant = _at(clips, chosen), probabilities[name][chosen], truth[chosen]
        result[name] = {
            "n": len(own),
            "tested": describe(own),
            **score(meant, one_hot(said), own, bootstrap, metrics.uar, metrics.war),
            **_sureness(said, meant),
            "uncalibrated": None if uncalibrated is None else _sureness(uncalibrated[name][chosen], meant),
        }
    return result


def _affect(affect: Mapping[str, Floats], clips: Sequence[Clip], bootstrap: Bootstrap) -> Report:
    """Scores of valence and arousal: of everything together in each corpus that tells them, and of each set of
    modalities on the clips that hold one of them or more.
    """
    *_, whole = affect.values()
    of = {name: np.flatnonzero([c.corpus == name for c in clips]) for name in sorted({c.corpus for c in clips})}
    told = {
        "by_corpus": {name: concordance(whole[own], _at(clips, own), bootstrap) for name, own in of.items()},
        "subsets": {name: concordance(said, clips, bootstrap) for name, said in affect.items()},
    }
    return {key: {name: scores for name, scores in each.items() if scores["n"]} for key, each in told.items()}


def _sureness(probabilities: Probabilities, truth: metrics.Ints) -> Report:
    """`nll`, `ece`, and the bins behind it as `calibration`: whether it is as right as it is sure."""
    if not len(truth):
        return {"nll": None, "ece": None, "calibration": None}
    bins = (values.tolist() for values in metrics.reliability(probabilities, truth))
    return {
        "nll": metrics.negative_log_likelihood(probabilities, truth),
        "ece": metrics.expected_calibration_error(probabilities, truth),
        "calibration": dict(zip(("confidence", "accuracy", "n"), bins, strict=True)),
    }


def _fusion_gain(
    names: Sequence[str], truth: metrics.Ints, answers: Probabilities, clips: Sequence[Clip], bootstrap: Bootstrap
) -> Report | None:
    """UAR of everything together minus that of the best single modality, on the clips that hold two of the model's
    modalities or more; None where there are none.

    Which single modality is best is decided anew in each resample, so that the luck of that choice is in the interval.
    """
    single = [name for name in names if "+" not in name]
    both = np.flatnonzero(_holding(clips)[:, _columns(names[-1])].sum(1) > 1)
    if not len(both):
        return None

    def gain(of: metrics.Counts) -> npt.NDArray[np.float64]:
        uar = metrics.uar(of)
        difference: npt.NDArray[np.float64] = uar[..., -1] - uar[..., : len(single)].max(-1)
        return difference

    people, chosen = [c.person for c in _at(clips, both)], answers[:, both]
    counts = np.stack([metrics.soft_confusion(truth[both], way) for way in chosen])
    again = metrics.bootstrap(truth[both], chosen, people, *bootstrap) if len(set(people)) > 1 else None
    told = _with_interval("gain", gain(counts), None if again is None else gain(again))
    best = single[int(metrics.uar(counts[: len(single)]).argmax())]
    return {
        "gain": told["gain"],
        "low": told["gain_low"],
        "high": told["gain_high"],
        "best_single": best,
        "n": len(both),
    }


def _votes(
    probabilities: Mapping[str, Probabilities], clips: Sequence[Clip], bootstrap: Bootstrap
) -> dict[str, Report]:
    """People beside the model, given the same: the voice, the face, or both. Empty where nobody voted.

    `raters` is the recall of one person drawn at random from those who judged a clip (the mean share of votes for what
    the actor meant), `majority` that of most of them (a tie counts as a draw among the tied). `model` is scored against
    what the actor meant, against the majority (tied clips left out) and against the `consensus` where the corpus tells
    one (on `n_other` clips it is none of the emotions: they are left out), and by the cross-entropy and the
    Kullback-Leibler divergence from the votes to its probabilities, in nats. Clips of which the model does not have
    what people had (no face was found) are left out and counted in `n_without`.
    """
    holding, result = _holding(clips), {}
    for given, field in VOTES.items():
        voted = np.array([getattr(c, field) is not None for c in clips])
        had = holding[:, _columns(given)].all(1)
        inside = np.flatnonzero(voted & had)
        if not len(inside):
            continue
        own = _at(clips, inside)
        truth, votes = np.array([c.target for c in own]), np.array([getattr(c, field) for c in own])
        top = np.isclose(votes, votes.max(1, keepdims=True))
        clear = np.flatnonzero(top.sum(1) == 1)

        def scores(truth: metrics.Ints, answers: Probabilities, of: Sequence[Clip]) -> Report:
            return {"n": len(of), **score(truth, answers, of, bootstrap, metrics.uar, metrics.war)}

        model: Report | None = None
        if given in probabilities:
            predicted = probabilities[given][inside]
            answers, soft = one_hot(predicted), metrics.cross_entropy(predicted, votes)
            agreed = np.flatnonzero([c.consensus in EMOTIONS for c in own])
            model = {
                "intended": scores(truth, answers, own),
                "majority": scores(votes.argmax(1)[clear], answers[clear], _at(own, clear)),
                "consensus": {
                    **scores(
                        np.array([EMOTIONS.index(own[i].consensus) for i in agreed], int),
                        answers[agreed],
                        _at(own, agreed),
                    ),
                    "n_other": sum(bool(c.consensus) for c in own) - len(agreed),
                }
                if len(agreed)
                else None,
                "votes": {"n": len(own), "cross_entropy": soft, "kl": soft - metrics.cross_entropy(votes, votes)},
            }
        result[given] = {
            "n": len(own),
            "n_without": int((voted & ~had).sum()),
            "n_tied": len(own) - len(clear),
            "raters": scores(truth, votes, own),
            "majority": scores(truth, top / top.sum(1, keepdims=True), own),
            "model": model,
        }
    return result
