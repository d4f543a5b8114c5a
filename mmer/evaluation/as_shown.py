"""What people see of a model live: the smoothed answer of each step, how sure it may be, and how sure it is.

A network is calibrated on whole clips, and a stream is looked at from its first step on, when little was heard. So the
temperatures of what is shown (`mmer.runtime.config.Shown`) are fitted on the steps of validation clips, each as a
stream that begins, by what an answer rests on and for how long; and the same steps of test clips tell how often a label
that is shown is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmer import metrics
from mmer.data.clips import Clip
from mmer.data.samples import as_pass, load_clip
from mmer.evaluation.robustness import Subject
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.reporting import Report, plain
from mmer.runtime.config import Shown
from mmer.runtime.results import softmax
from mmer.runtime.smoothing import LEAST, Smoother
from mmer.runtime.types import Floats

SECONDS = (0.2, 0.6, 1.0, 1.6, 2.4, 4.0)
"""Between which the temperatures are interpolated."""
MOST = 400
"""Clips of each kind that are asked, at most."""
FEW = 40
"""Clips of a kind from which on it has temperatures of its own …"""
PEOPLE = 4
"""… if they are of so many people: two may be far easier to read than the next ones."""
STILL_S = 3.0
"""A still picture is looked at for so long."""
SURE = 0.9
"""Probability from which on an answer counts as sure."""
KINDS: dict[str, tuple[ModalityName, ...]] = {"face": ("face",), "voice": ("voice",), "both": ("face", "voice")}
"""What an answer rests on, in the words of `Shown`, and the modalities that are given for it."""


@dataclass(frozen=True)
class Steps:
    """The steps with evidence of clips, each clip a stream of its own."""

    probabilities: Floats
    """[n, 7], smoothed."""
    labels: npt.NDArray[np.int64]
    """[n], index in `EMOTIONS` of what is shown; -1 where no label is."""
    target: Floats
    """[n, 7]: what is right, one emotion or the shares of several."""
    seconds: npt.NDArray[np.floating]
    """[n], of evidence so far."""
    clip: npt.NDArray[np.int64]
    """[n], the number of the clip."""
    people: int
    """Of how many people the clips are."""


def watch(
    subject: Subject,
    clips: Sequence[Clip],
    processed: Path,
    shown: Shown | None = None,
    target_of: Callable[[Clip], Floats] = lambda clip: np.eye(len(EMOTIONS), dtype=np.float32)[clip.target],
    seed: int = 0,
) -> dict[str, Steps]:
    """What would be shown of clips, for each of `KINDS` that the model knows and any clip holds.

    Args:
        shown: the temperatures; None for none.
        target_of: what is right of a clip, [7]: one emotion, or the shares that label and votes give to several.
        seed: of the draw of at most `MOST` clips of each kind.
    """
    found = {}
    for kind, given in KINDS.items():
        having = [clip for clip in clips if all(getattr(clip, f"has_{name}") for name in given)]
        if not having or not set(given) <= set(subject.modalities):
            continue
        chosen = sorted(np.random.default_rng(seed).permutation(len(having))[:MOST].tolist())
        looked = [_look(subject, having[k], processed, given, shown) for k in chosen]
        lengths = [len(seconds) for _, _, seconds in looked]
        probabilities, labels, seconds = (np.concatenate(parts) for parts in zip(*looked, strict=True))
        target = np.repeat([target_of(having[k]) for k in chosen], lengths, axis=0)
        places, people = np.repeat(np.arange(len(chosen)), lengths), len({having[k].person for k in chosen})
        found[kind] = Steps(probabilities, labels, target, seconds, places, people)
    return found


def _look(
    subject: Subject, clip: Clip, processed: Path, given: Sequence[ModalityName], shown: Shown | None
) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.floating]]:
    """One clip: probabilities [n, 7], labels [n] and seconds of evidence [n] of its steps with evidence."""
    step_s = subject.input.step_s
    arrays = as_pass(load_clip(clip, processed), subject.input, subject.state_size)
    arrays["present"] *= np.array([name in given for name in MODALITIES], np.float32)
    if clip.steps == 1:
        held = round(STILL_S / step_s)
        arrays |= {name: np.repeat(array, held, axis=1) for name, array in arrays.items() if name != "state"}
    smoother = Smoother(step_s, shown)
    probabilities, labels = [np.zeros((0, len(EMOTIONS)), np.float32)], []
    for said, present in zip(softmax(subject.forward(arrays)["logits"][0]), arrays["present"][0] > 0, strict=True):
        seen, heard = bool(present[:2].any()), bool(present[2])
        smoothed, label = smoother.push(said, seen=seen, heard=heard)
        if seen or heard:
            probabilities.append(smoothed[None])
            labels.append(-1 if label is None else EMOTIONS.index(label))
    return np.concatenate(probabilities), np.array(labels, np.int64), step_s * np.arange(1, len(labels) + 1)


def fit(steps: Mapping[str, Steps]) -> Shown | None:
    """The temperatures under which what was said is likeliest (Guo et al. 2017, arXiv:1706.04599), of steps that were
    watched without any; None where no kind has `FEW` clips of `PEOPLE`. A kind of fewer has the larger of the others'.
    """
    enough = {kind for kind, own in steps.items() if own.people >= PEOPLE and len(set(own.clip.tolist())) >= FEW}
    fitted = {kind: _fit(own) for kind, own in steps.items() if kind in enough}
    if not fitted:
        return None
    rest = np.max(list(fitted.values()), axis=0)
    each = {kind: tuple(np.round(fitted.get(kind, rest), 4).tolist()) for kind in KINDS}
    return Shown(seconds=SECONDS, **each)


def _fit(steps: Steps) -> npt.NDArray[np.float64]:
    """Temperatures at `SECONDS`."""
    from scipy.optimize import minimize

    logits = np.log(np.maximum(steps.probabilities.astype(np.float64), LEAST))
    places = np.clip(np.interp(steps.seconds, SECONDS, np.arange(len(SECONDS))), 0, len(SECONDS) - 1)
    low = np.minimum(places.astype(int), len(SECONDS) - 2)
    share = places - low

    def loss(log_temperatures: npt.NDArray[np.float64]) -> float:
        at = np.exp(log_temperatures)
        scaled = logits / (at[low] * (1 - share) + at[low + 1] * share)[:, None]
        own = (scaled * steps.target).sum(1)
        smooth = np.square(np.diff(log_temperatures)).sum()  # a knot that few clips reach follows its neighbour
        return float((np.logaddexp.reduce(scaled, 1) - own).mean() + 0.001 * smooth)

    found = minimize(loss, np.zeros(len(SECONDS)), method="L-BFGS-B", bounds=[(-2.0, 2.0)] * len(SECONDS))
    temperatures: npt.NDArray[np.float64] = np.exp(found.x)
    return temperatures


def measure(steps: Mapping[str, Steps]) -> Report:
    """How far what is shown can be trusted, for each kind, over the steps that show a label: `ece`, their `accuracy`,
    `sure` (share of them at `SURE` or more) and `sure_right` (how many of these are right), `changes` of the label in
    three seconds of a clip that has one emotion, and `by_seconds`, the accuracy by how much was seen or heard.
    """
    return {kind: {key: plain(value) for key, value in _measured(own).items()} for kind, own in steps.items()}


def _measured(steps: Steps) -> Report:
    told = steps.labels >= 0
    truth, confidence = steps.target.argmax(1), steps.probabilities.max(1)
    right = steps.labels == truth
    sure = told & (confidence >= SURE)
    same = (steps.clip[1:] == steps.clip[:-1]) & told[1:] & told[:-1]
    changed = same & (steps.labels[1:] != steps.labels[:-1])
    step_s = float(steps.seconds.min()) if len(steps.seconds) else 0.0
    edges = [0.0, *SECONDS, np.inf]
    bins = [
        (high, told & (steps.seconds > low + 1e-6) & (steps.seconds <= high + 1e-6)) for low, high in pairwise(edges)
    ]
    return {
        "n_clips": len(set(steps.clip.tolist())),
        "n_steps": int(told.sum()),
        "confidence": _mean(confidence[told]),
        "accuracy": _mean(right[told]),
        "ece": metrics.expected_calibration_error(steps.probabilities[told], truth[told]) if told.any() else None,
        "sure": _mean(sure[told]),
        "sure_right": _mean(right[sure]),
        "changes": 3 / step_s * float(changed.sum() / same.sum()) if same.any() else None,
        "by_seconds": [
            {"until": None if np.isinf(high) else high, "n": int(own.sum()), "accuracy": _mean(right[own])}
            for high, own in bins
            if own.any()
        ],
    }


def _mean(values: npt.NDArray[np.generic]) -> float | None:
    return float(values.astype(np.float64).mean()) if len(values) else None
