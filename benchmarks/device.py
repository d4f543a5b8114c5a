"""The page's mode On this device: processor time of a step in Chromium and Firefox, a step's time in a Chromium that is
throttled as a phone's stand-in, and the bytes that are fetched once.

A real clip of faces and voice goes through `web/runtime/` in the page, again and again. Processor time is that of all
of the browser's processes, so other programs on the machine disturb it little; the throttled step is by the clock.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import psutil
from playwright.sync_api import sync_playwright

from benchmarks.serving.common import ROOT, serve, some_clips
from mmer.runtime import media
from mmer.runtime.config import Media
from tests.web.firefox import open_firefox

OPEN = """(async ({ pictures, voice }) => {
    const { openRuntime } = await import("/runtime/graph.js");
    const { Recognizer } = await import("/runtime/recognizer.js");
    const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
    const decoded = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const parts = (await (await fetch("/device/parts.json")).json()).map(({ url }) => url);
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
    return shown.length;
})"""
"""Has the model at hand as `go`, which recognises the clip so many times and gives the milliseconds of each step."""

Evaluate = Callable[[str], Any]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    parser.add_argument("--clip", type=Path, help="instead of one of the mirror, or a drawn one")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="of the clip (default: %(default)s)")
    parser.add_argument("--throttle", type=float, default=6, metavar="X", help="times as slow (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, serve(args.model) as service:
        clip = args.clip or some_clips(Path(name))[1][0]
        opening = f"{OPEN}({json.dumps(shown_and_heard(clip))})"
        parts = httpx.get(f"{service.url}/device/parts.json").json()
        print(f"{clip.name}; fetched once: {sum(part['sent'] for part in parts) / 1e6:.1f} MB")
        with sync_playwright() as playwright:
            found = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(service.url)
            print(f"Chromium {browser.version}: {costs(page.evaluate, opening, args.rounds)}", flush=True)
            tools = page.context.new_cdp_session(page)
            tools.send("Emulation.setCPUThrottlingRate", {"rate": args.throttle})
            slow = page.evaluate("go(2)")
            print(f"throttled {args.throttle:g} times: median {statistics.median(slow):.1f} ms a step by the clock")
            browser.close()
        if program := shutil.which("firefox-esr") or shutil.which("firefox"):
            with open_firefox(program, Path(name) / "profile") as firefox:
                firefox.goto(service.url)
                told = costs(lambda expression: firefox.evaluate(f"await {expression}"), opening, args.rounds)
                print(f"Firefox: {told}")


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
    steps = evaluate(opening)
    evaluate("go(4)")
    spent = []
    for _ in range(rounds):
        before = processor_s()
        evaluate("go(1)")
        spent.append(1000 * (processor_s() - before) / steps)
    return (
        f"median {statistics.median(spent):.1f} ms of processor time a step, least {min(spent):.1f} ({rounds} rounds)"
    )


def processor_s() -> float:
    """Of the browsers: of all below this process but the service."""
    found = psutil.Process().children(recursive=True)
    return sum(sum(one.cpu_times()[:2]) for one in found if "python" not in one.name())


if __name__ == "__main__":
    main()
