"""Your own clips: any files, and beside them `clips.csv`, which says of each what it is (docs/own-clips.md).

| column | what |
|---|---|
| `path` | the file, relative to this folder, with `/` |
| `label` | one of the seven emotions, or a common word for it ("anger") |
| `speaker` | who it is: the same name in all rows of one person, so that nobody is on two sides of a split |
| `sex` | female, male, or nothing (optional, like all below) |
| `start`, `end` | seconds, where the clip is a part of its file |
| `split` | train, val or test, if you have decided; the same in all rows of a speaker |
| `fold` | from 1, if you have decided; the same in all rows of a speaker. Who has neither is dealt to one of five |
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mmer.data.clips import Clip, Sex, SplitName
from mmer.data.corpora import AUDIO, IMAGES, Corpus, clip_ids
from mmer.data.splits import deal_folds
from mmer.errors import MmerError
from mmer.labels import emotion_of

TABLE = "clips.csv"
REQUIRED = ("path", "label", "speaker")
COLUMNS = (*REQUIRED, "sex", "start", "end", "split", "fold")
SEXES: dict[str, Sex] = {
    "": "unknown",
    "unknown": "unknown",
    "female": "female",
    "f": "female",
    "male": "male",
    "m": "male",
}
SPLITS: dict[str, SplitName | None] = {
    "": None,
    "train": "train",
    "val": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}
SHOWN = 10
"""Mistakes that are told at once."""


class TableError(MmerError, ValueError):
    """`clips.csv` cannot be used; the message names its lines and what is wrong with each."""


def list_clips(raw: Path) -> list[Clip]:
    """One clip per row of `clips.csv`; none where the folder is empty.

    Raises:
        TableError: there are files but no table, or rows that cannot be used. All mistakes are told, up to ten.
    """
    table = raw / TABLE
    if not table.is_file():
        if raw.is_dir() and any(not path.name.startswith(".") for path in raw.iterdir()):
            raise TableError(f"{table} is missing: it says what each file is; see docs/own-clips.md")
        return []
    mistakes: list[str] = []
    rows: dict[int, dict[str, Any]] = {}
    for line, cells in _lines(table):
        try:
            rows[line] = _row(cells, raw)
        except ValueError as error:
            mistakes.append(f"line {line}: {error}")
    mistakes += _contradictions(rows)
    if mistakes:
        more = f"\n  and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
        raise TableError(f"{table} has mistakes:" + "".join(f"\n  {m}" for m in mistakes[:SHOWN]) + more)
    return _clips(list(rows.values()))


def _lines(table: Path) -> list[tuple[int, dict[str, str]]]:
    """The number of each row's last line, and its cells."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            header = list(reader.fieldnames or ())
            if missing := [name for name in REQUIRED if name not in header]:
                hint = "; its columns must be parted by commas, not semicolons" if ";" in "".join(header) else ""
                raise TableError(f"{table}: column {missing[0]!r} is missing{hint}. Needed: {', '.join(REQUIRED)}")
            if unknown := [name for name in header if name not in COLUMNS]:
                raise TableError(f"{table}: column {unknown[0]!r} means nothing here; known: {', '.join(COLUMNS)}")
            lines = []
            for row in reader:
                if None in row:
                    raise TableError(
                        f"{table}, line {reader.line_num}: more cells than columns; quote a name with commas"
                    )
                lines.append((reader.line_num, {name: (row[name] or "").strip() for name in header}))
            return lines
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{table} is no table of commas in UTF-8: {error}") from None


def _row(cells: Mapping[str, str], raw: Path) -> dict[str, Any]:
    """One row's values; ValueError says what is wrong with it."""
    path, start, end = cells["path"], _seconds(cells, "start"), _seconds(cells, "end")
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"path {path!r} must be a file in this folder, named from here")
    if not (raw / path).is_file():
        raise ValueError(f"{path} is not there")
    if not cells["speaker"]:
        raise ValueError("speaker is empty: without it nobody can keep a person on one side of the split")
    if end is not None and end <= (start or 0):
        raise ValueError(f"end ({end:g} s) is not after start ({start or 0:g} s)")
    sex, split, fold = (cells.get(name, "").lower() for name in ("sex", "split", "fold"))
    for name, value, known in (("sex", sex, list(SEXES)), ("split", split, list(SPLITS))):
        if value not in known:
            raise ValueError(f"{name} {value!r} is none of {', '.join(filter(None, known))}, or nothing")
    if fold and not (fold.isdecimal() and int(fold) > 0):
        raise ValueError(f"fold {fold!r} is no whole number from 1")
    return {
        "path": pure.as_posix(),
        "label": emotion_of(cells["label"]),
        "speaker": cells["speaker"],
        "sex": SEXES[sex],
        "start_s": start or 0.0,
        "end_s": end,
        "split": SPLITS[split],
        "fold": int(fold) if fold else None,
    }


def _seconds(cells: Mapping[str, str], name: str) -> float | None:
    text = cells.get(name, "")
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not 0 <= value < math.inf:
        raise ValueError(f"{name} {text!r} is no number of seconds")
    return value


def _contradictions(rows: Mapping[int, dict[str, Any]]) -> list[str]:
    """What no single row shows: a clip that comes twice, a speaker who is on two sides or of two sexes."""
    told = []
    first: dict[tuple[Any, ...], int] = {}
    speakers: dict[str, tuple[int, tuple[Any, ...]]] = {}
    spelt: dict[str, str] = {}
    for line, row in rows.items():
        clip = (row["path"], row["start_s"], row["end_s"])
        if (before := first.setdefault(clip, line)) != line:
            told.append(f"line {line}: the same clip as in line {before}")
        if (name := spelt.setdefault(row["speaker"].casefold(), row["speaker"])) != row["speaker"]:
            told.append(f"line {line}: is {row['speaker']!r} somebody else than {name!r}? One person has one spelling")
        where = (row["split"], row["fold"], row["sex"])
        before, there = speakers.setdefault(row["speaker"], (line, where))
        if there != where:
            told.append(f"line {line}: {row['speaker']} has another split, fold or sex in line {before}")
    return told


def _clips(rows: list[dict[str, Any]]) -> list[Clip]:
    parts = Counter(row["path"] for row in rows)
    # A file that is one clip gives it its name; of a file that is several, each is named after its start too.
    names = [r["path"] if parts[r["path"]] == 1 else f"{r['path']}_{r['start_s']:g}_{r['end_s']}" for r in rows]
    ids = clip_ids(names)
    dealt = deal_folds({r["speaker"]: r["sex"] for r in rows if r["split"] is None and r["fold"] is None})
    rows = [row | {"fold": row["fold"] or dealt.get(row["speaker"])} for row in rows]
    return [
        Clip(clip_id=ids[name], corpus="folder", **_modalities(row["path"]), **row)
        for row, name in zip(rows, names, strict=True)
    ]


def _modalities(path: str) -> dict[str, bool]:
    """What to expect of a file, by its ending; what is really there is found when it is decoded."""
    ending = PurePosixPath(path).suffix.lower()
    seen, heard = ending not in AUDIO, ending not in IMAGES
    return {"has_face": seen, "has_scene": seen, "has_voice": heard}


CORPUS = Corpus(
    name="folder",
    title="Your own clips, by a table",
    licence="yours to know",
    citation="Your own.",
    homepage="docs/own-clips.md",
    language="",
    list_clips=list_clips,
)
