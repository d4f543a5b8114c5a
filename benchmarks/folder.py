"""A folder of clips through `mmer predict FOLDER --csv`, start and tables included, against a loop over clips in one
process: the rates and their ratio, and how much of the cores' time nobody used meanwhile. Several rounds, each of the
loop and then of the folder, since other programs may run beside them.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from benchmarks.serving.common import ROOT, some_clips
from mmer.batch.run import cores
from mmer.runtime.recognizer import Recognizer


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=500, metavar="N", help="in the folder (default: %(default)s)")
    parser.add_argument("--loop", type=int, default=60, metavar="N", help="in the loop (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="of each clip (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="default: %(default)s")
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "clips"), Path(name, "out")
        what, paths = some_clips(Path(name))
        clips = made(paths, folder, args.clips, args.seconds)
        recognizer = Recognizer.load(args.model)
        recognizer.predict(clips[0])
        print(f"{args.clips} clips of {args.seconds:g} s, made of {what}; {cores()} cores")
        print("       loop: clips a second, CPU ms a clip  folder: the same, cores idle  ratio  a core")
        for k in range(1, args.rounds + 1):
            alone, cost, _ = timed(lambda: [recognizer.predict(clip) for clip in clips[: args.loop]], args.loop)
            command = [sys.executable, "-m", "mmer.cli", "predict", str(folder), "--model", str(args.model)]
            command += ["--csv", str(out / f"{k}.csv"), "--steps", str(out / f"{k}-steps.csv")]
            rate, spent, idle = timed(partial(subprocess.run, command, check=True, capture_output=True), args.clips)
            told = f"{rate:9.2f} {spent:6.0f} {idle:11.1%} {rate / alone:6.2f} {rate / alone / cores():7.2f}"
            print(f"{k:5} {alone:20.2f} {cost:15.0f} {told}", flush=True)


def timed(work: Callable[[], object], clips: int) -> tuple[float, float, float]:
    """Clips a second of the clock; milliseconds of the processor for each, here and in all that was started; the share
    of all cores' time that no program used.
    """

    def spent() -> float:
        uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(use.ru_utime + use.ru_stime for use in uses)

    wall, cpu, idle = time.perf_counter(), spent(), psutil.cpu_times().idle
    work()
    took = time.perf_counter() - wall
    unused = (psutil.cpu_times().idle - idle) / took / (psutil.cpu_count() or 1)
    return clips / took, 1000 * (spent() - cpu) / clips, unused


def made(paths: list[Path], folder: Path, count: int, seconds: float) -> list[Path]:
    """So many clips of that length, of these over and over; the last picture of one that is shorter stays."""
    folder.mkdir()
    clips: list[Path] = []
    for k in range(count):
        path = paths[k % len(paths)]
        clips.append(folder / f"{k:04}{path.suffix}")
        if k < len(paths):
            longer = ["-vf", f"tpad=stop_mode=clone:stop_duration={seconds}", "-af", "apad", "-t", str(seconds)]
            subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), *longer, str(clips[k])], check=True)
        else:
            shutil.copyfile(clips[k % len(paths)], clips[k])
    return clips


if __name__ == "__main__":
    main()
