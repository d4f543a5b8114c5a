"""Claims about several people in one picture. They are drawn: this tries the code, and is no evidence about people."""

import math
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmer.data.demo.crowd import Actor, Place
from mmer.data.demo.speakers import make_speaker
from mmer.runtime.config import Faces, Input
from mmer.runtime.detector import Detections, Detector, Face
from mmer.runtime.people import LOST_EVERY_S, Crowd, People
from mmer.runtime.pipeline import FrameFeatures, Pipeline
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.speaker import SILENCE_S, Speaker
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Picture
from tests import graphs
from tests.conftest import ROOT
from tests.crowds import LEFT, RIGHT, SCENES, STEP_S, Scene, act, along, judge, scene

FACES, INPUT = Faces(), Input()


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(graphs.detector(), FACES)


@pytest.fixture(scope="module")
def release() -> Recognizer:
    return Recognizer.load(ROOT / "release")


def follow(detector: Detector, shown: Scene, faces: Faces = FACES) -> list[Crowd]:
    people = People(detector, faces, INPUT)
    return [people.track(rgb, t) for rgb, t in zip(shown.pictures, shown.times, strict=True)]


@pytest.mark.parametrize("name", SCENES)
def test_everybody_keeps_their_id(detector: Detector, name: str) -> None:
    shown = scene(name)
    crowds = follow(detector, shown)
    told = [{one.id: one.view.box for one in crowd.people if one.view.box is not None} for crowd in crowds]
    found = judge(shown.boxes, told)
    assert found["switches"] == 0
    assert found["idf1"] > 0.85, "what is missing: who is just behind another, or comes back; a box held for a while"
    assert {id for boxes in told for id in boxes} == {1, 2}


@pytest.mark.parametrize("align", [False, True])
def test_one_person_is_followed_as_ever(align: bool) -> None:
    faces = Faces(align=align)
    detector = Detector.load(graphs.detector(), faces)
    alone = act(3, [Actor(make_speaker(0, 3), "neutral", along([(0, *LEFT), (3, *RIGHT)]))])
    tracker = Tracker(detector, faces, INPUT)
    for crowd, rgb, t in zip(follow(detector, alone, faces), alone.pictures, alone.times, strict=True):
        view = tracker.track(rgb, t)
        (one,) = crowd.people
        assert (one.id, one.view.box, one.view.score, one.view.coasted) == (1, view.box, view.score, view.coasted)
        assert one.view.face is not None
        assert view.face is not None
        assert np.array_equal(one.view.face, view.face)


def test_with_a_limit_of_one_it_is_the_tracker_of_one(detector: Detector) -> None:
    shown = scene("they cross")
    tracker = Tracker(detector, FACES, INPUT)
    for crowd, rgb, t in zip(follow(detector, shown, Faces(max_people=1)), shown.pictures, shown.times, strict=True):
        view = tracker.track(rgb, t)
        assert [(one.id, one.view.box) for one in crowd.people] == [(1, view.box)]
        assert crowd.more == 0


class Counting(Detector):
    """Counts what is asked of it."""

    asked: Counter[str]

    def detect(self, rgb: Picture) -> Detections:
        self.asked["search"] += 1
        return super().detect(rgb)

    def follow(self, rgb: Picture, last: tuple[float, float, float, float], roll: float = 0.0) -> Face | None:
        self.asked["follow"] += 1
        return super().follow(rgb, last, roll)


@pytest.fixture(scope="module")
def hundreds() -> Scene:
    """A wall of faces, all alike, some larger."""
    one = act(0.2, [Actor(make_speaker(0, 1), "neutral", lambda _: Place(320, 160))])
    x1, y1, x2, y2 = (round(v) for v in one.boxes[0][0] or ())
    head = cv2.resize(one.pictures[0][y1 - 25 : y2 + 15, x1 - 15 : x2 + 15], (60, 75), interpolation=cv2.INTER_AREA)
    wall = np.tile(head, (9, 12, 1))
    wall[150:450, 150:390] = cv2.resize(head, (240, 300))
    return Scene([STEP_S * (k + 1) for k in range(10)], [wall] * 10, [])


def test_of_hundreds_of_faces_the_largest_are_followed_and_the_others_counted(hundreds: Scene) -> None:
    detector = Counting(graphs.detector(), FACES)
    detector.asked = Counter()
    crowds = follow(detector, hundreds)
    assert len(detector.detect(hundreds.pictures[0]).boxes) > 60
    assert all(len(crowd.people) <= FACES.max_people for crowd in crowds)
    assert max(one.side for one in crowds[0].people) > 100
    assert crowds[0].more > 30
    searches = detector.asked["search"] - 1
    assert searches <= 1 + len(crowds) * STEP_S / LOST_EVERY_S
    assert detector.asked["follow"] <= FACES.max_people * (len(crowds) + searches)


def test_a_larger_face_beyond_the_limit_takes_the_place_of_the_smallest(detector: Detector) -> None:
    actors = [
        Actor(make_speaker(0, 0), "neutral", lambda _: Place(110, 150)),
        Actor(make_speaker(0, 1), "neutral", lambda _: Place(290, 150, 0.7)),
        Actor(make_speaker(0, 4), "neutral", along([(0, 800, 150, 1.4), (1, 800, 150, 1.4), (2, 480, 150, 1.4)])),
    ]
    crowds = follow(detector, act(4.4, actors), Faces(max_people=2))
    assert [one.id for one in crowds[2].people] == [1, 2]
    assert [one.id for one in crowds[-1].people] == [1, 3]
    assert crowds[-1].more == 1


def test_a_smaller_picture_is_another_view_of_the_same_people(detector: Detector) -> None:
    shown = scene("side by side")
    people = People(detector, FACES, INPUT)
    before = people.track(shown.pictures[0], 0.2)
    small = cv2.resize(shown.pictures[1], (480, 270), interpolation=cv2.INTER_AREA)
    after = people.track(small, 0.4)
    assert [one.id for one in before.people] == [one.id for one in after.people] == [1, 2]


def features(recognizer: Recognizer, shown: Scene) -> tuple[Pipeline, list[FrameFeatures]]:
    pipeline = Pipeline(recognizer)
    return pipeline, [pipeline.features(rgb, t) for rgb, t in zip(shown.pictures, shown.times, strict=True)]


def test_in_pieces_comes_what_comes_at_once(tmp_path: Path) -> None:
    """The graph of `tests.graphs` sums up all that it sees: a state that went to another would never be right."""
    recognizer = Recognizer.load(graphs.write_model(tmp_path))
    voice = np.random.default_rng(0).normal(0, 3000, 16_000 * 6).astype(np.int16)
    told = []
    for piece in (1, 16):
        pipeline, seen = features(recognizer, scene("one leaves and returns"))
        pipeline.voice.put(voice, 0)
        steps = []
        late: list[FrameFeatures | None] = [None, None, *seen]
        for first in range(0, len(late), piece):
            steps += pipeline.advance(late[first : first + piece])[1]
        told.append(steps)
    assert [len(step.people) for step in told[0][:3]] == [0, 0, 2]
    for one, other in zip(*told, strict=True):
        assert (one.followed, one.label, one.present) == (other.followed, other.label, other.present)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)
        assert [(p.id, p.label, p.box) for p in one.people] == [(p.id, p.label, p.box) for p in other.people]


def test_each_is_recognised_as_if_alone(release: Recognizer) -> None:
    """What a face shows is not said of the other, though they cross."""
    seconds, courses = SCENES["they cross"]
    actors = [
        Actor(make_speaker(0, who), label, along(course))
        for who, label, course in zip((0, 1), ("sad", "happy"), courses, strict=True)
    ]
    pipeline, seen = features(release, act(seconds, actors))
    _, together = pipeline.advance(seen)
    ids = {round(one.box[0]): one.id for one in together[0].people}
    for actor, id in zip(actors, (ids[min(ids)], ids[max(ids)]), strict=True):
        pipeline, seen = features(release, act(seconds, [actor]))
        _, alone = pipeline.advance(seen)
        apart: dict[bool, list[float]] = {True: [], False: []}  # by whether it is said of the same one
        for mine, step in zip(alone, together, strict=True):
            for said in (one for one in step.people if mine.people):
                apart[said.id == id].append(np.abs(said.probabilities - mine.people[0].probabilities).sum() / 2)
        assert len(apart[True]) > 22
        assert np.mean(apart[True]) < 0.25
        assert np.mean(apart[False]) > 0.7


def test_the_fields_of_one_person_are_those_of_the_followed(release: Recognizer) -> None:
    pipeline, seen = features(release, scene("they swap size"))
    _, steps = pipeline.advance(seen)
    large = [max(step.people, key=lambda one: one.box[2] - one.box[0]).id for step in steps]
    assert steps[0].followed == large[0]
    assert steps[-1].followed == large[-1] != large[0]
    for step in steps:
        (own,) = (one for one in step.people if one.id == step.followed)
        assert (step.box, step.label) == (own.box, own.label)
        assert np.array_equal(step.probabilities, own.probabilities)
        told = step.to_json()
        assert [one["id"] for one in told["people"]] == [1, 2]
        assert told["followed"] == step.followed


def test_more_people_than_are_followed_are_told(release: Recognizer, tmp_path: Path) -> None:
    actors = [
        Actor(make_speaker(0, k), "neutral", lambda _, k=k: Place(110 + 210 * k, 150, 0.8 + 0.1 * k)) for k in range(3)
    ]
    picture = tmp_path / "three.png"
    cv2.imwrite(str(picture), cv2.cvtColor(act(0.2, actors).pictures[0], cv2.COLOR_RGB2BGR))
    told = release.predict(picture).to_json()
    assert ([one["id"] for one in told["steps"][0]["people"]], told["notes"]) == ([1, 2, 3], [])
    told = release.following(2).predict(picture).to_json()
    (step,), (note,) = told["steps"], told["notes"]
    assert (len(step["people"]), step["more_people"], note["code"]) == (2, 1, "more_people")
    assert min(one["box"][0] for one in step["people"]) > 0.3, "the largest are kept"
    assert note["message"].startswith("The file shows 1 more than the 2 people who are followed at once")


def speaking(t: float) -> float:
    """A mouth that opens five times in two seconds, as `Speech.mouth` does."""
    return abs(math.sin(2 * math.pi * 1.23 * t))


@pytest.mark.parametrize("who", [0, 1])
def test_the_one_whose_lips_move_while_a_voice_is_heard_is_followed(detector: Detector, who: int) -> None:
    """Though the other is larger."""
    small = [0.7 if k == who else 1.05 for k in (0, 1)]
    actors = [
        Actor(make_speaker(0, k), "neutral", along([(0, *place, small[k])]), speaking if k == who else lambda _: 0.0)
        for k, place in enumerate((LEFT, RIGHT))
    ]
    crowds = follow(detector, act(4, actors))
    mine = next(one.id for one in crowds[0].people if one.side == min(other.side for other in crowds[0].people))
    speaker = Speaker(STEP_S, FACES.max_gap_s)
    followed = [speaker.push(crowd.people, heard=k >= 5) for k, crowd in enumerate(crowds)]
    assert set(followed[:5]) == {3 - mine}
    assert set(followed[12:]) == {mine}
    silent = [speaker.push(crowds[-1].people, heard=False) for _ in range(round(SILENCE_S / STEP_S) + 2)]
    assert silent[0] == mine
    assert silent[-1] == 3 - mine, "the largest, once nobody has spoken for a while"


def test_who_is_not_seen_is_still_followed_while_nobody_is(detector: Detector) -> None:
    crowds = follow(detector, scene("side by side"))
    speaker = Speaker(STEP_S, FACES.max_gap_s)
    assert speaker.push((), heard=True) is None
    first = speaker.push(crowds[0].people, heard=False)
    assert [speaker.push((), heard=True) for _ in range(20)] == [first] * 20
    other = [one for one in crowds[0].people if one.id != first]
    assert [speaker.push(other, heard=False) for _ in range(3)] == [3 - (first or 0)] * 3
