"""Drawn people who share a picture: scenes that are hard on who is who, and how well a tracker does in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmer.data.demo.crowd import Actor, Box, Place, draw_crowd
from mmer.data.demo.room import ROOMS, draw_room
from mmer.data.demo.speakers import make_speaker
from mmer.runtime.boxes import iou
from mmer.runtime.types import Picture

STEP_S = 0.2
Course = Sequence[tuple[float, ...]]
"""Time, x, y, size, yaw: between two moments all goes evenly."""

LEFT, RIGHT, OUT = (180.0, 150.0), (460.0, 150.0), (780.0, 150.0)
SCENES: dict[str, tuple[float, tuple[Course, Course]]] = {
    "side by side": (4, ([(0, *LEFT)], [(0, *RIGHT)])),
    "they cross": (6, ([(1, *LEFT), (5, *RIGHT)], [(1, *RIGHT), (5, *LEFT)])),
    "they cross and come back": (
        9,
        ([(1, *LEFT), (4, *RIGHT), (5, *RIGHT), (8, *LEFT)], [(1, *RIGHT), (4, *LEFT), (5, *LEFT), (8, *RIGHT)]),
    ),
    "they swap size": (5, ([(1, *LEFT, 0.7), (4, *LEFT, 1.3)], [(1, *RIGHT, 1.3), (4, *RIGHT, 0.7)])),
    "one turns away": (
        6,
        ([(0, *LEFT)], [(1, *RIGHT, 1, 0), (1.6, *RIGHT, 1, 2.2), (3.6, *RIGHT, 1, 2.2), (4.2, *RIGHT, 1, 0)]),
    ),
    "one leaves and returns": (7, ([(0, *LEFT)], [(1, *RIGHT), (2, *OUT), (4, *OUT), (5, *RIGHT)])),
    "both leave and return elsewhere": (
        8,
        (
            [(1, *LEFT), (2, -140, 150), (4, -140, 150), (4.01, *OUT), (5.2, *RIGHT)],
            [(1, *RIGHT), (2, *OUT), (4, *OUT), (4.01, -140, 150), (5.2, *LEFT)],
        ),
    ),
}
"""By name: seconds, and the course of each of two people."""


@dataclass(frozen=True)
class Scene:
    """What is shown, and where whose face is."""

    times: list[float]
    pictures: list[Picture]
    boxes: list[list[Box | None]]


def along(course: Course) -> Callable[[float], Place]:
    """Where somebody is who goes that way."""
    times = [at[0] for at in course]
    whole = np.array([[*at[1:], *(1.0, 0.0)[len(at) - 3 :]] for at in course])
    return lambda t: Place(*(float(np.interp(t, times, column)) for column in whole.T))


def act(seconds: float, actors: Sequence[Actor]) -> Scene:
    """Draw it."""
    times = [STEP_S * (k + 1) for k in range(round(seconds / STEP_S))]
    room = draw_room(ROOMS["neutral"], actors[0].who, np.random.default_rng(0))
    pictures, boxes = zip(*draw_crowd(actors, room, times), strict=True)
    return Scene(times, list(pictures), list(boxes))


def scene(name: str, pair: tuple[int, int] = (0, 1)) -> Scene:
    """One of `SCENES`, by two speakers of the demo corpus."""
    seconds, courses = SCENES[name]
    both = zip(pair, ("sad", "happy"), courses, strict=True)
    return act(seconds, [Actor(make_speaker(0, who), label, along(course)) for who, label, course in both])


def judge(truth: Sequence[Sequence[Box | None]], told: Sequence[dict[int, Box]]) -> dict[str, float]:
    """How well people were followed: IDF1 (Ristani et al. 2016), and how often an id switched (CLEAR-MOT), by
    trackeval.

    Args:
        truth: in each picture the box of each person, or None.
        told: in each picture the boxes that were found, by id.
    """
    from trackeval.metrics import CLEAR, Identity

    ids = sorted({id for boxes in told for id in boxes})
    there = [[k for k, box in enumerate(boxes) if box is not None] for boxes in truth]
    data = {
        "num_timesteps": len(truth),
        "num_gt_ids": len(truth[0]),
        "num_tracker_ids": len(ids),
        "num_gt_dets": sum(map(len, there)),
        "num_tracker_dets": sum(map(len, told)),
        "gt_ids": [np.array(here, int) for here in there],
        "tracker_ids": [np.array([ids.index(id) for id in boxes], int) for boxes in told],
        "similarity_scores": [
            np.array([iou(box, mine) for box in boxes if box is not None for mine in found.values()]).reshape(
                len(here), len(found)
            )
            for boxes, here, found in zip(truth, there, told, strict=True)
        ],
    }
    quiet = {"PRINT_CONFIG": False, "THRESHOLD": 0.4}  # the drawn boxes end above the chin, and the detector's do not
    clear, identity = (metric(quiet).eval_sequence(data) for metric in (CLEAR, Identity))
    return {"idf1": float(identity["IDF1"]), "switches": float(clear["IDSW"]), "missed": float(clear["CLR_FN"])}
