"""Where a clip's pictures show no face: a second look, at their own size and turned, and why there is none.

A corpus's clips are upright and close by, so preparing does without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmer.runtime import media
from mmer.runtime.detector import Detector
from mmer.runtime.resize import bound
from mmer.runtime.types import Note, Picture

if TYPE_CHECKING:
    from mmer.runtime.recognizer import Recognizer

Share = tuple[float, float, float, float]

OWN_SIDE = 1920
"""A picture's own size, within reason: the longest side that is searched, pixels."""

SURE = 0.95
"""Score that a face must have to be believed in a second look: the first one, upright, believed much less sure ones and
found none."""

MOMENTS = (0.5, 0.1, 0.9)
"""Where in a film is looked, as shares of its length."""

SMALLEST = 16
"""Of a face that is looked for only to say that it is too small, pixels."""

TURNS = (90, 270, 180)
"""Degrees clockwise."""


@dataclass(frozen=True)
class View:
    """How pictures are looked at."""

    turn: int = 0
    """Degrees clockwise."""
    side: int | None = None
    """Their longest side, pixels; None is the usual one."""

    def turned(self, rgb: Picture) -> Picture:
        """A picture as it is looked at."""
        return np.ascontiguousarray(np.rot90(rgb, -self.turn // 90)) if self.turn else rgb

    def turned_back(self, box: Share) -> Share:
        """A box of the turned picture, as shares of its width and height, in the picture as it was."""
        for _ in range(self.turn // 90):
            x1, y1, x2, y2 = box
            box = y1, 1 - x2, y2, 1 - x1
        return box


def look_again(
    recognizer: Recognizer, path: Path, probed: media.Probe, start_s: float, duration_s: float
) -> tuple[View, Note | None]:
    """How to look at a clip in which no face was found, and what to tell: `View()` where there is none to be found."""
    usual = recognizer.info.media.frame_side
    own = max(usual, min(OWN_SIDE, max(probed.width, probed.height)))
    pictures = list(_moments(recognizer, path, probed, start_s, duration_s, own))
    small = [bound(rgb, usual) for rgb in pictures]
    near = View(side=own) if own > usual else View()
    turned = [View(turn) for turn in TURNS]
    for views in ([near, *turned], [View(turn, own) for turn in TURNS] if own > usual else []):
        found = [(_face(recognizer.detector, small if view.side is None else pictures, view), view) for view in views]
        best, view = max(found, key=lambda pair: pair[0])
        if best:
            if not view.turn:
                return view, None
            return view, Note("turned", f"lies on its side: turned by {view.turn} degrees clockwise, it shows a face")
    least = recognizer.detector.faces.min_face
    eager = Detector(recognizer.detector.folder, recognizer.detector.faces.model_copy(update={"min_face": SMALLEST}))
    scale = max(probed.width, probed.height) / own
    sides = [side for rgb in pictures for side, score in _sides(eager, rgb) if score >= SURE]
    if sides:
        needed = round(least * scale)
        text = (
            f"shows a face that is too small: about {round(max(sides) * scale)} pixels of {probed.width}x"
            f"{probed.height}, and at least {needed} are needed: come nearer, or cut out the part around it"
        )
        return View(), Note("small_face", text)
    text = (
        "shows a picture, but no face was found in it: it may be turned away, covered, dark, blurred, cut off at the "
        f"edge or smaller than {round(least * scale)} pixels"
    )
    return View(), Note("no_face", text)


def _moments(
    recognizer: Recognizer, path: Path, probed: media.Probe, start_s: float, duration_s: float, side: int
) -> Iterator[Picture]:
    """A few pictures of a clip, an image's only one."""
    step_s = recognizer.info.input.step_s
    limits = recognizer.info.media.model_copy(update={"frame_side": side})
    mute = replace(probed, has_sound=False, duration_s=0.0)
    for share in (0.0,) if probed.is_image else MOMENTS:
        at = start_s + share * duration_s
        found: list[Picture] = []
        keep: Callable[[int, float, Picture], None] = lambda _step, _at, rgb, found=found: found.append(rgb)  # type: ignore[misc]  # noqa: E731
        part = (0.0, None) if probed.is_image else (at, at + 2 * step_s)
        try:
            media.decode(path, limits, step_s, keep, start_s=part[0], end_s=part[1], probed=mute)
        except media.MediaError:  # nothing just there
            continue
        yield from found[:1]


def _face(detector: Detector, pictures: list[Picture], view: View) -> float:
    """How much speaks for a view: the largest face's share of the picture's area, times its score; 0 without a face."""
    found = [
        score * side / min(rgb.shape[:2])
        for rgb in pictures
        for side, score in _sides(detector, view.turned(rgb))
        if score >= SURE
    ]
    return max(found, default=0.0)


def _sides(detector: Detector, rgb: Picture) -> Iterator[tuple[float, float]]:
    """The faces of a picture: their sides in pixels, and their scores."""
    boxes, scores = detector.detect(rgb)
    for (x1, y1, x2, y2), score in zip(boxes.tolist(), scores.tolist(), strict=True):
        yield max(x2 - x1, y2 - y1), score
