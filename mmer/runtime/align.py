"""Where a face's crop lies: a square laid on its eyes and mouth, so that every face stands upright, of one size and in
one place in its crop, however a detector frames it; and that square steadied from frame to frame.
"""

from __future__ import annotations

import math

from mmer.runtime.types import Box, Floats

TEMPLATE = ((0.315, 0.376), (0.685, 0.376), (0.345, 0.786), (0.655, 0.786))
"""Where both eyes and both corners of the mouth lie in the square, as shares of its side: where they lie on average in
FER2013's training images, mirrored with their mirror images (docs/preparing.md)."""
ROLL_LIMIT = 60.0
"""Degrees: a face that lies further over is taken for one so far; the detector hardly finds it."""
MOVE_LIMIT = 0.4
"""The square's centre lies no further from the box's than this, in sides of the box; nor are their sides further apart
(of the logarithm)."""
ALIGN_TAU_S = 0.3
"""Time constant of the mean over what was measured: after it, a change has come through to 63%."""
ALIGN_PLAY = (0.01, 0.01, 0.02, 2.0)
"""By how much that mean may wander before the crop goes with it: across and down in sides of the box, in size (of the
logarithm), and in degrees. It is more than it wanders where a face is still (docs/preparing.md), whose crop so rests.
"""


def square(landmarks: Floats) -> tuple[float, float, float, float]:
    """The square of a face: x and y of its centre and its side in pixels, and its roll in degrees, clockwise where
    positive, within `ROLL_LIMIT`.

    It is the similarity that brings the template nearest to eyes and mouth, by least squares (Umeyama 1991, in the
    plane). The nose is left out: it moves where a face turns aside.

    Args:
        landmarks: float32 [5, 2], x and y of both eyes (the left one of the picture first), the nose and both corners
            of the mouth, in pixels.
    """
    (x1, y1), (x2, y2), _, (x3, y3), (x4, y4) = landmarks.tolist()
    seen = ((x1, y1), (x2, y2), (x3, y3), (x4, y4))
    x, y = sum(point[0] for point in seen) / 4, sum(point[1] for point in seen) / 4
    middle = sum(point[1] for point in TEMPLATE) / 4
    along = across = size = 0.0
    for (to_x, to_y), (at_x, at_y) in zip(TEMPLATE, seen, strict=True):
        u, v, right, down = to_x - 0.5, to_y - middle, at_x - x, at_y - y
        along += u * right + v * down
        across += u * down - v * right
        size += u * u + v * v
    along, across = along / size, across / size
    roll = min(max(math.degrees(math.atan2(across, along)), -ROLL_LIMIT), ROLL_LIMIT)
    # The centre of the points lies below that of the square, along the face's own axis.
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    side = math.hypot(along, across)
    below = (middle - 0.5) * side
    return x + sin * below, y - cos * below, side, roll


class Alignment:
    """One face's square from frame to frame, kept relative to its box, so that it goes with the box at once: it begins
    anew with the face, and uses nothing of the future.
    """

    def __init__(self) -> None:
        self._at = -math.inf
        self._mean = [0.0] * len(ALIGN_PLAY)
        self._held = [0.0] * len(ALIGN_PLAY)

    @property
    def roll(self) -> float:
        """By which the crop is turned, degrees."""
        return self._held[-1]

    def see(self, landmarks: Floats, box: Box, t: float) -> None:
        """Take in the landmarks and the box of the frame of `t` seconds."""
        new, self._at = 1 - math.exp((self._at - t) / ALIGN_TAU_S), t
        for k, (value, play) in enumerate(zip(_relative(landmarks, box), ALIGN_PLAY, strict=True)):
            self._mean[k] += (value - self._mean[k]) * new
            self._held[k] = _towards(self._held[k], self._mean[k], play)

    def roll_towards(self, landmarks: Floats) -> float:
        """The roll that the crop would have if these landmarks were all there is to see."""
        return _towards(self.roll, square(landmarks)[-1], ALIGN_PLAY[-1])

    def box(self, box: Box) -> Box:
        """The square about its centre as if it were not turned, where the face's box is this one: x1 y1 x2 y2."""
        right, down, larger, _ = self._held
        x, y, side = _of(box)
        x, y, half = x + right * side, y + down * side, side * math.exp(larger) / 2
        return x - half, y - half, x + half, y + half


def _relative(landmarks: Floats, box: Box) -> tuple[float, float, float, float]:
    """The square relative to the box: across, down, size and roll, as `ALIGN_PLAY` has them."""
    x, y, side, roll = square(landmarks)
    box_x, box_y, box_side = _of(box)
    moved = (x - box_x) / box_side, (y - box_y) / box_side, math.log(max(side, 1e-3) / box_side)
    right, down, larger = (min(max(value, -MOVE_LIMIT), MOVE_LIMIT) for value in moved)
    return right, down, larger, roll


def _of(box: Box) -> tuple[float, float, float]:
    """Centre and longer side of a box."""
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1, 1e-3)


def _towards(held: float, mean: float, play: float) -> float:
    """What is held moved only as far as it must be to differ from the mean by no more than the play."""
    return min(max(held, mean - play), mean + play)
