"""Extract a corpus of many clips on Dask and on Ray, by one worker and by more: how fast, and in how much memory.

Scheduler and workers are processes of this machine, started as by hand; the corpus is a few clips over and over, as
links. The rate is from the first tenth of the clips to the last one, so that starting is not in it; the memory is that
of the cluster and of what asks it together, what they share counted once, at its largest in each quarter of the run.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy starts its threads

import psutil

from benchmarks.preparing import link
from benchmarks.serving.common import some_clips
from tests import clusters

EVERY_S = 0.5
QUARTERS = 4


def below(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def megabytes(processes: list[psutil.Process]) -> float:
    """Of memory, what is shared counted once."""
    found = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except OSError:  # gone
            continue
        found += sum(map(int, re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)))
    return found / 1024


def run(backend: str, workers: int, raw: Path, out: Path, count: int) -> tuple[float, list[float], int]:
    """Clips a second, the memory of each quarter, and how often the bar moved."""
    began: tuple[int, float] = (0, 0.0)
    ended = 0.0
    largest = [0.0] * QUARTERS

    with getattr(clusters, backend)(workers) as (where, _):

        def watch(pid: int) -> None:
            nonlocal began, ended
            while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                done = len(list(out.glob("*.npz"))) if out.exists() else 0
                now = time.monotonic()
                if not began[0] and done >= count // 10:
                    began = done, now
                if done < count:
                    ended = now
                quarter = min(QUARTERS * done // count, QUARTERS - 1)
                largest[quarter] = max(largest[quarter], megabytes(below(os.getpid())[1:]))
                time.sleep(EVERY_S)

        told = clusters.extract("folder", raw, out, backend, watch, **where)
    shown = {int(done) for done in re.findall(rf"(\d+)/{count}", told)}
    return (count - began[0]) / (ended - began[1]), largest, len(shown)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="videos (default: the mirror's, else drawn ones)")
    parser.add_argument("--copies", type=int, nargs="+", default=[10, 100], help="of each (default: %(default)s)")
    parser.add_argument("--backends", nargs="+", default=["dask", "ray"], choices=["dask", "ray"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="(default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mmer-") as name:
        home = Path(name)
        clips = args.clips or some_clips(home)[1]
        for copies in args.copies:
            link(clips, copies, home / str(copies))
        print("backend  clips workers  clips a second  of one, times  MB in each quarter     steps of the bar   load")
        for backend in args.backends:
            for copies in args.copies:
                one = 0.0
                for workers in args.workers:
                    count, out = copies * len(clips), home / f"{backend}-{copies}-{workers}"
                    rate, memory, shown = run(backend, workers, home / str(copies), out, count)
                    one = one or rate / workers
                    told = " ".join(f"{mb:5.0f}" for mb in memory)
                    print(
                        f"{backend:7} {count:6} {workers:7} {rate:15.2f} {rate / one:14.2f}  {told} {shown:10}"
                        f" {os.getloadavg()[0]:12.1f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
