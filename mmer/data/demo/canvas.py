"""A picture to draw on: shapes with smooth edges, and colours.

A canvas is uint8 [480, 640, 3], RGB: twice as large as the clip, then averaged down. Points are float [n, 2], x and y
in pixels of the canvas; colours are red, green, blue, 0..255.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Image = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]

WIDTH, HEIGHT = 320, 240
"""Of a clip, pixels."""
SCALE = 2
"""A canvas is this much larger than the clip, against jagged edges."""
SUBPIXEL_BITS = 4
"""OpenCV takes points as whole numbers of 1/16 pixel."""


def fill(canvas: Image, points: Array, colour: Iterable[float]) -> None:
    """A filled polygon; points [n, 2]."""
    cv2.fillPoly(canvas, [_fixed(points)], tuple(colour), cv2.LINE_AA, shift=SUBPIXEL_BITS)


def band(canvas: Image, one: Array, other: Array, colour: Iterable[float]) -> None:
    """What lies between two lines that run the same way; points [n, 2] and [m, 2]."""
    fill(canvas, np.vstack([one, other[::-1]]), colour)


def line(canvas: Image, points: Array, colour: Iterable[float], thickness: int, closed: bool = False) -> None:
    """A line through points [n, 2], `thickness` pixels wide."""
    cv2.polylines(canvas, [_fixed(points)], closed, tuple(colour), thickness, cv2.LINE_AA, shift=SUBPIXEL_BITS)


def disc(canvas: Image, centre: Array, radii: tuple[float, float], colour: Iterable[float], angle: float = 0) -> None:
    """A filled ellipse around a point [2]; radii in pixels, turned by `angle` in radians."""
    t = np.linspace(0, 2 * np.pi, 28)
    c, s = np.cos(angle), np.sin(angle)
    ring = np.stack([radii[0] * np.cos(t), radii[1] * np.sin(t)], -1) @ np.array([[c, s], [-s, c]])
    fill(canvas, np.asarray(centre) + ring, colour)


def blend(a: Iterable[float], b: Iterable[float], share: float) -> tuple[float, ...]:
    """The colour between two: `a` at a share of 0, `b` at 1."""
    return tuple(float(x + share * (y - x)) for x, y in zip(a, b, strict=True))


def dim(colour: Iterable[float], factor: float) -> tuple[float, ...]:
    """A colour made darker, or with a factor above 1 lighter."""
    return tuple(min(255.0, c * factor) for c in colour)


def _fixed(points: Array) -> npt.NDArray[np.int32]:
    fixed: npt.NDArray[np.int32] = np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)
    return fixed
