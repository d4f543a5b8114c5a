"""Take docs/page-*.png: the page with the shipped model and drawn people, in Chromium, whose camera plays a sample."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.page import devices
from benchmarks.serving.common import serve
from scripts.imports import ROOT

SAMPLES = ROOT / "web" / "samples"
LIVE_S = 16


def live(page: Page) -> None:
    """A session, after some seconds."""
    page.click("#go")
    expect(page.locator("body")).to_have_attribute("data-state", "live")
    page.wait_for_timeout(1000 * LIVE_S)
    for name in ("camera", "microphone"):  # the fake ones are named after a file of this machine
        page.locator(f"#{name} option:checked").evaluate("(option, name) => { option.text = name; }", name)
    expect(page.locator("#crop:not(.gone)")).to_be_visible()  # a face was seen just now


def clips(page: Page) -> None:
    """Several clips, the last of them open and played to its end."""
    names = ("changing", "happy", "surprise", "angry")
    page.set_input_files("#file", [SAMPLES / f"{name}.mp4" for name in names])
    expect(page.locator("#status")).to_contain_text("clips were looked at")
    page.locator("#player").evaluate("(player) => { player.pause(); player.currentTime = 5; }")
    expect(page.locator("#when")).to_have_text("at 5.0 s")


def take(browser: Browser, url: str, name: str, state: Callable[[Page], None]) -> None:
    """One picture, of the whole page in its dark scheme."""
    page = browser.new_page(viewport={"width": 1080, "height": 720}, color_scheme="dark")
    page.goto(url)
    expect(page.locator("#model dt").first).to_be_attached()
    state(page)
    page.mouse.click(2, 2)  # nothing has the focus
    page.screenshot(path=ROOT / "docs" / f"page-{name}.png", full_page=True)
    page.close()


def main() -> None:
    """Take them all."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    expect.set_options(timeout=60_000)
    with tempfile.TemporaryDirectory() as folder, serve(ROOT / "release") as service, sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        arguments = devices(SAMPLES / "changing.mp4", Path(folder))
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        for name, state in (("live", live), ("clip", clips)):
            take(browser, service.url, name, state)
        browser.close()


if __name__ == "__main__":
    main()
