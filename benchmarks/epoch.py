"""Where an epoch of training spends its time: reading samples, augmenting, stacking, the network, validation.

    python benchmarks/epoch.py [--data data] [--params params.yaml] [--epochs 2] [--clips N]

Loading (reading, augmenting and stacking) should be under a tenth. The first epoch, in which files come from the disk,
is told apart from the others.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmer import training
from mmer.clips import read_manifest
from mmer.config import load_params, varied

PARTS = {"held": "reading", "augment": "augmenting", "collate": "stacking", "score": "validation"}


def main() -> None:
    """Train, and print each epoch's seconds by part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="prepared: clips.parquet and processed/")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--clips", type=int, help="at most so many to train and to validate; by default all")
    given = parser.parse_args()
    params = varied(load_params(given.params), {"train.epochs": given.epochs, "train.branches": {}})
    every = read_manifest(given.data / "clips.parquet")
    clips = [c for split in ("train", "val") for c in [c for c in every if c.split == split][: given.clips]]

    spent: Counter[str] = Counter()
    inside = False  # of validation, whose own reading and stacking are its

    def timed(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            nonlocal inside
            if inside:
                return call(*args, **named)
            inside, began = part == "validation", time.perf_counter()
            try:
                return call(*args, **named)
            finally:
                inside = False
                spent[part] += time.perf_counter() - began

        return wrapped

    for name, part in PARTS.items():
        setattr(training, name, timed(part, getattr(training, name)))
    batches = training.batches

    def loaded(*args: Any, **named: Any) -> Iterator[Any]:
        source = batches(*args, **named)
        while True:
            began = time.perf_counter()
            batch = next(source, None)
            spent["loading"] += time.perf_counter() - began
            if batch is None:
                return
            yield batch

    training.batches = loaded  # type: ignore[assignment]
    began = time.perf_counter()

    def told(row: training.Epoch) -> None:
        nonlocal began
        whole = time.perf_counter() - began
        spent["network"] = whole - spent["loading"] - spent["validation"]
        shares = ", ".join(f"{part} {seconds / whole:.1%}" for part, seconds in spent.most_common())
        print(f"epoch {row['epoch']:.0f}: {whole:.1f} s; {shares} (reading, augmenting and stacking are of loading)")
        spent.clear()
        began = time.perf_counter()

    training.fit(params, params.train, clips, given.data / "processed", seed=0, on_epoch=told)


if __name__ == "__main__":
    main()
