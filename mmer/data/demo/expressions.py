"""How each emotion shows: its face and its voice."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar


@dataclass(frozen=True)
class Expression:
    """What a face does, against rest. Lengths are shares of half the head's height.

    The numbers are action units (AU) of the Facial Action Coding System (Ekman & Friesen 1978).
    """

    corner: float = 0.0
    """Mouth corners up (AU 12) or, below 0, down (AU 15)."""
    stretch: float = 0.0
    """Mouth wider or narrower, as a share of its width."""
    drop: float = 0.0
    """Jaw dropped (AU 26)."""
    press: float = 0.0
    """Lips pressed thin (AU 24)."""
    brow_in: float = 0.0
    """Inner brows up (AU 1) or down (AU 4)."""
    brow_out: float = 0.0
    """Outer brows up (AU 2)."""
    frown: float = 0.0
    """Brows drawn together, folds between them (AU 4)."""
    lids: float = 0.0
    """Eyes opened wider (AU 5) or narrowed (AU 7), as a share."""
    cheeks: float = 0.0
    """Cheeks raised (AU 6)."""
    wrinkle: float = 0.0
    """Nose wrinkled, folds beside it (AU 9)."""
    forehead: float = 0.0
    """Folds across the forehead."""


#: Near what Ekman & Friesen list for an emotion: 6+12 for joy (smile), 1+2+5+26 for surprise (wide), 4+7+24 of anger's
#: 4+5+7+24 (frown), 1+15 of sadness's 1+4+15 (sorrow, which has disgust's wrinkled nose beside it: they share a face).
FACES = {
    "rest": Expression(),
    "smile": Expression(corner=1.0, stretch=0.28, drop=0.05, brow_out=0.04, lids=-0.25, cheeks=1.0),
    "frown": Expression(corner=-0.3, stretch=-0.05, press=1.0, brow_in=-0.13, brow_out=0.08, frown=1.0, lids=-0.3),
    "sorrow": Expression(corner=-1.0, stretch=-0.05, brow_in=0.16, brow_out=-0.1, lids=-0.42, wrinkle=1.0),
    "wide": Expression(stretch=-0.28, drop=0.24, brow_in=0.2, brow_out=0.2, lids=0.7, forehead=1.0),
}


@dataclass(frozen=True)
class Voicing:
    """How a voice sounds, against the speaker's own pitch and pace."""

    level: float = -23.0
    """RMS of the speech, dB of full scale."""
    pitch: float = 0.0
    """Mean, semitones."""
    glide: float = 0.6
    """Up and down within each syllable, semitones."""
    fall: float = 1.0
    """From the first syllable of a phrase to its last, semitones."""
    pace: float = 4.0
    """Syllables per second."""
    phrase: float = 6.0
    """Syllables between two pauses."""
    pause: float = 0.16
    """Length of a pause, seconds."""
    breath: float = 0.06
    """Noise beside the pulses, as a share."""
    bright: float = 1800.0
    """Where the source's spectrum starts to fall, Hz."""
    rough: float = 0.03
    """Difference of one glottal pulse from the next, as a share."""
    tremor: float = 0.0
    """Depth of a 7 Hz tremor of loudness (and slightly of pitch)."""
    attack: float = 0.05
    """Rise of a syllable, seconds."""


#: In its main lines after Banse & Scherer 1996 (J. Pers. Soc. Psychol. 70, 614-636) and Juslin & Laukka 2003 (Psychol.
#: Bull. 129, 770-814): the angry voice louder, higher, faster and brighter, the sad one softer, lower, slower and
#: falling, the happy one higher, more varied and rising, the frightened one higher. Where it departs from them, only to
#: be told apart well: they find happy speech fast, `lively` is a little slower than `even`.
VOICES = {
    "even": Voicing(),
    "lively": Voicing(-18, 5, glide=7, fall=-3, pace=3.6, breath=0.05, bright=3000, attack=0.04),
    "harsh": Voicing(-12, 2, glide=-3, fall=4, pace=5.6, breath=0.1, bright=7000, rough=0.45, attack=0.012),
    "soft": Voicing(-34, -3, glide=-0.8, fall=3, pace=2.1, phrase=3, pause=0.3, breath=0.55, bright=450, attack=0.14),
    "trembling": Voicing(
        -26, 8, glide=0.3, fall=-1, pace=6.2, phrase=4, pause=0.1, breath=0.2, bright=1300, tremor=0.9
    ),
}

#: The face and the voice of each emotion. No two emotions have both in common.
GROUPS = {
    "neutral": ("rest", "even"),
    "happy": ("smile", "lively"),
    "sad": ("sorrow", "soft"),
    "angry": ("frown", "harsh"),
    "fear": ("wide", "trembling"),
    "disgust": ("sorrow", "harsh"),
    "surprise": ("wide", "lively"),
}

#: Valence and arousal of each emotion at full strength, near the ratings of its word by Russell & Mehrabian 1977
#: (J. Res. Pers. 11, 273-294): what the corpus takes for true, not a finding.
AFFECT = {
    "neutral": (0.0, 0.0),
    "happy": (0.8, 0.5),
    "sad": (-0.6, -0.3),
    "angry": (-0.5, 0.6),
    "fear": (-0.65, 0.6),
    "disgust": (-0.6, 0.35),
    "surprise": (0.4, 0.7),
}

Kind = TypeVar("Kind", Expression, Voicing)


def mix(rest: Kind, full: Kind, share: float) -> Kind:
    """Between two expressions or two voicings: `rest` at a share of 0, `full` at 1."""
    pairs = ((getattr(rest, f.name), getattr(full, f.name)) for f in fields(rest))
    return type(rest)(*(a + share * (b - a) for a, b in pairs))
