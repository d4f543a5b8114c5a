"""Programs at work on the same clips, by turns: the code of two trees, and others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmer.runtime import media
from mmer.runtime.config import Media
from mmer.runtime.types import Picture

WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Sides:
    """What is compared."""

    before: Path
    """The tree of code as it was, with its models."""
    after: Path
    turns: int
    """Of each, where what is measured varies."""
    figures: Path | None = None
    """The folder for figures, where they are wanted."""


class Worker:
    """A program that answers lines of JSON, started in a tree and with its code."""

    def __init__(self, tree: Path, command: Sequence[str]) -> None:
        environment = os.environ | {"PYTHONPATH": str(tree)}
        self.process = subprocess.Popen(
            command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, clip: Path, seconds: float) -> dict[str, Any]:
        """Play a clip for that long."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"clip": str(clip), "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} did not answer about {clip.name}")
        told: dict[str, Any] = json.loads(line)
        return told


def recognizer(tree: Path, model: Path) -> tuple[Path, list[str]]:
    """The code of a tree with a model."""
    return tree, [sys.executable, str(WORKER), str(model)]


@contextmanager
def workers(of: Mapping[str, tuple[Path, Sequence[str]]]) -> Iterator[dict[str, Worker]]:
    """By name: where each is started, and its command."""
    with ExitStack() as stack:
        made = {name: Worker(tree, command) for name, (tree, command) in of.items()}
        for worker in made.values():
            stack.callback(worker.process.wait)
            stack.callback(lambda stdin=worker.process.stdin: stdin.close())
        yield made


def decoded(clip: Path, folder: Path, given: Media) -> Path:
    """A clip's pictures on the grid and its voice, as a file that the workers read."""
    at: list[int] = []
    times: list[float] = []
    pictures: list[Picture] = []

    def keep(step: int, t: float, rgb: Picture) -> None:
        at.append(step)
        times.append(t)
        pictures.append(rgb.copy())

    found = media.decode(clip, given, 0.2, keep)
    out = folder / f"{clip.parent.name}-{clip.stem}.npz"
    np.savez(out, at=at, times=times, pictures=np.stack(pictures), voice=found.voice, steps=found.steps)
    return out
