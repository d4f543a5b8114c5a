"""What tells people in one picture apart, and whose lips move: both from one small portrait of each.

The shipped graph gives no embedding of a face, and a face network of its own would cost as much as all else together.
People who are seen at the same time rarely look alike in a thumbnail: hair, skin and clothes are told by a few
coloured cells, which turning the head and talking hardly change (docs/preparing.md says how far that goes). It is kept
in memory as long as the stream or the clip lasts, and never given out.
"""

from __future__ import annotations

import numpy as np

from mmer.runtime.resize import crop
from mmer.runtime.types import Box, Floats, Picture

PORTRAIT = 48
"""Side of a portrait, pixels."""
AROUND = 0.2
"""What of the picture a portrait shows around the face's box on each side, as a share of its size: hair, mostly."""
CELL = 6
"""Side of a cell of the look, pixels of the portrait."""
CHEST = 1.0
"""How far below the face the square lies that shows the clothes, in sides of the face's box."""

SIDES = 2
"""Cells on the left and on the right of the head that are left out: they show what is behind."""
COLOUR = 3.0
"""How much more than lightness colour tells: people turn in the light, but keep their colours."""

MOUTH = (14, 28, 34, 41)
"""Where a portrait shows the mouth: left, top, right, bottom."""
STEADY = 1
"""Pixels by which a portrait may have moved between two pictures: the box trembles, and that is no talking."""
PALE = 5.0
"""Added to the contrast of a mouth that its motion is told by: in grey levels, so that noise in the dark is none."""


def portrait(rgb: Picture, box: Box, roll: float) -> Picture:
    """A face small and with its hair: uint8 [PORTRAIT, PORTRAIT, 3]."""
    return crop(rgb, box, PORTRAIT, AROUND, roll)


def look(rgb: Picture, box: Box, small: Picture) -> Floats:
    """How somebody looks: the colours of the cells of the portrait, and as many of what is worn below.

    Args:
        small: the `portrait`.

    Returns:
        float32 [2, cells, 4]: of each cell the lightness, 0..1, and how red, green and blue are off it, times `COLOUR`.
    """
    x1, y1, x2, y2 = box
    across = PORTRAIT // CELL
    below = CHEST * max(x2 - x1, y2 - y1)
    chest = crop(rgb, (x1, y1 + below, x2, y2 + below), across, 0.0)
    head = small.reshape(across, CELL, across, CELL, 3).mean((1, 3), dtype=np.float32)[:, SIDES:-SIDES]
    worn = chest.reshape(across, -1, 2, 3).mean(2, dtype=np.float32)
    cells = np.stack([head, worn]).reshape(2, -1, 3) / 255
    light = cells.mean(2, keepdims=True)
    return np.concatenate([light, COLOUR * (cells - light)], 2).astype(np.float32)


def unlike(one: Floats, other: Floats) -> float:
    """How far apart two looks are: root mean square."""
    return float(np.sqrt(np.mean(np.square(one - other))))


def lips(before: Picture, now: Picture) -> float:
    """How much the mouth moved from one portrait to the next, as a share of its contrast, wherever within `STEADY`
    pixels the two fit best.
    """
    left, top, right, bottom = MOUTH
    mouth = _grey(now[top:bottom, left:right])
    earlier = _grey(before[top - STEADY : bottom + STEADY, left - STEADY : right + STEADY])
    high, wide = mouth.shape
    shifts = range(2 * STEADY + 1)
    moved = min(float(np.abs(earlier[y : y + high, x : x + wide] - mouth).mean()) for y in shifts for x in shifts)
    return moved / (float(mouth.std()) + PALE)


def _grey(rgb: Picture) -> Floats:
    grey: Floats = rgb.mean(2, dtype=np.float32)
    return grey
