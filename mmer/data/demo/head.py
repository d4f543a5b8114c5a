"""The geometry of a head: where points of the face lie in the picture, and what lies under a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmer.data.demo.canvas import HEIGHT, SCALE, WIDTH, Array
from mmer.data.demo.speakers import Speaker


@dataclass(frozen=True)
class Pose:
    """Where the head is: centre in pixels of the clip, angles in radians, how far the jaw has dropped (0..1)."""

    x: float
    y: float
    roll: float
    yaw: float
    pitch: float
    drop: float


class Head:
    """One head in one frame: an ellipsoid that narrows towards the chin.

    Points on it are (u, v) as seen from the front, -1..1 from ear to ear and from crown to chin. Pixels are those of
    the canvas.
    """

    def __init__(self, who: Speaker, pose: Pose) -> None:
        self.who, self.pose = who, pose
        self.centre = np.array([pose.x, pose.y]) * SCALE
        self.a, self.b = who.half_width * SCALE, who.half_height * SCALE
        c, s = np.cos(pose.roll), np.sin(pose.roll)
        self.roll = np.array([[c, -s], [s, c]])
        self.sin_yaw, self.cos_yaw = np.sin(pose.yaw), np.cos(pose.yaw)
        self.sin_pitch, self.cos_pitch = np.sin(pose.pitch), np.cos(pose.pitch)

    def place(self, uv: Array, lift: float = 0.0) -> tuple[Array, float]:
        """Pixels [n, 2] of points [n, 2], and how much their middle faces the viewer (1 fully, below 0 not).

        `lift` is how far the points stand off the head, as a share of its half depth.
        """
        u, v = np.asarray(uv, float).T
        w = np.sqrt(np.maximum(0, 1 - u**2 - v**2)) + lift
        x, z = u * self.cos_yaw + w * self.sin_yaw, w * self.cos_yaw - u * self.sin_yaw
        y, z = v * self.cos_pitch - z * self.sin_pitch, v * self.sin_pitch + z * self.cos_pitch
        flat = np.stack([x * self.a * self._narrow(y), y * self.b * self._stretch(y)], -1)
        return flat @ self.roll.T + self.centre, float(z.mean())

    def cast(self, xs: Array, ys: Array) -> tuple[Array, ...]:
        """What lies under pixels: screen normal x, y, z and head coordinates u, v, w, all of the pixels' shape."""
        dx, dy = xs - self.centre[0], ys - self.centre[1]
        c, s = self.roll[0, 0], self.roll[1, 0]
        y = (c * dy - s * dx) / self.b
        y = y / self._stretch(y)
        x = (c * dx + s * dy) / (self.a * self._narrow(y))
        z = np.sqrt(np.maximum(0, 1 - x**2 - y**2))
        v, w = y * self.cos_pitch + z * self.sin_pitch, z * self.cos_pitch - y * self.sin_pitch
        return x, y, z, x * self.cos_yaw - w * self.sin_yaw, v, x * self.sin_yaw + w * self.cos_yaw

    def box(self) -> list[int]:
        """The face from forehead to chin, x1 y1 x2 y2 in pixels of the clip, inside the picture."""
        edge = np.linspace(0, 2 * np.pi, 16)
        uv = np.stack([0.88 * np.cos(edge), 0.1 + 0.88 * np.sin(edge)], -1)
        points = self.place(uv)[0] / SCALE
        low, high = points.min(0), points.max(0)
        limits = np.clip([*low, *high], 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        return [round(float(p)) for p in limits]

    def _narrow(self, y: Array) -> Array:
        share: Array = 1 - self.who.jaw * np.square(np.clip(y, 0, 1))
        return share

    def _stretch(self, y: Array) -> Array:
        return 1 + 0.07 * self.pose.drop * np.clip(y, 0, 1)
