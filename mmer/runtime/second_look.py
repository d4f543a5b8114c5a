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

DOUBT = 0.98
"""Median score of a clip's faces below which there is a second look. The detector sees faces in most pictures that lie
on their side, too, but not so surely: the median was 0.996 or more in upright clips of people, and 0.94 or less in the
same clips turned by 90, 180 and 270 degrees."""

CERTAIN = 0.999
"""What a face must have in a turned picture to be believed more than a doubtful one that was found upright."""

SURE = 0.95
"""What it must have where none was found."""

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
    recognizer: Recognizer, path: Path, probed: media.Probe, start_s: float, duration_s: float, score: float
) -> tuple[View, Note | None]:
    """How to look at a clip in which no face was found, or a doubtful one (of that score), and what to tell of it."""
    detector, usual = recognizer.detector, recognizer.info.media.frame_side
    own = usual if score else max(usual, min(OWN_SIDE, max(probed.width, probed.height)))
    pictures = list(_moments(recognizer, path, probed, start_s, duration_s, own))
    small = [bound(rgb, usual) for rgb in pictures]
    rounds = [[(View(turn), small) for turn in TURNS]]
    if own > usual:
        rounds[0].append((View(side=own), pictures))
        rounds.append([(View(turn, own), pictures) for turn in TURNS])
    for views in rounds:
        found = [(_believed(detector, shown, view, CERTAIN if score else SURE), view) for view, shown in views]
        (_, side), view = max(found, key=lambda pair: pair[0])
        if side and view.turn:
            return view, Note("turned", f"is not upright: turned by {view.turn} degrees clockwise, it shows a face")
        if side:
            return view, None
    return View(), None if score else _why_none(detector, probed, pictures, own)


def _why_none(detector: Detector, probed: media.Probe, pictures: list[Picture], own: int) -> Note:
    """Why no face was found in pictures whose longest side is `own`."""
    eager = Detector(detector.folder, detector.faces.model_copy(update={"min_face": SMALLEST}))
    scale = max(probed.width, probed.height) / own if own < max(probed.width, probed.height) else 1.0
    least = round(detector.faces.min_face * scale)
    sides = [side for rgb in pictures for side, score in _sides(eager, rgb) if score >= SURE]
    if sides:
        text = (
            f"shows a face that is too small: about {round(max(sides) * scale)} pixels of {probed.width}x"
            f"{probed.height}, and at least {least} are needed: come nearer, or cut out the part around it"
        )
        return Note("small_face", text)
    text = (
        "shows a picture, but no face was found in it: it may be turned away, covered, dark, blurred, cut off at the "
        f"edge or smaller than {least} pixels"
    )
    return Note("no_face", text)


def _moments(
    recognizer: Recognizer, path: Path, probed: media.Probe, start_s: float, duration_s: float, side: int
) -> Iterator[Picture]:
    """A few pictures of a clip, an image's only one."""
    step_s = recognizer.info.input.step_s
    limits = recognizer.info.media.model_copy(
        update={"frame_side": side, "timeout_s": recognizer.info.media.timeout_s / 10}
    )
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


def _believed(detector: Detector, pictures: list[Picture], view: View, least: float) -> tuple[bool, float]:
    """How much speaks for a view: whether it shows a certain face, and the side of the largest, as a share of the
    picture's; no side where there is no face of the least score.
    """
    found = [
        (score >= CERTAIN, side / min(rgb.shape[:2]))
        for rgb in pictures
        for side, score in _sides(detector, view.turned(rgb))
        if score >= least
    ]
    return max(found, default=(False, 0.0))


def _sides(detector: Detector, rgb: Picture) -> Iterator[tuple[float, float]]:
    """The faces of a picture: their sides in pixels, and their scores."""
    boxes, scores, _ = detector.detect(rgb)
    for (x1, y1, x2, y2), score in zip(boxes.tolist(), scores.tolist(), strict=True):
        yield max(x2 - x1, y2 - y1), score
