"""How far a face is tilted towards a shoulder, and that angle steadied from frame to frame."""

from __future__ import annotations

import math

from mmer.runtime.types import Floats

ROLL_LIMIT = 60.0
"""Degrees: a face that lies further over is taken for one so far; the detector hardly finds it."""
ROLL_TAU_S = 0.3
"""Time constant of the mean over what was measured: after it, a change has come through to 63%."""
ROLL_PLAY = 2.0
"""Degrees by which that mean may wander before the crop turns with it: more than it wanders where a face is still
(docs/preparing.md). So a still face's crop does not turn at all, and an upright one is not turned."""


def roll(landmarks: Floats) -> float:
    """The angle of a face in its picture, degrees, clockwise where positive, within `ROLL_LIMIT`.

    It is that of the line between the eyes and of the axis from them to the mouth, the longer counting more: the first
    shrinks where a face turns aside, the second where it looks up or down.

    Args:
        landmarks: float32 [5, 2], x and y of both eyes (the left one of the picture first), the nose and both corners
            of the mouth, in pixels.
    """
    (x1, y1), (x2, y2), _, (x3, y3), (x4, y4) = landmarks.tolist()
    down_x, down_y = (x3 + x4 - x1 - x2) / 2, (y3 + y4 - y1 - y2) / 2
    angle = math.degrees(math.atan2(y2 - y1 - down_x, x2 - x1 + down_y))
    return min(max(angle, -ROLL_LIMIT), ROLL_LIMIT)


class Roll:
    """One face's roll from frame to frame: it begins anew with the face, and uses nothing of the future."""

    def __init__(self) -> None:
        self.angle = 0.0
        """By which the crop is turned, degrees."""
        self._mean, self._at = 0.0, -math.inf

    def see(self, measured: float, t: float) -> None:
        """Take in what was measured in the frame of `t` seconds."""
        self._mean += (measured - self._mean) * (1 - math.exp((self._at - t) / ROLL_TAU_S))
        self._at = t
        self.angle = self.towards(self._mean)

    def towards(self, measured: float) -> float:
        """The crop's angle turned only as far as it must be to differ by no more than `ROLL_PLAY`."""
        return min(max(self.angle, measured - ROLL_PLAY), measured + ROLL_PLAY)
