"""Means over windows of a picture, each four look-ups in a table of sums, as the networks of the cascade want them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mmer.runtime.types import Floats, Indices, Picture


def integral(rgb: Picture) -> npt.NDArray[np.int32]:
    """Sums over all rectangles from the corner, int32 [3, H + 1, W + 1]: the mean over any window is four look-ups. In
    a very large picture they wrap around; their differences are right all the same."""
    sums = np.empty((3, rgb.shape[0] + 1, rgb.shape[1] + 1), np.int32)
    for channel, out in zip(np.ascontiguousarray(rgb.transpose(2, 0, 1)), sums, strict=True):
        cv2.integral(channel, out)
    return sums


def _edges(length: int | Indices, parts: int) -> tuple[Indices, Indices]:
    """Where each of `parts` windows over `length` pixels begins and ends, as torch's adaptive average has it: windows
    may share a pixel, which `cv2.INTER_AREA` does not let them."""
    k = np.arange(parts)
    return k * length // parts, -(-(k + 1) * length // parts)


def mean_pool(sums: npt.NDArray[np.int32], height: int, width: int) -> Floats:
    """The whole picture, adaptively averaged to float32 [1, 3, height, width] in -1..1.

    Args:
        sums: the picture's integral, int32 [3, H + 1, W + 1].
    """
    top, bottom = _edges(sums.shape[1] - 1, height)
    left, right = _edges(sums.shape[2] - 1, width)
    rows = sums.take(bottom, 1) - sums.take(top, 1)
    return _average(rows.take(right, 2) - rows.take(left, 2), (bottom - top)[:, None], right - left)[None]


def _average(total: npt.NDArray[np.int32], high: Indices, wide: Indices) -> Floats:
    """From sums over windows to means in -1..1, dividing by each side in turn as torch does: a difference in the last
    bit is enough for another box to win a tie."""
    mean: Floats = total.astype(np.float32)
    mean /= high.astype(np.float32)
    mean /= wide.astype(np.float32)
    mean -= 127.5
    mean *= 0.0078125
    return mean


def normalised(rgb: Floats) -> Floats:
    """A picture of the networks' own size as they take it: float32 [H, W, 3] in 0..255 → [1, 3, H, W] in -1..1."""
    image: Floats = np.subtract(rgb.transpose(2, 0, 1)[None], np.float32(127.5), order="C")
    image *= 0.0078125
    return image


def cut(sums: npt.NDArray[np.int32], edges: Indices, side: int) -> Floats:
    """Parts of the picture, each adaptively averaged, all at once: float32 [n, 3, side, side] in -1..1.

    Args:
        sums: the picture's integral, int32 [3, H + 1, W + 1].
        edges: left, top, right, bottom of each part, whole pixels inside the picture [n, 4].
    """
    left, top, right, bottom = edges.T[:, :, None]
    x0, x1 = _edges(right - left, side)
    y0, y1 = _edges(bottom - top, side)
    table, row = sums.reshape(3, -1), sums.shape[2]

    def corner(y: Indices, x: Indices) -> npt.NDArray[np.int32]:
        at = ((top + y) * row)[:, :, None] + (left + x)[:, None, :]
        found: npt.NDArray[np.int32] = table.take(at, axis=1)
        return found

    total = corner(y1, x1) - corner(y0, x1) - corner(y1, x0) + corner(y0, x0)
    return _average(total, (y1 - y0)[:, :, None], (x1 - x0)[:, None, :]).transpose(1, 0, 2, 3)
