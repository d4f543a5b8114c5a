"""One person's face followed from frame to frame; several are followed by `mmer.runtime.people`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmer.runtime.align import Alignment
from mmer.runtime.config import Faces, Input
from mmer.runtime.detector import Detector, Face
from mmer.runtime.resize import crop
from mmer.runtime.types import Box, Floats, Picture, check_picture
from mmer.runtime.vacancy import Vacancy

SAME_FACE_IOU = 0.3
"""A box that overlaps the last one by this much is the same face."""
SAME_FACE_STEP = 0.75
"""A face that moved too fast to overlap: the furthest its centre may have gone, in sides of the box. Faces of two
people side by side are at least one side apart."""
SAME_FACE_GROWTH = 2.0
"""And the most its side may have grown or shrunk meanwhile."""


@dataclass(frozen=True)
class View:
    """The face in one frame."""

    face: Picture | None
    """uint8 [S, S, 3] RGB; None where there is no face."""
    box: Box | None
    """The face's box, pixels of the frame; of an earlier frame where `coasted`."""
    score: float
    """The detector's, of that box; 0 where there is none."""
    coasted: bool
    """The face was not found in this frame: the crop is what is now where it last was."""
    roll: float
    """Degrees by which the crop is turned with the face; 0 where `faces.align` is not set."""


class Tracker:
    """Follows one person's face through a clip or a stream, using nothing of the future: one for each.

    It begins with the largest face, stays with it as long as it is found, keeps its last box for at most
    `faces.max_gap_s`, and then begins anew.

    The whole picture is searched at most `faces.detect_every_s` after the last time, and at once in each frame in which
    the face is not seen near its last box, unless there is none to expect (`Vacancy`); in the frames between, it is
    only followed (`Detector.follow`). What decides
    is the frames and their times alone, so that a clip and a live stream of the same frames give the same views. Where
    `detect_every_s` is 0, the boxes are those of `Detector.detect`.
    """

    def __init__(self, detector: Detector, faces: Faces, input: Input) -> None:
        self.detector, self.faces, self.input = detector, faces, input
        self._box: Box | None = None
        self._score = 0.0
        self._alignment, self._vacancy = Alignment(), Vacancy()
        self._seen = self._searched = self._now = -np.inf
        self._frame: tuple[int, ...] | None = None

    def track(self, rgb: Picture, t: float) -> View:
        """See the next frame.

        Args:
            rgb: uint8 [H, W, 3]; the box is forgotten where H or W change, since it means something else there.
            t: the frame's time, seconds; one that is not later than the last counts as the same moment.

        Raises:
            ValueError: `rgb` is no such array.
        """
        check_picture(rgb)
        self._now = max(t, self._now)
        if rgb.shape != self._frame or self._now - self._seen > self.faces.max_gap_s + 1e-6:
            self._box, self._score, self._alignment, self._frame = None, 0.0, Alignment(), rgb.shape
        found = self._follow(rgb) or self._search(rgb)
        if found is not None:
            self._box, self._score, self._seen = found.box, found.score, self._now
            if self.faces.align:
                self._alignment.see(found.landmarks, found.box, self._now)
        face, angle = None, self._alignment.roll
        if self._box is not None:
            box = self._alignment.box(self._box) if self.faces.align else self._box
            face = crop(rgb, box, self.input.face_size, self.faces.margin, angle)
        coasted = self._box is not None and found is None
        return View(face, self._box, self._score, coasted, angle)

    def _follow(self, rgb: Picture) -> Face | None:
        """The face near its last box, without a search; None where it is not there, or a search is due."""
        if self._box is None or self._due:
            return None
        return self.detector.follow(rgb, self._box, self._alignment.roll)

    @property
    def _due(self) -> bool:
        return self._now - self._searched > self.faces.detect_every_s - 1e-6

    def _search(self, rgb: Picture) -> Face | None:
        """The face among all that are in the picture."""
        if not self._due and self._vacancy.lasts(rgb, self._now):
            return None
        faces = self.detector.detect(rgb)
        self._searched = self._now
        self._vacancy.searched(rgb, self._now, len(faces.boxes))
        chosen = self._choose(faces.boxes)
        if chosen is None:
            return None
        found = faces.face(chosen)
        # A search's box and a followed one differ a little: without this a still face would twitch at every search.
        if not self.faces.detect_every_s:
            return found
        angle = self._alignment.roll_towards(found.landmarks) if self.faces.align else 0.0
        return self.detector.follow(rgb, found.box, angle) or found

    def _choose(self, boxes: Floats) -> int | None:
        """Which of the boxes (the largest first) is the face that is followed; None where it is not among them."""
        if not len(boxes) or self._box is None:
            return 0 if len(boxes) else None
        last = np.array(self._box, np.float32)
        size, last_size = boxes[:, 2:] - boxes[:, :2], last[2:] - last[:2]
        low, high = np.maximum(boxes[:, :2], last[:2]), np.minimum(boxes[:, 2:], last[2:])
        shared = np.maximum(high - low, 0).prod(1)
        overlap = shared / (size.prod(1) + last_size.prod() - shared)
        if overlap.max() >= SAME_FACE_IOU:
            return int(overlap.argmax())
        side, last_side = size.max(1), last_size.max()
        way = np.hypot(*((boxes[:, :2] + boxes[:, 2:] - last[:2] - last[2:]) / 2).T)
        step = way / np.minimum(side, last_side)
        growth = np.maximum(side, last_side) / np.minimum(side, last_side)
        step[growth > SAME_FACE_GROWTH] = np.inf
        return int(step.argmin()) if step.min() <= SAME_FACE_STEP else None
