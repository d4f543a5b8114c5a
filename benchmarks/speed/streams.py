"""Live streams of a service, after alone: `python -m benchmarks.serving.live`, without a limit and beyond one."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.speed.trees import Sides

RUNS = (("16", "32"), ("64", "--sessions", "32"))
"""Streams, and what else is asked of the benchmark."""
MOST_MS = 200
"""Of the 95th percentile."""
HEAD = "| streams | late, median | p95 | p99 | max | steps | skipped | refused | CPU of a core: requests | network |"


def section(sides: Sides) -> str:
    """Its rows as a table; milliseconds from what makes a step due to its answer."""
    rows = []
    for given in RUNS:
        command = [sys.executable, "-m", "benchmarks.serving.live", "--streams", *given]
        environment = os.environ | {"PYTHONPATH": str(sides.after)}
        told = subprocess.run(command, cwd=sides.after, env=environment, check=True, capture_output=True, text=True)
        cells = [line.split()[:10] for line in told.stdout.splitlines()[2:]]
        rows += [f"| {' | '.join(row)} |" for row in cells]
    load = f"{os.getloadavg()[0]:.0f} processes in line for {os.cpu_count()} cores"
    return "\n".join(
        [
            f"After alone; 15 s a stream; of the 64 the service was to let 32 in. Beside other programs: {load}.",
            "",
            HEAD,
            "|---:" * 10 + "|",
            *rows,
            "",
            f"Wanted: at most {MOST_MS} ms at the 95th percentile of 32 streams, and clean refusals at 64.",
        ]
    )
