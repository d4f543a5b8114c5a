"""The page's mode On this device: processor time of a step in Chromium and Firefox, a step's time in a Chromium that is
throttled as a phone's stand-in, what a live session costs on which thread, and the bytes that are fetched once.

A real clip of faces and voice goes through `web/runtime/` in the page, again and again. Processor time is that of all
of the browser's processes, so other programs on the machine disturb it little; the throttled step is by the clock.
Chromium throttles a page's own thread and no worker, so it runs there; a loop beside it tells how much it is throttled
in truth. Live, a camera of 640x480 and a microphone play the clip, and the threads' own processor time is read (Linux).
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import psutil
from playwright.sync_api import Page, Playwright, sync_playwright

from benchmarks.page import WATCH, devices
from benchmarks.serving.common import ROOT, serve, some_clips
from mmer.runtime import media
from mmer.runtime.config import Media
from tests.web.firefox import open_firefox

OPEN = """(async ({ pictures, voice, weights }) => {
    const { listParts } = await import("/device/client.js");
    const { openRuntime } = await import("/runtime/graph.js");
    const { Recognizer } = await import("/runtime/recognizer.js");
    const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
    const decoded = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const offered = await listParts(weights);
    const parts = offered.map(({ url }) => url);
    const part = (end) => bytes("/" + parts.find((url) => url.endsWith(end)));
    const runtime = await openRuntime("/" + parts.find((url) => url.endsWith(".mjs")), await part(".wasm"));
    const files = { graph: await bytes("/" + parts[0]) };
    for (const name of ["pnet", "rnet", "onet"]) files[name] = await part(`/${name}.onnx`);
    const recognizer = await Recognizer.load(runtime, files, await (await fetch("/model/info.json")).json());
    const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const shown = [];
    for (const picture of pictures) {
        const bitmap = await createImageBitmap(new Blob([decoded(picture)]));
        Object.assign(context.canvas, { width: bitmap.width, height: bitmap.height });
        context.drawImage(bitmap, 0, 0);
        shown.push(context.getImageData(0, 0, bitmap.width, bitmap.height));
    }
    const pcm = new Int16Array(decoded(voice).buffer);
    window.go = async (rounds) => {
        const ms = [];
        for (let round = 0; round < rounds; round += 1) {
            const clip = recognizer.clip();
            for (const [step, picture] of shown.entries()) await clip.pushFrame(step, picture, 0.2 * (step + 1));
            ms.push(...(await clip.predict(shown.length, pcm)).steps.map((step) => step.ms));
        }
        return ms;
    };
    return [shown.length, offered.reduce((sum, { sent }) => sum + sent, 0)];
})"""
"""Has the model at hand as `go`, which recognises the clip so many times and gives the milliseconds of each step. It
gives the steps of the clip and the bytes that the page fetches."""

LOOP = """() => {
    const spent = [];
    for (let round = 0; round < 5; round += 1) {
        const start = performance.now();
        for (let k = 0, sum = 0; k < 3e7; k += 1) sum += Math.sqrt(k);
        spent.push(performance.now() - start);
    }
    return Math.min(...spent);
}"""
SETTLE_MS = 10_000  # after which V8 has compiled the runtime

Evaluate = Callable[[str], Any]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    parser.add_argument("--clip", type=Path, help="instead of one of the mirror, or a drawn one")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="of the clip (default: %(default)s)")
    parser.add_argument("--weights", default="int8", help="of the graph, where there are two (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of the live session (default: %(default)s)")
    parser.add_argument("--throttle", type=float, default=6, metavar="X", help="times as slow (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, serve(args.model) as service, sync_playwright() as playwright:
        clip = args.clip or some_clips(Path(name))[1][0]
        url = f"{service.url}/?weights={args.weights}"
        opening = f"{OPEN}({json.dumps(shown_and_heard(clip) | {'weights': args.weights})})"
        print(clip.name)
        page = open_chromium(playwright)
        page.goto(url)
        print(f"Chromium: {costs(page.evaluate, opening, args.rounds)}", flush=True)
        tools, loop = page.context.new_cdp_session(page), page.evaluate(LOOP)
        tools.send("Emulation.setCPUThrottlingRate", {"rate": args.throttle})
        truly, slow = page.evaluate(LOOP) / loop, statistics.median(page.evaluate("go(2)"))
        print(
            f"throttled {args.throttle:g} times (a loop: {truly:.1f} times): median {slow:.1f} ms a step by the clock"
        )
        close(page)
        page = open_chromium(playwright, *devices(clip, Path(name), "640:480"))
        page.goto(url)
        print(live(page, args.seconds), flush=True)
        close(page)
        if program := shutil.which("firefox-esr") or shutil.which("firefox"):
            with open_firefox(program, Path(name) / "profile") as firefox:
                firefox.goto(url)
                told = costs(lambda expression: firefox.evaluate(f"await {expression}"), opening, args.rounds)
                print(f"Firefox: {told}")


def open_chromium(playwright: Playwright, *arguments: str) -> Page:
    """A page of a Chromium of its own."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *arguments]).new_page()


def close(page: Page) -> None:
    """And its browser."""
    if browser := page.context.browser:
        browser.close()


def shown_and_heard(clip: Path) -> dict[str, Any]:
    """A clip's pictures as JPEGs, and its voice, both in base64."""
    pictures: list[str] = []

    def keep(_step: int, _at: float, rgb: Any) -> None:
        _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
        pictures.append(base64.b64encode(data.tobytes()).decode())

    decoded = media.decode(clip, Media(), 0.2, keep)
    return {"pictures": pictures, "voice": base64.b64encode(decoded.voice.tobytes()).decode()}


def costs(evaluate: Evaluate, opening: str, rounds: int) -> str:
    """Processor time of a step, once the browser has compiled what it runs."""
    steps, fetched = evaluate(opening)
    evaluate("go(4)")
    spent = []
    for _ in range(rounds):
        before = processor_s()
        evaluate("go(1)")
        spent.append(1000 * (processor_s() - before) / steps)
    return (
        f"median {statistics.median(spent):.1f} ms of processor time a step, least {min(spent):.1f} ({rounds} rounds); "
        f"fetched once: {fetched / 1e6:.1f} MB"
    )


def live(page: Page, seconds: float) -> str:
    """What a live session costs, by thread."""
    page.wait_for_selector("#device:not([disabled])")
    page.click("#device")
    page.wait_for_selector("body[data-device=on]", timeout=60_000)
    page.click("#go")
    page.wait_for_selector("body[data-state=live]", timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)
    page.evaluate(WATCH)
    before = thread_us()
    page.wait_for_timeout(1000 * seconds)
    spent = thread_us() - before
    steps = page.evaluate("window.late.length")
    shares = ", ".join(
        f"{name} {spent[name] / 1000 / seconds:.1f}" for name in ("the page's thread", "the worker's", "the others")
    )
    return f"live: processor ms a second of {shares} ({steps} steps in {seconds:g} s)"


def thread_us() -> Counter[str]:
    """Processor time of the browser's threads, microseconds."""
    found: Counter[str] = Counter()
    for process in psutil.Process().children(recursive=True):
        if "chrom" not in process.name():
            continue
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            worker = (thread / "comm").read_text().startswith("DedicatedWorker")
            page = "--type=renderer" in process.cmdline() and thread.name == str(process.pid)
            name = "the worker's" if worker else "the page's thread" if page else "the others"
            found[name] += int((thread / "schedstat").read_text().split()[0]) // 1000
    return found


def processor_s() -> float:
    """Of the browsers: of all below this process but the service."""
    found = psutil.Process().children(recursive=True)
    return sum(sum(one.cpu_times()[:2]) for one in found if "python" not in one.name())


if __name__ == "__main__":
    main()
