"""The page on a slow line, with the face of a real person, and for a long time."""

import contextlib
import math
import re
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, CDPSession, expect

from tests.serving import Served
from tests.web.conftest import Open
from tests.web.test_device import RUNTIME, turn_on
from tests.web.test_page import LABEL, PATIENCE, Watched

UP = 48_000
"""Bytes a second that the slow line carries: the voice takes 32,000 of them, ten pictures would take 200,000."""


@contextlib.contextmanager
def slow_line(url: str) -> Iterator[str]:
    """A second address of the service, to which only `UP` bytes a second can be sent."""
    address = httpx.URL(url)

    def carry(source: socket.socket, target: socket.socket, speed: float) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4800):
                target.sendall(data)
                time.sleep(len(data) / speed)
            target.shutdown(socket.SHUT_WR)

    class Line(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((address.host, address.port or 80)) as there:
                up = threading.Thread(target=carry, args=(self.request, there, UP))
                up.start()
                carry(there, self.request, math.inf)
                up.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def server_bind(self) -> None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # else the system would swallow seconds
            super().server_bind()

    with Server(("127.0.0.1", 0), Line) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        server.block_on_close = False


@pytest.mark.slow
def test_on_a_slow_line_pictures_are_left_out_and_answers_stay_fresh(browser: Browser, service: Served) -> None:
    with slow_line(service.url) as url:
        context = browser.new_context()
        watched = Watched(context, url)
        frames: list[int] = []

        def count(data: str | bytes) -> None:
            if isinstance(data, bytes) and data.startswith(b"\1"):
                frames.append(len(data))

        watched.page.on("websocket", lambda opened: opened.on("framesent", count))
        page = watched.go_live()
        page.wait_for_timeout(10_000)
        before = len(frames)
        page.wait_for_timeout(6_000)
        sent = len(frames) - before
        late = float(page.locator("#figures").get_attribute("data-last") or "nan")
        print(f"{sent} pictures of {sum(frames) / len(frames):.0f} bytes, {late:.0f} ms late")
        assert 4 <= sent <= 30, f"{sent} pictures in 6 s; without a slow line it would be 60"
        assert late < 4000
        assert watched.complaints == []
        context.close()


def test_a_real_face_is_found_and_its_voice_heard(
    open_browser: Open, real: Served, mirror: Path, tmp_path: Path
) -> None:
    clip = sorted(mirror.glob("crema_d/VideoFlash/*.flv"))[0]
    camera, microphone = tmp_path / "camera.y4m", tmp_path / "microphone.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-vf", "fps=15", "-pix_fmt", "yuv420p", camera], check=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-ar", "48000", microphone], check=True)
    devices = (
        f"--use-file-for-fake-video-capture={camera}",
        f"--use-file-for-fake-audio-capture={microphone}",
        "--use-fake-ui-for-media-stream",
    )
    with open_browser(*devices) as browser:
        watched = Watched(browser.new_context(), real.url)
        page = watched.go_live()
        for name in ("Face", "Voice"):
            told = re.compile(rf"{name}: . ({LABEL.pattern})")
            expect(page.locator("#unimodal")).to_contain_text(told, timeout=PATIENCE)
        expect(page.locator("#unimodal")).not_to_contain_text("Surroundings")  # the model was not trained on them
        assert watched.complaints == []


def used(tools: CDPSession) -> tuple[float, float]:
    """What the page's scripts hold: kilobytes, and nodes."""
    tools.send("HeapProfiler.collectGarbage")
    found = {entry["name"]: entry["value"] for entry in tools.send("Performance.getMetrics")["metrics"]}
    return found["JSHeapUsedSize"] / 1024, found["Nodes"]


def resident(browser: Browser) -> float:
    """Megabytes of the browser's processes that show pages: what their workers hold, and WebAssembly, is in them."""
    tools = browser.new_browser_cdp_session()
    pids = [one["id"] for one in tools.send("SystemInfo.getProcessInfo")["processInfo"] if one["type"] == "renderer"]
    tools.detach()
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(re.search(r"^Rss:\s+(\d+)", text, re.MULTILINE)[1]) for text in rollups) / 1024  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["by the service", "on this device"])
def test_in_three_minutes_the_page_does_not_grow(browser: Browser, service: Served, where: str) -> None:
    context = browser.new_context()
    watched = Watched(context, service.url)
    if where == "on this device":
        if not RUNTIME.is_dir():
            pytest.skip("the page's runtime is not installed (make page)")
        turn_on(watched.page)
    page = watched.go_live()
    tools = context.new_cdp_session(page)
    tools.send("Performance.enable")
    page.wait_for_timeout(70_000)  # the chart shows a minute
    samples = [(*used(tools), resident(browser))]
    for _ in range(11):
        page.wait_for_timeout(10_000)
        samples.append((*used(tools), resident(browser)))
    print(samples)
    kilobytes, nodes, megabytes = zip(*samples, strict=True)
    assert max(kilobytes[6:]) < max(kilobytes[:6]) + 512
    assert max(nodes[6:]) <= max(nodes[:6]) + 50
    assert max(megabytes[6:]) < max(megabytes[:6]) + 25
    context.close()
