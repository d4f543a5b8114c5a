"""What will be drawn: who shows which emotion, how strongly, where, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mmer.data.demo.expressions import AFFECT
from mmer.data.demo.room import ROOMS, Room
from mmer.data.demo.speakers import Speaker, make_speaker
from mmer.labels import EMOTIONS

FPS = 10
STEP_S = 0.2
"""Grid of the ground truth's intensity, and the unit of the clips' lengths."""
STRENGTH = {"low": 0.74, "normal": 0.87, "high": 1.0}
"""Of the expression, against `FACES` and `VOICES`."""
SCENE_CUE = 0.35
"""Chance that the room is the emotion's own; otherwise any of the seven is drawn."""


@dataclass(frozen=True)
class Trial:
    """One clip before it is drawn."""

    clip_id: str
    who: Speaker
    label: str
    intensity: Literal["low", "normal", "high"]
    hidden: Literal["none", "away", "covered"]
    """Whether the face turns away or is covered, for a large part of the clip or all of it."""
    sound: Literal["voice", "silence", "none"]
    """Silence is a sound track of zeros, none is no sound track."""
    room: Room
    seconds: float
    seed: tuple[int, ...]

    @property
    def strength(self) -> float:
        """Of the expression at its apex, 0..1."""
        return STRENGTH[self.intensity]

    @property
    def frames(self) -> int:
        """How many."""
        return round(self.seconds * FPS)

    def strength_at(self, t: float) -> float:
        """Of the expression at that time in seconds, 0..1: onset, apex, offset."""
        course = np.interp(t, [0, 0.45, self.seconds - 0.35, self.seconds], [0.3, 1, 1, 0.5])
        return self.strength * float(course)

    @property
    def affect(self) -> tuple[float, float]:
        """Valence and arousal: those of the emotion, times the expression's mean strength over the clip's steps."""
        strength = np.mean([self.strength_at(k * STEP_S) for k in range(1, round(self.seconds / STEP_S) + 1)])
        valence, arousal = AFFECT[self.label]
        return float(valence * strength), float(arousal * strength)


def plan_trials(seed: int, speakers: int, takes: int) -> list[Trial]:
    """Every speaker shows every emotion `takes` times.

    Each speaker hides the face in one clip and says nothing in another; which emotions these are goes round, so that
    no emotion is harder than another by chance.
    """
    trials = []
    for number in range(speakers):
        who = make_speaker(seed, number)
        kind = (number + number // 2) % 2
        hidden_take, silent_take = np.random.default_rng([seed, number, 1]).integers(takes, size=2)
        for e, label in enumerate(EMOTIONS):
            levels = np.random.default_rng([seed, number, 2, e]).permutation(list(STRENGTH))
            for take in range(takes):
                source = (seed, number, 3, e, take)
                rng = np.random.default_rng(source)
                hides = e == number % 7 and take == hidden_take
                silent = e == (number + 3) % 7 and take == silent_take
                own = rng.random() < SCENE_CUE
                trials.append(
                    Trial(
                        clip_id=f"{who.speaker}-{label}-{take + 1}",
                        who=who,
                        label=label,
                        intensity="normal" if label == "neutral" else levels[take % 3].item(),
                        hidden=("away", "covered")[kind] if hides else "none",
                        sound=("silence", "none")[kind] if silent else "voice",
                        room=ROOMS[label if own else EMOTIONS[rng.integers(7)]],
                        seconds=round(STEP_S * int(rng.integers(10, 16)), 1),
                        seed=source,
                    )
                )
    return trials
