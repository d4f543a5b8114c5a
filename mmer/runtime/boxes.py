"""Boxes of the detector's cascade: moved, made square, thinned out (non-maximum suppression)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer.runtime.types import Box, Floats, Indices


def as_box(found: npt.NDArray[np.floating[Any]]) -> Box:
    x1, y1, x2, y2 = found.tolist()
    return x1, y1, x2, y2


def shift(boxes: Floats, offsets: Floats, extra: int) -> Floats:
    """Move each side by its offset, a share of the box's size (+ 1 in the later stages)."""
    size = boxes[:, 2:] - boxes[:, :2] + extra
    return boxes + offsets * np.tile(size, 2)


def square(boxes: Floats) -> Floats:
    """The same centre, and the longer side for both."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(1, keepdims=True)
    corner = boxes[:, :2] + size * 0.5 - side * 0.5
    return np.concatenate([corner, corner + side], 1)


def area(box: Box) -> float:
    """Of one box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(one: Box, other: Box) -> float:
    """The area that both cover."""
    wide, high = (min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1))
    return max(wide, 0.0) * max(high, 0.0)


def iou(one: Box, other: Box) -> float:
    """Intersection over union."""
    shared = overlap(one, other)
    return shared / (area(one) + area(other) - shared)


def longer(box: Box) -> float:
    """The longer side, pixels."""
    return max(box[2] - box[0], box[3] - box[1])


def steadied(last: Box, new: Box, play: float) -> Box:
    """Where to say that a box is which goes on: at the new place, if an edge moved by the share `play` of its side or
    more; else the less of the way, the shorter it is, so that what only trembles rests.
    """
    way = max(abs(there - here) for here, there in zip(last, new, strict=True))
    share = min(1.0, way / max(play * longer(new), 1e-6))
    x1, y1, x2, y2 = (here + share * (there - here) for here, there in zip(last, new, strict=True))
    return x1, y1, x2, y2


def rotate(points: npt.NDArray[np.floating[Any]], degrees: float) -> npt.NDArray[np.floating[Any]]:
    """Points [..., 2] turned clockwise about (0, 0)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = points[..., 0], points[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], -1)


def suppress(boxes: Floats, scores: Floats, threshold: float) -> Indices:
    """Indices of the boxes that overlap no better one by more than `threshold` (intersection over union)."""
    return _best(boxes, np.argsort(-scores, kind="stable"), threshold)


def suppress_nested(boxes: Floats, scores: Floats, threshold: float) -> Indices:
    """The same for the last stage, where the intersection counts against the smaller box: a face within a face goes."""
    return _best(boxes, np.argsort(scores)[::-1], threshold, nested=True)


def _best(boxes: Floats, order: Indices, threshold: float, nested: bool = False) -> Indices:
    extra = 1 if nested else 0
    area = (boxes[:, 2:] - boxes[:, :2] + extra).prod(1)
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[order, :2], boxes[best, :2]), np.minimum(boxes[order, 2:], boxes[best, 2:])
        shared = np.maximum(high - low + extra, 0).prod(1)
        whole = np.minimum(area[order], area[best]) if nested else area[order] + area[best] - shared
        order = order[shared / whole <= threshold]
    return np.array(kept, np.intp)
