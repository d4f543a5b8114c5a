"""The page in Firefox, as Debian has it; its camera shows a changing colour, its microphone hears a tone."""

import shutil
from collections.abc import Iterator

import pytest

from tests.graphs import drawn_clips
from tests.serving import Served
from tests.web.firefox import Firefox, open_firefox
from tests.web.test_device import RUNTIME
from tests.web.test_page import LABEL


@pytest.fixture(scope="module")
def program() -> str:
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        pytest.skip("no Firefox is installed (apt-get install firefox-esr)")
    return found


@pytest.fixture(scope="module")
def firefox(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with open_firefox(program, tmp_path_factory.mktemp("firefox") / "profile") as firefox:
        yield firefox


@pytest.fixture
def page(firefox: Firefox, service: Served) -> Firefox:
    """Loaded anew."""
    firefox.goto(service.url)
    firefox.wait_for("#devicenote", ".")
    firefox.complaints.clear()
    return firefox


def go_live(page: Firefox) -> None:
    page.click("#go")
    page.wait_for("#label", LABEL.pattern)
    page.wait_for("#status", r"^Live\.$")


def test_live_the_picture_is_recognised_and_the_page_can_be_closed(page: Firefox) -> None:
    """Whether the voice is heard, this machine's sound decides: without an output Firefox's may never start."""
    go_live(page)
    page.wait_for("#figures", r"\d+ ms from capture to paint")
    page.wait_for("main", f"This browser has not started its sound|Voice: (silent|listening|. ({LABEL.pattern}))")
    page.click("#stop")
    page.click("#discard")
    page.wait_for("#go", "Start camera and microphone")
    assert page.complaints == []


def test_a_clip_is_recognised_and_played(page: Firefox) -> None:
    page.choose("#file", drawn_clips()["happy"])
    page.wait_for("#cliplabel", rf"as a whole:\s+. ({LABEL.pattern})")
    loaded = "await new Promise((done) => player.readyState ? done() : player.addEventListener('loadeddata', done))"
    assert page.evaluate(f"({loaded}, player.videoWidth)") > 0
    assert page.evaluate("document.querySelector('#unplayed').hidden")
    page.click("#stop")
    page.click("#discard")
    assert page.complaints == []


@pytest.mark.skipif(not RUNTIME.is_dir(), reason="the page's runtime is not installed (make page)")
def test_on_this_device_a_clip_and_the_camera_are_recognised(page: Firefox) -> None:
    page.click("#device")
    page.wait_for("#status", "Ready: from now on nothing is sent")
    page.choose("#file", drawn_clips()["happy"])
    page.wait_for("#cliplabel", rf"as a whole:\s+. ({LABEL.pattern})")
    page.click("#stop")
    page.click("#discard")
    go_live(page)
    page.wait_for("#network", "the network is silent: 0 requests, 0 open connections")
    page.click("#stop")
    page.click("#discard")
    assert page.complaints == []


def test_where_fingerprints_are_resisted_it_says_that_no_picture_can_be_read(
    program: str, service: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    profile = tmp_path_factory.mktemp("firefox") / "resisting"
    with open_firefox(program, profile, {"privacy.resistFingerprinting": True}) as firefox:
        firefox.goto(service.url)
        firefox.wait_for("#devicenote", ".")
        firefox.click("#go")
        firefox.wait_for("#error", "This browser gives noise instead of pictures")
