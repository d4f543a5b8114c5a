"""Claims about how sure the model in release/ is of faces that it sees badly: less than of the same faces seen well, or
it does not see them. People are drawn; photographs are read from where FER2013 lies, and nothing of them is kept.
"""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmer.data.demo.canvas import HEIGHT, WIDTH
from mmer.data.demo.expressions import FACES, GROUPS, mix
from mmer.data.demo.head import Head, Pose
from mmer.data.demo.person import draw_book, draw_person
from mmer.data.demo.room import ROOMS, draw_room
from mmer.data.demo.speakers import make_speaker
from mmer.data.samples import Sample
from mmer.labels import EMOTIONS
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.types import Picture
from studies.badly_seen import KINDS, ROOM, TIGHT
from tests.conftest import ROOT

NOTHING = 1 / len(EMOTIONS)
"""How sure whoever sees nothing is."""


@pytest.fixture(scope="module")
def release() -> Recognizer:
    return Recognizer.load(ROOT / "release")


def sure(release: Recognizer, picture: Picture) -> float:
    """Of the likeliest emotion of a face, when a stream shows it first; of one that is not seen, of none."""
    stream = release.stream()
    stream.push_frame(picture, 0.1)
    step = stream.step()
    return float(step.probabilities.max()) if step.present["face"] else NOTHING


def drawn(number: int, emotion: str, yaw: float = 0.0, book: float = 0.0) -> Picture:
    """Somebody who shows an emotion, turned aside by so many radians, or behind a book."""
    who = make_speaker(0, number)
    canvas = draw_room(ROOMS[emotion], who, np.random.default_rng(0)).copy()
    head = Head(who, Pose(x=WIDTH / 2, y=HEIGHT / 2, roll=0, yaw=yaw, pitch=0, drop=0))
    draw_person(canvas, head, mix(FACES["rest"], FACES[GROUPS[emotion][0]], 0.9), 0.0, False, np.zeros(2))
    if book:
        draw_book(canvas, head, book)
    return np.asarray(cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))


def of_drawings(release: Recognizer, yaw: float = 0.0, book: float = 0.0) -> float:
    """How sure it is of eight of them, in the mean."""
    return float(np.mean([sure(release, drawn(k, e, yaw, book)) for k in range(4) for e in ("happy", "surprise")]))


def test_of_a_profile_it_is_not_sure_and_the_back_of_a_head_is_no_face(release: Recognizer) -> None:
    assert of_drawings(release, yaw=1.2) < of_drawings(release) - 0.2
    assert of_drawings(release, yaw=np.pi) == NOTHING


def test_a_face_behind_a_book_is_no_face(release: Recognizer) -> None:
    assert of_drawings(release, book=1.0) == NOTHING


def in_a_picture(face: Picture, side: int) -> Picture:
    """A tight crop made so large, with room around it."""
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA if side < len(face) else cv2.INTER_LINEAR)
    return np.asarray(cv2.copyMakeBorder(large, ROOM, ROOM, ROOM, ROOM, cv2.BORDER_REPLICATE))


@pytest.fixture(scope="module")
def photographs(release: Recognizer, mirror: Path) -> list[Picture]:
    """Three test images of FER2013 for each emotion, of which it sees the face, as crops."""
    rng, found = np.random.default_rng(0), []
    with zipfile.ZipFile(mirror / "fer2013" / "archive.zip") as archive:
        for emotion in EMOTIONS:
            names = sorted(n for n in archive.namelist() if f"test/{emotion}/PrivateTest_" in n)
            grey = (cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), 0) for n in rng.permutation(names))
            faces = (cv2.cvtColor(cv2.resize(face, (64, 64)), cv2.COLOR_GRAY2RGB) for face in grey)
            seen = (face for face in faces if sure(release, in_a_picture(face, TIGHT)) > NOTHING)
            found += [next(seen) for _ in range(3)]
    return found


@pytest.mark.parametrize(
    "kind",
    [
        "lower half covered",
        "upper half covered",
        "left half covered",
        "blurred, sigma 3 of 64 pixels",
        "10 pixels wide",
        "turned by 60 degrees",
    ],
)
def test_of_a_face_that_is_hardly_to_be_seen_it_is_less_sure(
    release: Recognizer, photographs: list[Picture], kind: str
) -> None:
    def spoilt(face: Picture) -> Picture:
        given = Sample(face[None], face[None], np.zeros(0, np.int16), np.ones((1, 3), bool))
        return KINDS[kind](given, np.random.default_rng(0)).faces[0]

    well, badly = (
        np.mean([sure(release, in_a_picture(change(face), TIGHT)) for face in photographs])
        for change in (lambda face: face, spoilt)
    )
    assert badly < well - 0.1


def test_a_face_of_twenty_pixels_is_not_seen(release: Recognizer, photographs: list[Picture]) -> None:
    assert {sure(release, in_a_picture(face, 20)) for face in photographs} == {NOTHING}
