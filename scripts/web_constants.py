"""The constants that the page shares with Python, written to web/runtime/constants.js: they are typed in Python alone.

    python -m scripts.web_constants

Run it after a change of one of them; a test fails where the file is out of date. It imports no torch.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from scripts.imports import ROOT

OUT = ROOT / "web" / "runtime" / "constants.js"
HEAD = "// Written by `python -m scripts.web_constants` from the Python modules named here: change a constant there.\n"
WIDTH = 120
SHARED = {
    "mmer.labels": ("EMOTIONS", "MODALITIES", "DIMENSIONS"),
    "mmer.runtime.grid": ("SAMPLE_RATE",),
    "mmer.runtime.detector": ("WINDOW", "STRIDE", "FACTOR", "BATCH", "TREMBLE"),
    "mmer.runtime.resize": ("READ_APART",),
    "mmer.runtime.align": ("TEMPLATE", "ROLL_LIMIT", "MOVE_LIMIT", "ALIGN_TAU_S", "ALIGN_PLAY"),
    "mmer.runtime.appearance": (
        "PORTRAIT",
        "AROUND",
        "CELL",
        "CHEST",
        "SIDES",
        "COLOUR",
        "MOUTH",
        "STEADY",
        "PALE",
    ),
    "mmer.runtime.people": (
        "ONE_FACE_IOU",
        "HIDDEN_SHARE",
        "WHOLE",
        "APART",
        "LOOK_TAU_S",
        "LOOK_EVERY_S",
        "PACE",
        "STRANGER",
        "FAMILIAR",
        "FADE_S",
        "SURE_FACE",
        "LOST_EVERY_S",
        "GONE_EVERY_S",
        "REMEMBER_S",
        "REMEMBERED",
        "LARGER",
    ),
    "mmer.runtime.speaker": ("TALK_TAU_S", "TALK_S", "TALK_LEAD", "TALK_LEAST", "SILENCE_S", "SIZE_LEAD"),
    "mmer.runtime.tracker": ("SAME_FACE_IOU", "SAME_FACE_STEP", "SAME_FACE_GROWTH"),
    "mmer.runtime.vacancy": ("GRID", "GRID_CELL", "NOISE", "VACANT_S", "VACANT_EVERY_S"),
    "mmer.runtime.voice": ("FRAME_SAMPLES", "DIGITAL_SILENCE", "LOW_PASS", "LAG", "HEARD_AT", "JITTER_S"),
    "mmer.runtime.stream": ("STALE_S", "AHEAD_S"),
    "mmer.runtime.smoothing": ("TAU_S", "PRIOR_STEPS", "LISTEN_S", "LEAD", "FORGET_S", "LEAST"),
    "mmer.runtime.utterances": ("PAUSE_S", "VOICED_S", "LONGEST_S"),
    "mmer.runtime.calibration": (
        "MOST_OFF",
        "HALF_S",
        "LEAST_REST_S",
        "MOST_REST_S",
    ),
    "mmer.serving.live": ("LATE_S", "BEHIND_S", "KEEP_S", "EARLY"),
    "mmer.serving.protocol": ("VERSION", "FRAME", "VOICE", "CAMERA_OFF", "MICROPHONE_OFF"),
}
"""By module, the names of its constants that the page uses too."""


def script() -> str:
    """The JavaScript module: each constant under its Python name, with what Python says of it."""
    parts = [HEAD]
    for name, constants in SHARED.items():
        module = importlib.import_module(name)
        meanings = _meanings(module)
        parts.append(f"\n// {name.replace('.', '/')}.py\n")
        for constant in constants:
            parts += _comment(meanings.get(constant))
            parts.append(f"export const {constant} = {_value(getattr(module, constant))};\n")
    return "".join(parts)


def _value(value: Any) -> str:
    """In JavaScript; of a list, TypeScript is to know each member."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return f"/** @type {{const}} */ ({json.dumps(value)})"
    return json.dumps(value)


def _meanings(module: ModuleType) -> dict[str, str]:
    """The strings that stand under a module's constants."""
    body = ast.parse(inspect.getsource(module)).body
    found = {}
    for statement, below in itertools.pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            target = statement.targets[0]
            if isinstance(target, ast.Name):
                found[target.id] = re.sub(r"\s+", " ", str(below.value.value))
    return found


def _comment(meaning: str | None) -> Iterator[str]:
    if meaning is None:
        return
    if len(meaning) <= WIDTH - len("/**  */"):
        yield f"/** {meaning} */\n"
        return
    yield "/**\n"
    yield from (f" * {line}\n" for line in textwrap.wrap(meaning, WIDTH - len(" * ")))
    yield " */\n"


if __name__ == "__main__":
    OUT.write_text(script(), encoding="utf-8")
