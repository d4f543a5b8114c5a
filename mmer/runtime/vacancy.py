"""Pictures without a face: when the whole of the next one need not be searched.

A search is the dearest thing that is done with a picture, and while nobody is there each picture would have one. Where
nothing has moved since a search that saw no face, another would see none; and where none was seen for long, every
second picture will do.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mmer.runtime.types import Picture

GRID = 4
"""Pixels between two that are compared, across and down; of their colours the green, most of lightness, will do."""
GRID_CELL = 4
"""Pixels compared on a side of a cell: the smallest face that is looked for covers one wholly."""
NOISE = 7
"""Grey levels by which the pixels of a cell may differ on average where nothing moved: a camera's noise
(docs/preparing.md)."""
VACANT_S = 3.0
"""After so long without a face …"""
VACANT_EVERY_S = 0.4
"""… a picture is searched only so often, seconds."""


class Vacancy:
    """What the last search leaves to expect of the next; one for each clip or stream. All it keeps of a picture is one
    pixel of sixteen, while no face is there.
    """

    def __init__(self) -> None:
        self._empty: npt.NDArray[np.uint8] | None = None
        self._since = self._searched = -math.inf

    def searched(self, rgb: Picture, now: float, faces: int) -> None:
        """A search of this picture saw so many faces."""
        if faces:
            self._empty = None
            return
        if self._empty is None:
            self._since = now
        self._empty, self._searched = _few(rgb).copy(), now

    def lasts(self, rgb: Picture, now: float) -> bool:
        """Whether a search of this picture would see as little as the last one."""
        if self._empty is None:
            return False
        if now - self._since > VACANT_S and now - self._searched < VACANT_EVERY_S - 1e-6:
            return True
        few = _few(rgb)
        return few.shape == self._empty.shape and _still(self._empty, few)


def _few(rgb: Picture) -> npt.NDArray[np.uint8]:
    """The pixels of a picture that are compared: whole cells of them, the rest of it at the right and the bottom, which
    is smaller than a cell, left out."""
    found: npt.NDArray[np.uint8] = rgb[GRID // 2 :: GRID, GRID // 2 :: GRID, 1]
    return found[: len(found) // GRID_CELL * GRID_CELL, : found.shape[1] // GRID_CELL * GRID_CELL]


def _still(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> bool:
    """Whether the pixels of each cell differ by no more than noise."""
    off = np.maximum(one, other) - np.minimum(one, other)
    down, across = (side // GRID_CELL for side in off.shape)
    cells = off.reshape(down, GRID_CELL, across, GRID_CELL).sum((1, 3), dtype=np.int32)
    return bool((cells <= NOISE * GRID_CELL * GRID_CELL).all())
