"""Scores of predictions: unweighted and weighted recall, F1, calibration, concordance, and intervals that respect
speakers.

Scores are functions of a confusion matrix (int [..., C, C], rows are the truth, columns the prediction), so that a
score of many resamples is one call; those of numbers (valence, arousal) are functions of `sums`. The C classes are the
seven of `mmer.labels.EMOTIONS`, in their order, or whatever the arrays that are given tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer.labels import EMOTIONS

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.number[Any]]
Probabilities = npt.NDArray[np.floating[Any]]
Score = Callable[[Counts], npt.NDArray[np.float64]]

#: Bins of confidence, after Guo et al. 2017.
CALIBRATION_BINS = 15


def confusion(truth: Ints, predicted: Ints, classes: int = len(EMOTIONS)) -> npt.NDArray[np.int64]:
    """Count the pairs of truth [n] and prediction [n], both indices of the classes: int64 [C, C]."""
    table = np.bincount(np.asarray(truth) * classes + np.asarray(predicted), minlength=classes**2)
    return table.reshape(classes, classes).astype(np.int64)


def soft_confusion(truth: Ints, shares: Floats) -> npt.NDArray[np.float64]:
    """The same where an answer is spread over the classes: truth [n] and shares [n, C] to float64 [C, C].

    Shares are those of people's votes (then recall is the share of votes for the truth, averaged over its clips), or
    one-hot rows.
    """
    table: npt.NDArray[np.float64] = np.eye(shares.shape[-1])[truth].T @ shares
    return table


def recalls(counts: Counts) -> npt.NDArray[np.float64]:
    """Share of each class that was found, from [..., C, C] to [..., C]; NaN where the class does not occur."""
    return _share(_hits(counts), counts.sum(-1))


def precisions(counts: Counts) -> npt.NDArray[np.float64]:
    """Share of what was called a class that is it, from [..., C, C] to [..., C]; NaN where nothing was called so."""
    return _share(_hits(counts), counts.sum(-2))


def f1s(counts: Counts) -> npt.NDArray[np.float64]:
    """Harmonic mean of recall and precision, from [..., C, C] to [..., C]; NaN where the class does not occur."""
    f1 = _share(2 * _hits(counts), counts.sum(-1) + counts.sum(-2))
    return np.where(counts.sum(-1) > 0, f1, np.nan)


def uar(counts: Counts) -> npt.NDArray[np.float64]:
    """Unweighted average recall over the classes that occur in the truth; NaN where none does. [..., C, C] to [...].

    The measure of the field's challenges (Schuller et al., INTERSPEECH 2009): a frequent emotion weighs no more than
    a rare one, and guessing scores one over the number of classes.
    """
    return _mean(recalls(counts))


def war(counts: Counts) -> npt.NDArray[np.float64]:
    """Weighted average recall, which is accuracy; NaN where there are no clips. [..., C, C] to [...]."""
    return _share(_hits(counts).sum(-1), counts.sum((-1, -2)))


def macro_f1(counts: Counts) -> npt.NDArray[np.float64]:
    """Mean F1 over the classes that occur in the truth; NaN where none does. [..., C, C] to [...]."""
    return _mean(f1s(counts))


def per_class(counts: Counts, classes: Sequence[str] = EMOTIONS) -> dict[str, dict[str, float | int | None]]:
    """Recall, precision, F1 and number of clips of each class; None where a score is not defined."""
    columns = {"recall": recalls(counts), "precision": precisions(counts), "f1": f1s(counts)}
    return {
        name: {score: None if np.isnan(v[i]) else float(v[i]) for score, v in columns.items()}
        | {"n": int(counts[i].sum())}
        for i, name in enumerate(classes)
    }


def negative_log_likelihood(probabilities: Floats, truth: Ints) -> float:
    """Mean of -log p(truth), in nats, of probabilities [n, C]; a probability counts as at least 1e-7."""
    chosen = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(chosen, 1e-7, 1)).mean())


def cross_entropy(probabilities: Floats, shares: Floats) -> float:
    """Mean of -sum(share * log p), in nats, of probabilities [n, C] against shares of votes [n, C].

    What is least possible is not 0 but the entropy of the votes, `cross_entropy(shares, shares)`: the difference is
    the Kullback-Leibler divergence from the votes to the answers. A probability counts as at least 1e-7.
    """
    return float(-(shares * np.log(np.clip(probabilities, 1e-7, 1))).sum(-1).mean())


def reliability(
    probabilities: Floats, truth: Ints, bins: int = CALIBRATION_BINS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """How often the answer is right where the network is so and so sure.

    Returns:
        For each bin of confidence, of equal width: mean confidence [bins], accuracy [bins] (NaN where the bin is empty)
        and number of clips [bins].
    """
    confidence = probabilities.max(-1).astype(np.float64)
    right = probabilities.argmax(-1) == truth
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    n = np.bincount(place, minlength=bins)
    sure = _share(np.bincount(place, confidence, minlength=bins), n)
    accuracy = _share(np.bincount(place, right, minlength=bins), n)
    return sure, accuracy, n.astype(np.int64)


def expected_calibration_error(probabilities: Floats, truth: Ints, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance between confidence and accuracy, weighted by the clips of each bin (Guo et al. 2017)."""
    sure, accuracy, n = reliability(probabilities, truth, bins)
    return float(np.nansum(np.abs(sure - accuracy) * n) / n.sum())


def sums(truth: Floats, said: Floats) -> npt.NDArray[np.float64]:
    """What scores of numbers are made of: for each clip and dimension [n, D] the row 1, t, s, t², s², ts: float64
    [n, D, 6]. Added up over clips they are the sums that `ccc` and `rmse` take.
    """
    t, s = np.asarray(truth, np.float64), np.asarray(said, np.float64)
    return np.stack([np.ones_like(t), t, s, t * t, s * s, t * s], -1)


def ccc(totals: Counts) -> npt.NDArray[np.float64]:
    """Concordance correlation coefficient (Lin 1989) of `sums`, from [..., 6] to [...]: 1 where all is said as it is
    told, 0 for one constant whatever is told; NaN where nothing is, or all that is told and said is one number.
    """
    n, t, s, tt, ss, ts = np.moveaxis(np.asarray(totals, np.float64), -1, 0)
    # All times n squared; what is left of one number alone is rounding.
    covariance, apart = n * ts - t * s, (n * tt - t * t) + (n * ss - s * s) + (t - s) ** 2
    return _share(2 * covariance, np.where(apart > 1e-9 * n * n, apart, 0))


def rmse(totals: Counts) -> npt.NDArray[np.float64]:
    """Root of the mean squared difference, of `sums` from [..., 6] to [...]; NaN where there is nothing."""
    n, _, _, tt, ss, ts = np.moveaxis(np.asarray(totals, np.float64), -1, 0)
    return np.sqrt(np.maximum(_share(tt + ss - 2 * ts, n), 0))


def bootstrap(
    truth: Ints, answers: Floats, speakers: Sequence[str], resamples: int, seed: int
) -> npt.NDArray[np.float64]:
    """Confusion matrices of resampled speakers.

    Speakers are drawn with replacement and bring all their clips along. Clips of one speaker are alike (the same face,
    voice and way of acting), so drawing clips one by one would pretend that there is more evidence than there is, and
    the interval would be too narrow for what is asked: how well does it do on people it has not met? Where a corpus
    knows no speakers each clip's own id is its speaker, and the two are the same.

    Args:
        truth: [n].
        answers: [n, C], one-hot or shares of votes (`soft_confusion`), or [m, n, C] for m ways of answering about the
            same clips; each resample draws the same speakers for all m, so that their differences are paired.
        speakers: [n] names.
        resamples: how many.
        seed: of the draw.

    Returns:
        float64 [resamples, C, C], or [resamples, m, C, C].

    Raises:
        ValueError: there are fewer than two speakers, so nothing is known about how speakers differ.
    """
    names, owner = _owners(speakers)
    ways = answers.reshape(-1, *answers.shape[-2:])
    # One matrix per speaker, so that a resample's is a weighted sum of them and all resamples are one product.
    classes = answers.shape[-1]
    table = np.zeros((names, len(ways), classes, classes))
    for number, way in enumerate(ways):
        np.add.at(table[:, number], (owner, truth), way)
    return _resampled(table, resamples, seed).reshape(resamples, *answers.shape[:-2], classes, classes)


def bootstrap_sums(
    rows: npt.NDArray[np.float64], speakers: Sequence[str], resamples: int, seed: int
) -> npt.NDArray[np.float64]:
    """`bootstrap` of numbers: the `sums` [n, ...] of clips, added up over resampled speakers [resamples, ...].

    Raises:
        ValueError: there are fewer than two speakers.
    """
    names, owner = _owners(speakers)
    table = np.zeros((names, *rows.shape[1:]))
    np.add.at(table, owner, rows)
    return _resampled(table, resamples, seed)


def _owners(speakers: Sequence[str]) -> tuple[int, npt.NDArray[np.intp]]:
    """How many speakers there are, and whose each clip is."""
    names, owner = np.unique(np.asarray(speakers), return_inverse=True)
    if len(names) < 2:
        raise ValueError("an interval over speakers needs at least two of them")
    return len(names), owner


def _resampled(table: npt.NDArray[np.float64], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """Sums over speakers drawn with replacement, from what each adds [speakers, ...] to [resamples, ...]."""
    speakers, flat = len(table), table.reshape(len(table), -1)
    rng = np.random.default_rng(seed)
    result = np.empty((resamples, flat.shape[1]))
    chunk = max(1, 4_000_000 // speakers)  # bounds the memory where each of many images is its own speaker
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(speakers, size=(size, speakers)) + np.arange(size)[:, None] * speakers
        weights = np.bincount(drawn.ravel(), minlength=size * speakers).reshape(size, -1)
        result[start : start + size] = weights.astype(np.float64) @ flat
    return result.reshape(resamples, *table.shape[1:])


def percentile_interval(values: Floats) -> tuple[float, float]:
    """The middle 95% of resampled scores [resamples]."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _hits(counts: Counts) -> Counts:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _share(part: Counts, whole: Counts) -> npt.NDArray[np.float64]:
    """Part over whole; NaN where the whole is nothing."""
    shares = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=shares, where=np.asarray(whole) > 0)
    return shares


def _mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean over the last axis of what is defined; NaN where nothing is."""
    known = ~np.isnan(values)
    return _share(np.where(known, values, 0).sum(-1), known.sum(-1))


def one_hot(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """The answers behind probabilities [n, C]: 1 at the likeliest class."""
    answers: npt.NDArray[np.float64] = np.eye(probabilities.shape[-1])[probabilities.argmax(-1)]
    return answers
