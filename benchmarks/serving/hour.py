"""An hour of stream in one session, faster than real: is the last answer as fast as the first, and memory flat?

The client is paced by the answers: it is never more than half a second ahead of them.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.serving.common import PLENTY, ROOT, Service, serve, some_clips
from mmer.client.playback import FRAME_S, pieces
from mmer.client.stream import connect

ROWS = 8


async def run(service: Service, seconds: float, pictures: list[bytes], voice: list[bytes]) -> None:
    """Stream, and print a row now and then."""
    steps = round(seconds / (2 * FRAME_S))
    late: list[float] = []
    async with connect(service.url) as session:
        answers = aiter(session)
        for n in tqdm(range(steps), unit="step", disable=None):
            for k in (2 * n, 2 * n + 1):
                t = (k + 1) * FRAME_S
                await session.send_frame(pictures[k % len(pictures)], t)
                start = time.perf_counter()
                await session.send_voice(voice[k % len(voice)], t - FRAME_S)
            message = await anext(answers)
            assert message["type"] == "step", message
            assert message["n"] == n, message
            late.append(time.perf_counter() - start)
            if (n + 1) % (steps // ROWS) == 0:
                memory = service.memory()
                row = f"{message['t'] / 60:7.1f} {1000 * np.median(late):10.1f} {1000 * np.quantile(late, 0.95):7.1f}"
                print(f"{row} {memory['requests']:12.1f} {memory['network']:8.1f}", flush=True)
                late.clear()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        what, paths = some_clips(Path(name))
        clip = pieces(paths[0])
    pictures, voice = [p.jpeg for p in clip if p.jpeg], [p.voice for p in clip if p.voice][:-1]
    print(f"{what}; the first, over and over")
    print(" minute  median ms  p95 ms  MB: requests  network")
    with serve(args.model, **PLENTY) as service:
        asyncio.run(run(service, 60 * args.minutes, pictures, voice))


if __name__ == "__main__":
    main()
