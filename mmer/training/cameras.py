"""What lies between a face and a model: how the head is held and framed, light, lenses, codecs, what covers it.

Each change is a function from a clip's face crops, uint8 [T, S, S, 3], to others, the same over all its steps, and
draws all chance from the generator it is given. How far and how often are the keys of `train.cameras`
(`mmer.config.Cameras`).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mmer.config import Cameras

Faces = npt.NDArray[np.uint8]


def through(x: Faces, cameras: Cameras, rng: np.random.Generator) -> Faces:
    """Face crops as another camera, another detector and another day would give them."""
    x = framed(x, cameras, rng)
    for rate, change in (
        (cameras.covered, covered),
        (cameras.light, lit),
        (cameras.small, small),
        (cameras.codec, coded),
    ):
        if rng.random() < rate:
            x = change(x, rng)
    return x


def framed(x: Faces, cameras: Cameras, rng: np.random.Generator) -> Faces:
    """Rolled, larger or smaller, moved, and seen a little from the side; what was outside repeats the edge."""
    side = x.shape[1]
    roll = np.deg2rad(np.clip(rng.normal(0, 0.5), -1, 1) * cameras.roll_deg)
    scale = 1 + cameras.scale * rng.uniform(-1, 1)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    moved = scale * corners @ turn.T + 2 * cameras.shift * rng.uniform(-1, 1, 2)
    moved += 2 * cameras.perspective * rng.uniform(-1, 1, (4, 2))
    places = (np.stack([corners, moved]) + 1) * (side - 1) / 2
    matrix = cv2.getPerspectiveTransform(*places.astype(np.float32))
    return np.stack([cv2.warpPerspective(frame, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE) for frame in x])


def covered(x: Faces, rng: np.random.Generator) -> Faces:
    """A mask over mouth and nose, dark glasses, or a hand at the cheek or chin, drawn in one plain shade."""
    side, out = x.shape[1], x.copy()
    kind = rng.integers(3)
    shade = rng.integers(0, 256) if kind != 1 else rng.integers(0, 60)
    shape = np.zeros((side, side), np.uint8)
    if kind == 0:
        top = round(side * rng.uniform(0.5, 0.65))
        cv2.ellipse(shape, (side // 2, top), (round(0.45 * side), round(0.5 * side)), 0, 0, 180, 1, -1)
    elif kind == 1:
        level, size = round(side * rng.uniform(0.3, 0.42)), (round(0.17 * side), round(0.11 * side))
        for middle in (0.29, 0.71):
            cv2.ellipse(shape, (round(middle * side), level), size, 0, 0, 360, 1, -1)
    else:
        place = (round(side * rng.uniform(0, 1)), round(side * rng.uniform(0.6, 1)))
        size = (round(side * rng.uniform(0.12, 0.25)), round(side * rng.uniform(0.2, 0.4)))
        cv2.ellipse(shape, place, size, rng.uniform(-60, 60), 0, 360, 1, -1)
    out[:, shape > 0] = shade
    return out


def lit(x: Faces, rng: np.random.Generator) -> Faces:
    """Another exposure (gamma 0.4 to 2.5), light from one side, and the noise of a sensor."""
    side = x.shape[1]
    y = (x.astype(np.float32) / 255) ** np.float32(2.5 ** rng.uniform(-1, 1))
    angle, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6)
    line = np.linspace(-1, 1, side, dtype=np.float32)
    y *= 1 - np.float32(fall) * (1 + line[None, :] * np.cos(angle) + line[:, None] * np.sin(angle))[None, ..., None] / 2
    y += rng.normal(0, rng.uniform(0, 0.06), (1, side, side, 1)).astype(np.float32)
    return np.clip(255 * y, 0, 255).astype(np.uint8)


def small(x: Faces, rng: np.random.Generator) -> Faces:
    """A face that was only 16 to 48 pixels wide in its picture."""
    side, seen = x.shape[1], int(rng.integers(16, 49))
    return np.stack(
        [cv2.resize(cv2.resize(frame, (seen, seen), interpolation=cv2.INTER_AREA), (side, side)) for frame in x]
    )


def coded(x: Faces, rng: np.random.Generator) -> Faces:
    """What a strong codec leaves: jpeg of quality 10 to 60, whose blocks are those of video codecs."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(10, 61))]
    left = []
    for frame in x:
        decoded = cv2.imdecode(cv2.imencode(".jpg", frame, quality)[1], cv2.IMREAD_COLOR)
        assert decoded is not None  # it was encoded here
        left.append(decoded)
    return np.stack(left).astype(np.uint8)
