"""The recogniser in the page: it sees, crops and says what the service does, and leaves the network silent."""

import base64
import itertools
import re
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from mmer.labels import DIMENSIONS, EMOTIONS
from mmer.runtime import media
from mmer.runtime.appearance import lips, look, portrait
from mmer.runtime.config import Faces, Input, Media
from mmer.runtime.detector import Detections, Detector
from mmer.runtime.graph import GRAPH, SMALL_GRAPH
from mmer.runtime.people import People
from mmer.runtime.pipeline import Pipeline
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.resize import crop, shrink
from mmer.runtime.smoothing import Smoother, Smoothers
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Picture
from mmer.serving import protocol
from mmer.serving.live import SPOKEN, Session
from mmer.serving.protocol import Hello
from tests.crowds import scene
from tests.graphs import drawn_clips, write_model
from tests.serving import ROOT, Served, serve
from tests.web.test_page import LABEL, PATIENCE, Watched, close, steps_shown

SHOWN = {"seconds": (0.4, 1.2), "face": (1.5, 0.8), "voice": (3.0, 1.2), "both": (2.0, 1.0)}
RUNTIME = ROOT / "web" / "node_modules" / "onnxruntime-web" / "dist"
pytestmark = pytest.mark.skipif(not RUNTIME.is_dir(), reason="the page's runtime is not installed (make page)")

OPEN = """async () => {
    const { openRuntime, Graph } = await import("/runtime/graph.js");
    const { Detector } = await import("/runtime/detector.js");
    const { Tracker } = await import("/runtime/tracker.js");
    const { People } = await import("/runtime/people.js");
    const { portrait, look, lips } = await import("/runtime/appearance.js");
    const { crop, shrink } = await import("/runtime/resize.js");
    const { Recognizer } = await import("/runtime/recognizer.js");
    const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
    const wasm = await bytes("/ort/ort-wasm-simd-threaded.wasm");
    const runtime = await openRuntime("/ort/ort.wasm.bundle.min.mjs", wasm);
    const files = {}, nets = {};
    for (const name of ["pnet", "rnet", "onet"]) {
        files[name] = await bytes(`/model/detector/${name}.onnx`);
        nets[name] = await Graph.open(runtime, files[name]);
    }
    const picture = ({ data, width, height }) => {
        const rgba = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        return { data: rgba, width, height };
    };
    const pcm = (data) => new Int16Array(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer);
    const inBase64 = (bytes) => btoa(String.fromCharCode(...bytes));
    const parts = { Detector, Tracker, People, portrait, look, lips, crop, shrink, Recognizer };
    Object.assign(window, { ours: { ...parts, runtime, files, nets, picture, pcm, inBase64 } });
}"""
OPEN_MODEL = """async ([graph, info]) => {
    const bytes = Uint8Array.from(atob(graph), (c) => c.charCodeAt(0));
    ours.recognizer = await ours.Recognizer.load(ours.runtime, { ...ours.files, graph: bytes }, info);
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, service: Served) -> Iterator[Page]:
    """With the parts of the recogniser at hand as `ours`."""
    context = browser.new_context()
    page = Watched(context, service.url).page
    page.evaluate(OPEN)
    yield page
    context.close()


@pytest.fixture(scope="module", params=["release", "tiny"])
def recognizer(request: pytest.FixtureRequest, page: Page, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A model of people, which knows no surroundings, or that of `tests.graphs`, which sums up all that it sees.

    The page has it open too.
    """
    folder = (
        ROOT / "release"
        if request.param == "release"
        else write_model(tmp_path_factory.mktemp("model"), shown=SHOWN, affect=["voice"])
    )
    recognizer = Recognizer.load(folder)
    graph = base64.b64encode((folder / "mmer.onnx").read_bytes()).decode()
    page.evaluate(OPEN_MODEL, [graph, recognizer.info.model_dump(mode="json") | {"id": recognizer.info.id}])
    return recognizer


@pytest.fixture(scope="module")
def pictures() -> list[tuple[float, Picture]]:
    """Of two drawn clips, one after the other, with their times; in the second the face is hidden for a while."""
    shown: list[Picture] = []
    for emotion in ("happy", "neutral"):
        media.decode(drawn_clips()[emotion], Media(), 0.2, lambda _step, _at, rgb: shown.append(rgb))
    return [(0.2 * k, rgb) for k, rgb in enumerate(shown)]


def given(rgb: Picture) -> dict[str, Any]:
    """A picture, on its way to the page."""
    rgba = cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA)
    return {"data": base64.b64encode(rgba.tobytes()).decode(), "width": rgb.shape[1], "height": rgb.shape[0]}


def taken(text: str, size: int) -> Picture:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(size, size, 3)


def test_faces_are_found_where_the_service_finds_them(
    page: Page, service: Served, pictures: list[tuple[float, Picture]]
) -> None:
    rules = Faces()
    detector = Detector.load(_model(service), rules)
    found = 0
    for _, rgb in [*pictures[::3], (0.0, crowd(pictures))]:
        boxes, scores, _ = detector.detect(rgb)
        told = page.evaluate(
            "([given, rules]) => new ours.Detector(ours.nets, rules).detect(ours.picture(given))",
            [given(rgb), rules.model_dump(mode="json")],
        )
        found += len(boxes)
        assert len(told) == len(boxes)
        assert [one["landmarks"] for one in told] == [[]] * len(boxes), "not asked for"
        np.testing.assert_allclose(np.reshape([one["box"] for one in told], (-1, 4)), boxes, atol=0.05)
        np.testing.assert_allclose([one["score"] for one in told], scores, atol=1e-3)
    assert found > 6


def test_the_landmarks_are_those_of_the_service(
    page: Page, service: Served, pictures: list[tuple[float, Picture]]
) -> None:
    rules = Faces(align=True)
    detector = Detector.load(_model(service), rules)
    for rgb in (pictures[0][1], tilted(pictures[4][1], 20), crowd(pictures)):
        told = page.evaluate(
            "([given, rules]) => new ours.Detector(ours.nets, rules).detect(ours.picture(given))",
            [given(rgb), rules.model_dump(mode="json")],
        )
        landmarks = detector.detect(rgb).landmarks
        assert len(landmarks)
        np.testing.assert_allclose([one["landmarks"] for one in told], landmarks, atol=0.05)


def tilted(rgb: Picture, degrees: float) -> Picture:
    """The whole picture turned clockwise about its centre."""
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    turned: Picture = cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return turned


def crowd(pictures: list[tuple[float, Picture]]) -> Picture:
    """Four faces of two sizes in one picture."""
    first, last = pictures[0][1], pictures[4][1]
    small = cv2.resize(np.hstack([last, first]), first.shape[1::-1], interpolation=cv2.INTER_AREA)
    return np.vstack([np.hstack([first, last]), np.hstack([small, last])])


@pytest.mark.parametrize("align", [False, True])
def test_a_face_is_followed_as_the_service_follows_it(
    page: Page, service: Served, pictures: list[tuple[float, Picture]], align: bool
) -> None:
    rules = Faces(align=align)
    tracker = Tracker(Detector.load(_model(service), rules), rules, Input())
    page.evaluate(
        "(rules) => { ours.tracker = new ours.Tracker(new ours.Detector(ours.nets, rules)); }",
        rules.model_dump(mode="json"),
    )
    followed = 0
    for k, (at, upright) in enumerate(pictures):
        rgb = tilted(upright, 40 * np.sin(k / 4)) if align else upright
        view = tracker.track(rgb, at)
        box, angle = page.evaluate(
            "async ([given, at]) => [await ours.tracker.track(ours.picture(given), at), ours.tracker.alignment.roll]",
            [given(rgb), at],
        )
        assert (box is None) == (view.box is None)
        assert angle == pytest.approx(view.roll, abs=0.05)
        if view.box is not None:
            followed += 1
            np.testing.assert_allclose(box, view.box, atol=0.05)
    assert followed > 10


@pytest.mark.parametrize("limit", [1, 2])
def test_an_empty_room_is_searched_when_the_service_searches_it(
    page: Page, service: Served, pictures: list[tuple[float, Picture]], limit: int
) -> None:
    rules, asked, random = Faces(max_people=limit), 0, np.random.default_rng(0)

    class Counting(Detector):
        def detect(self, rgb: Picture) -> Detections:
            nonlocal asked
            asked += 1
            return super().detect(rgb)

    people = People(Counting(_model(service), rules), rules, Input())
    page.evaluate(
        """(rules) => {
            const detector = new ours.Detector(ours.nets, rules);
            ours.people = new ours.People(detector);
            const detect = detector.detect.bind(detector);
            ours.asked = 0;
            detector.detect = (picture) => { ours.asked += 1; return detect(picture); };
        }""",
        rules.model_dump(mode="json"),
    )
    wall = np.full((122, 150, 3), 120, np.uint8)  # no whole number of cells
    seen = []
    for k in range(40):
        moved = np.roll(np.where(np.arange(150)[None, :, None] % 50 < 25, wall, wall // 2), 7 * k, axis=1)
        still = np.clip(wall + random.normal(0, 6 if k == 4 else 4, wall.shape), 0, 255).astype(np.uint8)
        rgb = pictures[0][1] if k == 10 else still if k < 12 else moved
        count = len(people.track(rgb, 0.2 * k).people)
        told = page.evaluate(
            "async ([given, at]) => [(await ours.people.track(ours.picture(given), at)).people.length, ours.asked]",
            [given(rgb), 0.2 * k],
        )
        assert told == [count, asked]
        seen.append(asked)
    assert seen[9] < 10 < asked < 35
    assert len(set(seen[12:])) < 28


@pytest.mark.parametrize("align", [False, True])
def test_people_are_told_apart_as_the_service_tells_them_apart(page: Page, service: Served, align: bool) -> None:
    rules = Faces(align=align, max_people=2)
    people = People(Detector.load(_model(service), rules), rules, Input())
    page.evaluate(
        "(rules) => { ours.people = new ours.People(new ours.Detector(ours.nets, rules)); }",
        rules.model_dump(mode="json"),
    )
    shown, several = scene("they cross"), 0
    for rgb, at in zip(shown.pictures, shown.times, strict=True):
        crowd = people.track(rgb, at)
        told = page.evaluate("([given, at]) => ours.people.track(ours.picture(given), at)", [given(rgb), at])
        assert told["more"] == crowd.more
        assert [one["id"] for one in told["people"]] == [one.id for one in crowd.people]
        several += len(crowd.people) == 2
        for mine, other in zip(told["people"], crowd.people, strict=True):
            np.testing.assert_allclose(mine["box"], other.view.box or [], atol=3)  # what was rounded otherwise once
            assert mine["roll"] == pytest.approx(other.view.roll, abs=1)
            assert mine["score"] == pytest.approx(other.view.score, abs=0.05)
            assert (mine["lips"] is None) == (other.lips is None)
    assert several > 15


@pytest.mark.parametrize("roll", [0.0, 12.0])
def test_people_look_the_same_and_their_lips_move_as_much(
    page: Page, pictures: list[tuple[float, Picture]], roll: float
) -> None:
    box = (88.0, 52.5, 201.0, 180.0)
    smalls = []
    for _, rgb in pictures[:2]:
        small = portrait(rgb, box, roll)
        smalls.append(small)
        told = page.evaluate(
            """([given, box, roll]) => {
                const picture = ours.picture(given), small = ours.portrait(picture, box, roll);
                const moved = ours.small ? ours.lips(ours.small, small) : null;
                ours.small = small;
                return [[...ours.look(picture, box, small)].sort((a, b) => a - b), moved];
            }""",
            [given(rgb), box, roll],
        )
        np.testing.assert_allclose(told[0], np.sort(look(rgb, box, small).ravel()), atol=0.01)
    assert told[1] == pytest.approx(lips(*smalls), abs=0.01)
    page.evaluate("() => { ours.small = null; }")


def test_each_of_several_people_is_recognised_as_the_service_does(page: Page, recognizer: Recognizer) -> None:
    pipeline, smoothers = Pipeline(recognizer), Smoothers(recognizer.info.input.step_s, recognizer.info.shown)
    page.evaluate(
        "(media) => { ours.stream = ours.recognizer.stream(media, (p) => p); }", {"video": True, "audio": True}
    )
    voice = np.random.default_rng(0).normal(0, 3000, 3200 * 40).astype(np.int16)
    pipeline.voice.put(voice, 0)
    shown = scene("they swap size")
    followed = set()
    for k, (rgb, at) in enumerate(zip(shown.pictures, shown.times, strict=True)):
        page.evaluate("([g, t]) => ours.stream.pushFrame({ ...ours.picture(g), close() {} }, t)", [given(rgb), at])
        pcm = base64.b64encode(voice[3200 * k : 3200 * (k + 1)].tobytes()).decode()
        page.evaluate("([voice, t]) => ours.stream.pushVoice(ours.pcm(voice), t)", [pcm, 0.2 * k])
        mine = page.evaluate("() => ours.stream.step()")
        theirs = smoothers.push(pipeline.advance([pipeline.features(rgb, at)])[1][0]).to_json()
        followed.add(mine["followed"])
        for key in ("label", "followed", "more_people"):
            assert mine[key] == theirs[key], key
        assert [one["id"] for one in mine["people"]] == [one["id"] for one in theirs["people"]]
        if mine["people"]:
            assert_nearly_as_likely(mine["people"], theirs["people"])
            qualities = [[one["quality"] for one in step["people"]] for step in (mine, theirs)]
            np.testing.assert_allclose(*qualities, atol=0.05)
    assert followed == {1, 2}


@pytest.mark.parametrize(
    "box",
    [
        (40.2, 31.7, 180.4, 190.1),  # smaller than it was
        (10.5, 20.5, 60.5, 70.5),  # larger, and halves to be rounded
        (-30.0, -20.0, 70.0, 90.0),  # beyond the edge
        (100.0, 40.0, 228.0, 168.0),  # half of it, exactly
    ],
)
def test_a_crop_is_that_of_the_service(
    page: Page, pictures: list[tuple[float, Picture]], box: tuple[float, float, float, float]
) -> None:
    rgb = pictures[0][1]
    for margin, roll in itertools.product((0.0, -0.03, 0.1), (0.0, 17.3, -45.0)):
        told = page.evaluate(
            "([given, box, margin, roll]) => ours.inBase64(ours.crop(ours.picture(given), box, 64, margin, roll))",
            [given(rgb), box, margin, roll],
        )
        difference = np.abs(taken(told, 64).astype(int) - crop(rgb, box, 64, margin, roll).astype(int))
        assert difference.max() <= 1
        assert difference.mean() < 0.15


def test_a_small_picture_is_that_of_the_service(page: Page, pictures: list[tuple[float, Picture]]) -> None:
    for rgb in (pictures[0][1], pictures[0][1][:50]):
        told = page.evaluate("(given) => ours.inBase64(ours.shrink(ours.picture(given), 64))", given(rgb))
        assert np.abs(taken(told, 64).astype(int) - shrink(rgb, 64).astype(int)).max() <= 1


STILLS = """async () => {
    const { readPixels } = await import("/device/pixels.js");
    const planes = Uint8Array.from({ length: 1.5 * 64 * 48 }, (_, k) => 60 + ((k * 7919) % 120));
    const size = { format: "I420", codedWidth: 64, codedHeight: 48, timestamp: 0 };
    const drawn = (frame, width, height) => {
        const context = new OffscreenCanvas(width, height).getContext("2d");
        context.drawImage(frame, 0, 0, width, height);
        return context.getImageData(0, 0, width, height).data;
    };
    const wide = { displayWidth: 80, displayHeight: 48 };
    const told = {};
    for (const [name, more, longest, width, height] of
        [["as it is", {}, 64, 64, 48], ["smaller", {}, 32, 32, 24], ["of wide pixels", wide, 640, 80, 48]]) {
        const frame = new VideoFrame(planes, { ...size, ...more });
        const expected = drawn(frame, width, height);
        const found = await readPixels(frame, longest);
        const same = found.data.length === expected.length && expected.every((v, k) => v === found.data[k]);
        told[name] = [found.width, found.height, same, found instanceof ImageData, frame.format];
    }
    return told;
}"""


def test_a_frame_is_read_without_a_canvas_to_the_same_pixels(page: Page) -> None:
    assert page.evaluate(STILLS) == {
        "as it is": [64, 48, True, False, None],  # a closed frame has no format
        "smaller": [32, 24, True, True, None],
        "of wide pixels": [80, 48, True, True, None],
    }


@pytest.mark.usefixtures("recognizer")
def test_a_picture_that_comes_in_while_a_step_is_made_is_the_next_ones(
    page: Page, pictures: list[tuple[float, Picture]]
) -> None:
    """It is late, but newer than the one that the step sees."""
    told = page.evaluate(
        """async (given) => {
            const stream = ours.recognizer.stream({ video: true, audio: false }, (p) => p);
            const still = { ...ours.picture(given), close() {} };
            stream.pushFrame(still, 0.1);
            const first = stream.step();
            stream.pushFrame(still, 0.15);
            return [(await first).frame_ms, (await stream.step()).frame_ms, stream.coming.size];
        }""",
        given(pictures[0][1]),
    )
    assert told == [100, 150, 0]


LAGGING = """async (data) => {
    const { VideoReader } = await import("/runtime/media.js");
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const Prompt = VideoFrame;
    let last = null;
    globalThis.VideoFrame = function (video) {
        const [frame, before] = [new Prompt(video), last];
        if (!before || before.timestamp === frame.timestamp) return frame;
        last = frame.clone();
        frame.close();
        return before;
    };
    last = new Prompt(document.createElement("canvas"), { timestamp: 9e6 });
    const reader = await VideoReader.open(URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
    const seen = [];
    for await (const { t, still } of reader.frames(0.2, new AbortController().signal)) {
        seen.push(t);
        still.close();
    }
    reader.close();
    globalThis.VideoFrame = Prompt;
    return seen;
}"""


def test_a_step_sees_its_own_picture_where_the_browser_shows_the_one_before_for_a_while(page: Page) -> None:
    """As a busy browser does right after it has wound somewhere."""
    clip = drawn_clips()["happy"]
    due: list[float] = []
    media.decode(clip, Media(), 0.2, lambda _step, at, _rgb: due.append(at))
    seen = page.evaluate(LAGGING, base64.b64encode(clip.read_bytes()).decode())
    np.testing.assert_allclose(seen, due, atol=1e-3)


def _model(service: Served) -> Path:
    return service.model / "detector"


def chances(steps: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    """Probabilities [T, 7]."""
    return np.array([[step["probabilities"][emotion] for emotion in EMOTIONS] for step in steps])


def assert_nearly_as_likely(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """A hundredth of a pixel of the box, which the two round otherwise, is seen where a network is undecided."""
    apart = np.abs(chances(mine) - chances(theirs))
    assert apart.max() < 0.06
    assert apart.mean() < 0.005
    for one, other in zip(mine, theirs, strict=True):
        first, second = sorted(other["probabilities"].values())[:-3:-1]
        assert one["label"] == other["label"] or first - second < 0.06


@pytest.mark.parametrize("emotion", ["happy", "neutral", "angry"])
def test_from_the_same_pictures_and_voice_comes_the_same(page: Page, recognizer: Recognizer, emotion: str) -> None:
    """Of a clip as ffmpeg decodes it, so that what differs is the recogniser's, not a decoder's."""
    clip, info = drawn_clips()[emotion], recognizer.info
    theirs = recognizer.predict(clip).to_json()
    page.evaluate("() => { ours.clip = ours.recognizer.clip(); }")

    def push(step: int, at: float, rgb: Picture) -> None:
        page.evaluate(
            "([step, given, at]) => ours.clip.pushFrame(step, ours.picture(given), at)", [step, given(rgb), at]
        )

    decoded = media.decode(clip, info.media, info.input.step_s, push)
    voice = base64.b64encode(decoded.voice.tobytes()).decode()
    mine = page.evaluate("([n, voice]) => ours.clip.predict(n, ours.pcm(voice))", [decoded.steps, voice])
    for key in ("label", "missing"):
        assert mine[key] == theirs[key], key
    assert mine["model"] == theirs["model"] | {k: mine["model"][k] for k in ("media", "faces", "shown", "affect")}
    for key in ("label", "t", "present", "voice_dbfs", "followed", "more_people"):
        assert [step[key] for step in mine["steps"]] == [step[key] for step in theirs["steps"]], key
    assert_nearly_as_likely(mine["steps"], theirs["steps"])
    assert_same_utterances(mine["utterances"], theirs["utterances"])
    assert bool(theirs["utterances"]) == (emotion != "angry"), "that one says nothing"
    felt = [[told.get(name) for told in (mine, *mine["utterances"], *mine["steps"])] for name in DIMENSIONS]
    assert felt == [
        [pytest.approx(told.get(name), abs=0.02) for told in (theirs, *theirs["utterances"], *theirs["steps"])]
        for name in DIMENSIONS
    ]
    for ours, other in zip(mine["steps"], theirs["steps"], strict=True):
        assert ours["alone"].keys() == other["alone"].keys()
        assert (ours["box"] is None) == (other["box"] is None)
        np.testing.assert_allclose(ours["box"] or [], other["box"] or [], atol=1e-3)


def assert_same_utterances(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        assert one.keys() == other.keys()
        for key in ("start", "end", "label", "seen", "heard", "voice_dbfs", "followed"):
            assert one[key] == other[key], key
        np.testing.assert_allclose(chances([one]), chances([other]), atol=0.01)
        assert one["confidence"] == pytest.approx(other["confidence"], abs=0.01)
        for name, said in other["alone"].items():
            assert (one["alone"][name] is None) == (said is None)
            if said is not None:
                assert one["alone"][name] == pytest.approx(said, abs=0.01)


def test_a_live_session_says_what_the_service_says(page: Page, recognizer: Recognizer) -> None:
    """Pictures between the steps, voice that comes late and that jitters, a camera that is turned off and on."""
    clip, info = drawn_clips()["happy"], recognizer.info
    frames: list[Picture] = []
    decoded = media.decode(clip, info.media, 0.1, lambda _step, _at, rgb: frames.append(rgb))
    stream = "(media) => { ours.stream = ours.recognizer.stream(media, (picture) => picture); }"
    page.evaluate(stream, {"video": True, "audio": True})
    live, smoother = recognizer.stream(), Smoother(info.input.step_s, info.shown)
    hop, mine, theirs = 1600, [], []
    spoken: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []

    def hear() -> None:
        """What is told of utterances by now."""
        spoken.extend(page.evaluate("() => ours.stream.utterances()"))
        said.extend({"type": SPOKEN[type(one)], **one.to_json()} for one in live.utterances())
        assert [one["type"] for one in spoken] == [one["type"] for one in said]

    for k, rgb in enumerate(frames):
        at, heard = round(0.1 * k + 0.03, 3), decoded.voice[k * hop : (k + 1) * hop]
        begun = round(0.1 * k + (0.012 if k % 3 else 0.0), 3)  # it jitters
        off = 8 <= k < 14
        if k in range(8) or k >= 14 or k == 8:
            live.push_frame(None if off else rgb, at)
            put = "([g, t]) => ours.stream.pushFrame(g && { ...ours.picture(g), close() {} }, t)"
            page.evaluate(put, [None if off else given(rgb), at])
        live.push_voice(heard, begun)
        voice = base64.b64encode(heard.tobytes()).decode()
        page.evaluate("([voice, t]) => ours.stream.pushVoice(ours.pcm(voice), t)", [voice, begun])
        hear()
        while page.evaluate("() => ours.stream.due"):
            assert live.next_time <= 0.1 * (k + 1) + 0.02, "not before what it needs has come"
            step = live.step()
            probabilities, label = smoother.push(step.probabilities, seen=step.seen, heard=step.heard)
            theirs.append((label, probabilities, step))
            mine.append(page.evaluate("() => ours.stream.step()"))
            hear()
    assert len(mine) >= len(frames) // 2 - 1
    assert [step["label"] for step in mine] == [label for label, _, _ in theirs]
    assert [step["present"] for step in mine] == [step.present for _, _, step in theirs]
    assert not all(step["present"]["face"] for step in mine)
    np.testing.assert_allclose(chances(mine), [probabilities for _, probabilities, _ in theirs], atol=0.01)
    assert spoken[::2] == said[::2], "they begin"
    assert_same_utterances(spoken[1::2], said[1::2])
    assert len(spoken) > 1


def test_somebody_is_calibrated_as_the_service_does_it(page: Page, recognizer: Recognizer) -> None:
    clip, info = drawn_clips()["sad"], recognizer.info
    frames: list[Picture] = []
    decoded = media.decode(clip, info.media, 0.2, lambda _step, _at, rgb: frames.append(rgb))
    page.evaluate(
        """() => {
            ours.stream = ours.recognizer.stream({ video: true, audio: true }, (picture) => picture);
            ours.stream.calibrate(1.6);
        }"""
    )
    live, found = recognizer.stream(), None
    live.calibrate(1.6)
    for k, rgb in enumerate(frames[:14]):
        heard = decoded.voice[3200 * k : 3200 * (k + 1)]
        live.push_frame(rgb, 0.2 * k)
        live.push_voice(heard, 0.2 * k)
        pcm = base64.b64encode(heard.tobytes()).decode()
        page.evaluate("([g, t]) => ours.stream.pushFrame({ ...ours.picture(g), close() {} }, t)", [given(rgb), 0.2 * k])
        page.evaluate("([voice, t]) => ours.stream.pushVoice(ours.pcm(voice), t)", [pcm, 0.2 * k])
        theirs, (mine, raw, told) = live.step(), page.evaluate(
            """async () => {
                const { calibrator } = ours.stream.pipeline;
                const push = calibrator.push.bind(calibrator);
                let raw;
                calibrator.push = (step) => (raw = push(step));
                const step = await ours.stream.step();
                calibrator.push = push;
                return [step, raw.probabilities, ours.stream.calibration()];
            }"""
        )  # fmt: skip
        assert mine["calibrated"] == theirs.calibrated == (k > 7)
        np.testing.assert_allclose(raw, theirs.probabilities, atol=0.02)
        calibration = live.calibration()
        assert (told is None) == (calibration is None)
        if calibration is not None:
            found = calibration.model_dump(mode="json")
            assert told.keys() == found.keys()
            assert told["model"] == found["model"]
            assert told["rest"].keys() == found["rest"].keys()
            for name, rest in found["rest"].items():
                assert told["rest"][name]["seconds"] == rest["seconds"]
                assert told["rest"][name]["logits"] == pytest.approx(rest["logits"], abs=0.1)
    assert found is not None
    use = "(found) => { try { ours.stream.use(found); } catch (error) { return error.message; } }"
    assert "it is of another model, x" in page.evaluate(use, found | {"model": "x"})
    assert page.evaluate(use, found) is None


def test_a_session_that_is_behind_skips_steps_as_the_service_does(page: Page, recognizer: Recognizer) -> None:
    theirs = Session(recognizer, Hello(type="hello", protocol=1, video=False), 2_100_000)
    page.evaluate("() => { ours.stream = ours.recognizer.stream({ video: false, audio: true }, (p) => p); }")
    for k in range(30):
        theirs.receive(protocol.Media(protocol.VOICE, k / 10, bytes(3200)))
        page.evaluate("(t) => ours.stream.pushVoice(new Int16Array(1600), t)", k / 10)
    told, dropped = page.evaluate("() => ours.stream.catchUp()"), theirs.catch_up()
    assert dropped is not None
    assert told == dropped | {"behind_s": pytest.approx(dropped["behind_s"])}
    assert page.evaluate("() => ours.stream.step()")["t"] == pytest.approx(0.2 * (told["steps"] + 1))
    assert page.evaluate("() => ours.stream.catchUp()") is None


@pytest.fixture
def watched(browser: Browser, service: Served) -> Iterator[Watched]:
    context = browser.new_context()
    yield Watched(context, service.url)
    context.close()


def turn_on(page: Page) -> None:
    """Turn the switch on, and wait until everything is there."""
    page.click("#device")
    expect(page.locator("#status")).to_have_text("Ready: from now on nothing is sent.", timeout=PATIENCE)


def as_shown(steps: list[dict[str, Any]], **given: Any) -> list[str]:
    """The labels that the page shows of a clip's steps."""
    smoother = Smoother(0.2, **({"shown": Recognizer.load(ROOT / "release").info.shown} | given))
    told = zip(chances(steps), (step["present"] for step in steps), strict=True)
    return [
        smoother.push(p.astype(np.float32), seen=there["face"] or there["scene"], heard=there["voice"])[1] or ""
        for p, there in told
    ]


def test_what_is_fetched_is_counted_up_to_all_of_it(watched: Watched) -> None:
    watched.page.evaluate(
        """() => {
            const status = document.querySelector("#status");
            window.shown = [];
            new MutationObserver(() => window.shown.push(status.textContent)).observe(status, { childList: true });
        }"""
    )
    turn_on(watched.page)
    shown = [int(found[1]) for text in watched.page.evaluate("shown") if (found := re.search(r"(\d+)%", text))]
    assert shown == sorted(shown)
    assert (shown[0], shown[-1]) == (0, 100)


def test_without_the_service_clips_and_camera_are_recognised_as_with_it(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The service is stopped once the page has its parts. What the browser decodes differs from what ffmpeg does by a
    fifth of a grey level, which may turn a step that was nearly even; the clip's label it does not."""
    clips = {name: ROOT / "web" / "samples" / f"{name}.mp4" for name in ("happy", "surprise", "angry")}
    context = browser.new_context()
    with serve(ROOT / "release", tmp_path_factory.mktemp("home")) as served:
        theirs = {}
        for name, clip in clips.items():
            with clip.open("rb") as file:
                theirs[name] = httpx.post(f"{served.url}/predict", files={"file": file}, timeout=60).json()
        watched = Watched(context, f"{served.url}/?weights=float32")  # the graph that the service runs
        page = watched.page
        expect(page.locator("#devicenote")).to_contain_text("Model (float32 weights) and runtime, ")
        assert not page.locator("#card").evaluate("(card) => card.hidden")
        assert page.request.get(f"{served.url}/model/card.md").ok
        turn_on(page)
    watched.asked.clear()
    same = []
    for name, clip in clips.items():
        if name == "happy":
            page.set_input_files("#file", clip)
        else:
            page.click(f"[data-sample={name}]")
        whole = re.compile(rf"{name}\.mp4, as a whole: . {theirs[name]['label']} \d+%")
        expect(page.locator("#cliplabel")).to_have_text(whole, timeout=PATIENCE)
        shown = steps_shown(page)
        assert len(shown) == len(theirs[name]["steps"])
        same += [a["label"] == label for a, label in zip(shown, as_shown(theirs[name]["steps"]), strict=True)]
        for mine, other in zip(shown, theirs[name]["steps"], strict=True):
            assert float(mine["voice_dbfs"]) == pytest.approx(other["voice_dbfs"], abs=0.5)
            assert mine["face"] == str(int(other["present"]["face"]))
        close(page)
    assert np.mean(same) >= 0.85
    page.click("#go")
    expect(page.locator("#status")).to_have_text("Live.", timeout=PATIENCE)
    expect(page.locator("#label")).to_have_text(LABEL, timeout=PATIENCE)
    expect(page.locator("#figures")).to_contain_text(re.compile(r"\d+ ms from capture to paint"), timeout=PATIENCE)
    expect(page.locator("#network")).to_contain_text("the network is silent: 0 requests, 0 open connections")
    assert [url for url in watched.asked if not url.startswith("blob:")] == []
    assert watched.complaints == []
    context.close()


def test_the_graph_with_int8_weights_is_taken_where_there_is_one(browser: Browser, real: Served) -> None:
    context = browser.new_context()
    watched = Watched(context, real.url)
    page = watched.page
    expect(page.locator("#devicenote")).to_contain_text("Model (int8 weights) and runtime, ")
    turn_on(page)
    asked = {url.rpartition("/")[2] for url in watched.asked}
    assert (SMALL_GRAPH in asked, GRAPH in asked) == (True, False)
    clip = ROOT / "web" / "samples" / "happy.mp4"
    page.set_input_files("#file", clip)
    label = Recognizer.load(real.model / SMALL_GRAPH).predict(clip).label
    expect(page.locator("#cliplabel")).to_have_text(re.compile(rf"as a whole: . {label} \d+%"), timeout=PATIENCE)
    assert watched.complaints == []
    context.close()


def test_an_image_and_a_sound_are_recognised_on_this_device(watched: Watched, service: Served, tmp_path: Path) -> None:
    page = watched.page
    turn_on(page)
    picture, sound = tmp_path / "face.png", tmp_path / "voice.wav"
    frames: list[Picture] = []
    decoded = media.decode(drawn_clips()["happy"], Media(), 0.2, lambda _step, _at, rgb: frames.append(rgb))
    cv2.imwrite(str(picture), cv2.cvtColor(frames[3], cv2.COLOR_RGB2BGR))
    _write_wav(sound, decoded.voice)
    for path, missing in ((picture, "No voice was heard."), (sound, "No face was found. There was no picture.")):
        theirs = Recognizer.load(service.model).predict(path).to_json()
        page.set_input_files("#file", path)
        whole = re.compile(rf"{path.name}, as a whole: . {theirs['label']} \d+%")
        expect(page.locator("#cliplabel")).to_have_text(whole, timeout=PATIENCE)
        expect(page.locator("#missing")).to_have_text(missing)
        shown = steps_shown(page)
        assert [step["label"] for step in shown] == as_shown(theirs["steps"], shown=None)
    assert watched.complaints == []


def test_a_letter_is_refused_on_this_device_with_what_to_do(watched: Watched, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all, this is a letter.")
    turn_on(watched.page)
    watched.page.set_input_files("#file", letter)
    expect(watched.page.locator("#error")).to_contain_text("letter.txt: this browser finds neither picture nor sound")
    expect(watched.page.locator("#error")).to_contain_text("Send a video, a sound or an image")
    watched.page.set_input_files("#file", drawn_clips()["sad"])
    expect(watched.page.locator("#cliplabel")).to_contain_text("as a whole: ", timeout=PATIENCE)


def test_of_clips_that_are_chosen_one_after_the_other_none_is_ignored(watched: Watched) -> None:
    page = watched.page
    turn_on(page)
    page.set_input_files("#file", drawn_clips()["happy"])
    page.set_input_files("#file", drawn_clips()["sad"])
    expect(page.locator("#cliplabel")).to_contain_text("s01-sad-1.mp4, as a whole: ", timeout=PATIENCE)
    close(page)
    page.set_input_files("#file", drawn_clips()["happy"])
    page.wait_for_timeout(300)
    page.evaluate("() => document.querySelector('#go').click()")  # a quick clip hides it
    expect(page.locator("#status")).to_have_text("Live.", timeout=PATIENCE)
    expect(page.locator("#label")).to_have_text(LABEL, timeout=PATIENCE)
    expect(page.locator("#cliplabel")).to_be_hidden()
    assert watched.complaints == []


def test_a_request_breaks_the_silence_and_turning_it_off_ends_it(watched: Watched) -> None:
    page = watched.page
    turn_on(page)
    expect(page.locator("#network")).to_contain_text("0 requests")
    page.evaluate("() => fetch('/livez')")
    expect(page.locator("#network")).to_contain_text(
        "not silent: 1 requests, 0 open connections, the last request for /livez"
    )
    page.click("#device")
    expect(page.locator("#network")).to_be_hidden()
    watched.asked.clear()
    page.set_input_files("#file", drawn_clips()["sad"])
    expect(page.locator("#cliplabel")).to_contain_text("as a whole: ", timeout=PATIENCE)
    assert f"{watched.url}/predict" in watched.asked


def test_what_is_begun_while_the_parts_come_in_does_not_go_on_to_the_server(watched: Watched) -> None:
    page = watched.page
    held: list[Route] = []
    page.context.route("**/onet.onnx", lambda route: held.append(route))
    page.click("#device")
    expect(page.locator("#status")).to_contain_text("Fetching model and runtime")
    watched.go_live()
    held[0].continue_()
    expect(page.locator("#network")).to_contain_text("0 requests, 0 open connections", timeout=PATIENCE)
    expect(page.locator("#go")).to_be_visible()
    assert watched.complaints == []


def test_where_a_part_cannot_be_fetched_the_switch_says_so_and_the_service_still_works(watched: Watched) -> None:
    page = watched.page
    page.context.route("**/pnet.onnx", lambda route: route.abort())
    page.click("#device")
    expect(page.locator("#error")).to_contain_text("It cannot run on this device.", timeout=PATIENCE)
    expect(page.locator("#device")).not_to_be_checked()
    page.set_input_files("#file", drawn_clips()["sad"])
    expect(page.locator("#cliplabel")).to_contain_text("as a whole: ", timeout=PATIENCE)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("delete globalThis.WebAssembly;", "WebAssembly is off in this browser."),
        ("WebAssembly.validate = () => false;", "too old (it lacks SIMD)"),
    ],
)
def test_without_webassembly_the_switch_is_off_and_says_why(
    browser: Browser, service: Served, script: str, told: str
) -> None:
    context = browser.new_context()
    context.add_init_script(script)
    page = Watched(context, service.url).page
    expect(page.locator("#devicenote")).to_contain_text(told)
    expect(page.locator("#device")).to_be_disabled()
    context.close()


def _write_wav(path: Path, voice: npt.NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(voice.tobytes())


AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed (make page)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_in_any_state(watched: Watched, scheme: str, tmp_path: Path) -> None:
    page = watched.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.evaluate(AXE.read_text() + "; undefined")
    assert _violations(page) == {}, "start"
    turn_on(page)
    page.evaluate("() => document.querySelector('#about').open = true")
    assert _violations(page) == {}, "on this device"
    page.set_input_files("#file", drawn_clips()["happy"])
    expect(page.locator("#cliplabel")).to_contain_text("as a whole: ", timeout=PATIENCE)
    assert _violations(page) == {}, "clip"
    close(page)
    page.click("#go")
    expect(page.locator("#label")).to_have_text(LABEL, timeout=PATIENCE)
    page.evaluate("() => document.querySelector('#capture').open = true")
    assert _violations(page) == {}, "live"
    close(page)
    page.click("#device")
    flv = tmp_path / "clip.flv"
    subprocess.run(["ffmpeg", "-v", "error", "-i", drawn_clips()["happy"], "-ar", "22050", flv], check=True)
    page.set_input_files("#file", flv)
    expect(page.locator("#unplayed")).to_be_visible(timeout=PATIENCE)
    page.evaluate("() => document.querySelector('#old').hidden = false")
    assert _violations(page) == {}, "a clip that cannot be played, and what is old"


def _violations(page: Page) -> dict[str, list[str]]:
    """By axe's rule, the elements."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("(tags) => axe.run(document, { runOnly: tags })", tags)
    return {one["id"]: [node["html"] for node in one["nodes"]] for one in found["violations"]}
