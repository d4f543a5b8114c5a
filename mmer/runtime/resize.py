"""Pictures made smaller: face crops, scenes, live frames."""

from __future__ import annotations

import math

import cv2
import numpy as np

from mmer.runtime.types import Box, Picture


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
    side = max(1, round(max(x2 - x1, y2 - y1) * (1 + 2 * margin)))
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    if roll:
        return shrink(turn(rgb, left, top, side, roll), size)
    if 0 <= left <= rgb.shape[1] - side and 0 <= top <= rgb.shape[0] - side:  # nothing to repeat, so nothing to copy
        return shrink(rgb[top : top + side, left : left + side], size)
    columns = np.clip(np.arange(left, left + side), 0, rgb.shape[1] - 1)
    rows = np.clip(np.arange(top, top + side), 0, rgb.shape[0] - 1)
    return shrink(rgb[rows][:, columns], size)


def turn(rgb: Picture, left: int, top: int, side: int, roll: float) -> Picture:
    """A square of the picture, turned about its centre, as uint8 [side, side, 3]. It is not made smaller yet, so that
    bilinear reading leaves no pixel out.

    Args:
        rgb: uint8 [H, W, 3].
        left: where the square would begin if it were not turned; it may reach beyond the picture, whose edge is then
            repeated outwards.
        top: the same.
        side: of the square, pixels.
        roll: degrees, clockwise where positive. A face of this roll stands upright in the square.
    """
    cos, sin, half = math.cos(math.radians(roll)), math.sin(math.radians(roll)), (side - 1) / 2
    x, y = left + half * (1 - cos + sin), top + half * (1 - sin - cos)  # of the square's first pixel, in the picture
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = np.array([[cos, -sin, x], [sin, cos, y]])
    turned: Picture = cv2.warpAffine(rgb, matrix, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return turned


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
