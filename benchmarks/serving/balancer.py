"""What nginx in front costs a live stream: half of the streams go straight to three services, half through nginx.

Both halves at the same time, so that whatever else the machine does strikes both. The interval of the difference is by
bootstrap over blocks of five seconds, the same of both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np

from benchmarks.serving.common import PLENTY, ROOT, quantiles, serve, some_clips
from benchmarks.serving.live import Load, stream
from mmer.client.playback import Piece, pieces
from scripts.dashboard import draw
from tests.nginx import balanced
from tests.prometheus import watched

RESAMPLES = 2000
BLOCK = 25
"""Steps, of 0.2 s."""


async def measure(
    straight: list[str], through: str, count: int, seconds: float, clips: list[list[Piece]]
) -> tuple[list[Load], list[Load]]:
    """Streams side by side, one load for each: those that go straight, those through nginx."""
    loads = [Load() for _ in range(count)]
    urls = [through if k % 2 else straight[k // 2 % len(straight)] for k in range(count)]
    await asyncio.gather(
        *(stream(urls[k], clips[k % len(clips)], k * 0.618 % 1, seconds, loads[k]) for k in range(count))
    )
    return loads[::2], loads[1::2]


def difference(straight: list[Load], through: list[Load], q: float) -> tuple[float, float, float]:
    """Of a quantile, through nginx less straight, and its 95% interval, in seconds."""
    steps = min(len(load.late) for load in (*straight, *through)) // BLOCK * BLOCK

    def blocks(loads: list[Load]) -> np.ndarray:
        return np.array([load.late[:steps] for load in loads]).reshape(len(loads), -1, BLOCK)

    here, there = blocks(straight), blocks(through)

    def once(chosen: np.ndarray) -> float:
        return float(np.quantile(there[:, chosen], q) - np.quantile(here[:, chosen], q))

    rng, count = np.random.default_rng(0), here.shape[1]
    found = [once(rng.integers(count, size=count)) for _ in range(RESAMPLES)]
    low, high = np.quantile(found, [0.025, 0.975])
    return once(np.arange(count)), float(low), float(high)


@contextlib.contextmanager
def drawn(services: list[str], through: str, clip: Path, out: Path) -> Iterator[None]:
    """Draw the dashboard of what a Prometheus sees meanwhile.

    A file goes through nginx every three seconds, of which each fifth is no clip.
    """
    over, began = threading.Event(), time.monotonic()

    def send() -> None:
        count = 0
        while not over.wait(3):
            count += 1
            body = clip.read_bytes() if count % 5 else b"no clip"
            httpx.post(f"{through}/predict?steps=false", files={"file": body}, timeout=60)

    sending = threading.Thread(target=send)
    with watched(services) as prometheus:
        sending.start()
        try:
            yield
        finally:
            over.set()
            sending.join()
        draw(prometheus, (time.monotonic() - began) / 60, out)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[8, 16, 32], metavar="N")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--services", type=int, default=3)
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    parser.add_argument(
        "--dashboard", type=Path, metavar="PICTURE", help="of what Prometheus saw, files sent beside it"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        what, paths = some_clips(Path(name))
        clips = [pieces(path) for path in paths]
        urls = [stack.enter_context(serve(args.model, **PLENTY)).url for _ in range(args.services)]
        nginx = stack.enter_context(balanced(urls))
        if args.dashboard:
            stack.enter_context(drawn(urls, nginx.url, paths[0], args.dashboard))
        print(f"{what}, {args.seconds:g} s a stream, {args.services} services")
        print("streams  way       ms: median p95 p99 max    steps skipped   p95, through nginx less straight, ms [95%]")
        for count in args.streams:
            halves = asyncio.run(measure(urls, nginx.url, count, args.seconds, clips))
            for way, loads in zip(("straight", "nginx"), halves, strict=True):
                late = [seconds for load in loads for seconds in load.late]
                events = sum((load.events for load in loads), start=type(loads[0].events)())
                told = ""
                if way == "nginx":
                    told = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(1000 * s for s in difference(*halves, 0.95)))
                print(
                    f"{count:7}  {way:8} {quantiles(late)} {events['steps']:8} {events['steps skipped']:7}   {told}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
