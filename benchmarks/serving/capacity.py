"""What many streams need, reckoned from what a few were measured to need: cores, memory, network.

A service is simulated: streams bring a step each 0.2 s, each at its own phase; one process decodes, detects and
answers, one step after the other; the other makes passes, all that wait in one call; they and the load share the cores.
Times are those of docs/measurements/serving.md, and so are the figures that it is checked against.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.serving.common import ROOT, some_clips
from mmer.client.playback import pieces
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.recognizer import Recognizer
from mmer.serving import protocol
from mmer.serving.live import BEHIND_S, KEEP_S, Session

PAGE = ROOT / "docs" / "measurements" / "serving.md"
STEP_S = 0.2
TICK_S = 0.001
WARM_S = 2.0
SECONDS = 30.0
GATHERED = 16
"""Passes in a call, at most."""


@dataclass(frozen=True)
class Row:
    """Streams that were run, as measured: `late` in seconds, `cpu` in cores."""

    streams: int
    median: float
    p95: float
    steps: int
    skipped: int
    requests_cpu: float
    network_cpu: float


@dataclass(frozen=True)
class Times:
    """Processor seconds."""

    requests: float
    """Of a step, in the process that takes requests."""
    call: float
    """Of a call of the network, whatever is in it."""
    made: float
    """Of a pass in it."""
    load: float
    """Of a second of a stream, in the load that shares the cores; 0 in a real deployment."""


def read_measured() -> tuple[list[Row], Times, float]:
    """The page's first table of live streams; the times; megabytes of a service's two processes after an hour."""
    text = PAGE.read_text()
    rows = []
    table, _, _ = text[text.index("| streams | late") :].partition("\n\n")
    for line in re.findall(r"^\| (\d+ \|.*)$", table, re.MULTILINE):
        cells = [float(cell.strip(" %").replace(",", "")) for cell in line.strip("| ").split("|")]
        n, median, p95, _, _, steps, skipped, requests, network = cells
        rows.append(Row(int(n), median / 1e3, p95 / 1e3, int(steps), int(skipped), requests / 100, network / 100))
    batches = re.findall(r"^\| on \| .* \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    (one, alone), *_, (many, together) = [(float(n), float(ms) / 1e3) for n, ms in batches]
    made = (many * together - one * alone) / (many - one)
    whole = max((row for row in rows if not row.skipped), key=lambda row: row.streams)
    full = min((row for row in rows if row.skipped), key=lambda row: row.streams)
    requests = whole.requests_cpu / whole.streams * STEP_S
    load = (2 - full.requests_cpu - full.network_cpu) / full.streams  # at which the two cores were full
    (hour,) = re.findall(r"^\| 60 \|.* \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    return rows, Times(requests, alone - made, made, load), sum(map(float, hour))


def simulate(
    streams: int, times: Times, cores: float = 2, seconds: float = SECONDS, seed: int = 0
) -> tuple[np.ndarray, int, int]:
    """One service under load.

    Returns:
        How late each answer came, in seconds; steps answered, and skipped, all without the first two seconds.
    """
    rng = np.random.default_rng(seed)
    due = sorted((phase + k * STEP_S, s) for s, phase in enumerate(rng.uniform(0, STEP_S, streams))
                 for k in range(round(seconds / STEP_S)))  # fmt: skip
    arrivals, here = deque(due), deque[tuple[float, int]]()
    waiting: list[float] = []
    call: list[float] = []
    left = {"requests": 0.0, "network": 0.0}
    looked: float | None = None
    late: list[float] = []
    skipped, now = 0, 0.0
    while now < seconds:
        now += TICK_S
        while arrivals and arrivals[0][0] <= now:
            here.append(arrivals.popleft())
        if here and now - here[0][0] > BEHIND_S:  # its stream goes on with what is new
            behind = here[0][1]
            kept = deque(one for one in here if one[1] != behind or now - one[0] <= KEEP_S)
            skipped += (len(here) - len(kept)) * (now > WARM_S)
            here = kept
        if looked is None and here:
            looked = here.popleft()[0]
            left["requests"] = rng.gamma(4, times.requests / 4)
        if not call and waiting:
            call, waiting = waiting[:GATHERED], waiting[GATHERED:]
            left["network"] = times.call + times.made * len(call)
        busy = (looked is not None) + bool(call)
        share = min(1.0, max(0.2, cores - streams * times.load) / busy) if busy else 0.0
        if looked is not None:
            left["requests"] -= TICK_S * share
            if left["requests"] <= 0:
                waiting.append(looked)
                looked = None
        if call:
            left["network"] -= TICK_S * share
            if left["network"] <= 0:
                late += [now - one for one in call if one > WARM_S]
                call = []
    return np.array(late), len(late), skipped


def wire(model: Path) -> tuple[str, float, float]:
    """What clips they are, and the bytes a second of a stream of them, in and out (without WebSocket's and TCP's)."""
    with tempfile.TemporaryDirectory() as name:
        what, paths = some_clips(Path(name))
        clips = [pieces(path) for path in paths]
    recognizer, up, down, seconds = Recognizer.load(model), 0, 0, 0.0
    hello = protocol.Hello(type="hello", protocol=protocol.VERSION, rate=SAMPLE_RATE, video=True, audio=True)
    for clip in clips:
        session = Session(recognizer, hello, 10**7)
        seconds += clip[-1].t
        for piece in clip:
            kind, payload = (protocol.FRAME, piece.jpeg) if piece.jpeg else (protocol.VOICE, piece.voice or b"")
            begun = piece.t if piece.jpeg else piece.t - len(payload) / 2 / SAMPLE_RATE
            sent = protocol.write_media(kind, round(1000 * begun), payload)
            up += len(sent)
            session.receive(protocol.read_media(sent))
            while session.due:
                looked, _ = session.look(session.take())
                told = session.tell(looked, recognizer.graph(looked.arrays))[1]
                down += sum(len(json.dumps(message)) for message in told)
    return what, up / seconds, down / seconds


def carried(times: Times, cores: float, p95_s: float) -> int:
    """The most streams of one service of which 95 answers in 100 come within so many seconds."""
    count = 1
    while np.quantile(simulate(count + 1, times, cores)[0], 0.95) <= p95_s:
        count += 1
    return count


def main() -> None:
    """Print the check, and what is needed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1000, 100_000], metavar="N")
    parser.add_argument("--p95", type=float, default=0.25, metavar="S", help="late, at most (default: %(default)s)")
    parser.add_argument("--full", type=float, default=10 / 16, help="share of places taken (default: as autoscaled)")
    parser.add_argument("--price", type=float, help="of a core for an hour, in your currency")
    args = parser.parse_args()
    rows, times, megabytes = read_measured()
    print(f"ms of a processor: {', '.join(f'{name} {1000 * value:.1f}' for name, value in vars(times).items())}")
    print("\nstreams  late, ms: median  simulated      p95  simulated  steps a second  simulated")
    length = rows[0].steps * STEP_S
    for row in rows:
        late, answered, _ = simulate(row.streams, times)
        print(
            f"{row.streams:7} {1000 * row.median:17.0f} {1000 * np.median(late):10.0f} {1000 * row.p95:8.0f}"
            f" {1000 * np.quantile(late, 0.95):10.0f} {row.steps / length:15.0f} {answered / (SECONDS - WARM_S):10.0f}"
        )
    most = carried(replace(times, load=0), 2, args.p95)
    print(f"\na service on two cores of its own: {most} streams with p95 within {args.p95:g} s")
    what, up, down = wire(ROOT / "release")
    print(f"{what}: {up / 1e3:.0f} kB a second in, {down / 1e3:.1f} out\n")
    print(f"streams  services  cores  GB of memory  Mbit/s in  Mbit/s out{'   an hour' if args.price else ''}")
    for streams in args.streams:
        services = -(-streams // max(1, int(most * args.full)))
        cost = f" {2 * services * args.price:9.2f}" if args.price else ""
        print(
            f"{streams:7} {services:9} {2 * services:6} {services * megabytes / 1e3:13.0f}"
            f" {streams * up * 8 / 1e6:10.0f} {streams * down * 8 / 1e6:11.0f}{cost}"
        )


if __name__ == "__main__":
    main()
