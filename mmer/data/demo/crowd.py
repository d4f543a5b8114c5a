"""Several drawn people in one picture, who come and go: where each is, is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from mmer.data.demo.canvas import HEIGHT, SCALE, WIDTH, Array, Image
from mmer.data.demo.expressions import FACES, GROUPS
from mmer.data.demo.head import Head, Pose
from mmer.data.demo.person import draw_person
from mmer.data.demo.speakers import Speaker

SIZE = (640, 360)
"""Width and height of the picture, pixels."""
COVERED = 0.5
"""A face of which nearer people cover more than this share is not seen."""
TURNED = 0.9
"""Nor one that is turned further than this, radians."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Place:
    """Where a person is."""

    x: float
    """Centre of the head, pixels of the picture."""
    y: float
    size: float = 1.0
    """Against that of the demo corpus."""
    yaw: float = 0.0
    """Radians to the side."""


@dataclass(frozen=True)
class Actor:
    """A person, what they show and what they do."""

    who: Speaker
    label: str
    """The emotion that the face shows."""
    place: Callable[[float], Place]
    """Of the time in seconds."""
    mouth: Callable[[float], float] = lambda _: 0.0
    """How far the mouth is open for speaking, 0..1 (`Speech.mouth`)."""


def draw_crowd(
    actors: Sequence[Actor], room: Image, times: Sequence[float]
) -> Iterator[tuple[Image, list[Box | None]]]:
    """The pictures of these times, uint8 [360, 640, 3] RGB, and in each the box of each actor's face, None where it is
    not seen.

    Args:
        actors: the nearest last: they hide those before them.
        room: what is behind them, RGB.
    """
    behind = cv2.resize(room, SIZE, interpolation=cv2.INTER_AREA)
    for t in times:
        picture, boxes = behind.copy(), list[Box | None]()
        for actor in actors:
            place = actor.place(t)
            box = _paste(picture, actor, place, t)
            boxes = [None if seen is None or _covered(seen, box) > COVERED else seen for seen in boxes]
            boxes.append(box if abs(place.yaw) < TURNED and _covered(box, (0, 0, *SIZE)) > COVERED else None)
        yield picture, boxes


def _paste(picture: Image, actor: Actor, place: Place, t: float) -> Box:
    """Draw one actor; the box of the face."""
    who, size = actor.who, place.size / SCALE
    sway = who.sway * np.sin(2 * np.pi * t * np.array([0.35, 0.25]) + who.f0)
    blinks = int(10 * t + who.f0) % 22 == 0
    colours, there, box = _drawn(who, actor.label, round(4 * actor.mouth(t)) / 4, round(place.yaw, 1), blinks)
    left, top = place.x + sway[0] - WIDTH / 2 * place.size, place.y + sway[1] - HEIGHT / 2 * place.size
    move = np.array([[size, 0, left], [0, size, top]])
    shown, solid = (cv2.warpAffine(image, move, SIZE, flags=cv2.INTER_AREA) for image in (colours, there))
    picture[:] = np.clip(picture * (1 - solid[..., None]) + shown, 0, 255).round()
    x1, y1, x2, y2 = (v * place.size + (left, top)[k % 2] for k, v in enumerate(box))
    return x1, y1, x2, y2


@lru_cache(maxsize=256)
def _drawn(who: Speaker, label: str, talk: float, yaw: float, closed: bool) -> tuple[Array, Array, list[int]]:
    """A person before nothing: colours float32 [480, 640, 3], how solid they are [480, 640] in 0..1, and the face's
    box.
    """
    head = Head(who, Pose(WIDTH / 2, HEIGHT / 2, 0.0, yaw, -0.03 * talk, talk))
    drawn = []
    for grey in (0, 255):  # what shows of either is not of the person
        canvas = np.full((HEIGHT * SCALE, WIDTH * SCALE, 3), grey, np.uint8)
        draw_person(canvas, head, FACES[GROUPS[label][0]], talk, closed, np.zeros(2))
        drawn.append(canvas.astype(np.float32))
    return drawn[0], 1 - (drawn[1] - drawn[0]).mean(2) / 255, head.box()


def _covered(box: Box, by: Box) -> float:
    wide, high = (min(box[k + 2], by[k + 2]) - max(box[k], by[k]) for k in (0, 1))
    return max(wide, 0) * max(high, 0) / ((box[2] - box[0]) * (box[3] - box[1]))
