"""Claims about finding, following and cropping faces. Drawn faces try the code; they are no evidence about people."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmer.runtime.config import Faces, Input
from mmer.runtime.detector import Detections, Detector
from mmer.runtime.people import People
from mmer.runtime.resize import crop, shrink
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Box
from tests import graphs

ROOT = Path(__file__).parents[2]
FACES = Faces(min_face=40, max_gap_s=0.6)
INPUT = Input(step_s=0.2, face_size=64, scene_size=64)


def draw(rgb: np.ndarray, x: float, y: float, height: float, skin: tuple[int, int, int] = (205, 160, 130)) -> None:
    """Draw a shaded head around (x, y), `height` pixels from chin to crown, in place."""
    big = cv2.resize(rgb, None, fx=2, fy=2)  # at twice the size, for smooth edges
    x, y, r = 2 * x, 2 * y, height

    def ellipse(dx: float, dy: float, rx: float, ry: float, colour: tuple[int, ...], angle: float = 0) -> None:
        centre = (round(x + dx * r), round(y + dy * r))
        cv2.ellipse(big, centre, (max(1, round(rx * r)), max(1, round(ry * r))), angle, 0, 360, colour, -1, cv2.LINE_AA)

    def shade(share: float) -> tuple[int, ...]:
        return tuple(min(255, int(c * share)) for c in skin)

    ellipse(0, -0.14, 0.84, 0.98, (50, 35, 28))  # hair
    for k in range(12):  # light from the upper left
        ellipse(-0.01 * k, -0.008 * k, 0.74 - 0.03 * k, 0.96 - 0.03 * k, shade(0.72 + 0.03 * k))
    for side in (-1, 1):
        ellipse(side * 0.3, -0.12, 0.2, 0.11, shade(0.7))  # socket
        ellipse(side * 0.3, -0.11, 0.14, 0.065, (240, 240, 240))
        ellipse(side * 0.3, -0.11, 0.06, 0.065, (40, 28, 22))
        ellipse(side * 0.3, -0.31, 0.18, 0.035, (50, 35, 28), side * 6)  # brow
        ellipse(side * 0.08, 0.22, 0.045, 0.03, shade(0.45))  # nostril
    ellipse(0.05, 0.08, 0.05, 0.17, shade(0.78))  # nose
    ellipse(0, 0.21, 0.12, 0.06, shade(0.85))
    ellipse(0, 0.5, 0.27, 0.075, (165, 70, 75))  # lips
    ellipse(0, 0.49, 0.22, 0.012, (90, 30, 35))
    rgb[:] = cv2.resize(big, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)


def room(height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    """A blurred, grained background."""
    random = np.random.default_rng(seed)
    rough = random.uniform(60, 190, (4, 5, 3)).astype(np.float32)
    grain = random.normal(0, 4, (height, width, 3))
    return np.clip(cv2.resize(rough, (width, height)) + grain, 0, 255).astype(np.uint8)


def scene(*heads: tuple[float, float, float], height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    """A room with heads, each (x, y, height)."""
    rgb = room(height, width, seed)
    for head in heads:
        draw(rgb, *head)
    return rgb


def real_frames(path: Path) -> np.ndarray:
    """A real clip's frames at 2 a second, uint8 [n, 360, W, 3]."""
    width = 640 if path.suffix == ".mp4" else 480
    command = ["ffmpeg", "-v", "error", "-i", path, "-vf", f"fps=2,scale={width}:360"]
    out = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    return np.frombuffer(out.stdout, np.uint8).reshape(-1, 360, width, 3)


@pytest.fixture(scope="session")
def folder() -> Path:
    return graphs.detector()


@pytest.fixture(scope="session")
def detector(folder: Path) -> Detector:
    return Detector.load(folder, FACES)


def assert_like_facenet(detector: Detector, pictures: list[np.ndarray]) -> list[int]:
    """The detector and facenet-pytorch say the same of each picture. Returns how many faces each has."""
    from facenet_pytorch import MTCNN

    faces = detector.faces
    original = MTCNN(keep_all=True, min_face_size=faces.min_face, thresholds=list(faces.thresholds), factor=0.709)
    counts = []
    for k, rgb in enumerate(pictures):
        boxes, scores, _ = detector.detect(rgb)
        assert boxes.dtype == scores.dtype == np.float32
        expected, sure = original.detect(rgb)
        if expected is None:
            expected, sure = np.empty((0, 4)), []
        assert boxes.shape == expected.shape, f"picture {k}"
        np.testing.assert_allclose(boxes, expected.astype(float), atol=0.01, err_msg=f"picture {k}")
        np.testing.assert_allclose(scores, np.array(sure, float), atol=1e-3, err_msg=f"picture {k}")
        counts.append(len(boxes))
    return counts


def test_one_face_has_the_box_that_facenet_gives(detector: Detector) -> None:
    random = np.random.default_rng(1)
    heads = [(random.uniform(110, 210), random.uniform(100, 140), random.uniform(90, 170)) for _ in range(12)]
    assert assert_like_facenet(detector, [scene(h, seed=k) for k, h in enumerate(heads)]) == [1] * 12


def test_several_faces_have_the_boxes_and_the_order_that_facenet_gives(detector: Detector) -> None:
    counts = assert_like_facenet(
        detector,
        [
            scene((90, 110, 110), (230, 130, 140)),
            scene((110, 130, 100), (300, 200, 160), (480, 140, 120), height=360, width=640),
            scene((100, 120, 130), (185, 120, 130)),  # one half behind the other
        ],
    )
    assert counts[:2] == [2, 3]


def test_a_picture_without_a_face_has_none(detector: Detector) -> None:
    grain = np.random.default_rng(2).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    pictures = [room(), np.zeros((240, 320, 3), np.uint8), np.full((240, 320, 3), 255, np.uint8), grain]
    assert assert_like_facenet(detector, pictures) == [0] * 4


@pytest.mark.parametrize("size", [(241, 319), (97, 333), (333, 97), (40, 40), (41, 63), (720, 405)])
def test_odd_sizes_have_the_boxes_that_facenet_gives(detector: Detector, size: tuple[int, int]) -> None:
    height, width = size
    assert_like_facenet(detector, [scene((width / 2, height / 2, min(size) * 0.8), height=height, width=width)])


@pytest.mark.parametrize("min_face", [20, 60, 100])
def test_other_settings_have_the_boxes_that_facenet_gives(folder: Path, min_face: int) -> None:
    faces = Faces(min_face=min_face, thresholds=(0.5, 0.6, 0.6))
    assert_like_facenet(Detector.load(folder, faces), [scene((90, 110, 90), (230, 130, 140)), room(seed=3)])


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (7, 9), (11, 12), (39, 200), (39, 39)])
def test_a_picture_smaller_than_a_face_has_none(detector: Detector, size: tuple[int, int]) -> None:
    boxes, scores, _ = detector.detect(np.full((*size, 3), 90, np.uint8))
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_a_picture_whose_sums_overflow_is_read_right(folder: Path) -> None:
    detector = Detector.load(folder, Faces(min_face=600))
    rgb = np.full((2600, 3600, 3), 255, np.uint8)
    rgb[1500:2580, 2300:3580] = cv2.resize(scene((160, 120, 170)), (1280, 1080))
    assert assert_like_facenet(detector, [rgb]) == [1]


def test_what_is_no_picture_is_refused(detector: Detector) -> None:
    for wrong in (np.zeros((50, 50), np.uint8), np.zeros((50, 50, 3), np.float32), np.zeros((0, 50, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]"):
            detector.detect(wrong)


def test_real_faces_have_the_boxes_that_facenet_gives(detector: Detector, mirror: Path) -> None:
    clips = [*sorted(mirror.glob("ravdess/Actor_01/*.mp4")), *sorted(mirror.glob("crema_d/VideoFlash/*.flv"))]
    assert clips
    pictures = [rgb for clip in clips for rgb in real_frames(clip)]
    assert assert_like_facenet(detector, pictures) == [1] * len(pictures)


def test_a_missing_network_says_how_to_make_it(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"pnet\.onnx is missing.*python -m stages\.detector"):
        Detector.load(tmp_path, FACES)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"pnet\.onnx is no usable ONNX graph"):
        Detector.load(tmp_path, FACES)


def test_export_gives_the_same_bytes_again(folder: Path, tmp_path: Path) -> None:
    """In another process, by the stage, as the pipeline does."""
    subprocess.run([sys.executable, "-m", "stages.detector", "--out", tmp_path], cwd=ROOT, check=True)
    for name in ("pnet.onnx", "rnet.onnx", "onet.onnx"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) < 2.5e6


def test_a_detector_can_be_sent_to_a_worker(detector: Detector) -> None:
    rgb = scene((160, 120, 130))
    there = pickle.loads(pickle.dumps(detector))  # noqa: S301
    assert np.array_equal(there.detect(rgb)[0], detector.detect(rgb)[0])


def test_finding_faces_needs_no_torch(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "scene.npy", scene((160, 120, 130)))
    program = f"""
import sys, numpy as np
from pathlib import Path
from mmer.runtime.config import Faces, Input
from mmer.runtime.detector import Detections, Detector
from mmer.runtime.tracker import Tracker
tracker = Tracker(Detector.load(Path({str(folder)!r}), Faces()), Faces(), Input())
assert tracker.track(np.load({str(tmp_path / "scene.npy")!r}), 0.2).face is not None
print([m for m in ("torch", "pandas", "facenet_pytorch") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def centre(box: tuple[float, ...] | None) -> tuple[float, float]:
    assert box is not None
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def test_the_larger_of_two_faces_is_followed_where_they_change_size(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    for k in range(6):  # the left one begins larger and shrinks, the right one grows
        rgb = scene((90 + 4 * k, 120, 140 - 6 * k), (230, 120, 90 + 10 * k))
        view = tracker.track(rgb, 0.2 * (k + 1))
        assert abs(centre(view.box)[0] - (90 + 4 * k)) < 15
        assert not view.coasted
        assert view.score > 0.7


def test_a_fast_face_is_followed(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    tracker.track(scene((100, 120, 110), (260, 120, 100)), 0.2)
    view = tracker.track(scene((155, 120, 110), (275, 60, 110)), 0.4)
    assert abs(centre(view.box)[0] - 155) < 15


def test_a_lost_face_keeps_its_last_box_for_a_while_and_is_then_forgotten(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    found = tracker.track(scene((100, 120, 120)), 0.2)
    empty = room(seed=5)
    for k in (2, 3, 4):  # until 0.6 s after it was last found
        held = tracker.track(empty, 0.2 * k)
        assert held.coasted
        assert held.box == found.box
        assert held.face is not None
        assert held.box is not None
        assert np.array_equal(held.face, crop(empty, held.box, 64, FACES.margin)), "the crop is of the current frame"
    gone = tracker.track(empty, 1.0)
    assert gone.face is None
    assert gone.box is None
    assert gone.score == 0
    assert not gone.coasted


def test_a_gap_is_bridged_to_the_same_face(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    tracker.track(scene((90, 120, 110)), 0.2)
    tracker.track(room(), 0.4)
    view = tracker.track(scene((95, 120, 110), (230, 120, 150)), 0.6)
    assert abs(centre(view.box)[0] - 95) < 15, "the one that was followed, though another is larger"


def test_another_face_takes_over_only_when_the_followed_one_is_forgotten(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    first = tracker.track(scene((80, 120, 120)), 0.2)
    other = scene((240, 120, 120), (150, 40, 60))
    assert tracker.track(other, 0.4).box == first.box
    view = tracker.track(other, 1.0)
    assert abs(centre(view.box)[0] - 240) < 15, "the largest"
    assert not view.coasted


def test_a_face_never_found_stays_none(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    for k in range(3):
        view = tracker.track(room(seed=k), 0.2 * k)
        assert view.face is None
        assert view.box is None
        assert not view.coasted


def test_time_that_stands_or_goes_back_is_the_same_moment(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    found = tracker.track(scene((100, 120, 120)), 5.0)
    assert tracker.track(room(), 5.0).box == found.box
    assert tracker.track(room(), 1.0).box == found.box
    assert tracker.track(room(), 5.6).coasted
    assert tracker.track(room(), 5.61).box is None


def test_a_box_is_forgotten_when_the_picture_changes_its_size(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    assert tracker.track(scene((100, 120, 120)), 0.2).box is not None
    assert tracker.track(room(320, 240), 0.4).box is None


def test_the_same_pictures_give_the_same_views(detector: Detector) -> None:
    pictures = [scene((90 + 5 * k, 120, 120)) for k in range(3)]
    one, two = (Tracker(detector, FACES, INPUT) for _ in range(2))
    for k, rgb in enumerate(pictures):
        a, b = one.track(rgb, 0.2 * k), two.track(rgb, 0.2 * k)
        assert a.box == b.box
        assert a.face is not None
        assert b.face is not None
        assert np.array_equal(a.face, b.face)


def test_a_mirrored_picture_has_the_mirrored_face(detector: Detector) -> None:
    rgb = scene((110, 115, 130))
    view = Tracker(detector, FACES, INPUT).track(rgb, 0.2)
    mirrored = Tracker(detector, FACES, INPUT).track(np.ascontiguousarray(rgb[:, ::-1]), 0.2)
    assert view.box is not None
    assert mirrored.box is not None
    x1, y1, x2, y2 = view.box
    np.testing.assert_allclose(mirrored.box, (320 - x2, y1, 320 - x1, y2), atol=0.1 * (x2 - x1))


def test_a_view_of_a_picture_need_not_be_contiguous(detector: Detector) -> None:
    rgb = scene((110, 115, 130))
    flipped = Tracker(detector, FACES, INPUT).track(rgb[:, ::-1], 0.2)
    copied = Tracker(detector, FACES, INPUT).track(rgb[:, ::-1].copy(), 0.2)
    assert flipped.box == copied.box
    assert flipped.face is not None
    assert copied.face is not None
    assert np.array_equal(flipped.face, copied.face)


def overlap(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> float:
    """Intersection over union."""
    assert a is not None
    assert b is not None
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def largest(detector: Detector, rgb: np.ndarray) -> Box:
    """The detector's first box."""
    x1, y1, x2, y2 = detector.detect(rgb)[0][0].tolist()
    return x1, y1, x2, y2


class Counting(Detector):
    """The detector; counts the whole pictures that it searches."""

    searches = 0

    def detect(self, rgb: np.ndarray) -> Detections:
        self.searches += 1
        return super().detect(rgb)


@pytest.mark.parametrize("head", [(160, 120, 130), (60, 60, 70), (260, 120, 120), (160, 170, 140)])
def test_a_still_face_is_followed_where_the_detector_finds_it(
    detector: Detector, head: tuple[float, float, float]
) -> None:
    rgb = scene(head, seed=4)
    box = found = largest(detector, rgb)
    for _ in range(20):  # and does not creep away
        followed = detector.follow(rgb, box)
        assert followed is not None
        box, score, _ = followed
        assert score > 0.9
    assert overlap(box, found) > 0.85


@pytest.mark.parametrize("step", [(0.17, 0), (-0.17, 0), (0, 0.17), (0.12, -0.12)])
def test_a_face_that_moved_a_sixth_of_its_size_is_followed(detector: Detector, step: tuple[float, float]) -> None:
    before = largest(detector, scene((160, 120, 100)))
    rgb = scene((160 + 100 * step[0], 120 + 100 * step[1], 100))
    followed = detector.follow(rgb, before)
    assert followed is not None
    assert overlap(followed[0], largest(detector, rgb)) > 0.75


def test_nothing_is_followed_where_no_face_is(detector: Detector) -> None:
    random = np.random.default_rng(6)
    stripes = np.zeros((240, 320, 3), np.uint8)
    stripes[:, ::8] = 200
    board = np.kron(np.indices((30, 40)).sum(0) % 2, np.ones((8, 8)))[:, :, None] * np.full(3, 255)
    blob = cv2.ellipse(room(), (160, 120), (50, 65), 0, 0, 360, (205, 160, 130), -1)
    grain = random.integers(0, 256, (240, 320, 3))
    for rgb in (room(), room(seed=5), stripes, board.astype(np.uint8), blob, grain.astype(np.uint8)):
        for x, y, side in [(160, 120, 100), (100, 100, 60), (230, 90, 150), (160, 120, 130)]:
            assert detector.follow(rgb, (x - side / 2, y - side / 2, x + side / 2, y + side / 2)) is None


def test_nothing_is_followed_outside_the_picture_or_below_the_smallest_size(folder: Path) -> None:
    detector = Detector.load(folder, FACES)
    rgb = scene((160, 120, 130))
    for box in [(400.0, 20.0, 480.0, 100.0), (-200.0, -200.0, -100.0, -100.0), (50.0, 50.0, 50.0, 50.0)]:
        assert detector.follow(rgb, box) is None
    assert detector.follow(np.full((1, 1, 3), 90, np.uint8), (0.0, 0.0, 40.0, 40.0)) is None
    small = largest(detector, rgb)
    assert Detector.load(folder, Faces(min_face=200)).follow(rgb, small) is None


def test_the_whole_picture_is_searched_only_so_often_while_a_face_is_followed(folder: Path) -> None:
    for every, searches in ((1.0, 3), (0.4, 8), (0.0, 15)):
        faces = FACES.model_copy(update={"detect_every_s": every})
        detector = Counting(folder, faces)
        tracker = Tracker(detector, faces, INPUT)
        for k in range(15):
            assert not tracker.track(scene((130 + 2 * k, 120, 120)), 0.2 * (k + 1)).coasted
        assert detector.searches == searches


def test_a_room_where_nothing_moves_is_searched_only_so_often(folder: Path) -> None:
    for limit in (1, 2):
        faces, random = FACES.model_copy(update={"max_people": limit}), np.random.default_rng(0)
        detector = Counting(folder, faces)
        people, moment = People(detector, faces, INPUT), 0

        def see(rgb: np.ndarray, people: People = people, random: np.random.Generator = random) -> int:
            nonlocal moment
            moment += 1
            noisy = np.clip(rgb + random.normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)
            return len(people.track(noisy, 0.2 * moment).people)

        assert [see(room()) for _ in range(30)] == [0] * 30
        assert detector.searches == 2, "once, and again after detect_every_s"
        assert see(scene((160, 120, 60))) == 1, "somebody comes in, and is found at once"
        small = [see(scene((160, 120, 60))), see(room()), see(room())]
        assert small == [1, 1, 1], "and stays for max_gap_s where they are lost"


def test_where_nobody_was_seen_for_long_every_second_picture_is_searched(folder: Path) -> None:
    detector = Counting(folder, FACES)
    people = People(detector, FACES, INPUT)
    for k in range(60):
        assert not people.track(np.roll(room(), 16 * k, axis=1), 0.2 * k).people
    assert detector.searches == 16 + 22


def test_without_an_interval_an_empty_room_is_searched_in_each_picture(folder: Path) -> None:
    faces = FACES.model_copy(update={"detect_every_s": 0.0})
    detector = Counting(folder, faces)
    people = People(detector, faces, INPUT)
    for k in range(30):
        people.track(room(), 0.2 * k)
    assert detector.searches == 30


def test_without_an_interval_each_box_is_the_detectors_own(folder: Path) -> None:
    faces = FACES.model_copy(update={"detect_every_s": 0.0})
    detector = Detector.load(folder, faces)
    tracker = Tracker(detector, faces, INPUT)
    for k in range(8):
        rgb = scene((100 + 15 * k, 120 - 4 * k, 120 + 3 * k), seed=k)
        boxes, scores, _ = detector.detect(rgb)
        view = tracker.track(rgb, 0.2 * k)
        assert view.box == tuple(boxes[0].tolist())
        assert view.score == scores[0]


def test_a_walking_face_is_followed_without_any_search_between(folder: Path) -> None:
    faces = FACES.model_copy(update={"detect_every_s": 60.0})
    alone, detector = Detector.load(folder, faces), Counting(folder, faces)
    tracker = Tracker(detector, faces, INPUT)
    for k in range(20):
        rgb = scene((80 + 6 * k, 120 + 20 * np.sin(k / 4), 90 + 2 * k))
        view = tracker.track(rgb, 0.2 * k)
        assert not view.coasted
        assert overlap(view.box, largest(alone, rgb)) > 0.6
    assert detector.searches == 1


def test_a_still_face_does_not_twitch_when_it_is_searched(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    rgb = scene((150, 115, 120))
    boxes = np.array([tracker.track(rgb, 0.2 * k).box for k in range(16)])
    assert (np.ptp(boxes, axis=0) < 0.03 * 120).all()


def test_a_face_that_comes_close_does_not_take_over(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    for k in range(20):  # a larger one walks in from the right, up to the shoulder of the first
        rgb = scene((90, 120, 100), (max(205, 340 - 8 * k), 120, 130))
        view = tracker.track(rgb, 0.2 * k)
        assert abs(centre(view.box)[0] - 90) < 15
        assert not view.coasted


def test_a_face_that_another_hides_is_not_lost_for_good(detector: Detector) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    for k in range(25):  # the other walks past in front of it and leaves
        view = tracker.track(scene((160, 120, 100), (20 + 16 * k, 120, 120)), 0.2 * k)
    assert abs(centre(view.box)[0] - 160) < 15
    assert not view.coasted


@pytest.mark.parametrize("phase", [1, 3, 4])
def test_after_a_cut_the_other_face_is_found_by_the_next_search(detector: Detector, phase: int) -> None:
    tracker = Tracker(detector, FACES, INPUT)
    for k in range(phase):
        tracker.track(scene((80, 90, 110)), 0.2 * k)
    cut = 0.2 * phase
    after = [tracker.track(scene((240, 150, 110), seed=9), cut + 0.2 * k) for k in range(6)]
    assert abs(centre(after[5].box)[0] - 240) < 15, "no later than detect_every_s after the cut"
    assert all(view.coasted or abs(centre(view.box)[0] - 240) < 15 for view in after)


def test_real_faces_are_followed_as_they_are_found(folder: Path, mirror: Path) -> None:
    clips = [*sorted(mirror.glob("ravdess/Actor_01/*.mp4")), *sorted(mirror.glob("crema_d/VideoFlash/*.flv"))]
    assert clips
    detector = Detector.load(folder, FACES)
    alike = []
    for clip in clips:
        tracker = Tracker(detector, FACES, INPUT)
        for k, rgb in enumerate(real_frames(clip)):
            view = tracker.track(rgb, 0.2 * k)  # shown at 2 a second: it moves more than a live one
            assert not view.coasted
            alike.append(overlap(view.box, largest(detector, rgb)))
    assert np.median(alike) > 0.9
    assert min(alike) > 0.75


def test_a_crop_is_the_square_around_the_box_with_its_margin() -> None:
    rgb = np.zeros((200, 300, 3), np.uint8)
    rgb[70:130, 80:140] = 255  # a square of 60
    tall = (95.0, 70.0, 125.0, 130.0)  # 30 wide, 60 high, the same centre
    assert (crop(rgb, tall, 64, 0.0)[1:-1, 1:-1] == 255).all()
    assert crop(rgb, tall, 64, 0.0).min() > 200, "at the edge what lies beyond it is read too"
    wide = crop(rgb, tall, 120, 0.5)  # 120 around the same centre: the square fills the middle
    assert (wide[30:90, 30:90] == 255).all()
    assert wide[:30].max() == wide[90:].max() == wide[:, :30].max() == wide[:, 90:].max() == 0
    assert crop(rgb, tall, 64, -0.2).shape == (64, 64, 3)


def test_a_crop_beyond_the_edge_repeats_the_edge() -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    rgb[:, 0], rgb[0, 1:] = (10, 20, 30), (40, 50, 60)
    made = crop(rgb, (-40.0, 50.0, 24.0, 114.0), 64, 0.0)
    assert (made[:, :41] == (10, 20, 30)).all()
    assert (made[:, 41:] == 0).all()
    far = crop(rgb, (500.0, -900.0, 600.0, -800.0), 64, 0.0)
    assert (far == (40, 50, 60)).all()
    assert crop(rgb, (50.0, 50.0, 50.0, 50.0), 64, 0.0).shape == (64, 64, 3), "an empty box is one pixel"


def test_shrinking_averages() -> None:
    fine = np.zeros((256, 512, 3), np.uint8)
    fine[::2] = 200
    assert (shrink(fine, 64) == 100).all()
    for size in [(1, 1), (1, 300), (300, 1), (64, 64), (30, 90)]:
        assert shrink(np.full((*size, 3), 77, np.uint8), 64).shape == (64, 64, 3)
