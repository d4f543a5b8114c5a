"""The face on a head: skin, hair, eyes, brows, folds and mouth, as an expression moves them.

All drawing is on a canvas; positions are (u, v) of the `Head`.
"""

from __future__ import annotations

import numpy as np

from mmer.data.demo.canvas import Array, Image, band, blend, dim, disc, fill, line
from mmer.data.demo.expressions import Expression
from mmer.data.demo.head import Head
from mmer.data.demo.speakers import Speaker


def draw_face(canvas: Image, head: Head, face: Expression, talk: float, closed: bool, gaze: Array) -> None:
    """Draw the face over what is behind it.

    Args:
        canvas: uint8 [480, 640, 3], changed in place.
        head: where it is.
        face: what it does.
        talk: how far the mouth is open for speaking, 0..1.
        closed: whether the eyes are, in a blink.
        gaze: where they look [2]: right and down, 0 straight ahead.
    """
    _skin(canvas, head, face)
    _eyes(canvas, head, face, closed, gaze)
    _brows(canvas, head, face)
    _folds(canvas, head, face)
    _mouth(canvas, head, face, talk)


def _skin(canvas: Image, head: Head, face: Expression) -> None:
    """The head itself, shaded pixel by pixel: skin, nose, cheeks, beard, and hair where it grows."""
    who = head.who
    (x, y), a, b = head.centre, head.a + 6, head.b * 1.08 + 6
    left, right = max(0, int(x - a)), min(canvas.shape[1], int(x + a))
    top, bottom = max(0, int(y - b)), min(canvas.shape[0], int(y + b))
    xs, ys = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
    nx, ny, nz, u, v, w = head.cast(xs, ys)
    front, side = w > 0, np.abs(u)
    slope_y, slope_x = np.gradient(_relief(who, face, u, v) * front * (0.5 * head.a))
    px, py = nx - 0.9 * slope_x, ny - 0.9 * slope_y
    light = (px * who.light[0] + py * who.light[1] + nz * who.light[2]) / np.sqrt(px**2 + py**2 + nz**2 + 1e-6)
    shade = 0.56 + 0.5 * np.clip(light, 0, 1)
    shade *= 1 - front * (
        0.3 * _bump(u, v, (-0.12 * who.light[0], who.nose + 0.13), (who.nose_width + 0.1, 0.08))
        + 0.16 * _bump(side, v, (who.eye_gap, who.eye_height - 0.12), (0.28, 0.16))
        + 0.14 * _bump(u, v, (0, 0.77), (0.24, 0.07))
    )
    tint = np.array([1 + who.warmth, 1.0, 1 - who.warmth])
    colour = shade[..., None] * (np.array(who.skin) * tint)
    blush = (0.1 + 0.1 * face.cheeks) * _bump(side, v, (0.52, 0.26), (0.36, 0.26)) * front
    colour += blush[..., None] * np.array([38.0, -22.0, -16.0])
    colour += (26 * np.clip(light, 0, 1) ** 14)[..., None]

    strands = 1 + 0.1 * np.sin(46 * u + 9 * v * np.sign(u)) + 0.05 * np.sin(97 * u)
    grown = ((0.5 + 0.62 * np.clip(light, 0, 1)) * strands)[..., None] * np.array(who.hair_colour)
    colour += np.maximum(_hair(who, u, v, w), _beard(who, u, v, w))[..., None] * (grown - colour)

    edge = np.clip((1 - np.sqrt(nx**2 + ny**2)) * head.a / 1.6 + 0.5, 0, 1)[..., None]
    under = canvas[top:bottom, left:right]
    canvas[top:bottom, left:right] = np.clip(under + edge * (colour - under), 0, 255).astype(np.uint8)
    for lateral in (-1.0, 1.0):
        nostril, facing = head.place(np.array([[0.55 * lateral * who.nose_width, who.nose + 0.085]]), 0.1)
        if facing > 0.3:
            disc(canvas, nostril[0], (0.05 * head.a, 0.022 * head.b), dim(who.skin, 0.42), head.pose.roll)


def _relief(who: Speaker, face: Expression, u: Array, v: Array) -> Array:
    """How far nose, cheeks, chin and lips stand out of the ellipsoid, and the eyes' sockets into it."""
    side = np.abs(u)
    height: Array = (
        0.26 * _bump(u, v, (0, who.nose - 0.2), (0.13, 0.44))
        + 0.3 * _bump(u, v, (0, who.nose), (who.nose_width + 0.08, 0.15))
        + 0.1 * _bump(side, v, (who.nose_width, who.nose + 0.03), (0.1, 0.1))
        - 0.2 * _bump(side, v, (who.eye_gap, who.eye_height - 0.02), (0.3, 0.2))
        + (0.1 + 0.16 * face.cheeks) * _bump(side, v, (0.5, 0.26 - 0.06 * face.cheeks), (0.34, 0.28))
        + 0.14 * _bump(u, v, (0, 0.88), (0.3, 0.2))
        + 0.08 * _bump(u, v, (0, 0.56), (0.42, 0.2))
    )
    return height


def _hair(who: Speaker, u: Array, v: Array, w: Array) -> Array:
    """Where hair grows on the head, 0..1."""
    side = np.abs(u)
    hairline = {
        "long": -0.74 + 0.62 * side**2.5,
        "bun": -0.7 + 0.2 * side**2,
        "fringe": -0.5 + 0.1 * side + 0.03 * np.sin(22 * u),
        "curly": -0.62 + 0.28 * side**2 + 0.035 * np.sin(30 * u),
        "short": -0.66 + 0.16 * side**2,
        "side": -0.6 + 0.2 * u + 0.12 * side**2,
        "shaved": -0.6 + 0.1 * side**2,
    }[who.hair]
    reach = 1.2 if who.hair == "long" else 0.62
    back = np.clip((0.12 - w) * 7, 0, 1) * np.clip((reach - v) * 7, 0, 1)
    if who.hair not in ("long", "curly"):  # sideburns end at the ear
        back = back * np.clip((0.04 - v + 2.5 * np.clip(-w, 0, 1)) * 9, 0, 1)
    mask: Array = np.maximum(np.clip((hairline - v) * 16, 0, 1), back)
    return mask if who.hair != "shaved" else np.multiply(mask, 0.35)


def _beard(who: Speaker, u: Array, v: Array, w: Array) -> Array:
    """Where a beard grows, 0..1."""
    if who.beard not in ("full", "stubble"):
        return np.zeros_like(u)
    jaw = np.clip((v - 0.34 - 0.5 * (1 - np.abs(u)) ** 2 + 0.1) * 9, 0, 1) * np.clip((w + 0.1) * 8, 0, 1)
    around: Array = np.maximum(jaw, _bump(u, v, (0, 0.44), (0.5, 0.14)) ** 0.5 * (w > 0))
    return around * (0.85 if who.beard == "full" else 0.28)


def _bump(u: Array, v: Array, at: tuple[float, float], size: tuple[float, float]) -> Array:
    """A smooth hill of height 1 on the head."""
    hill: Array = np.square(np.maximum(0, 1 - ((u - at[0]) / size[0]) ** 2 - ((v - at[1]) / size[1]) ** 2))
    return hill


def _eyes(canvas: Image, head: Head, face: Expression, closed: bool, gaze: Array) -> None:
    """Both eyes and their lids."""
    who = head.who
    t = np.linspace(-1, 1, 13)
    opened = 0.0 if closed else 0.085 * (who.eye_size / 0.18) * (1 + face.lids)
    lower = 0.5 - 0.22 * face.cheeks
    lid = dim(who.skin, 0.32)
    for side in (-1.0, 1.0):
        u = side * (who.eye_gap + who.eye_size * t)
        tilt = who.eye_height - 0.02 * t
        arch = np.sqrt(np.clip(1 - t**2, 0, 1))
        above, facing = head.place(np.stack([u, tilt - opened * arch], -1))
        if facing < 0.25:
            continue
        below = head.place(np.stack([u, tilt + lower * opened * arch], -1))[0]
        crease = head.place(np.stack([u, tilt - (opened + 0.045) * arch - 0.01], -1))[0]
        line(canvas, crease, dim(who.skin, 0.66), 2)
        if not closed:
            _eyeball(canvas, head, np.vstack([above, below[::-1]]), side, gaze)
        line(canvas, above, lid, 5 if who.sex == "female" else 4)
        line(canvas, below, dim(who.skin, 0.58), 2)


def _eyeball(canvas: Image, head: Head, almond: Array, side: float, gaze: Array) -> None:
    """White, iris, pupil and glint, cut to the opening of the lids: points [n, 2]."""
    who = head.who
    low, high = np.floor(almond.min(0)).astype(int) - 2, np.ceil(almond.max(0)).astype(int) + 3
    low = np.maximum(low, 0)
    patch = canvas[low[1] : high[1], low[0] : high[0]]
    inner = np.full_like(patch, 238)
    looks = np.array([[side * who.eye_gap, who.eye_height - 0.01]]) + np.array([0.25, 0.12]) * gaze
    centre = head.place(looks)[0][0] - low
    radius = 0.1 * head.b * (who.eye_size / 0.18) * 0.78
    for share, colour in ((1.0, dim(who.eye_colour, 0.7)), (0.8, dim(who.eye_colour, 1.15)), (0.45, (16, 14, 14))):
        disc(inner, centre, (share * radius, share * radius), colour)
    disc(inner, centre + np.array([2.2 * np.sign(who.light[0]), -2.6]), (1.9, 1.9), (250, 250, 250))
    mask = np.zeros(patch.shape[:2], np.uint8)
    fill(mask, almond - low, (255,))
    inside = mask[..., None] / np.float32(255)
    patch[:] = (patch + inside * (inner.astype(np.float32) - patch)).astype(np.uint8)


def _brows(canvas: Image, head: Head, face: Expression) -> None:
    who = head.who
    t = np.linspace(0, 1, 12)
    colour = blend(dim(who.hair_colour, 0.62), (30, 24, 22), 0.25)
    for side in (-1.0, 1.0):
        u = who.eye_gap + (2 * t - 1) * 1.22 * who.eye_size - 0.05 * face.frown * (1 - t)
        arc = 0.05 * np.sin(np.pi * np.clip(t * 0.9 + 0.1, 0, 1))
        v = who.eye_height - 0.185 - arc - face.brow_in * (1 - t) ** 1.3 - face.brow_out * t
        half = who.brow * (1 - 0.65 * t) * np.clip(4 * t + 0.55, 0, 1)
        upper, facing = head.place(np.stack([side * u, v - half], -1))
        if facing > 0.2:
            lower = head.place(np.stack([side * u, v + half], -1))[0]
            band(canvas, upper, lower, colour)


def _folds(canvas: Image, head: Head, face: Expression) -> None:
    """Folds of the skin that come with an expression."""
    who = head.who

    def fold(points: list[tuple[float, float]], depth: float) -> None:
        if depth < 0.1:
            return
        along, pixels = np.linspace(0, 1, 9), np.array(points)
        t = np.linspace(0, 1, len(points))
        path, facing = head.place(np.stack([np.interp(along, t, pixels[:, i]) for i in range(2)], -1))
        if facing > 0.25:
            line(canvas, path, dim(who.skin, 0.86 - 0.3 * min(1.0, depth)), 3)

    brow = who.eye_height - 0.2
    for side in (-1.0, 1.0):
        nose, out = side * (who.nose_width + 0.05), side * (who.mouth + 0.13)
        beside_mouth = [(nose, who.nose), (0.6 * nose + 0.4 * out, who.nose + 0.12), (out, 0.5)]
        fold(beside_mouth, max(0.8 * face.cheeks, face.wrinkle))
        fold([(0.055 * side, brow - 0.03), (0.06 * side, brow + 0.1)], face.frown)
        fold([(0.05 * side, 0.02), (0.14 * side, 0.07)], face.wrinkle)
        fold([(0.05 * side, 0.08), (0.15 * side, 0.13)], face.wrinkle)
    if who.hair != "fringe":
        for k in (0.12, 0.2):
            fold([(-0.3, brow - k - 0.12), (0, brow - k - 0.15), (0.3, brow - k - 0.12)], face.forehead)


def _mouth(canvas: Image, head: Head, face: Expression, talk: float) -> None:
    """Lips, and between them the dark, teeth and tongue."""
    who = head.who
    t = np.linspace(-1, 1, 21)
    u = who.mouth * (1 + face.stretch - 0.12 * talk) * t
    gap = max(0.0, face.drop + 0.15 * talk)
    seam = 0.56 + 0.05 * face.corner - (0.16 * face.corner) * t**2 - 0.03 * face.wrinkle
    round_ = np.clip(1 - t**2, 0, 1) ** 0.5
    thin = 1 - 0.55 * face.press
    bow = 1 - 0.3 * np.exp(-((t / 0.2) ** 2))
    inner_top, inner_low = seam - 0.3 * gap * round_, seam + gap * round_
    outer_top = inner_top - 1.0 * who.lips * thin * round_ * bow
    outer_low = inner_low + 1.25 * who.lips * thin * round_

    def at(v: Array, share: float = 1.0) -> Array:
        return head.place(np.stack([share * u, v], -1), 0.04)[0]

    if head.place(np.stack([u, seam], -1))[1] < 0.25:
        return
    red = blend(who.skin, (176, 58, 66), 0.5 if who.sex == "female" else 0.34)
    band(canvas, at(outer_top), at(inner_top), dim(red, 0.74))
    band(canvas, at(inner_low), at(outer_low), dim(red, 0.92))
    shine = inner_low + 0.55 * who.lips * thin * round_
    line(canvas, at(shine, 0.5)[4:-4], blend(red, (255, 235, 225), 0.35), 3)
    if gap > 0.02:
        band(canvas, at(inner_top), at(inner_low), (52, 18, 22))
        teeth = np.minimum(inner_top + 0.075, inner_top + 0.55 * (inner_low - inner_top))
        band(canvas, at(inner_top, 0.86), at(teeth, 0.86), (232, 226, 216))
        if gap > 0.1:
            tongue = inner_low - 0.3 * gap * round_
            band(canvas, at(tongue, 0.7), at(inner_low, 0.7), (150, 62, 66))
    else:
        line(canvas, at(seam), dim(red, 0.4), 3)
    for side in (0, -1):
        disc(canvas, at(seam)[side], (2.4, 2.4), dim(red, 0.5))
