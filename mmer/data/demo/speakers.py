"""Who the drawn people are: what stays the same in all clips of a speaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mmer.data.demo.canvas import Colour

FOLDS = 5
"""For cross-validation by speaker."""

SKINS = ((246, 214, 192), (234, 192, 162), (222, 172, 138), (198, 144, 108), (164, 112, 80), (126, 84, 60))
HAIRS = ((38, 30, 28), (72, 48, 34), (112, 72, 42), (168, 122, 70), (206, 172, 118), (150, 70, 40), (150, 148, 146))
EYES = ((84, 56, 36), (64, 92, 120), (74, 104, 70), (52, 40, 32))
CLOTHES = ((62, 84, 120), (140, 60, 64), (70, 110, 90), (90, 84, 96), (196, 160, 84), (210, 204, 196), (112, 80, 130))
WALLS = ((206, 196, 180), (176, 188, 196), (190, 180, 196), (184, 196, 180), (204, 184, 170))
STYLES = {"female": ("long", "bun", "fringe", "curly", "short"), "male": ("short", "side", "shaved", "curly", "fringe")}
BEARDS = ("none", "full", "none", "stubble", "moustache")


@dataclass(frozen=True)
class Speaker:
    """A drawn person. Colours are RGB, 0..255; lengths, where nothing else is said, shares of half the head's width
    or height.
    """

    speaker: str
    sex: Literal["female", "male"]
    fold: int
    """In which this speaker is tested, from 1."""
    hair: str
    """One of `STYLES`."""
    glasses: bool
    beard: str
    """One of `BEARDS`."""
    skin: Colour
    hair_colour: Colour
    eye_colour: Colour
    clothes: Colour
    wall: Colour
    half_width: float
    """Of the head, pixels of the clip."""
    half_height: float
    jaw: float
    """How much narrower the head is at the chin, as a share."""
    eye_gap: float
    eye_size: float
    eye_height: float
    brow: float
    nose: float
    nose_width: float
    mouth: float
    lips: float
    light: Colour
    """Direction towards the lamp, of length 1: right, down, towards the viewer."""
    warmth: float
    """Of the light: red more and blue less, as a share."""
    sway: float
    """How far the head moves, pixels of the clip."""
    f0: float
    """Mean pitch, Hz."""
    tract: float
    """Scale of the formants: above 1 for a shorter vocal tract."""
    breath: float
    """Noise in the voice, as a share, added to that of the `Voicing`."""
    pace: float
    """Against others, a factor."""
    gain: float
    """Loudness against others, dB."""


def make_speaker(seed: int, number: int) -> Speaker:
    """The speaker of that number, from 0; the same whatever the size of the corpus.

    Women and men alternate and are dealt to the folds one after the other, the men from the fourth fold on, so that
    each fold has speakers of both and the folds' sizes stay even.
    """
    rng = np.random.default_rng([seed, number])
    sex: Literal["female", "male"] = "female" if number % 2 == 0 else "male"
    female, rank = sex == "female", number // 2
    lamp = np.array([rng.choice([-1, 1]) * rng.uniform(0.15, 0.6), rng.uniform(-0.6, -0.25), 0.75])
    lamp /= np.linalg.norm(lamp)

    def near(colour: Colour, spread: float) -> Colour:
        r, g, b = np.clip(np.asarray(colour) + rng.uniform(-spread, spread, 3), 0, 255)
        return float(r), float(g), float(b)

    return Speaker(
        speaker=f"s{number + 1:02d}",
        sex=sex,
        fold=(rank + (0 if female else 3)) % FOLDS + 1,
        hair=STYLES[sex][(rank + rank // 5) % 5],
        glasses=bool(rng.random() < 0.3),
        beard="none" if female else BEARDS[(rank + rank // 3) % 5],
        skin=near(SKINS[rng.integers(len(SKINS))], 6),
        hair_colour=near(HAIRS[rng.integers(len(HAIRS))], 10),
        eye_colour=EYES[rng.integers(len(EYES))],
        clothes=near(CLOTHES[rng.integers(len(CLOTHES))], 20),
        wall=near(WALLS[rng.integers(len(WALLS))], 14),
        half_width=rng.uniform(44, 50) if female else rng.uniform(47, 53),
        half_height=rng.uniform(59, 65) if female else rng.uniform(62, 68),
        jaw=rng.uniform(0.2, 0.34) if female else rng.uniform(0.1, 0.24),
        eye_gap=rng.uniform(0.385, 0.43),
        eye_size=rng.uniform(0.175, 0.205) if female else rng.uniform(0.16, 0.19),
        eye_height=rng.uniform(-0.1, -0.03),
        brow=rng.uniform(0.03, 0.042) if female else rng.uniform(0.042, 0.06),
        nose=rng.uniform(0.25, 0.33),
        nose_width=rng.uniform(0.11, 0.16),
        mouth=rng.uniform(0.28, 0.35),
        lips=rng.uniform(0.062, 0.085) if female else rng.uniform(0.048, 0.07),
        light=(float(lamp[0]), float(lamp[1]), float(lamp[2])),
        warmth=rng.uniform(-0.05, 0.07),
        sway=rng.uniform(1.5, 5.0),
        f0=rng.uniform(175, 225) if female else rng.uniform(95, 135),
        tract=rng.uniform(1.1, 1.2) if female else rng.uniform(0.92, 1.03),
        breath=rng.uniform(0, 0.06),
        pace=rng.uniform(0.93, 1.08),
        gain=rng.uniform(-1.5, 1.5),
    )
