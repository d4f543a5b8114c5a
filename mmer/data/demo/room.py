"""The rooms behind the speakers: a wall and what is on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from mmer.data.demo.canvas import HEIGHT, SCALE, WIDTH, Colour, Image, blend, dim, disc, fill
from mmer.data.demo.speakers import CLOTHES, Speaker


@dataclass(frozen=True)
class Wall:
    """A canvas on which all things hang a little to the left or right."""

    canvas: Image
    shift: float
    """Pixels of the canvas."""

    def polygon(self, points: list[tuple[float, float]], colour: Iterable[float]) -> None:
        fill(self.canvas, np.array(points) + np.array([self.shift, 0]), colour)

    def rect(self, x: float, y: float, width: float, height: float, colour: Iterable[float]) -> None:
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour)

    def disc(self, x: float, y: float, radii: tuple[float, float], colour: Iterable[float]) -> None:
        disc(self.canvas, np.array([x + self.shift, y]), radii, colour)

    def dot(self, x: float, y: float, radius: float, colour: Iterable[float]) -> None:
        self.disc(x, y, (radius, radius), colour)


def _shelf(wall: Wall, rng: np.random.Generator) -> None:
    for y in (150, 300):
        wall.rect(14, y, 160, 9, (104, 78, 56))
        for k in range(8):
            tall = rng.uniform(58, 96)
            book = dim(CLOTHES[rng.integers(len(CLOTHES))], rng.uniform(0.7, 1.1))
            wall.rect(20 + 18 * k, y - tall, 15, tall, book)


def _garden(wall: Wall, rng: np.random.Generator) -> None:
    wall.rect(18, 40, 170, 230, (240, 240, 232))
    wall.rect(28, 50, 150, 210, (168, 212, 240))
    for _ in range(14):
        wall.dot(rng.uniform(40, 166), rng.uniform(180, 250), rng.uniform(12, 24), (70, rng.uniform(130, 180), 70))
    wall.dot(140, 90, 22, (255, 236, 150))


def _rain(wall: Wall, rng: np.random.Generator) -> None:
    wall.rect(18, 40, 170, 230, (104, 112, 126))
    wall.rect(28, 50, 150, 210, (124, 140, 164))
    for _ in range(36):
        wall.rect(rng.uniform(32, 172), rng.uniform(54, 230), 3, 22, (176, 190, 208))


def _poster(wall: Wall, _: np.random.Generator) -> None:
    wall.rect(24, 60, 140, 190, (60, 30, 32))
    wall.rect(32, 68, 124, 174, (206, 64, 48))
    wall.polygon([(50, 220), (98, 96), (140, 220)], (250, 204, 90))


def _night(wall: Wall, rng: np.random.Generator) -> None:
    wall.rect(22, 36, 160, 220, (28, 32, 54))
    wall.dot(130, 90, 26, (226, 226, 200))
    for _ in range(12):
        wall.dot(rng.uniform(34, 170), rng.uniform(50, 240), 2.5, (220, 220, 230))


def _tiles(wall: Wall, _: np.random.Generator) -> None:
    for y in range(0, 480, 60):
        wall.rect(-20, y, 680, 3, (214, 226, 216))
    for x in range(-20, 680, 60):
        wall.rect(x, 0, 3, 480, (214, 226, 216))
    wall.rect(30, 210, 90, 70, (236, 236, 228))


def _party(wall: Wall, _: np.random.Generator) -> None:
    for k in range(14):
        x = 52 * k - 30
        wall.polygon([(x, 26), (x + 40, 26), (x + 20, 70)], dim(CLOTHES[k % 5], 1.4))
    for x, y, balloon in ((60, 160, (230, 84, 90)), (118, 120, (90, 150, 220)), (150, 210, (240, 190, 70))):
        wall.disc(x, y, (28, 35), balloon)


@dataclass(frozen=True)
class Room:
    """One of the surroundings."""

    name: str
    tint: Colour
    """Of the wall."""
    furnish: Callable[[Wall, np.random.Generator], None]
    cover: float = 0.6
    """How much of the speaker's own wall colour the tint covers, as a share."""


#: The room of each emotion.
ROOMS = {
    "neutral": Room("shelf", (188, 182, 172), _shelf),
    "happy": Room("garden", (196, 208, 150), _garden),
    "sad": Room("rain", (138, 152, 176), _rain),
    "angry": Room("poster", (192, 128, 112), _poster),
    "fear": Room("night", (66, 72, 104), _night, cover=0.85),
    "disgust": Room("tiles", (150, 186, 168), _tiles),
    "surprise": Room("party", (216, 180, 196), _party),
}


def draw_room(room: Room, who: Speaker, rng: np.random.Generator) -> Image:
    """The background, uint8 [480, 640, 3], out of focus, brighter on the side of the speaker's lamp."""
    width, height = WIDTH * SCALE, HEIGHT * SCALE
    colour = np.array(blend(who.wall, room.tint, room.cover))
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    glow = 1.08 - 0.34 * np.hypot((xs / width) - 0.5 - 0.4 * who.light[0], (ys / height) - 0.2)
    canvas: Image = np.clip(glow[..., None] * colour, 0, 255).astype(np.uint8)
    mirrored = bool(rng.random() < 0.5)
    room.furnish(Wall(canvas, shift=rng.uniform(-14, 14)), rng)
    if mirrored:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
    blurred: Image = cv2.GaussianBlur(canvas, (0, 0), 3.2)
    return blurred
