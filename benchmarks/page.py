"""The page in headless Chromium against the service on the same machine: first paint, bytes, and from capture to paint.

The camera and the microphone play a clip. Late is what the page itself measures: from a picture's capture to the
painting of the answer that saw it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks.serving.common import ROOT, serve, some_clips

WATCH = """() => {
    window.late = [];
    const figures = document.querySelector('#figures');
    new MutationObserver(() => window.late.push(Number(figures.dataset.last)))
        .observe(figures, { attributes: true, attributeFilter: ['data-last'] });
}"""


def first_paints(browser: Browser, url: str, loads: int) -> tuple[list[float], int]:
    """Milliseconds to the first contentful paint of each load with an empty cache, and the bytes of one."""
    found, size = [], 0
    for _ in range(loads):
        context = browser.new_context()
        page = context.new_page()
        page.goto(url, wait_until="networkidle")
        found.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        entries = "[...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
        size = page.evaluate(f"{entries}.reduce((sum, entry) => sum + entry.transferSize, 0)")
        context.close()
    return found, size


def late(browser: Browser, url: str, seconds: float) -> list[float]:
    """Milliseconds from capture to paint, of each step after the first two seconds."""
    page = browser.new_context().new_page()
    page.goto(url)
    page.click("#go")
    page.wait_for_selector("body[data-state=live]", timeout=60_000)
    page.wait_for_timeout(2000)
    page.evaluate(WATCH)
    page.wait_for_timeout(1000 * seconds)
    found: list[float] = page.evaluate("window.late")
    return [value for value in found if np.isfinite(value)]


def devices(clip: Path, folder: Path, size: str | None = None) -> list[str]:
    """Chromium's arguments for a camera and a microphone that play the clip, whole or cut to a size (`640:480`)."""
    camera, microphone = folder / "camera.y4m", folder / "microphone.wav"
    cut = f",scale={size}:force_original_aspect_ratio=increase,crop={size}" if size else ""
    way = ["-vf", f"fps=30{cut}", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *way, camera], check=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-ar", "48000", microphone], check=True)
    return [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--loads", type=int, default=10)
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, serve(args.model) as service, sync_playwright() as playwright:
        what, clips = some_clips(Path(name))
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=devices(clips[0], Path(name)))
        paints, size = first_paints(browser, service.url, args.loads)
        steps = late(browser, service.url, args.seconds)
        print(f"camera and microphone: {what}; Chromium {browser.version}")
        print(f"first paint: median {np.median(paints):.0f} ms, most {max(paints):.0f} ms ({len(paints)} loads)")
        print(f"fetched until then and after: {size / 1000:.1f} kB")
        print(
            f"capture to paint: median {np.median(steps):.0f} ms, p95 {np.percentile(steps, 95):.0f} ms, "
            f"most {max(steps):.0f} ms ({len(steps)} steps in {args.seconds:g} s)"
        )
        browser.close()


if __name__ == "__main__":
    main()
