"""Numbers in sentences and files: counts with their nouns, JSON and CSV whose bytes depend on the content alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Report = dict[str, Any]
"""Fit for JSON."""


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 speaker", "1,440 clips"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def plain(value: Any) -> Any:
    """Rounded to 4 decimals and fit for JSON: what is not a number becomes None."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return round(value, 4) + 0.0 if np.isfinite(value) else None
    return value


def write_json(path: Path, value: Report) -> None:
    """A report as JSON; the same report gives the same bytes."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; what is None is empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
