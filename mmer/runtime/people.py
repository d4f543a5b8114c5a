"""Several people in the pictures of one clip or stream, each with an id that stays."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mmer.runtime.align import Alignment, square
from mmer.runtime.appearance import lips, look, portrait, unlike
from mmer.runtime.boxes import area, iou, longer, overlap
from mmer.runtime.config import Faces, Input
from mmer.runtime.detector import Detector, Face
from mmer.runtime.resize import crop
from mmer.runtime.tracker import SAME_FACE_STEP, Tracker, View
from mmer.runtime.types import Box, Floats, Picture, check_picture
from mmer.runtime.vacancy import Vacancy

ONE_FACE_IOU = 0.5
"""Boxes that overlap by more are of one face: where one face is behind another, the detector sees no more of it."""
HIDDEN_SHARE = 0.3
"""A face that is not found, and whose last box is covered by so much of a found one, is behind it."""
WHOLE = 0.9
"""A face of whose box less is in the picture does not show how somebody looks …"""
APART = 1.5
"""… nor one with another face nearer than this, in sides of the box, from centre to centre."""
LOOK_TAU_S = 2.0
"""Time constant of the mean of a person's looks."""
LOOK_EVERY_S = 1.0
"""Somebody who is known alone is looked at so often: nobody is there whom they could be taken for. Nor do their lips
tell who speaks."""
PACE = 3.0
"""How fast a face goes that is not seen, at most, in sides of its box a second."""
STRANGER = 0.18
"""How unlike (`appearance.unlike`) whoever is found may be to be the one who was there a moment ago …"""
FAMILIAR = 0.09
"""… and to be known again anywhere, or later …"""
FADE_S = 3.0
"""… than this; between the two it goes evenly."""
SURE_FACE = 0.95
"""Score of the detector from which on a face is a further person: it sees some where there are none."""
LOST_EVERY_S = 0.4
"""Seconds between two searches while somebody is lost for at most `faces.max_gap_s` …"""
GONE_EVERY_S = 1.0
"""… and while somebody is out of sight, but remembered."""
REMEMBER_S = 10.0
"""So long somebody who is out of sight is known again."""
REMEMBERED = 8
"""People who are remembered at most, in sight or not."""
LARGER = 1.25
"""How many times as large as the smallest a face beyond the limit must be to be followed in its place."""


class Sighting(NamedTuple):
    """A person in one picture."""

    id: int
    view: View
    side: float
    """Of the box, the longer one, pixels."""
    lips: float | None
    """How much the mouth moved since the picture before; None where there is nothing to compare with."""


class Crowd(NamedTuple):
    """What one picture shows."""

    people: tuple[Sighting, ...]
    """By id."""
    more: int
    """Faces beyond the limit, when the whole picture was searched last."""


@dataclass(eq=False)
class _Found:
    """A face that was found, and how it looks, which is worked out where it is asked for: of one alone hardly ever."""

    rgb: Picture
    face: Face
    roll: float

    @cached_property
    def portrait(self) -> Picture:
        return portrait(self.rgb, self.face.box, self.roll)

    @cached_property
    def look(self) -> Floats:
        return look(self.rgb, self.face.box, self.portrait)

    @cached_property
    def clear(self) -> bool:
        """Whether it is wholly in the picture, and so shows how somebody looks."""
        height, width = self.rgb.shape[:2]
        return overlap(self.face.box, (0, 0, width, height)) >= WHOLE * area(self.face.box)


@dataclass(eq=False)
class _Known:
    """What is known of a person."""

    id: int
    box: Box
    """The last one."""
    look: Floats
    seen: float
    """When, seconds."""
    looked: float
    """When last at how they look."""
    here: bool = False
    """Whether the box still holds: they are found, or were a moment ago."""
    score: float = 0.0
    alignment: Alignment = field(default_factory=Alignment)
    speed: tuple[float, float] = (0.0, 0.0)
    """Of the box, pixels a second."""
    portrait: Picture | None = None
    """Of when they were last found."""

    def expected(self, now: float) -> Box:
        """Where the box would be now if it went on as it did."""
        (dx, dy), (x1, y1, x2, y2) = (v * (now - self.seen) for v in self.speed), self.box
        return x1 + dx, y1 + dy, x2 + dx, y2 + dy

    def leave(self) -> None:
        """They are out of sight."""
        self.here, self.alignment, self.speed, self.portrait = False, Alignment(), (0.0, 0.0), None


class People:
    """Follows up to `faces.max_people` through a clip or a stream, using nothing of the future: one for each.

    Each is followed as `Tracker` follows one, and where there is one alone with the same boxes. Who is who is told by
    where somebody would be by now and by how they look: among those found near where they were, so that two who cross
    keep their ids; and, for `REMEMBER_S`, among all who are out of sight. A person whose last box another's face now
    covers is behind it, and not seen.

    Of the faces that a search finds, the largest are looked at, twice as many as may be followed: a crowd costs no
    more. The whole picture is searched more often while somebody is lost. Who comes in addition is found by the next
    search. With a limit of 1 it is `Tracker`'s one person, who is called 1, whoever it is.
    """

    def __init__(self, detector: Detector, faces: Faces, input: Input) -> None:
        self._detector, self._faces, self._input = detector, faces, input
        self._one = Tracker(detector, faces, input) if faces.max_people == 1 else None
        self._known: list[_Known] = []
        self._ids = self._more = 0
        self._now = self._searched = -math.inf
        self._vacancy = Vacancy()
        self._frame: tuple[int, ...] | None = None

    def track(self, rgb: Picture, t: float) -> Crowd:
        """See the next frame.

        Args:
            rgb: uint8 [H, W, 3]; where H or W change, all are out of sight.
            t: the frame's time, seconds; one that is not later than the last counts as the same moment.

        Raises:
            ValueError: `rgb` is no such array.
        """
        if self._one is not None:
            view = self._one.track(rgb, t)
            return Crowd(() if view.box is None else (Sighting(1, view, longer(view.box), None),), 0)
        check_picture(rgb)
        later, self._now = t > self._now, max(t, self._now)
        self._let_go(rgb.shape)
        due = self._now - self._searched > self._faces.detect_every_s - 1e-6
        found = {} if due else self._follow(rgb)
        if due or self._now - self._searched > self._patience(rgb, found) - 1e-6:
            self._search(rgb, found)
        here = sorted((one for one in self._known if one.here), key=lambda one: one.id)
        shown = [one for one in here if one in found or not _behind(one.box, found.values())]
        moved = {one: self._see(one, found[one], found.values(), later) for one in here if one in found}
        return Crowd(tuple(self._sighting(rgb, one, one not in found, moved.get(one)) for one in shown), self._more)

    def _let_go(self, frame: tuple[int, ...]) -> None:
        """Of boxes that are too old or of another kind of picture, and of who was not seen for long."""
        for one in self._known:
            if frame != self._frame or self._now - one.seen > self._faces.max_gap_s + 1e-6:
                one.leave()
        self._frame = frame
        self._known = [one for one in self._known if self._now - one.seen <= REMEMBER_S]

    def _patience(self, rgb: Picture, found: Collection[_Known]) -> float:
        """Seconds from the last search to the next."""
        if not found:
            return math.inf if self._vacancy.lasts(rgb, self._now) else 0.0
        lost = [one.here for one in self._known if one not in found]
        return LOST_EVERY_S if any(lost) else GONE_EVERY_S if lost else math.inf

    def _follow(self, rgb: Picture) -> dict[_Known, _Found]:
        """Who is found near their last boxes, without a search."""
        here = [one for one in self._known if one.here]
        faces: list[Face] = []
        for one in here:
            face = self._detector.follow(rgb, one.box, one.alignment.roll)
            if face is not None and _apart(face.box, faces):
                faces.append(face)
        found = [self._looked_at(rgb, face) for face in faces]
        return {here[0]: found[0]} if len(here) == len(found) == 1 else self._match(here, found)

    def _search(self, rgb: Picture, found: dict[_Known, _Found]) -> None:
        """Who of the others is among all faces of the picture, and who is new: added to those found."""
        everybody, looked_at = self._detector.detect(rgb), 2 * self._faces.max_people
        self._searched = self._now
        self._vacancy.searched(rgb, self._now, len(everybody.boxes))
        largest = [everybody.face(k) for k in range(min(len(everybody.boxes), looked_at))]
        taken = [one.face for one in found.values()]
        faces = [self._looked_at(rgb, face) for face in largest if _apart(face.box, taken)]
        self._more = int((everybody.scores[looked_at:] >= SURE_FACE).sum())
        back = self._match([one for one in self._known if one not in found], faces)
        for one, face in back.items():
            self._admit(rgb, one, face, found)
        for face in faces:
            if face not in back.values() and self._is_new(face, found, [*faces, *found.values()]):
                one = _Known(self._ids + 1, face.face.box, face.look, self._now, self._now)
                if self._admit(rgb, one, face, found):
                    self._ids += 1
                    self._known.append(one)
        self._known = sorted(self._known, key=lambda one: -one.seen)[:REMEMBERED]

    def _is_new(self, face: _Found, found: Collection[_Known], everybody: Collection[_Found]) -> bool:
        """Whether nobody is known whose face it is: that is left open while somebody is missing and it is not clear."""
        if any(one not in found for one in self._known) and not _clear(face, everybody):
            return False
        return face.face.score >= SURE_FACE or not any(one.here for one in self._known)

    def _admit(self, rgb: Picture, one: _Known, face: _Found, found: dict[_Known, _Found]) -> bool:
        """Follow somebody from now on, unless as many as may be are followed and none of them is much smaller."""
        here = [other for other in self._known if other.here and other is not one]
        if len(here) >= self._faces.max_people:
            self._more += 1
            smallest = min(here, key=lambda other: longer(other.box))
            if longer(face.face.box) <= LARGER * longer(smallest.box):
                return False
            smallest.leave()
            found.pop(smallest, None)
        one.here = True
        if self._faces.detect_every_s:  # a search's box and a followed one differ a little: see `Tracker`
            angle = one.alignment.roll_towards(face.face.landmarks) if self._faces.align else 0.0
            settled = self._detector.follow(rgb, face.face.box, angle)
            if settled is not None and _apart(settled.box, [other.face for other in found.values()]):
                face = self._looked_at(rgb, settled)
        found[one] = face
        return True

    def _looked_at(self, rgb: Picture, face: Face) -> _Found:
        return _Found(rgb, face, square(face.landmarks)[-1] if self._faces.align else 0.0)

    def _match(self, people: Sequence[_Known], faces: Sequence[_Found]) -> dict[_Known, _Found]:
        """Whose face is whose: the likeliest pair first."""
        costs = sorted((self._cost(one, face), k, n) for k, one in enumerate(people) for n, face in enumerate(faces))
        found: dict[_Known, _Found] = {}
        for cost, k, n in costs:
            if cost < math.inf and people[k] not in found and faces[n] not in found.values():
                found[people[k]] = faces[n]
        return found

    def _cost(self, one: _Known, found: _Found) -> float:
        """How unlikely it is that a face is somebody's: by where it is and how it looks."""
        unlikeness, gone = unlike(one.look, found.look), self._now - one.seen
        way = min(_way(place, found.face.box) for place in (one.box, one.expected(self._now)))
        reach = SAME_FACE_STEP + PACE * gone
        faded = min(gone / FADE_S, 1) if way <= reach or (not found.clear and len(self._known) == 1) else 1
        if unlikeness > STRANGER + faded * (FAMILIAR - STRANGER):
            return math.inf
        return min(way / reach, 1) + unlikeness / FAMILIAR

    def _see(self, one: _Known, found: _Found, everybody: Collection[_Found], later: bool) -> float | None:
        """Learn of somebody who is found; how much the mouth moved."""
        face, past = found.face, self._now - one.seen
        if 0 < past <= self._faces.max_gap_s:
            (x, y), (x0, y0) = _centre(face.box), _centre(one.box)
            one.speed = (one.speed[0] + (x - x0) / past) / 2, (one.speed[1] + (y - y0) / past) / 2
        alone, unlooked = len(self._known) == 1, self._now - one.looked
        if (not alone or unlooked > LOOK_EVERY_S - 1e-6) and _clear(found, everybody):
            weight = 1 - math.exp(-unlooked / LOOK_TAU_S)
            one.look, one.looked = one.look + np.float32(weight) * (found.look - one.look), self._now
        now = None if alone else found.portrait
        moved = lips(one.portrait, now) if later and one.portrait is not None and now is not None else None
        one.box, one.score, one.seen, one.portrait = face.box, face.score, self._now, now
        if self._faces.align:
            one.alignment.see(face.landmarks, face.box, self._now)
        return moved

    def _sighting(self, rgb: Picture, one: _Known, coasted: bool, moved: float | None) -> Sighting:
        box, roll = one.alignment.box(one.box) if self._faces.align else one.box, one.alignment.roll
        face = crop(rgb, box, self._input.face_size, self._faces.margin, roll)
        return Sighting(one.id, View(face, one.box, one.score, coasted, roll), longer(one.box), moved)


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _way(one: Box, other: Box) -> float:
    """From centre to centre, in sides of the smaller box."""
    (x, y), (x0, y0) = _centre(one), _centre(other)
    return math.hypot(x - x0, y - y0) / min(longer(one), longer(other))


def _clear(face: _Found, everybody: Collection[_Found]) -> bool:
    """Whether it shows how somebody looks."""
    return face.clear and all(one is face or _way(face.face.box, one.face.box) > APART for one in everybody)


def _apart(box: Box, faces: Sequence[Face]) -> bool:
    """Whether it is the box of none of these."""
    return all(iou(box, other.box) <= ONE_FACE_IOU for other in faces)


def _behind(box: Box, faces: Collection[_Found]) -> bool:
    """Whether another face covers it."""
    return any(overlap(box, other.face.box) > HIDDEN_SHARE * area(box) for other in faces)
