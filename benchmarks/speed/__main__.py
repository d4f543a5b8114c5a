"""What mmer costs before and after, side by side in one run, as docs/measurements/speed.md tells it.

    python -m benchmarks.speed --before 162991d --write

The code before is that of a git revision, put into a temporary folder; both work on the same clips and models and take
turns. Times are of the processor, so whatever else the machine does meets both alike. Real clips are those of
MMER_MIRROR.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

from benchmarks.serving.common import ROOT
from benchmarks.speed import growth, labels, live, peers, streams
from benchmarks.speed.trees import Sides

OUT = ROOT / "docs" / "measurements" / "speed.md"
BEFORE = "162991d"
"""The last revision before costs were halved."""
SECTIONS: dict[str, Callable[[Sides], str]] = {
    "live": live.section,
    "peers": peers.section,
    "labels": labels.section,
    "streams": streams.section,
    "growth": growth.section,
}
"""By name: what measures both sides and tells it in Markdown."""


def checked_out(revision: str, folder: Path) -> Path:
    """The tree of a revision, put into a folder."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.split("\n")[0])
    parser.add_argument("--before", default=BEFORE, metavar="REVISION", help="of git (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections (default: all)")
    parser.add_argument("--turns", type=int, default=5, help="of before and after (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"into {OUT.relative_to(ROOT)}, figures beside it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        before = checked_out(args.before, Path(name))
        for section in args.only:
            told = SECTIONS[section](Sides(before, ROOT, args.turns, OUT.parent if args.write else None))
            print(told, flush=True)
            if args.write:
                put(section, f"{date.today()}, against {args.before}.\n\n{told}")


def put(section: str, text: str) -> None:
    """Write a section between its marks in the document, whose other text is kept."""
    document = OUT.read_text()
    begin, end = (f"<!-- {edge}: python -m benchmarks.speed --only {section} -->\n" for edge in ("begin", "end"))
    head, rest = document.split(begin)
    OUT.write_text(f"{head}{begin}\n{text.strip()}\n\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
