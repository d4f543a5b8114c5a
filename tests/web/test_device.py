"""The recogniser in the page: it sees, crops and says what the service does, and leaves the network silent."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from mmer import media
from mmer.config import Faces, Media
from mmer.faces import Detector, Picture, Tracker, crop, shrink
from mmer.recognizer import Input
from tests.graphs import drawn_clips
from tests.serving import ROOT, Served
from tests.web.test_page import Watched

RUNTIME = ROOT / "web" / "node_modules" / "onnxruntime-web" / "dist"
pytestmark = pytest.mark.skipif(not RUNTIME.is_dir(), reason="the page's runtime is not installed (make page)")

OPEN = """async () => {
    const { Runtime } = await import("/device/runtime.js");
    const { Detector } = await import("/device/detector.js");
    const { Tracker } = await import("/device/tracker.js");
    const { crop, shrink } = await import("/device/resize.js");
    const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
    const runtime = await Runtime.open("/ort/ort.wasm.bundle.min.mjs", await bytes("/ort/ort-wasm-simd-threaded.wasm"));
    const nets = {};
    for (const name of ["pnet", "rnet", "onet"]) nets[name] = await runtime.net(await bytes(`/model/detector/${name}.onnx`));
    const picture = ({ data, width, height }) => {
        const rgba = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        return { data: rgba, width, height };
    };
    const inBase64 = (bytes) => btoa(String.fromCharCode(...bytes));
    Object.assign(window, { ours: { Detector, Tracker, crop, shrink, nets, picture, inBase64 } });
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, service: Served) -> Iterator[Page]:
    """With the parts of the recogniser at hand as `ours`."""
    context = browser.new_context()
    page = Watched(context, service.url).page
    page.evaluate(OPEN)
    yield page
    context.close()


@pytest.fixture(scope="module")
def pictures() -> list[tuple[float, Picture]]:
    """Of drawn clips, and one of them at another size."""
    found: list[tuple[float, Picture]] = []
    for clip in (drawn_clips()["happy"], drawn_clips()["neutral"]):
        start = len(found) * 0.2
        media.decode(clip, Media(), 0.2, lambda _, at, rgb, start=start: found.append((start + at, rgb)))
    return found


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
        boxes, scores = detector.detect(rgb)
        told = page.evaluate(
            "([given, rules]) => new ours.Detector(ours.nets, rules).detect(ours.picture(given))",
            [given(rgb), rules.model_dump(mode="json")],
        )
        found += len(boxes)
        assert len(told) == len(boxes)
        np.testing.assert_allclose(np.reshape([one["box"] for one in told], (-1, 4)), boxes, atol=0.05)
        np.testing.assert_allclose([one["score"] for one in told], scores, atol=1e-3)
    assert found > 6


def crowd(pictures: list[tuple[float, Picture]]) -> Picture:
    """Four faces of two sizes in one picture."""
    first, last = pictures[0][1], pictures[4][1]
    small = cv2.resize(np.hstack([last, first]), first.shape[1::-1], interpolation=cv2.INTER_AREA)
    return np.vstack([np.hstack([first, last]), np.hstack([small, last])])


def test_a_face_is_followed_as_the_service_follows_it(
    page: Page, service: Served, pictures: list[tuple[float, Picture]]
) -> None:
    rules = Faces()
    tracker = Tracker(Detector.load(_model(service), rules), rules, Input())
    page.evaluate(
        "(rules) => { ours.tracker = new ours.Tracker(new ours.Detector(ours.nets, rules)); }",
        rules.model_dump(mode="json"),
    )
    followed = 0
    for at, rgb in pictures:
        view = tracker.look(rgb, at)
        box = page.evaluate("([given, at]) => ours.tracker.look(ours.picture(given), at)", [given(rgb), at])
        assert (box is None) == (view.box is None)
        if view.box is not None:
            followed += 1
            np.testing.assert_allclose(box, view.box, atol=0.05)
    assert followed > 10


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
    for margin in (0.0, -0.03, 0.1):
        told = page.evaluate(
            "([given, box, margin]) => ours.inBase64(ours.crop(ours.picture(given), box, 64, margin))",
            [given(rgb), box, margin],
        )
        difference = np.abs(taken(told, 64).astype(int) - crop(rgb, box, 64, margin).astype(int))
        assert difference.max() <= 1
        assert difference.mean() < 0.15


def test_a_small_picture_is_that_of_the_service(page: Page, pictures: list[tuple[float, Picture]]) -> None:
    for rgb in (pictures[0][1], pictures[0][1][:50]):
        told = page.evaluate("(given) => ours.inBase64(ours.shrink(ours.picture(given), 64))", given(rgb))
        assert np.abs(taken(told, 64).astype(int) - shrink(rgb, 64).astype(int)).max() <= 1


def _model(service: Served) -> Path:
    return service.model / "detector"
