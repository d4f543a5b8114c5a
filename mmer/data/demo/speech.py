"""What is said: syllables and pauses over a clip. The mouth and the voice both follow it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmer.data.demo.canvas import Array
from mmer.data.demo.expressions import GROUPS, VOICES, Voicing, mix
from mmer.data.demo.trials import Trial

VOWELS = "aeiou"
OPENNESS = (1.0, 0.75, 0.45, 0.8, 0.4)
"""How far each vowel opens the mouth, 0..1."""


@dataclass(frozen=True)
class Speech:
    """The n syllables of a clip, before they sound."""

    starts: Array
    """Of the syllables, seconds [n]."""
    ends: Array
    vowels: Array
    """Index of each syllable's vowel in `VOWELS` [n]."""
    places: Array
    """Where each stands in its phrase, 0 (first) to 1 (last) [n]."""
    phrases: list[tuple[float, float]]
    """Start and end of each, seconds."""
    voicing: Voicing

    def mouth(self, t: float) -> float:
        """How far the mouth is open for speaking at that time in seconds, 0..1."""
        inside = np.flatnonzero((self.starts <= t) & (t < self.ends))
        if not len(inside):
            return 0.0
        k = inside[0]
        x = (t - self.starts[k]) / (self.ends[k] - self.starts[k])
        return float(OPENNESS[self.vowels[k]] * np.sin(np.pi * x) ** 0.7)


def plan_speech(trial: Trial, rng: np.random.Generator) -> Speech:
    """Lay syllables and pauses out over the clip, at the emotion's and the speaker's pace."""
    voicing = mix(VOICES["even"], VOICES[GROUPS[trial.label][1]], trial.strength)
    syllables: list[tuple[float, float, float]] = []
    phrases = []
    t, last = rng.uniform(0.12, 0.25), trial.seconds - 0.15
    while t < last - 0.25:
        count = max(2, round(voicing.phrase * rng.uniform(0.8, 1.2)))
        lengths = rng.uniform(0.85, 1.15, count) / (voicing.pace * trial.who.pace)
        times = t + np.concatenate([[0], np.cumsum(lengths)])
        times = times[times <= last] if times[1] <= last else np.array([t, last])
        said = len(times) - 1
        syllables += [(times[k], times[k + 1], k / max(1, said - 1)) for k in range(said)]
        phrases.append((float(t), float(times[-1])))
        t = times[-1] + voicing.pause * rng.uniform(0.8, 1.2)
    starts, ends, places = np.array(syllables).T
    return Speech(starts, ends, rng.integers(len(VOWELS), size=len(starts)), places, phrases, voicing)
