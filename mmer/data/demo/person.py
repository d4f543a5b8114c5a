"""A person: a face, and what is behind it, around it and before it."""

from __future__ import annotations

import numpy as np

from mmer.data.demo.canvas import HEIGHT, SCALE, WIDTH, Array, Image, band, blend, dim, disc, fill, line
from mmer.data.demo.expressions import Expression
from mmer.data.demo.face import draw_face
from mmer.data.demo.head import Head

FRAME = (44, 38, 42)
"""Colour of all glasses."""


def draw_person(canvas: Image, head: Head, face: Expression, talk: float, closed: bool, gaze: Array) -> None:
    """Draw the speaker before the room, from the shoulders up; arguments as `draw_face` takes them."""
    _shoulders(canvas, head)
    _hair_behind(canvas, head)
    draw_face(canvas, head, face, talk, closed, gaze)
    if head.who.beard == "moustache":
        _moustache(canvas, head)
    if head.who.glasses:
        _glasses(canvas, head)


def draw_book(canvas: Image, head: Head, raised: float) -> None:
    """An open book that the person holds before the face: raised 1 hides it, 0 is below the picture."""
    x, y = head.centre[0], head.centre[1] + (0.08 + 3.2 * (1 - raised)) * head.b
    wide, high = 1.25 * head.a, 0.98 * head.b
    columns, rows = (x - wide, x, x + wide), (y - high, y - high + 8, y - high)
    upper = np.stack([columns, rows], -1)
    lower = upper + np.array([0, 2 * high])
    band(canvas, upper, lower, (96, 62, 104))
    band(canvas, upper[:2], lower[:2], (112, 74, 120))
    line(canvas, np.stack([upper[1], lower[1]]), (70, 44, 78), 5)
    for side in (-1, 1):
        thumb = np.array([x + side * (wide - 10), y + 0.45 * high])
        disc(canvas, thumb, (24, 11), dim(head.who.skin, 0.8), 0.3 * side)


def _shoulders(canvas: Image, head: Head) -> None:
    """Shoulders and neck."""
    who, x = head.who, head.centre[0] * 0.5 + WIDTH * SCALE / 4
    neck, floor = head.centre[1] + 0.7 * head.b, HEIGHT * SCALE
    top = head.centre[1] + 1.28 * head.b
    broad = (2.0 if who.sex == "female" else 2.35) * head.a
    t = np.linspace(-1, 1, 24)
    slope = top + 46 * np.abs(t) ** 2.6 + 150 * np.clip(np.abs(t) - 0.86, 0, None)
    shape = np.vstack([np.stack([x + broad * t, slope], -1), [[x + broad, floor + 9], [x - broad, floor + 9]]])
    fill(canvas, shape, who.clothes)
    fill(canvas, shape[12:] + np.array([14, 10]), dim(who.clothes, 0.88))
    thick = 0.5 * head.a
    throat = np.array([[-thick, neck], [thick, neck], [1.15 * thick, top + 8], [0, top + 44], [-1.15 * thick, top + 8]])
    throat[:, 0] += head.centre[0] * 0.7 + x * 0.3
    fill(canvas, throat, blend(dim(who.skin, 0.72), (120, 52, 36), 0.15))


def _hair_behind(canvas: Image, head: Head) -> None:
    """What of the hair stands out behind the head."""
    who, (x, y), a, b = head.who, head.centre, head.a, head.b
    dark = dim(who.hair_colour, 0.72)
    if who.hair == "long":
        t = np.linspace(np.pi, 2 * np.pi, 20)
        top = np.stack([x + 1.16 * a * np.cos(t), y - 0.1 * b + 1.0 * b * np.sin(t)], -1)
        ends = np.array([[1.3, 1.15], [0.4, 1.3], [-0.4, 1.3], [-1.3, 1.15]]) * [a, b] + head.centre
        fill(canvas, np.vstack([top, ends]), dark)
        for k in np.linspace(-1.12, 1.12, 15):
            lock = np.array([[x + a * k, y], [x + 1.05 * a * k, y + 0.6 * b], [x + 1.1 * a * k, y + 1.2 * b]])
            line(canvas, lock, dim(who.hair_colour, 0.82), 4)
    elif who.hair == "curly":
        for angle in np.linspace(-0.35, np.pi + 0.35, 15):
            curl = np.array([x - 1.02 * a * np.cos(angle), y - 0.06 * b - 0.94 * b * np.sin(angle)])
            disc(canvas, curl, (0.26 * a, 0.26 * a), dark)
    elif who.hair != "shaved":
        disc(canvas, head.centre - [0, 0.14 * b], (1.06 * a, 0.95 * b), dark, head.pose.roll)
        if who.hair == "bun":
            disc(canvas, head.place(np.array([[0, -1.0]]))[0][0] - [0, 0.06 * b], (0.4 * a, 0.33 * a), dark)
    if who.hair not in ("long", "curly"):
        for side in (-1.0, 1.0):
            ear, facing = head.place(np.array([[side, 0.04]]))
            if facing > -0.6:
                disc(canvas, ear[0], (0.12 * a, 0.19 * b), dim(who.skin, 0.82), head.pose.roll)


def _moustache(canvas: Image, head: Head) -> None:
    t = np.linspace(-1, 1, 15)
    upper, facing = head.place(np.stack([0.3 * t, 0.4 + 0.07 * t**2], -1), 0.05)
    lower, _ = head.place(np.stack([0.32 * t, 0.47 + 0.08 * t**2], -1), 0.05)
    if facing > 0.25:
        band(canvas, upper, lower, dim(head.who.hair_colour, 0.85))


def _glasses(canvas: Image, head: Head) -> None:
    who = head.who
    t = np.linspace(0, 2 * np.pi, 32)
    for side in (-1.0, 1.0):
        rim = np.stack([side * who.eye_gap + 0.29 * np.cos(t), who.eye_height + 0.025 + 0.2 * np.sin(t)], -1)
        path, facing = head.place(rim, 0.08)
        if facing > 0.2:
            line(canvas, path, FRAME, 4, closed=True)
    arch = np.array([[-0.12, who.eye_height], [0, who.eye_height - 0.03], [0.12, who.eye_height]])
    bridge, facing = head.place(arch, 0.1)
    if facing > 0.2:
        line(canvas, bridge, FRAME, 4)
