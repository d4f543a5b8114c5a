"""What people send (`tests/sent.py`), made from one clip: what an earlier revision, this one and the service say, and
how long ordinary clips take before and after, in turns. Writes a page of docs/measurements.

Without `--clip` the files are made from a drawn clip, so what is recognised in them is no evidence about people: what
counts is that they are read, where the face is, and that twins are answered alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving.common import PLENTY, ROOT, serve
from mmer.data.demo.corpus import draw_corpus
from tests.sent import FILES, make

WORKER = """
import json, resource, sys, time
from mmer.runtime.recognizer import Recognizer
recognizer = Recognizer.load(sys.argv[1])
def spent():
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)
for line in sys.stdin:
    wall, cpu = time.perf_counter(), spent()
    try:
        told = recognizer.predict(line.strip()).to_json()
    except Exception as error:
        told = {"error": {"code": getattr(error, "code", type(error).__name__), "message": str(error)}}
    told.pop("model", None)
    print(json.dumps({"told": told, "wall": time.perf_counter() - wall, "cpu": spent() - cpu}), flush=True)
"""
"""Recognises one file a line, and says what it found, and the seconds of the clock and of the processor."""

COMMAND = """
import re, sys
from pathlib import Path
from mmer.cli import main
code = main(["predict", *sys.argv[1:], "--json"])
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024, file=sys.stderr)
sys.exit(code)
"""
"""`mmer predict`, which then says the most memory that it had, in MB (Linux)."""

Ask = Any


@contextmanager
def recogniser(code: Path, model: Path) -> Iterator[Ask]:
    """A process of the code in that folder."""
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, str(model)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=code
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, answers = process.stdin, process.stdout

        def ask(path: Path) -> dict[str, Any]:
            to.write(f"{path}\n")
            to.flush()
            told: dict[str, Any] = json.loads(answers.readline())
            return told

        yield ask
        to.close()


def earlier(revision: str, folder: Path) -> Path:
    """The package as it was."""
    packed = subprocess.run(["git", "archive", revision, "mmer"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def in_words(told: dict[str, Any]) -> str:
    """An answer, short."""
    if "error" in told:
        return f"`{told['error']['code']}`: " + shortened(told["error"]["message"].partition(": ")[2])
    steps = told["steps"]
    boxes = [step["box"] for step in steps if step["box"]]
    words = [f"{told['label']} {max(told['probabilities'].values()):.2f}" if told["label"] else "nothing to go by"]
    words.append(f"{len(steps)} steps" if len(steps) > 1 else "1 step")
    words.append(f"face {', '.join(f'{edge:.2f}' for edge in boxes[0])}" if boxes else "no face")
    words.append("no voice" if "voice" in told["missing"] else "voice")
    words += [f"{note['code']}: {shortened(note['message'])}" for note in told.get("notes", [])]
    return "; ".join(words)


def shortened(text: str, most: int = 130) -> str:
    """A text, cut, and safe in a table."""
    text = text.replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= most else text[:most].rstrip() + " …"


def over_http(url: str, path: Path) -> str:
    """The status, and the code of a refusal or the label."""
    with path.open("rb") as file:
        answer = httpx.post(f"{url}/predict?steps=false", files={"file": (path.name, file)}, timeout=120)
    told = answer.json()
    return f"{answer.status_code} {told['error']['code'] if 'error' in told else told['label'] or 'nothing to go by'}"


def long_recordings(clip: Path, model: Path, folder: Path) -> list[str]:
    """Rows: how long a clip played again and again takes, and the most memory."""
    rows = []
    for minutes in (5, 30):
        path = folder / f"{minutes}.mp4"
        loop = ["-stream_loop", "-1", "-i", clip, "-t", str(60 * minutes), "-c", "copy", path]
        subprocess.run(["ffmpeg", "-v", "error", "-y", *loop], check=True)
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", COMMAND, path, "--model", model]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
        steps = len(json.loads(done.stdout)["steps"])
        rows.append(f"| {minutes} minutes | {steps} | {done.stderr.split()[-1]} | {seconds:.0f} |")
    return rows


def timings(before: Ask, after: Ask, clips: Sequence[Path], turns: int) -> list[str]:
    """Rows: each clip's median seconds in both, and the ratios."""
    rows, ratios = [], []
    for clip in clips:
        taken: dict[str, list[tuple[float, float]]] = {"before": [], "after": []}
        for turn in range(turns + 1):
            pairs = [("before", before), ("after", after)]
            for name, ask in pairs if turn % 2 else pairs[::-1]:
                answer = ask(clip)
                if turn:  # the first one warms up
                    taken[name].append((answer["wall"], answer["cpu"]))
        wall, cpu = ({name: statistics.median(t[k] for t in taken[name]) for name in taken} for k in (0, 1))
        ratios.append(cpu["after"] / cpu["before"])
        rows.append(
            f"| {clip.name} | {wall['before']:.3f} | {wall['after']:.3f} | {wall['after'] / wall['before']:.3f} "
            f"| {cpu['before']:.3f} | {cpu['after']:.3f} | {ratios[-1]:.3f} |"
        )
    return [*rows, f"\nOver all clips the processor's time is {statistics.geometric_mean(ratios):.3f} of what it was."]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="REV", help="the revision to compare with")
    parser.add_argument("--clip", type=Path, help="what the files are made from")
    parser.add_argument("--ordinary", type=Path, nargs="*", default=[], help="clips to be timed, beside it")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "measurements" / "media.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), args.model.resolve()
        clip = args.clip
        if clip is None:
            draw_corpus(folder / "demo", speakers=1, takes=1, workers=1)
            clip = folder / "demo" / "clips" / "s01-sad-1.mp4"
        (folder / "sent").mkdir()
        old = earlier(args.before, folder / "old")
        rows = []
        with (
            recogniser(old, model) as before,
            recogniser(ROOT, model) as after,
            serve(model, **PLENTY) as service,
        ):
            for file, sent in FILES.items():
                path = make(file, folder / "sent", clip.resolve())
                answers = [in_words(ask(path)["told"]) for ask in (before, after)]
                command = sent.command.replace("|", "\\|")
                rows.append(
                    f"| {sent.row} | `{command}` | {answers[0]} | {answers[1]} | {over_http(service.url, path)} |"
                )
                print(rows[-1], flush=True)
        ordinary = [path.resolve() for path in (folder / "sent" / "clip.mp4", *args.ordinary)]
        with recogniser(old, model) as before, recogniser(ROOT, model) as after:
            timed = timings(before, after, ordinary, args.turns)
        long = long_recordings(ordinary[0], model, folder)
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    hashed = ["git", "rev-parse", "--short", args.before]
    revision = subprocess.run(hashed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    clip_in_words = "a clip of its own" if args.clip else "a drawn clip, so the labels are no evidence about people"
    page = f"""# What people send

Each file is made by the command beside it (`py` is Python) in a folder that holds `clip.mp4` and a frame of it,
`face.png`; "before" is revision {revision}. Made by `python -m benchmarks.media --before {revision}` with ffmpeg
{version}, Python {platform.python_version()}, the released model and {clip_in_words}.

| what | made by | before | after | over HTTP |
|---|---|---|---|---|
{chr(10).join(rows)}

## Long recordings

The clip again and again, by `mmer predict --json`; before, more than 10 minutes were refused.

| recording | steps | most memory, MB | CPU s |
|---|---|---|---|
{chr(10).join(long)}

## Ordinary clips

Decoding and recognising, before and after in turns, medians of {args.turns}: seconds of the clock, and of the processor
(this process and ffmpeg), which other work on the machine disturbs less.

| clip | before, s | after, s | ratio | before, CPU s | after, CPU s | ratio |
|---|---|---|---|---|---|---|
{chr(10).join(timed)}
"""
    args.out.write_text(page)


if __name__ == "__main__":
    main()
