"""Recordings joined one behind the other by `cat`, of which ffmpeg would mix up the times or read only the first."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from mmer.runtime.media.kinds import EBML

_BOXES = 50_000
"""Of an mp4: those at its top are ten or so."""


def first_recording(path: Path) -> int | None:
    """How many bytes the first of several recordings has that were joined by `cat`; None where there is only one.

    ffmpeg would read the first and stop, or mix up their times, and say nothing.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:4] == EBML:
            at = content.find(EBML, 4)
            while at > 0:
                if re.search(rb"\x42\x82.(webm|matroska)", content[at : at + 64], re.DOTALL):
                    return at
                at = content.find(EBML, at + 4)
        elif content[4:8] == b"ftyp":
            return _second_film(content)
        elif content[:4] == b"RIFF" and content[8:12] == b"WAVE":
            at = 8 + int.from_bytes(content[4:8], "little")
            at += at % 2
            if content[at : at + 4] == b"RIFF" and content[at + 8 : at + 12] == b"WAVE":
                return at
    return None


def _second_film(content: mmap.mmap) -> int | None:
    """Where in an mp4 another one begins: at a second `ftyp`, behind an index."""
    kinds = set()
    for at, _, kind in boxes(content):
        if kind == b"ftyp" and b"moov" in kinds:
            return at
        kinds.add(kind)
    return None


def boxes(content: mmap.mmap) -> Iterator[tuple[int, int, bytes]]:
    """The boxes at the top of an mp4: where each begins, how many bytes it says to have, and its kind."""
    at = 0
    for _ in range(_BOXES):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16], "big")
        yield at, length, kind
        if length < 8 or at + length >= len(content):
            return
        at += length
