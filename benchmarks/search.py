"""How much of a search is not training: proposals, the studies, MLflow, pruning, export and timing, figures.

The stage `tune` is run as the pipeline runs it, in a folder of its own, from nothing. Training is the time inside `fit`
without what is called back after each epoch, and loading torch, which a training without a search does too; everything
else is overhead.

    python -m benchmarks.search [--data data] [--trials 8] [--epochs 3]
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import torch._dynamo  # noqa: E402, F401 (which the first optimiser of a process loads)

LOADED = time.perf_counter()

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import yaml  # noqa: E402

from mmer.search import search  # noqa: E402
from mmer.training.fit import fit  # noqa: E402
from mmer.training.inference import Epoch  # noqa: E402
from stages import tune  # noqa: E402


class Clock:
    """Seconds that `fit` trains for."""

    def __init__(self) -> None:
        self.training, self.trainings = 0.0, 0

    def fit(self, *given: Any, on_epoch: Callable[[Epoch], None], **named: Any) -> Any:
        """`mmer.training.fit.fit`, timed."""
        called_back = 0.0

        def timed(row: Epoch) -> None:
            nonlocal called_back
            began = time.perf_counter()
            try:
                on_epoch(row)
            finally:
                called_back += time.perf_counter() - began

        began = time.perf_counter()
        try:
            return fit(*given, on_epoch=timed, **named)
        finally:
            self.training += time.perf_counter() - began - called_back
            self.trainings += 1


def main() -> None:
    """Search, and print where the time went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="prepared: clips.parquet and processed/")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--trials", type=int, help="instead of those of params.yaml")
    parser.add_argument("--epochs", type=int, help="of a training in full, instead of those of params.yaml")
    given = parser.parse_args()
    params = yaml.safe_load(given.params.read_text())
    params["tune"] |= {"trials": given.trials} if given.trials else {}
    params["train"] |= {"epochs": given.epochs} if given.epochs else {}

    clock, home = Clock(), Path.cwd()
    search.fit = clock.fit  # type: ignore[assignment]
    sys.argv = ["tune"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").symlink_to(given.data.resolve())
        (Path(folder) / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        os.chdir(folder)
        tune.main()
        os.chdir(home)
    whole, loading = time.perf_counter() - STARTED, LOADED - STARTED
    overhead = whole - clock.training - loading
    print(f"{clock.trainings} trainings, {whole:.0f} s, of which {clock.training:.0f} s trained, ", end="")
    print(f"{loading:.1f} s loaded torch: overhead {overhead:.1f} s, {overhead / whole:.1%}")


if __name__ == "__main__":
    main()
