"""A file's way through the recogniser against ffmpeg's own decoding of it, before and after, in turns: milliseconds of
the processor, which other programs on the machine disturb less than the clock. Then a fresh `mmer predict`: processor
time from its start to its answer, and the most memory that it had.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.media import COMMAND, earlier, recogniser
from benchmarks.serving.common import ROOT, some_clips


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="REV", help="the revision to compare with")
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    parser.add_argument("--turns", type=int, default=7, metavar="N", help="default: %(default)s")
    parser.add_argument("clips", type=Path, nargs="*", metavar="CLIP", help="instead of one of the mirror")
    args = parser.parse_args()
    model = args.model.resolve()
    with tempfile.TemporaryDirectory() as name:
        old = earlier(args.before, Path(name) / "old")
        clips = [clip.resolve() for clip in args.clips] or some_clips(Path(name))[1][:1]
        print("| clip | ffmpeg alone | before | after | ratio before | ratio after | same answer |")
        print("|---|---:|---:|---:|---:|---:|---|")
        with recogniser(old, model) as before, recogniser(ROOT, model) as after:
            for clip in clips:
                floor, times, told = [], {"before": [], "after": []}, {}
                for turn in range(args.turns + 1):
                    decode = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", clip, "-f", "null", "-"]
                    floor.append(spent(lambda command=decode: subprocess.run(command, check=True)))
                    for which, ask in (("before", before), ("after", after)):
                        answer = ask(clip)
                        told[which] = answer["told"]["label"]
                        times[which] += [answer["cpu"]] if turn else []  # the first one warms up
                least, was, now = (1000 * statistics.median(all_) for all_ in (floor, *times.values()))
                same = "yes" if told["before"] == told["after"] else "no"
                ratios = f"{was / least:.2f} | {now / least:.2f}"
                print(f"| {clip.name} | {least:.0f} | {was:.0f} | {now:.0f} | {ratios} | {same} |", flush=True)
        print("\n| a fresh `mmer predict` | processor ms to the answer | most memory, MB |\n|---|---:|---:|")
        for clip in clips:
            command = [sys.executable, "-c", COMMAND, str(clip), "--model", str(model)]
            memory: list[int] = []

            def run(command: list[str] = command, memory: list[int] = memory) -> None:
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
                memory.append(int(done.stderr.split()[-1]))

            cold = [1000 * spent(run) for _ in range(args.turns)]
            print(f"| {clip.name} | {statistics.median(cold):.0f} | {max(memory)} |")


def spent(work: Callable[[], object]) -> float:
    """Processor seconds of the programs that it starts."""
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime


if __name__ == "__main__":
    main()
