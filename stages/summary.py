"""What the pipeline made, in one screen; printed after `make repro`."""

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

from mmer.data.clips import read_manifest
from mmer.evaluation.protocol import n_speakers
from mmer.evaluation.report import judged
from mmer.labels import DIMENSIONS
from mmer.packaging.model_card import FRAGILE
from mmer.reporting import counted

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
        header = ["n", "UAR", "95% interval", "accuracy", "95% interval"]
        rows = [[name.replace("+", " + "), *_scores(s)] for name, s in details["subsets"].items()]
        _table("People never seen", header, rows)
        if len(details["by_corpus"]) > 1:
            _table("All of it, by corpus", header, [[name, *_scores(s)] for name, s in details["by_corpus"].items()])
        if details["votes"]:
            rows = [
                [f"{given}: {who}, against {truth}", *_scores(s)]
                for given, who, truth, s in judged(details)
                if "uar" in s
            ]
            _table("People and model, given the same", header, rows)
        if affect := details.get("affect"):
            rows = [
                [f"{name.replace('+', ' + ')}: {of}", f"{s['n']:,}", *_concordance(s[of])]
                for name, s in affect["subsets"].items()
                for of in DIMENSIONS
            ]
            _table("Valence and arousal", ["n", "CCC", "95% interval", "RMSE"], rows)
        told = f"n: the clips that hold it. {details['protocol']}"
        if 0 < details["n_speakers"] < FRAGILE:
            told += f" {counted(details['n_speakers'], 'speaker')}: too few for these intervals to say much."
        print(textwrap.fill(told, 100, initial_indent="  ", subsequent_indent="  "))
        if note := details.get("note"):
            print(f"  {note[0].upper()}{note[1:]}.")
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
    """A row per split, and one for all; where a corpus does not tell its speakers apart, they are not counted."""
    clips = read_manifest(MANIFEST)
    rows = []
    for name in ("train", "val", "test", "unused", "all"):
        own = [c for c in clips if name in (c.split, "all")]
        hours = sum(c.duration_s for c in own) / 3600
        if own or name != "unused":
            rows.append([name, f"{len(own):,}", f"{n_speakers(own):,}", f"{hours:.2f}"])
    return rows


def _scores(scores: dict[str, Any]) -> list[str]:
    cells = [f"{scores['n']:,}"]
    for key in ("uar", "war"):
        low, high = scores[f"{key}_low"], scores[f"{key}_high"]
        cells += ["–" if scores[key] is None else f"{scores[key]:.3f}"]
        cells += ["none" if low is None else f"{low:.3f} to {high:.3f}"]
    return cells


def _concordance(scores: dict[str, Any]) -> list[str]:
    low, high = scores["ccc_low"], scores["ccc_high"]
    ccc = "–" if scores["ccc"] is None else f"{scores['ccc']:.3f}"
    return [ccc, "none" if low is None else f"{low:.3f} to {high:.3f}", f"{scores['rmse']:.3f}"]


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
