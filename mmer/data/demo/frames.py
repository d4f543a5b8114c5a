"""The pictures of a clip: the head moves, the expression comes and goes, the mouth speaks, the face may be hidden."""

from __future__ import annotations

from dataclasses import fields

import cv2
import numpy as np

from mmer.data.demo.canvas import HEIGHT, WIDTH, Array, Image
from mmer.data.demo.expressions import FACES, GROUPS, Expression, mix
from mmer.data.demo.head import Head, Pose
from mmer.data.demo.person import draw_book, draw_person
from mmer.data.demo.room import draw_room
from mmer.data.demo.speech import Speech
from mmer.data.demo.trials import FPS, Trial

BLINK_EVERY = 22
"""Frames."""
HIDDEN_FROM = 0.35
"""How far a face may be hidden and still count as seen, 0..1."""


def draw_frames(
    trial: Trial, speech: Speech, rng: np.random.Generator, expression: Expression | None = None
) -> tuple[list[Image], list[list[int] | None]]:
    """All frames of a clip, uint8 [240, 320, 3] RGB, and the box of the face in each, None where it is hidden.

    A box is x1 y1 x2 y2 in pixels. By default the expression is that of the trial's emotion.
    """
    who, rest = trial.who, FACES["rest"]
    full = expression or FACES[GROUPS[trial.label][0]]
    own = Expression(*(getattr(full, f.name) * rng.uniform(0.88, 1.12) for f in fields(full)))
    place, phase = rng.uniform([148, 122], [172, 130]), rng.uniform(0, 6.3, 8)
    blink, gaze = rng.integers(2, 20), rng.normal(0, 0.12, 2)
    turn = rng.choice([-1, 1]) * rng.uniform(1.9, 2.3)
    hiding = _hiding(trial, rng)
    room = draw_room(trial.room, who, rng)
    frames: list[Image] = []
    boxes: list[list[int] | None] = []
    for k, hide in enumerate(hiding):
        t = k / FPS
        wave = np.sin(phase + 2 * np.pi * t * np.array([0.35, 0.5, 0.3, 0.4, 0.45, 0.6, 0.25, 0.7]))
        talk, face = speech.mouth(t), mix(rest, own, trial.strength_at(t))
        pose = Pose(
            x=place[0] + who.sway * wave[0],
            y=place[1] + who.sway * 0.5 * wave[1] + 1.5 * talk,
            roll=0.015 * who.sway * wave[2],
            yaw=0.035 * who.sway * wave[3] + (hide * turn if trial.hidden == "away" else 0),
            pitch=0.012 * who.sway * wave[4] - 0.03 * talk,
            drop=min(1.0, talk + 3.5 * face.drop),
        )
        head, canvas = Head(who, pose), room.copy()
        closed = k % BLINK_EVERY in (blink, blink + 1)
        draw_person(canvas, head, face, talk, closed, gaze + 0.08 * wave[5:7])
        if trial.hidden == "covered":
            draw_book(canvas, head, hide)
        frames.append(cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
        boxes.append(head.box() if hide < HIDDEN_FROM else None)
    return frames, boxes


def _hiding(trial: Trial, rng: np.random.Generator) -> Array:
    """How far the face is hidden in each frame, 0..1: for the whole clip or for two thirds of it and more."""
    if trial.hidden == "none":
        return np.zeros(trial.frames)
    if rng.random() < 0.5:
        return np.ones(trial.frames)
    free = int(trial.frames * rng.uniform(0.2, 0.33))
    course = np.interp(np.arange(trial.frames), [free - 3, free + 1], [0, 1])
    return course if rng.random() < 0.5 else course[::-1]
