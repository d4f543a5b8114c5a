"""The one score of the studies: unweighted average recall (UAR) over the emotions that the truth has, and of several
seeds the mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mmer import metrics

Answers = npt.NDArray[np.float32]
"""Probabilities [n, C]."""


def uar(truth: npt.NDArray[np.int64], said: npt.NDArray[np.int64]) -> float:
    """UAR of labels."""
    return float(metrics.uar(metrics.confusion(truth, said)))


def mean_uar(truth: npt.NDArray[np.int64], runs: Sequence[Answers]) -> float:
    """The mean over the runs of the UAR of their likeliest emotions."""
    return float(np.mean([uar(truth, run.argmax(1)) for run in runs]))


def resampled(truth: npt.NDArray[np.int64], runs: Sequence[Answers], people: Sequence[str]) -> npt.NDArray[np.float64]:
    """The mean UAR of the runs over the same resamples of the people."""
    found = [metrics.uar(metrics.bootstrap(truth, metrics.one_hot(run), people, 1000, 0)) for run in runs]
    mean: npt.NDArray[np.float64] = np.mean(found, axis=0)
    return mean
