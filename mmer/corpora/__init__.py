"""One reader per corpus: what it is, where it comes from, and how its files become clips.

A reader is a module `mmer.corpora.<name>` with one public constant, `CORPUS`. Adding a corpus is adding such a file.
"""

from __future__ import annotations

import csv
import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmer.clips import Clip


@dataclass(frozen=True)
class Source:
    """One file that the owner of a corpus publishes."""

    path: str
    """Where it lies in the official layout, relative to the corpus's folder (and to a mirror's)."""
    url: str | None = None
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    """Bytes."""
    archive: bool = False
    """Unpacked into the folder it lies in, then deleted."""


@dataclass(frozen=True)
class Corpus:
    """What the pipeline must know of a corpus."""

    name: str
    title: str
    licence: str
    citation: str
    homepage: str
    list_clips: Callable[[Path], list[Clip]]
    """From the corpus's raw folder to its clips. Files that are missing are simply not listed."""
    sources: Callable[[Path | None], list[Source]] | None = None
    """From this corpus's folder, in a mirror or half fetched (None: nothing is there yet), to the files to fetch, as
    far as the owner's own lists in that folder tell. None where nothing is fetched: the demo corpus, one's own clips.
    """
    expected: Mapping[str, int] = field(default_factory=dict)
    """Known counts of the official whole: `clips`, `speakers`, `pictures` (clips that have a picture)."""
    accept: str | None = None
    """What `licences` in params.yaml must name before this corpus is fetched or read; None where nothing need be
    accepted (the licence forbids nothing that a reader of params.yaml would not expect)."""
    conditions: str = ""
    """In words, what that licence forbids or asks for: non-commercial use, a signed form."""
    drawing: bool = False
    """Made by a program: good for trying and testing, no evidence about people."""


def names() -> list[str]:
    """Names of all corpora that have a reader."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in ("fetch",))


def get(name: str) -> Corpus:
    """The corpus of that name.

    Raises:
        KeyError: no reader has that name; the message names the nearest one.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise KeyError(f"no corpus is called {name!r}; known: {', '.join(names())}.{hint}")
    corpus: Corpus = importlib.import_module(f"mmer.corpora.{name}").CORPUS
    return corpus


def speaker_folds(name: str) -> dict[str, int]:
    """The fold, from 1, in which each speaker of a corpus is tested, as in the published audio-visual results of
    HiCMAE (Sun et al. 2024). Empty where none is published.
    """
    with Path(__file__).with_name("folds.csv").open(newline="") as file:
        return {row["speaker"]: int(row["test_fold"]) for row in csv.DictReader(file) if row["corpus"] == name}


def completeness(corpus: Corpus, clips: Sequence[Clip], pictures: int) -> str:
    """How much of the official whole is here, in words: "3 of 7,442 clips, 1 of 91 speakers, pictures in 3 of 7,442".

    Args:
        pictures: number of the clips that have a picture.
    """

    def of(key: str, have: int) -> str:
        return f"{have:,} of {corpus.expected[key]:,}" if key in corpus.expected else f"{have:,}"

    speakers = {c.speaker for c in clips}
    told = f"{of('clips', len(clips))} clips, {of('speakers', len(speakers))} speakers"
    told += f", pictures in {of('pictures', pictures)}"
    absent = sorted(set(speaker_folds(corpus.name)) - speakers)
    if absent:
        rest = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        told += f"; nothing of speaker {', '.join(absent[:5])}{rest}"
    return told
