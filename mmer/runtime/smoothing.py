"""A label that can be read: what is said smoothed over time, no surer than what was seen and heard so far allows, and a
label that stays until another one is clearly ahead.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from mmer.labels import EMOTIONS
from mmer.runtime.config import Shown
from mmer.runtime.results import Step, softmax
from mmer.runtime.types import Floats

TAU_S = 1.2
"""Time constant: after it, a change has come through to 63%."""
PRIOR_STEPS = 2
"""The first steps are averaged with so many less one that say nothing: one step alone is not believed whole."""
LISTEN_S = 1.0
"""Of a voice without a face so much must be heard before there is a label."""
LEAD = 0.16
"""How far another emotion's probability must be ahead before the label changes."""
FORGET_S = 2.0
"""Without evidence for longer than this, the next step begins anew, and nothing is said meanwhile."""
LEAST = 1e-6
"""Probability below which one is as unlikely as another."""


class Smoother:
    """Smooths one clip or stream, step by step, using nothing of the future: the mean of the logits, from nothing, over
    the temperature that the model gives for so much evidence (`ModelInfo.shown`).
    """

    def __init__(self, step_s: float, shown: Shown | None = None) -> None:
        self._step_s, self._shown = step_s, shown
        self._weight = 1 - math.exp(-step_s / TAU_S)
        self._begin()
        self._without = 0.0

    def _begin(self) -> None:
        self._mean = np.zeros(len(EMOTIONS), np.float32)
        self._label: int | None = None
        self._steps, self._heard_s, self._seen = 0, 0.0, False

    def push(self, probabilities: Floats, *, seen: bool, heard: bool) -> tuple[Floats, str | None]:
        """The next step.

        Args:
            probabilities: [7], of the step.
            seen: whether it rests on a face or a scene.
            heard: whether it rests on a voice. Where it rests on nothing, what was said before stands for a while.

        Returns:
            Smoothed probabilities [7] (uniform where there is nothing to go by) and the label; None also while a voice
            has not been heard for long enough.
        """
        if seen or heard:
            weight = max(self._weight, 1 / (self._steps + PRIOR_STEPS))
            self._mean += np.float32(weight) * (centred(probabilities) - self._mean)
            self._steps, self._without, self._seen = self._steps + 1, 0.0, self._seen or seen
            self._heard_s += self._step_s * heard
        else:
            self._without += self._step_s
        if self._without > FORGET_S:
            self._begin()
        divisor = temperature(self._shown, self._steps * self._step_s, seen=self._seen, heard=self._heard_s > 0)
        smoothed = softmax(self._mean / np.float32(divisor))
        if not self._steps or (not self._seen and self._heard_s < LISTEN_S - 1e-6):
            return smoothed, None
        best = int(smoothed.argmax())
        if self._label is None or smoothed[best] > smoothed[self._label] + LEAD:
            self._label = best
        return smoothed, EMOTIONS[self._label]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to go by."""
        return not self._steps


def centred(probabilities: Floats) -> Floats:
    """Logits [7] whose mean is 0."""
    logits = np.log(np.maximum(probabilities, LEAST))
    return np.asarray(logits - logits.mean())


def temperature(shown: Shown | None, seconds: float, *, seen: bool, heard: bool) -> float:
    """What the mean of so many seconds' logits is divided by, so that it is no surer than it is right."""
    if shown is None:
        return 1.0
    return float(np.interp(seconds, shown.seconds, getattr(shown, rests_on(seen=seen, heard=heard))))


class Smoothers:
    """One `Smoother` for each person of a clip or stream."""

    def __init__(self, step_s: float, shown: Shown | None = None) -> None:
        self._new = partial(Smoother, step_s, shown)
        self._of: dict[int | None, Smoother] = {None: self._new()}

    def push(self, step: Step) -> Step:
        """The next step, with the label and the probabilities of the one who is followed, and of all people, smoothed.

        Who is seen first takes on what was heard before anybody was.
        """
        if None in self._of and step.followed is not None:
            self._of[step.followed] = self._of.pop(None)
        said = {one.id: one.probabilities for one in step.people} | {step.followed: step.probabilities}
        shown = {}
        for id in self._of.keys() | said.keys():
            smoother, follows = self._of.setdefault(id, self._new()), id == step.followed
            shown[id] = smoother.push(
                said.get(id, step.probabilities),
                seen=step.seen if follows else id in said,
                heard=follows and step.heard,
            )
        self._of = {id: one for id, one in self._of.items() if id in said or not one.empty}
        people = [replace(one, probabilities=shown[one.id][0], label=shown[one.id][1]) for one in step.people]
        probabilities, label = shown[step.followed]
        return replace(step, probabilities=probabilities, label=label, people=people)


def rests_on(*, seen: bool, heard: bool) -> Literal["face", "voice", "both"]:
    """What the answer so far rests on, as `Shown` names it."""
    return "both" if seen and heard else "voice" if heard else "face"
