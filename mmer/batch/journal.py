"""What is done of a run, kept beside its table: a run that was cut goes on, and what is done is not done again."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from mmer.batch.places import absolute
from mmer.batch.told import Told
from mmer.errors import MmerError


class JournalError(MmerError):
    """The journal cannot be used; the message says why and what to do."""


class Journal:
    """A file (SQLite) of what was told of each clip, by its absolute path.

    A clip is done as long as the file is the same (its size, and when it was last written to) and whatever else decides
    what is told of it. A failure is never done: its cause may be gone.

    Args:
        path: the file; it is made where there is none.
        about: what else decides: the model, the part of each clip.

    Raises:
        JournalError: another run has it, or it is no journal.
    """

    def __init__(self, path: Path, about: str) -> None:
        self._about = about
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = sqlite3.connect(path, timeout=1, isolation_level=None)
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("CREATE TABLE IF NOT EXISTS told (clip BLOB PRIMARY KEY, stamp TEXT, told BLOB)")
            self._file.execute("BEGIN EXCLUSIVE")
            self._file.execute("COMMIT")  # locked from here on
        except sqlite3.OperationalError as error:
            raise JournalError(f"{path} cannot be used ({error}): does another `mmer predict` write to it?") from None
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path} is no journal of `mmer predict` ({error}): remove it") from None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def stamp(self, clip: Path) -> str:
        """What a clip and all that decides what is told of it are now; take it before the clip is recognised."""
        try:
            found = clip.stat()
            state = f"{found.st_size} {found.st_mtime_ns}"
        except OSError:
            state = "none"
        return hashlib.sha256(f"{self._about}\0{state}".encode()).hexdigest()

    def put(self, clip: Path, stamp: str, told: Told) -> None:
        """Keep what was told of a clip; it is on the disk when this returns."""
        row = (_key(clip), stamp if "error" not in told else "", zlib.compress(json.dumps(told).encode()))
        self._file.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?)", row)

    def done(self, clip: Path, stamp: str) -> bool:
        """Whether the clip was recognised as it is now."""
        return self._one("SELECT 1 FROM told WHERE clip = ? AND stamp = ?", (_key(clip), stamp)) is not None

    def read(self, clip: Path) -> Told:
        """What was last told of a clip that is in here."""
        told: Told = json.loads(zlib.decompress(self._one("SELECT told FROM told WHERE clip = ?", (_key(clip),))))
        return told

    def _one(self, query: str, given: tuple[bytes | str, ...]) -> Any:
        with closing(self._file.execute(query, given)) as rows:
            row = rows.fetchone()
        return None if row is None else row[0]


def _key(clip: Path) -> bytes:
    return os.fsencode(absolute(clip))  # a name need not be text
