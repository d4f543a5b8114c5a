"""Live streams of a service side by side: its own benchmark, run in both trees by turns."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.speed.trees import Sides

STREAMS = ("16", "32", "64")


def section(sides: Sides) -> str:
    """Both tables, as `python -m benchmarks.serving.live` prints them, once."""
    parts = []
    for name, tree in (("before", sides.before), ("after", sides.after)):
        command = [sys.executable, "-m", "benchmarks.serving.live", "--streams", *STREAMS]
        environment = os.environ | {"PYTHONPATH": str(tree)}
        told = subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True, text=True).stdout
        parts.append(f"{name}:\n\n```\n{told.strip()}\n```")
    return "\n\n".join(parts)
