"""Names for the types of the runtime's arrays, and what is said beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""[H, W, 3] RGB."""
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Box = tuple[float, float, float, float]
"""x1 y1 x2 y2 in pixels of the picture it was found in; it may reach beyond the picture."""

Arrays = Mapping[str, npt.NDArray[Any]]
"""What goes into the graph or comes out of it, by name (`mmer.runtime.spec.GraphSpec`)."""
Forward = Callable[[Arrays], Arrays]
"""A forward pass: the graph's inputs to its outputs."""

OnPicture = Callable[[int, float, Picture], None]
"""Told of each step's picture: the step, the picture's time in seconds, the picture."""
OnVoice = Callable[[npt.NDArray[np.int16]], None]
"""Told of each piece of the voice, 16 kHz mono."""


NoteCode = Literal["truncated", "unknown_sound", "turned", "no_face", "small_face", "more_people"]


class Note(NamedTuple):
    """Something that whoever sent a clip should know; nothing that stops its recognition."""

    code: NoteCode
    text: str
    """What the file is or does (`has sound of …`): its name goes before."""


def check_picture(rgb: Picture) -> None:
    """Refuse what is no picture.

    Raises:
        ValueError: `rgb` is not uint8 [H, W, 3] with H, W >= 1.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"a picture must be uint8 [H, W, 3] with H, W >= 1, not {rgb.dtype} {list(rgb.shape)}")
