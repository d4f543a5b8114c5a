"""The page in a real browser, against the real service."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from mmer.labels import EMOTIONS
from tests.graphs import drawn_clips
from tests.serving import Served

PATIENCE = 60_000  # milliseconds; a bound, not a claim


class Watched:
    """A page, and what it asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))


@pytest.fixture
def watched(browser: Browser, service: Served) -> Iterator[Watched]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    watched = Watched(page)
    page.goto(service.url)
    yield watched
    page.close()


def drop(page: Page, path: Path) -> None:
    """Drop a file onto the field, as a mouse would."""
    files = page.evaluate_handle(
        """([data, name]) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type: "video/mp4" }));
            return transfer;
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name],
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#drop", kind, {"dataTransfer": files})


def test_a_dropped_clip_is_recognised(watched: Watched, service: Served) -> None:
    page, clip = watched.page, drawn_clips()["happy"]
    drop(page, clip)
    expect(page.locator("#result")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#label")).to_have_text(re.compile("|".join(EMOTIONS)))
    expect(page.locator("#bars dt")).to_have_count(7)
    expect(page.locator("#timeline polyline")).to_have_count(7)
    expect(page.locator("#path")).to_have_text(clip.name)
    expect(page.locator("#drawings")).to_be_visible()
    expect(page.locator("#status")).to_contain_text(page.locator("#label").inner_text())
    shares = [float(text.rstrip("%")) for text in page.locator("#bars .share").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert shares == sorted(shares, reverse=True)
    assert watched.complaints == []
    assert [url for url in watched.asked if not url.startswith((service.url, "blob:"))] == []


def test_a_chosen_clip_without_a_voice_says_so(watched: Watched) -> None:
    watched.page.set_input_files("#file", drawn_clips()["angry"])
    expect(watched.page.locator("#missing")).to_have_text("No voice was heard.", timeout=PATIENCE)
    assert watched.complaints == []


def test_a_text_file_is_refused_with_what_to_do_and_the_next_clip_works(watched: Watched, tmp_path: Path) -> None:
    page, letter = watched.page, tmp_path / "letter.txt"
    letter.write_text("Dear all, this is a letter.")
    page.set_input_files("#file", letter)
    expect(page.locator("#error")).to_contain_text("letter.txt", timeout=PATIENCE)
    expect(page.locator("#error")).to_contain_text("Send a video, a sound or an image")
    expect(page.locator("#result")).to_be_hidden()
    page.set_input_files("#file", drawn_clips()["sad"])
    expect(page.locator("#result")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#error")).to_be_hidden()


def test_a_service_that_is_gone_is_told(watched: Watched) -> None:
    watched.page.route("**/predict", lambda route: route.abort())
    watched.page.set_input_files("#file", drawn_clips()["sad"])
    expect(watched.page.locator("#error")).to_contain_text("cannot be reached", timeout=PATIENCE)


def test_the_page_says_what_it_is_not_for(watched: Watched) -> None:
    notice = watched.page.locator("aside")
    for words in (
        "Not at work, not in education",
        "AI Act, Article 5",
        "acted emotions are not felt",
        "Nothing is stored",
    ):
        expect(notice).to_contain_text(words)


def test_the_page_can_be_used_by_keyboard_and_screen_reader(watched: Watched) -> None:
    page = watched.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    expect(page.get_by_label("Choose a clip")).to_be_attached()
    expect(page.locator("#status")).to_have_attribute("role", "status")
    expect(page.locator("#error")).to_have_attribute("role", "alert")
    page.set_input_files("#file", drawn_clips()["happy"])
    expect(page.locator("#timeline svg title")).to_contain_text("As a whole", timeout=PATIENCE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window_in_light_and_dark(watched: Watched, scheme: str, width: int) -> None:
    page = watched.page
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    page.set_input_files("#file", drawn_clips()["happy"])
    expect(page.locator("#result")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (brightness > 128) == (scheme == "light")
