"""What the pipeline made, in one screen; printed after `make repro`."""

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

from mmer.clips import read_manifest

MANIFEST = Path("data/clips.parquet")
DETAILS, PACKAGE = Path("reports/evaluate/details.json"), Path("reports/package.json")


def main() -> None:
    """Print data, scores, size and what to do next; what is not made yet is left out, with the way to make it."""
    argparse.ArgumentParser(prog="python -m stages.summary", description=__doc__).parse_args()
    missing = [str(path) for path in (MANIFEST, DETAILS, PACKAGE) if not path.exists()]
    if MANIFEST.exists():
        _table("Data", ["clips", "speakers", "hours"], _data())
    if DETAILS.exists():
        details = json.loads(DETAILS.read_text())
        rows = [[name.replace("+", " + "), *_scores(s)] for name, s in details["subsets"].items()]
        _table("Speakers never seen", ["UAR", "95% interval", "accuracy"], rows)
        print(textwrap.fill(details["protocol"], 100, initial_indent="  ", subsequent_indent="  "))
        if details["drawings"]:
            print(f"  {details['note'][0].upper()}{details['note'][1:]}.")
        print()
    if PACKAGE.exists():
        package = json.loads(PACKAGE.read_text())
        size = [f"{package['parameters']:,}", f"{package['graph_bytes'] / 1e6:.2f}"]
        _table("Model", ["parameters", "graph, MB"], [["models/mmer.onnx", *size]])
    if missing:
        print(f"Not made yet: {', '.join(missing)}. `make repro` makes what is missing.\n")
        return
    print("Next")
    for command, why in (
        ("mmer predict --model models CLIP", "the emotion in a video, recording or picture"),
        ("make serve MODEL=models", "a page to drop a clip on, and POST /predict"),
        ("make ui", "MLflow: runs, trials, the registry"),
        ("dvc plots show", "the figures of the reports in one page"),
    ):
        print(f"  {command:<34}{why}")


def _data() -> list[list[str]]:
    """A row per split, and one for all."""
    clips = read_manifest(MANIFEST)
    rows = []
    for name in ("train", "val", "test", "all"):
        own = [c for c in clips if name in (c.split, "all")]
        hours = sum(c.duration_s for c in own) / 3600
        rows.append([name, f"{len(own):,}", f"{len({c.person for c in own}):,}", f"{hours:.2f}"])
    return rows


def _scores(scores: dict[str, Any]) -> list[str]:
    known = scores["uar_low"] is not None
    interval = f"{scores['uar_low']:.3f} to {scores['uar_high']:.3f}" if known else "one speaker"
    return [f"{scores['uar']:.3f}", interval, f"{scores['war']:.3f}"]


def _table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Names at the left, numbers at the right."""
    lines = [[title, *header], *([f"  {row[0]}", *row[1:]] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for first, *rest in lines:
        print(
            first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)), sep="  "
        )
    print()


if __name__ == "__main__":
    main()
