"""Who of several people is followed: the one who speaks, where lips and voice tell; else the largest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mmer.runtime.people import Sighting

TALK_TAU_S = 1.0
"""Time constant of the mean of how much lips move while a voice is heard."""
TALK_S = 0.8
"""So much voice must be heard while a face is seen before its lips tell anything."""
TALK_LEAD = 1.3
"""How many times as much as all others' somebody's lips must move to be the one who speaks."""
TALK_LEAST = 0.12
"""And how much, as a share of the mouth's contrast."""
SILENCE_S = 3.0
"""Who spoke is followed for so long after the voice was last heard; then the largest is."""
SIZE_LEAD = 1.25
"""How many times as large as the one who is followed another face must be to be followed instead."""


@dataclass
class _Lips:
    """How much somebody's lips moved while a voice was heard."""

    mean: float = 0.0
    heard_s: float = 0.0


class Speaker:
    """Chooses, step by step, using nothing of the future, for one clip or stream."""

    def __init__(self, step_s: float, hold_s: float) -> None:
        """
        Args:
            hold_s: so long one who is not seen is still followed though others are seen (`faces.max_gap_s`).
        """
        self._step_s, self._hold_s = step_s, hold_s
        self._lips: dict[int, _Lips] = {}
        self._speaking: int | None = None
        self._since_voice = self._unseen = 0.0
        self.followed: int | None = None
        """The person of the last step; None before anybody was seen."""

    def push(self, people: Sequence[Sighting], heard: bool) -> int | None:
        """The next step.

        Args:
            people: who is seen.
            heard: whether there is a voice.

        Returns:
            Whom to follow: also one who is not seen, where nobody is or only for a moment.
        """
        self._listen(people, heard)
        sides = {one.id: one.side for one in people}
        self._unseen = 0.0 if self.followed in sides else self._unseen + self._step_s
        if self._speaking in sides:
            self.followed = self._speaking
        elif sides and (self.followed is None or (self.followed not in sides and self._unseen > self._hold_s + 1e-6)):
            self.followed = max(sides, key=sides.__getitem__)
        elif self.followed in sides:
            largest = max(sides, key=sides.__getitem__)
            if sides[largest] > SIZE_LEAD * sides[self.followed]:
                self.followed = largest
        return self.followed

    def skip(self, steps: int) -> None:
        """Let so many steps pass unheard."""
        self._since_voice += steps * self._step_s

    def _listen(self, people: Sequence[Sighting], heard: bool) -> None:
        """Who speaks, as far as can be told."""
        self._since_voice = 0.0 if heard else self._since_voice + self._step_s
        if self._since_voice > SILENCE_S:
            self._speaking = None
        here = {one.id for one in people}
        self._lips = {id: moved for id, moved in self._lips.items() if id in here or id == self._speaking}
        if not heard:
            return
        for one in people:
            if one.lips is not None:
                moved = self._lips.setdefault(one.id, _Lips())
                moved.heard_s += self._step_s
                weight = max(1 - math.exp(-self._step_s / TALK_TAU_S), self._step_s / moved.heard_s)
                moved.mean += weight * (one.lips - moved.mean)
        told = {id: moved for id, moved in self._lips.items() if id in here and moved.heard_s > TALK_S - 1e-6}
        if len(told) < len(here) or len(here) < 2:
            return
        first, second = sorted(told, key=lambda id: -told[id].mean)[:2]
        if told[first].mean >= max(TALK_LEAST, TALK_LEAD * told[second].mean):
            self._speaking = first
