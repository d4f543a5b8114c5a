"""Live streams side by side: how late are the answers, and what happens beyond what the machine carries.

Each stream sends ten pictures and ten pieces of voice a second, at its own phase, over a real WebSocket; server and
load share the machine. Late is from the sending of what makes a step due to its answer; of an utterance, from the
moment at which its voice ends, by the clock of the stream, to the message that tells it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.serving.common import PLENTY, ROOT, quantiles, serve, some_clips
from mmer.client.playback import FRAME_S, Piece, pieces
from mmer.client.stream import Session, StreamError, connect

PER_STEP = 2
"""Pictures, and pieces of voice, in a step of 0.2 s."""
WARM_S = 2.0
"""Not counted."""


class Load:
    """What all streams saw."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.spoken: list[float] = []
        """Of utterances."""
        self.events: Counter[str] = Counter()


async def stream(url: str, clip: list[Piece], phase: float, seconds: float, load: Load) -> None:
    """One live stream, a clip over and over."""
    pictures, voice = [p.jpeg for p in clip if p.jpeg], [p.voice for p in clip if p.voice][:-1]
    await asyncio.sleep(phase)
    try:
        async with connect(url) as session:
            due: dict[int, float] = {}
            start = time.perf_counter()
            sending = asyncio.create_task(send(session, pictures, voice, start, seconds, due))
            async for message in session:
                if message["type"] == "step":
                    load.events["steps"] += 1
                    if message["t"] > WARM_S:
                        load.late.append(time.perf_counter() - due[message["n"]])
                elif message["type"] == "utterance" and not sending.done():  # what ends with the stream is told at once
                    load.spoken.append(time.perf_counter() - start - message["end"])
                elif message["type"] == "dropped":
                    load.events["steps skipped"] += message["steps"]
            await sending
            load.events["whole"] += 1
    except StreamError as error:
        load.events["refused" if "refuses" in str(error) else "cut off"] += 1


async def send(
    session: Session, pictures: list[bytes], voice: list[bytes], start: float, seconds: float, due: dict[int, float]
) -> None:
    with contextlib.suppress(StreamError):  # the listener tells why
        for k in range(1, round(seconds / FRAME_S)):
            await asyncio.sleep(k * FRAME_S - (time.perf_counter() - start))
            await session.send_frame(pictures[k % len(pictures)], k * FRAME_S)
            if k % PER_STEP == 0:  # the voice that comes next reaches the step
                due[k // PER_STEP - 1] = time.perf_counter()
            await session.send_voice(voice[k % len(voice)], (k - 1) * FRAME_S)
        await session.bye()


async def measure(url: str, count: int, seconds: float, clips: list[list[Piece]]) -> Load:
    """Some streams at once."""
    load = Load()
    await asyncio.gather(*(stream(url, clips[k % len(clips)], k * 0.618 % 1, seconds, load) for k in range(count)))
    return load


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8, 16, 20, 32], metavar="N")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    parser.add_argument(
        "--sessions", type=int, metavar="N", help="let in at once, the others are refused (default: all)"
    )
    args = parser.parse_args()
    limits = PLENTY | ({"MMER_SESSIONS": str(args.sessions)} if args.sessions else {})
    with tempfile.TemporaryDirectory() as name:
        what, paths = some_clips(Path(name))
        clips = [pieces(path) for path in paths]
    print(f"{what}, {args.seconds:g} s a stream, let in at once: {args.sessions or 'all'}")
    print(
        "streams  late, ms: median p95 p99 max      steps skipped refused  CPU of a core: requests network"
        "  utterances, ms after their end"
    )
    for count in args.streams:
        with serve(args.model, **limits) as service:
            asyncio.run(measure(service.url, 2, 4, clips))  # warm
            before, start = service.cpu(), time.perf_counter()
            load = asyncio.run(measure(service.url, count, args.seconds, clips))
            spent = time.perf_counter() - start
            cpu = {name: (used - before[name]) / spent for name, used in service.cpu().items()}
        e = load.events
        print(
            f"{count:7} {'':10}{quantiles(load.late)} {e['steps']:10} {e['steps skipped']:7} {e['refused']:7}"
            f" {cpu['requests']:22.0%} {cpu['network']:7.0%} {len(load.spoken):10} {quantiles(load.spoken)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
