"""Pictures made smaller: face crops, scenes, live frames."""

from __future__ import annotations

import math

import cv2
import numpy as np

from mmer.runtime.types import Box, Floats, Picture

READ_APART = 2.0
"""Pixels between two points at which a picture is read, at most: none lies between them unread."""


def crop(rgb: Picture, box: Box, size: int, margin: float, roll: float = 0.0) -> Picture:
    """The square around a box, uint8 [size, size, 3].

    Args:
        rgb: uint8 [H, W, 3].
        box: x1 y1 x2 y2 in pixels; it may reach beyond the picture, whose edge is then repeated outwards.
        size: side of the crop, pixels.
        margin: added on each side, as a share of the box's longer side, which becomes the square's.
        roll: of the face, degrees, clockwise where positive; the square is turned by it about its centre.
    """
    x1, y1, x2, y2 = box
    side = max(1.0, max(x2 - x1, y2 - y1) * (1 + 2 * margin))
    return np.rint(read(rgb, (x1 + x2) / 2, (y1 + y2) / 2, side, size, roll)).astype(np.uint8)


def read(rgb: Picture, x: float, y: float, side: float, size: int, roll: float = 0.0) -> Floats:
    """A square of the picture wherever it lies, float32 [size, size, 3] in 0..255: read between pixels (bilinear) at
    points, of which each pixel made is the mean. Beyond the picture its edge is repeated. Nothing is rounded: what is
    read changes as little as the place.

    Args:
        rgb: uint8 [H, W, 3].
        x: of the square's centre, pixels; 0 is the left edge of the first one.
        y: likewise.
        side: pixels of the picture.
        size: pixels of what is made.
        roll: degrees, clockwise where positive. A face of this roll stands upright in what is made.
    """
    points = size * max(1, math.ceil(side / size / READ_APART))
    cos, sin = math.cos(math.radians(roll)) * side / points, math.sin(math.radians(roll)) * side / points
    half = (points - 1) / 2
    reach = half * (abs(cos) + abs(sin)) + 2
    (left, right), (top, bottom) = _around(x, reach, rgb.shape[1]), _around(y, reach, rgb.shape[0])
    x, y = x - left - 0.5, y - top - 0.5  # as OpenCV counts, from the middle of the first pixel
    matrix = np.array([[cos, -sin, x + half * (sin - cos)], [sin, cos, y - half * (sin + cos)]])
    found = cv2.warpAffine(
        rgb[top:bottom, left:right].astype(np.float32),
        matrix,
        (points, points),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    made: Floats = cv2.resize(found, (size, size), interpolation=cv2.INTER_AREA)
    return made


def _around(at: float, reach: float, length: int) -> tuple[int, int]:
    """The pixels within reach, or where there are none the nearest."""
    first = min(max(math.floor(at - reach), 0), length - 1)
    return first, max(min(math.ceil(at + reach), length), first + 1)


def shrink(rgb: Picture, size: int) -> Picture:
    """The whole picture as uint8 [size, size, 3], its aspect not kept; each pixel is the mean of what it covers."""
    smaller = min(rgb.shape[:2]) >= size
    made: Picture = cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return made


def bound(rgb: Picture, side: int) -> Picture:
    """Make a live picture no larger than decoding makes a clip's."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: Picture = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return small
