"""The demo corpus, as `mmer demo-corpus` draws it (`mmer.data.demo` says what it is made of): short talking-head clips.

Nobody was recorded: it is for trying, testing and teaching the pipeline, and no evidence about people.
"""

from __future__ import annotations

import csv
from pathlib import Path

from mmer.data.clips import Clip
from mmer.data.corpora import Corpus
from mmer.labels import DIMENSIONS


def list_clips(raw: Path) -> list[Clip]:
    """Clips of `clips.csv` whose file is there."""
    table = raw / "clips.csv"
    if not table.is_file():
        return []
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (raw / row["path"]).is_file()]
    return [
        Clip.model_validate(
            {key: row[key] for key in ("clip_id", "speaker", "sex", "label", "intensity", "hidden", "path")}
            | {
                "corpus": "demo",
                "fold": int(row["fold"]),
                "has_face": True,
                "has_scene": True,
                "has_voice": row["sound"] == "voice",
            }
            | {name: float(row[name]) for name in DIMENSIONS if name in row}  # where they were asked for
        )
        for row in rows
    ]


CORPUS = Corpus(
    name="demo",
    title="Demo corpus (drawn)",
    licence="CC0 1.0",
    citation="Drawn by this project; no people in it.",
    homepage="docs/data.md",
    language="",
    list_clips=list_clips,
    expected={"clips": 364, "speakers": 26},
    drawing=True,
)
