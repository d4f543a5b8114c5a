"""Claims about faces that are cropped upright. Drawn faces try the code; they are no evidence about people."""

import shutil
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise, starmap
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from mmer.errors import MmerError
from mmer.runtime import media
from mmer.runtime.align import ALIGN_PLAY, ROLL_LIMIT, TEMPLATE, Alignment, square
from mmer.runtime.config import Faces, Input, Media
from mmer.runtime.detector import Detector
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.resize import crop
from mmer.runtime.tracker import Tracker, View
from mmer.runtime.types import Floats, Picture
from tests import graphs

ALIGNED, AS_FOUND = Faces(align=True), Faces()
TILTS = (-40, -20, 20, 40)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(graphs.detector(), ALIGNED)


@pytest.fixture(scope="module")
def portraits() -> list[Picture]:
    """A drawn person's picture in each of several clips."""
    shown: list[Picture] = []
    for emotion in ("happy", "sad", "angry", "surprise"):
        pictures: list[Picture] = []
        media.decode(graphs.drawn_clips()[emotion], Media(), 0.2, lambda _step, _at, rgb, to=pictures: to.append(rgb))
        shown.append(pictures[2])
    return shown


def tilt(rgb: Picture, degrees: float) -> Picture:
    """The whole picture turned clockwise, its edge repeated."""
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    return cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def grained(rgb: Picture, seed: int) -> Picture:
    """As a camera sees it."""
    return np.clip(rgb + np.random.default_rng(seed).normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)


@cache
def tracker_of(align: bool) -> Callable[[], Tracker]:
    """What makes new trackers."""
    faces = ALIGNED if align else AS_FOUND
    return partial(Tracker, Detector.load(graphs.detector(), faces), faces, Input())


def roll(landmarks: Floats) -> float:
    return square(landmarks)[-1]


def seen(rgb: Picture, faces: Faces) -> View:
    return tracker_of(faces.align)().track(rgb, 0.2)


def apart(a: View, b: View) -> float:
    """Mean absolute difference of two crops."""
    assert a.face is not None
    assert b.face is not None
    return difference(a.face, b.face)


def difference(a: Picture, b: Picture) -> float:
    """Mean absolute difference of two pictures."""
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def test_the_landmarks_are_those_that_facenet_gives(detector: Detector, portraits: list[Picture]) -> None:
    from facenet_pytorch import MTCNN

    original = MTCNN(keep_all=True, min_face_size=ALIGNED.min_face, thresholds=list(ALIGNED.thresholds), factor=0.709)
    for rgb in [*portraits, tilt(portraits[0], 20), np.hstack(portraits[:2])]:
        found, (_, _, expected) = detector.detect(rgb), original.detect(rgb, landmarks=True)
        assert found.landmarks.shape == (len(found.boxes), 5, 2)
        np.testing.assert_allclose(found.landmarks, np.stack(list(expected)).astype(float), atol=0.01)


def test_the_roll_of_a_tilted_picture_is_its_tilt(detector: Detector, portraits: list[Picture]) -> None:
    for rgb in portraits:
        upright = detector.detect(rgb).face(0)
        for degrees in TILTS:
            tilted = tilt(rgb, degrees)
            found = detector.detect(tilted).face(0)
            followed = detector.follow(tilted, found.box, roll(found.landmarks))
            assert followed is not None
            assert roll(followed.landmarks) - roll(upright.landmarks) == pytest.approx(degrees, abs=4)


@pytest.mark.parametrize("degrees", TILTS)
def test_a_tilted_face_is_cropped_nearly_as_it_is_upright(portraits: list[Picture], degrees: int) -> None:
    for rgb in portraits:
        upright, tilted = seen(rgb, ALIGNED), tilt(rgb, degrees)
        assert apart(seen(tilted, ALIGNED), upright) < 0.7 * apart(seen(tilted, AS_FOUND), upright)


def test_a_face_stands_in_one_place_of_its_crop_however_large_it_is(
    detector: Detector, portraits: list[Picture]
) -> None:
    """Eyes and mouth of the crop, looked for again in it, lie where the template has them."""
    for rgb in portraits:
        height, width = rgb.shape[:2]
        for scale in (0.7, 1.0, 1.6):
            shown = cv2.resize(rgb, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
            large = Tracker(detector, ALIGNED.model_copy(update={"margin": 0.0}), Input(face_size=112))
            face = large.track(shown, 0.2).face
            assert face is not None
            room = cv2.copyMakeBorder(face, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
            found = detector.follow(room, (40.0, 40.0, 152.0, 152.0))
            assert found is not None
            x, y, side, angle = square(found.landmarks)
            assert (x, y) == pytest.approx((96, 96), abs=0.06 * 112)
            assert side == pytest.approx(112, rel=0.12)
            assert abs(angle) < 4


def test_where_faces_are_not_aligned_nothing_is_turned_and_nothing_placed(portraits: list[Picture]) -> None:
    detector = Detector.load(graphs.detector(), AS_FOUND)
    rgb = tilt(portraits[0], 20)
    view = seen(rgb, AS_FOUND)
    assert view.roll == 0
    assert view.box is not None
    assert np.array_equal(view.face, crop(rgb, view.box, 64, AS_FOUND.margin))
    assert detector.detect(rgb).landmarks.shape == (1, 0, 2)


@pytest.mark.parametrize("degrees", [0, 20])
def test_a_still_face_does_not_twitch(portraits: list[Picture], degrees: int) -> None:
    """In a camera's noise, through a search at 3 s: little more than the noise itself makes of a crop that rests."""
    tracker, rgb = tracker_of(True)(), tilt(portraits[0], degrees)
    pictures = [grained(rgb, k) for k in range(24)]
    views = [tracker.track(picture, 0.2 * k) for k, picture in enumerate(pictures)]
    angles, box = np.array([view.roll for view in views]), views[-1].box
    assert np.abs(np.diff(angles)).max() < 1.5
    assert np.ptp(angles[15:]) < 1, "at rest after 3 s"
    assert box is not None
    resting = [crop(picture, box, 64, ALIGNED.margin, angles[-1]) for picture in pictures]
    moved, noise = (
        np.mean([apart(a, b) for a, b in pairwise(views)]),
        np.mean([*starmap(difference, pairwise(resting))]),
    )
    assert moved < 3 * noise


def test_the_crop_turns_with_the_head(detector: Detector, portraits: list[Picture]) -> None:
    tracker = Tracker(detector, ALIGNED, Input())
    first = tracker.track(portraits[0], 0.0)
    for k in range(1, 21):  # 20 degrees a second, out and back
        degrees = 4 * min(k, 20 - k)
        view = tracker.track(tilt(portraits[0], degrees), 0.2 * k)
        assert not view.coasted
        assert view.roll == pytest.approx(degrees, abs=12)
        assert apart(view, first) < 25


def test_a_face_that_is_not_found_keeps_its_roll_until_it_is_forgotten(
    detector: Detector, portraits: list[Picture]
) -> None:
    tracker, empty = Tracker(detector, ALIGNED, Input()), np.full_like(portraits[0], 90)
    tilted = tracker.track(tilt(portraits[0], 30), 0.2)
    assert tilted.roll > 20
    assert tracker.track(empty, 0.4).roll == tilted.roll
    assert tracker.track(empty, 2.0).roll == 0
    other = tracker.track(tilt(portraits[0], -30), 2.2)
    assert other.roll < -20, "it does not turn there from where the last one was"


def face(x: float, y: float, side: float, degrees: float = 0.0) -> Floats:
    """Landmarks as the template has them, the nose between them."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    eyes_and_mouth = np.array(TEMPLATE) - 0.5
    points = np.concatenate([eyes_and_mouth[:2], [[0.0, 0.1]], eyes_and_mouth[2:]])
    return ((points * side) @ turn + [x, y]).astype(np.float32)


def test_a_square_is_laid_where_the_template_says() -> None:
    for given in ((100, 80, 50, 0), (31.5, 40, 200, 30), (0, 0, 64, -58)):
        assert square(face(*given)) == pytest.approx(given, abs=1e-3)


BOX = (0.0, 0.0, 100.0, 100.0)


def test_the_crop_moves_only_as_far_as_it_must_and_at_its_own_pace() -> None:
    steady, held = Alignment(), []
    for k in range(50):
        trembling = 1.5 if k % 2 else -1.5
        steady.see(face(55 + trembling / 3, 50, 90, 10 + trembling), BOX, 0.2 * k)
        held.append((*steady.box(BOX), steady.roll))
    assert np.ptp(held[25:], axis=0).max() < 1e-6, "what wanders less than the play moves nothing"
    assert 10 - ALIGN_PLAY[-1] <= steady.roll < 10
    left, top, right, bottom = steady.box(BOX)
    assert (left + right) / 2 == pytest.approx(55, abs=110 * ALIGN_PLAY[0])
    assert (top + bottom) / 2 == pytest.approx(50, abs=110 * ALIGN_PLAY[1])
    assert right - left == pytest.approx(90, rel=1.1 * ALIGN_PLAY[2])
    slow, quick = Alignment(), Alignment()
    for one, hops in ((slow, 1), (quick, 4)):
        one.see(face(50, 50, 100), BOX, 0.0)
        for k in range(hops):  # the same second, in one frame or in four
            one.see(face(50, 50, 100, 30), BOX, (k + 1) / hops)
    assert slow.roll == pytest.approx(quick.roll)
    still = quick.roll
    quick.see(face(50, 50, 100, -30), BOX, 1.0)
    assert quick.roll == still, "the same moment"


def test_the_crop_goes_with_the_box_at_once() -> None:
    steady = Alignment()
    steady.see(face(55, 48, 90), BOX, 0.0)
    x1, y1, x2, y2 = steady.box(BOX)
    assert steady.box((200.0, 10.0, 400.0, 210.0)) == pytest.approx(
        (200 + 2 * x1, 10 + 2 * y1, 200 + 2 * x2, 10 + 2 * y2)
    )


@pytest.mark.parametrize(
    "landmarks", [np.zeros((5, 2)), np.full((5, 2), 1e6), np.random.default_rng(0).normal(0, 1e4, (5, 2))]
)
def test_landmarks_of_no_face_move_the_crop_no_further_than_its_limits(landmarks: Floats) -> None:
    steady = Alignment()
    steady.see(landmarks.astype(np.float32), BOX, 0.0)
    x1, y1, x2, y2 = steady.box(BOX)
    assert -65 <= x1 < x2 <= 165
    assert -65 <= y1 < y2 <= 165
    assert abs(steady.roll) <= ROLL_LIMIT


@pytest.mark.parametrize("degrees", [-170, -90, -60, -33, 0, 45, 60, 90, 179])
def test_the_roll_is_limited(degrees: int) -> None:
    assert roll(face(0, 0, 40, degrees)) == pytest.approx(np.clip(degrees, -ROLL_LIMIT, ROLL_LIMIT), abs=1e-4)


def test_a_profile_has_the_roll_of_its_axis() -> None:
    """Turned aside, its eyes lie one upon the other."""
    landmarks = np.array([[0, -10], [1, -11], [8, 0], [0, 12], [2, 12]], np.float32)
    assert abs(roll(landmarks)) < 5


def test_a_turned_crop_is_averaged_where_it_gets_smaller() -> None:
    fine = np.zeros((600, 600, 3), np.uint8)
    fine[::2] = 200
    made = crop(fine, (150.0, 150.0, 450.0, 450.0), 64, 0.0, 20.0)
    assert np.abs(made.astype(int) - 100).max() < 12


def test_a_turned_crop_keeps_side_and_centre_and_repeats_the_edge() -> None:
    rgb = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(rgb, (100, 100), 30, (255, 255, 255), -1)
    rgb = cv2.GaussianBlur(rgb, (0, 0), 2)
    box = (60.0, 60.0, 141.0, 141.0)
    straight, turned = (crop(rgb, box, 81, 0.0, angle).astype(int) for angle in (0.0, 35.0))
    assert np.abs(straight - turned).mean() < 2, "a disc looks the same turned"
    stripe = np.zeros((200, 200, 3), np.uint8)
    stripe[:, 100:] = 255
    assert (crop(stripe, (90.0, 90.0, 110.0, 110.0), 20, 0.0, 90.0)[:9] == 255).all(), "clockwise: right comes up"
    assert (crop(np.full((50, 50, 3), 77, np.uint8), (-60.0, -60.0, 20.0, 20.0), 64, 0.1, -40.0) == 77).all()


def test_a_detector_without_landmarks_serves_only_where_none_are_needed(tmp_path: Path) -> None:
    folder = graphs.write_model(tmp_path / "model", faces=ALIGNED.model_dump())
    Recognizer.load(folder)
    old = onnx.load(folder / "detector" / "onet.onnx")
    old.graph.output.remove(next(port for port in old.graph.output if port.name == "landmarks"))
    onnx.save(old, folder / "detector" / "onet.onnx")
    shutil.copytree(folder / "detector", tmp_path / "old")
    Detector.load(tmp_path / "old", AS_FOUND)
    with pytest.raises(MmerError, match=r"onet\.onnx gives no landmarks.*faces\.align.*python -m stages\.detector"):
        Recognizer.load(folder)
