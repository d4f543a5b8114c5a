"""Tables of what was told: a row for each clip, step, utterance or person, as CSV or, by the name's end, as Parquet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from mmer.batch.told import Told
from mmer.errors import MmerError
from mmer.files import write_whole
from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES
from mmer.runtime.graph import ModelInfo

Columns = dict[str, type]
"""Of a table: each column's name, and what is in it (str, float, int or bool)."""
Row = Mapping[str, Any]
"""By column; what is missing or None is empty."""

ENDINGS = (".csv", ".parquet")
ROWS = 50_000
"""Of a group in a Parquet file: what is held in memory."""

PROBABILITIES: Columns = {f"p_{name}": float for name in EMOTIONS}
BOX = ("x1", "y1", "x2", "y2")


def clip_columns(info: ModelInfo) -> Columns:
    """Of a clip; `face`, `scene` and `voice` are the shares of its steps that rest on one."""
    return {
        "path": str,
        "label": str,
        "confidence": float,
        **PROBABILITIES,
        **_affect_columns(info),
        "duration_s": float,
        **dict.fromkeys(MODALITIES, float),
        "people": int,
        "turned": int,
        "calibrated": bool,
        "notes": str,
        "error": str,
        "reason": str,
        "model": str,
    }


def step_columns(info: ModelInfo) -> Columns:
    """Of a step; `face_happy` is what the face says by itself, for each of the modalities that the model has."""
    return {
        "path": str,
        "t": float,
        "label": str,
        "shown": str,
        "confidence": float,
        **PROBABILITIES,
        **_affect_columns(info),
        **dict.fromkeys(MODALITIES, bool),
        **{f"{name}_{emotion}": float for name in info.modalities for emotion in EMOTIONS},
        "person": int,
        "people": int,
        **dict.fromkeys(BOX, float),
        "voice_dbfs": float,
    }


def utterance_columns(info: ModelInfo) -> Columns:
    """Of an utterance (`Prediction.utterances`)."""
    return {
        "path": str,
        "start": float,
        "end": float,
        "label": str,
        "confidence": float,
        **PROBABILITIES,
        **_affect_columns(info),
        **{f"{name}_{emotion}": float for name in info.modalities for emotion in EMOTIONS},
        "seen": float,
        "heard": float,
        "person": int,
        "voice_dbfs": float,
    }


def person_columns(_: ModelInfo) -> Columns:
    """Of a person at a step."""
    return {
        "path": str,
        "t": float,
        "person": int,
        "label": str,
        "confidence": float,
        **PROBABILITIES,
        **dict.fromkeys(BOX, float),
        "quality": float,
    }


def _affect_columns(info: ModelInfo) -> Columns:
    """Valence and arousal, of a model that says them."""
    return dict.fromkeys(DIMENSIONS, float) if info.affect else {}


def clip_row(path: Path, told: Told, model: str) -> Row:
    """A clip, or why there is none."""
    row = {"path": _text(path), "model": model}
    if error := told.get("error"):
        return {**row, "error": error["code"], "reason": _text(error["message"])}
    steps = told["steps"]
    return {
        **row,
        **_answer(told),
        "duration_s": round(len(steps) * told["step_s"], 3),
        **{name: round(sum(s["present"][name] for s in steps) / len(steps), 3) for name in MODALITIES},
        "people": len({person["id"] for step in steps for person in step["people"]}),
        "turned": told["turned"],
        "calibrated": told["calibrated"],
        "notes": " ".join(note["code"] for note in told["notes"]),
    }


def step_rows(path: Path, told: Told) -> Iterator[Row]:
    """The steps of a clip."""
    for step in told.get("steps", ()):
        yield {
            "path": _text(path),
            "t": step["t"],
            "shown": step["shown"],
            **_answer(step),
            **step["present"],
            **_alone(step),
            "person": step["followed"],
            "people": len(step["people"]) + step["more_people"],
            **dict(zip(BOX, step["box"] or (), strict=False)),
            "voice_dbfs": step["voice_dbfs"],
        }


def utterance_rows(path: Path, told: Told) -> Iterator[Row]:
    """The utterances of a clip."""
    for spoken in told.get("utterances", ()):
        yield {
            "path": _text(path),
            "start": spoken["start"],
            "end": spoken["end"],
            **_answer(spoken),
            **_alone(spoken),
            "seen": spoken["seen"],
            "heard": spoken["heard"],
            "person": spoken["followed"],
            "voice_dbfs": spoken["voice_dbfs"],
        }


def person_rows(path: Path, told: Told) -> Iterator[Row]:
    """All who are seen at the steps of a clip."""
    for step in told.get("steps", ()):
        for person in step["people"]:
            seen = dict(zip(BOX, person["box"], strict=True)) | {"quality": person["quality"]}
            yield {"path": _text(path), "t": step["t"], "person": person["id"], **_answer(person), **seen}


MORE: Mapping[str, tuple[Callable[[ModelInfo], Columns], Callable[[Path, Told], Iterator[Row]]]] = {
    "steps": (step_columns, step_rows),
    "utterances": (utterance_columns, utterance_rows),
    "people": (person_columns, person_rows),
}
"""Tables beside that of clips, by name: their columns, and the rows of a clip."""


def check_table(path: Path) -> None:
    """Make sure that a table can be written, before there is one.

    Raises:
        MmerError: its name ends otherwise.
        ModuleNotFoundError: it is Parquet, and there is no pyarrow.
    """
    if path.suffix.lower() not in ENDINGS:
        raise MmerError(f"{path}: a table's name ends in {' or '.join(ENDINGS)}")
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet  # noqa: F401


def write_table(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    """Write a table, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write = _parquet if path.suffix.lower() == ".parquet" else _csv
    write_whole(path, lambda part: write(part, columns, rows))


def _csv(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    truth = {True: "true", False: "false"}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: truth[value] if isinstance(value, bool) else value for key, value in row.items()})


def _parquet(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    schema, left = pa.schema([(name, types[kind]) for name, kind in columns.items()]), iter(rows)
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(left, ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema))


def _answer(told: Told) -> Row:
    """The label, how sure it is, and all probabilities; none where there was nothing to go by."""
    if told["label"] is None:
        return {}
    found: dict[str, float] = told["probabilities"]
    return {
        "label": told["label"],
        "confidence": max(found.values()),
        **{name: told[name] for name in DIMENSIONS if name in told},
        **{f"p_{name}": p for name, p in found.items()},
    }


def _alone(told: Told) -> Row:
    """What each modality says by itself, where it is present."""
    return {f"{name}_{emotion}": p for name, said in told["alone"].items() for emotion, p in (said or {}).items()}


def _text(value: object) -> str:
    """A name that holds what is no text has that escaped."""
    return str(value).encode("utf-8", "backslashreplace").decode()
