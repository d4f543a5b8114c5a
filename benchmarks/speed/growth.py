"""How cost grows with streams, people, the length of a clip and the size of a corpus: points, the straight line through
them, and its slope. All but memory is processor time, of this process and of those that it starts.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
from matplotlib.figure import Figure

from benchmarks.folder import made
from benchmarks.people import crowd, stream
from benchmarks.serving.common import some_clips
from benchmarks.speed.trees import Sides
from mmer.plots.palette import BLUE, FAINT, GREY, INK, ORANGE
from mmer.runtime import media
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.types import Picture

STREAMS = (1, 2, 4, 8, 16, 32)
LENGTHS = (3, 10, 30, 60, 120)
"""Seconds."""
CLIPS = (1, 5, 10, 20, 40)
SECONDS = 4.0
"""That each stream is played for."""
LIVE_SECONDS = 12.0
"""That each crowd is looked at for."""


@dataclass(frozen=True)
class Growth:
    """One measure over one count."""

    over: str
    unit: str
    points: list[tuple[float, float]]

    def line(self) -> tuple[float, float, float]:
        """Slope and start by least squares, and the share of the variance that the line explains."""
        x, y = np.array(self.points).T
        slope, start = np.polyfit(x, y, 1)
        off = y - (slope * x + start)
        return float(slope), float(start), float(1 - off.var() / y.var())


def section(sides: Sides) -> str:
    """The table; where figures are wanted, growth.png."""
    cv2.setNumThreads(1)
    recognizer = Recognizer.load(sides.after / "release")
    with tempfile.TemporaryDirectory() as name:
        what, clips = some_clips(Path(name))
        found = [
            *streams(recognizer, clips),
            people(recognizer, sides.turns),
            lengths(recognizer, clips[0], Path(name)),
            corpora(sides.after, clips, Path(name)),
        ]
    lines = [
        f"After alone; {what}, drawn people. Lines by least squares; R² is what of the variance they explain.",
        "",
        "| over | from, to | measured, first and last | start | each one more | R² |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        (first, least), (last, most) = one.points[0], one.points[-1]
        slope, start, fit = one.line()
        lines.append(
            f"| {one.over}: {one.unit} | {first:g}, {last:g} | {least:,.0f}, {most:,.0f} | {start:,.0f} | {slope:,.1f} "
            f"| {fit:.3f} |"
        )
    if sides.figures:
        draw(found, sides.figures / "growth.png")
        lines += ["", "![Cost over streams, people, the length of a clip and the size of a corpus](growth.png)"]
    return "\n".join(lines)


def streams(recognizer: Recognizer, clips: list[Path]) -> list[Growth]:
    """Live streams in one process, each with a clip, step by step in turns: time and memory."""
    played = [_decoded(recognizer, clip) for clip in clips]
    hop = round(recognizer.info.input.step_s * SAMPLE_RATE)
    spent: list[tuple[float, float]] = []
    memory: list[tuple[float, float]] = []
    for count in (1, *STREAMS):  # the first allocates
        live = [recognizer.stream() for _ in range(count)]
        start, steps = time.process_time(), round(SECONDS / recognizer.info.input.step_s)
        for k in range(steps):
            for n, one in enumerate(live):
                pictures, voice = played[n % len(played)]
                place = k % len(pictures)
                one.push_frame(pictures[place], one.next_time)
                one.push_voice(voice[place * hop : (place + 1) * hop], k * recognizer.info.input.step_s)
                one.step()
        spent.append((count, 1000 * (time.process_time() - start) / SECONDS))
        memory.append((count, _megabytes()))
    return [
        Growth("streams", "CPU ms a second", spent[1:]),
        Growth("streams", "MB of the process", memory[1:]),
    ]


def people(recognizer: Recognizer, turns: int) -> Growth:
    """People side by side in the pictures of a live stream."""
    counts = range(1, recognizer.info.faces.max_people + 1)
    shown = [crowd(count) for count in counts]
    taken = [[stream(recognizer, pictures, LIVE_SECONDS)[0] for pictures in shown] for _ in range(turns + 1)]
    return Growth("people", "CPU ms a second", list(zip(counts, np.median(taken[1:], axis=0).tolist(), strict=True)))


def lengths(recognizer: Recognizer, clip: Path, folder: Path) -> Growth:
    """One clip, played over and over for so long, recognised as a file."""
    points, once = [], folder / "once.mp4"  # not every container can be played over and over
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, once], check=True)
    for seconds in (LENGTHS[0], *LENGTHS):  # the first allocates
        longer = folder / f"{seconds}.mp4"
        command = ["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", once, "-t", str(seconds), "-preset"]
        subprocess.run([*command, "ultrafast", longer], check=True)
        points.append((float(seconds), _spent(lambda longer=longer: recognizer.predict(longer))))  # type: ignore[misc]
    return Growth("seconds of a clip", "CPU ms", points[1:])


def corpora(tree: Path, clips: list[Path], folder: Path) -> Growth:
    """`mmer predict FOLDER` on so many clips of 3 s, its start and its tables included."""
    points = []
    for count in CLIPS:
        made(clips, folder / str(count), count, 3.0)
        command = [sys.executable, "-m", "mmer.cli", "predict", str(folder / str(count))]
        command += ["--model", str(tree / "release"), "--csv", str(folder / f"{count}.csv")]
        run = lambda command=command: subprocess.run(command, check=True, capture_output=True)  # noqa: E731
        points.append((float(count), _spent(run)))
    return Growth("clips of a corpus", "CPU ms", points)


def draw(found: list[Growth], path: Path) -> None:
    """Each as points and the line through them."""
    figure = Figure(figsize=(11, 6.2), dpi=130, facecolor="white", layout="constrained")
    every = figure.subplots(2, 3).ravel()
    for axes, one in zip(every, found, strict=False):
        x, y = np.array(one.points).T
        slope, start, _ = one.line()
        ends = np.array([0, x.max()])
        axes.plot(ends, start + slope * ends, color=ORANGE, lw=1.4, zorder=2)
        axes.plot(x, y, "o", color=BLUE, ms=6, zorder=3)
        axes.set(xlim=(0, None), ylim=(0, None), xlabel=one.over, ylabel=one.unit)
        axes.set_title(f"{start:,.0f} + {slope:,.1f} each", loc="left", fontsize=10, color=INK)
        axes.grid(color=FAINT, lw=0.6, zorder=0)
        axes.tick_params(colors=GREY)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in every[len(found) :]:
        axes.set_axis_off()
    figure.savefig(path, metadata={"Software": None})


def _decoded(recognizer: Recognizer, clip: Path) -> tuple[list[Picture], np.ndarray]:
    pictures: list[Picture] = []
    info = recognizer.info
    decoded = media.decode(clip, info.media, info.input.step_s, lambda _k, _t, rgb: pictures.append(rgb.copy()))
    return pictures, decoded.voice


def _spent(work: Callable[[], object]) -> float:
    """CPU ms of it, of what it starts too."""

    def used() -> float:
        found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(use.ru_utime + use.ru_stime for use in found)

    start = used()
    work()
    return 1000 * (used() - start)


def _megabytes() -> float:
    """Resident, of this process."""
    match = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(match[1]) / 1024 if match else 0.0
