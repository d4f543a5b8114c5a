"""A run over many clips: what is missing is recognised, then the tables are written from all that is known."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mmer import __version__
from mmer.batch.journal import Journal
from mmer.batch.places import PICTURE, Places, absolute, is_file, places
from mmer.batch.pool import Item, Job, recognised
from mmer.batch.tables import MORE, check_table, clip_columns, clip_row, write_table
from mmer.batch.told import FORMAT, Told
from mmer.errors import MmerError
from mmer.files import sha256
from mmer.reporting import counted
from mmer.runtime.graph import ModelInfo, find_model

OFTEN_S, SELDOM_S = 0.2, 30.0
"""How often the bar is drawn on a terminal, and into a log."""


@dataclass(frozen=True)
class Outputs:
    """What is written."""

    clips: Path
    """A table with a row for each clip; the run's journal lies beside it."""
    more: Mapping[str, Path] = field(default_factory=dict)
    """Other tables, by name (`mmer.batch.tables.MORE`)."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Folders that get a file for each clip, by kind (`mmer.batch.places`)."""

    @property
    def tables(self) -> list[Path]:
        """Those asked for."""
        return [self.clips, *self.more.values()]

    def check(self, named: Sequence[Path]) -> None:
        """Make sure, before there is anything to write, that it can be written.

        Args:
            named: files and folders of clips.

        Raises:
            MmerError: two have one name, a table's name ends otherwise, or pictures would lie among the clips.
            ModuleNotFoundError: a package for it is missing.
        """
        tables = self.tables
        if len(set(map(absolute, tables))) < len(tables):
            raise MmerError(f"of {', '.join(map(str, tables))} two are one file: each table needs its own")
        for table in tables:
            check_table(table)
        for kind, folder in self.files.items():
            if is_file(kind, folder):
                raise MmerError(f"{folder}: beside a table, name a folder, which gets a file for each clip")
            if kind == PICTURE and any(p.is_dir() and absolute(folder).is_relative_to(absolute(p)) for p in named):
                raise MmerError(f"{folder} lies among clips: its pictures would be taken for some. Name another folder")
        if self.files.keys() - {PICTURE}:
            import mmer.batch.annotations  # noqa: F401


@dataclass
class Outcome:
    """How a run ended."""

    before: int = 0
    """Clips that were done already."""
    recognised: int = 0
    """With those."""
    failed: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        told = f"{counted(self.recognised + len(self.failed), 'clip')}: {self.recognised:,} recognised"
        told += f" ({self.before:,} of them before)" if self.before else ""
        return told + (f", {len(self.failed):,} not (columns error and reason)" if self.failed else "")


def run(
    clips: Sequence[Path],
    named: Sequence[Path],
    job: Job,
    out: Outputs,
    info: ModelInfo,
    processes: int | None = None,
) -> Outcome:
    """Recognise clips, those that are done left out, and write all that was asked for.

    Args:
        clips: in the order of their rows.
        named: the files and folders that they were found by: what is written for each clip is named after its place
            below them.
        job: what is done with each.
        out: what is written. Where a run is stopped (KeyboardInterrupt), tables are written of what was done by then.
        info: what the model says of itself.
        processes: how many clips at once; None: as many as there are cores.

    Raises:
        MmerError: something cannot be written, or the journal cannot be used.
        ModuleNotFoundError: a package for it is missing.
    """
    out.check(named)
    clips = list({absolute(clip): clip for clip in clips}.values())  # a file may be found in two ways
    model = _digest(job.model)
    files = dict(zip(clips, places(clips, named, out.files), strict=True))
    decides = f"{__version__} {FORMAT} {model} {job.start_s} {job.end_s}"
    if job.calibration is not None:
        decides += f" {job.calibration.model_dump_json()}"
    with Journal(out.clips.with_name(f"{out.clips.name}.journal"), decides) as journal:
        stamps = {clip: journal.stamp(clip) for clip in clips}
        done = {clip for clip in clips if journal.done(clip, stamps[clip])}
        due = {clip: {k: p for k, p in files[clip].items() if clip not in done or not p.exists()} for clip in clips}
        told = {clip for clip in done if PICTURE not in due[clip]}
        for clip in told:
            if due[clip]:
                _annotate(journal.read(clip), clip, due[clip], job.start_s)
        outcome = Outcome(before=len(told), recognised=len(told))
        missing = [Item(clip, due[clip].get(PICTURE)) for clip in clips if clip not in told]
        try:
            with _bar(len(clips), len(told)) as bar, closing(recognised(missing, job, processes or cores())) as found:
                for item, said in found:
                    _annotate(said, item.clip, due[item.clip], job.start_s)
                    journal.put(item.clip, stamps[item.clip], said)
                    told.add(item.clip)
                    if "error" in said:
                        outcome.failed.append(item.clip)
                        bar.set_postfix(failed=len(outcome.failed), refresh=False)
                    else:
                        outcome.recognised += 1
                    bar.update()
        finally:
            here = [clip for clip in clips if clip in told]
            about = f"{__version__} {model[:12]}"
            write_table(out.clips, clip_columns(info), (clip_row(clip, journal.read(clip), about) for clip in here))
            for name, path in out.more.items():
                columns, rows_of = MORE[name]
                rows = (row for clip in here for row in rows_of(clip, journal.read(clip)))
                write_table(path, columns(info), rows)
    return outcome


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bar(total: int, done: int) -> Any:
    """What is done and what is left, on standard error."""
    often = OFTEN_S if sys.stderr.isatty() else SELDOM_S
    return tqdm(total=total, initial=done, unit="clip", mininterval=often, dynamic_ncols=True)


def _annotate(said: Told, clip: Path, files: Places, start_s: float) -> None:
    """Write those of a clip's files that are annotations; of a clip that failed, none."""
    for kind, path in files.items():
        if kind != PICTURE and "error" not in said:
            from mmer.batch.annotations import write_annotation

            write_annotation(said, clip, path, start_s)


def _digest(model: Path | None) -> str:
    """Of the model's files."""
    graph = find_model(model)
    files = [graph, *sorted((graph.parent / "detector").glob("*.onnx"))]
    return hashlib.sha256(" ".join(map(sha256, files)).encode()).hexdigest()
