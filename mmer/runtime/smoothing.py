"""A label that can be read: probabilities smoothed over time; a label stays until another one is clearly ahead."""

from __future__ import annotations

import math

import numpy as np

from mmer.labels import EMOTIONS
from mmer.runtime.types import Floats

TAU_S = 0.6
"""Time constant: after it, a change has come through to 63%."""
LEAD = 0.12
"""How far another emotion's probability must be ahead before the label changes."""
FORGET_S = 2.0
"""Without evidence for longer than this, the next step begins anew, and nothing is said meanwhile."""


class Smoother:
    """Smooths one clip or stream, step by step, using nothing of the future."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._weight = 1 - math.exp(-step_s / TAU_S)
        self._mean: Floats | None = None
        self._label: int | None = None
        self._without = 0.0

    def push(self, probabilities: Floats, evidence: bool) -> tuple[Floats, str | None]:
        """The next step.

        Args:
            probabilities: [7], of the step.
            evidence: whether it rests on anything; if not, what was said before stands for a while.

        Returns:
            Smoothed probabilities [7] (uniform where there is nothing to go by) and the label.
        """
        if evidence:
            start = probabilities if self._mean is None else self._mean
            self._mean, self._without = start + self._weight * (probabilities - start), 0.0
        else:
            self._without += self._step_s
        if self._mean is None or self._without > FORGET_S:
            self._mean = self._label = None
            return np.full(len(EMOTIONS), 1 / len(EMOTIONS), np.float32), None
        best = int(self._mean.argmax())
        if self._label is None or self._mean[best] > self._mean[self._label] + LEAD:
            self._label = best
        return self._mean, EMOTIONS[self._label]
