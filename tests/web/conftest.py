"""A running service and a real browser, whose camera and microphone play a drawn clip, for all tests of this folder."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.graphs import drawn_clips, write_model
from tests.serving import ROOT, Served, serve

expect.set_options(timeout=60_000)  # a bound, not a claim: a busy machine is no failure
Open = Callable[..., contextlib.AbstractContextManager[Browser]]


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It knows nothing (`tests.graphs`) but answers; of a voice also valence and arousal."""
    model = write_model(tmp_path_factory.mktemp("model"), affect=["voice"])
    with serve(model, tmp_path_factory.mktemp("home")) as served:
        yield served


@pytest.fixture(scope="package")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service with the model that is shipped."""
    with serve(ROOT / "release", tmp_path_factory.mktemp("home")) as served:
        yield served


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """One for all: it has an event loop of its own."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def open_browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Opens the system's Chromium, without a window, with more arguments."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    folder = tmp_path_factory.mktemp("devices")
    camera, microphone = folder / "camera.y4m", folder / "microphone.wav"
    clip = drawn_clips()["happy"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-vf", "fps=15", "-pix_fmt", "yuv420p", camera], check=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-ar", "48000", microphone], check=True)
    arguments = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]

    @contextlib.contextmanager
    def open_it(*more: str) -> Iterator[Browser]:
        browser = playwright.chromium.launch(executable_path=Path(found), args=[*arguments, *more])
        yield browser
        browser.close()

    return open_it


@pytest.fixture(scope="module")
def browser(open_browser: Open) -> Iterator[Browser]:
    """One that gives camera and microphone to whoever asks."""
    with open_browser("--use-fake-ui-for-media-stream") as browser:
        yield browser
