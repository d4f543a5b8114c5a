"""What a file says of itself, and what decoding leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmer.runtime import images
from mmer.runtime.tonemap import Transfer
from mmer.runtime.types import Note


@dataclass(frozen=True)
class Probe:
    """What a file says of itself."""

    duration_s: float
    """Of the longer of picture and sound; 0 where the file does not say (or only guesses)."""
    width: int
    """As shown, that is after rotation and with square pixels; 0 without a picture."""
    height: int
    has_picture: bool
    """Moving pictures or an image; cover art of a song is none."""
    has_sound: bool
    """A sound track, which may be silent."""
    is_image: bool
    """A still one; an animated one has a duration and is none."""
    image: images.Format | None = None
    """What Pillow reads; None is what ffmpeg reads."""
    track: int = 0
    """Of the sound, among the file's sound tracks."""
    channels: int = 0
    begins_s: float | None = None
    """When the sound begins, where it could go on at another rate."""
    transfer: Transfer | None = None
    """Of a high dynamic range."""
    interlaced: bool = False
    bytes: int | None = None
    """Of the first recording, where another one was joined to it."""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """What decoding leaves, beside the pictures it handed out."""

    steps: int
    """T, over the longer of picture and sound."""
    voice: npt.NDArray[np.int16]
    """[N] at 16 kHz mono, from the same zero as the pictures."""
    picture_times: npt.NDArray[np.float32]
    """Presentation time of the picture used in each step, seconds [T]; NaN where there is none."""
    duration_s: float
    """Of the longer of picture and sound, as decoded; one step for an image."""
    is_image: bool = False
    notes: tuple[Note, ...] = ()
    """What the sender should know: of two joined recordings only the first was read, …"""
