"""One reader per corpus: what it is, where it comes from, and how its files become clips.

A reader is a module `mmer.data.corpora.<name>` with a constant `CORPUS`. Adding a corpus is adding such a file.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmer.data.clips import Clip
from mmer.data.splits import speaker_folds
from mmer.errors import MmerError

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a")
RECORDING = "(?:wav|flac|opus)"
"""How the name of a recording ends, as a pattern: a mirror may hold FLAC or Ogg Opus where the owner publishes wav."""
IMAGES = (".jpg", ".jpeg", ".png")
CHECKSUMS = "checksums.json"
"""In a corpus's raw folder: the sha256 of each file as it was fetched."""


class LicenceError(MmerError):
    """A corpus's licence has conditions that were not accepted; the message is the line to add to params.yaml."""


class AnnotationError(MmerError, ValueError):
    """What a corpus's owner annotated cannot be read; the message names the file, and the line where it has lines."""


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
    language: str
    """What is spoken, by its name in ISO 639; empty where nothing is, or the corpus does not know (one's own clips)."""
    list_clips: Callable[[Path], list[Clip]]
    """From the corpus's raw folder to its clips. Files that are missing are simply not listed."""
    sources: Callable[[Path | None], list[Source]] | None = None
    """From this corpus's folder, in a mirror or half fetched (None: nothing is there yet), to the files to fetch, as
    far as the owner's own lists in that folder tell. None where no program may ask the owner: what is here was put
    here by hand, or came from a mirror's folder."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """Known counts of the official whole: `clips`, `speakers`, `pictures` (clips that have a picture)."""
    accept: str | None = None
    """What `licences` in params.yaml must name before this corpus is fetched or read; None where nothing need be
    accepted (the licence forbids nothing that a reader of params.yaml would not expect)."""
    conditions: str = ""
    """In words, what that licence forbids or asks for: non-commercial use, a signed form."""
    published_label: Callable[[Clip], str] | None = None
    """From a clip to its label as the owner published it, where that tells apart more than the seven emotions do; most
    published figures are about these (`folds.classes`). None where it does not."""
    drawing: bool = False
    """Made by a program: good for trying and testing, no evidence about people."""
    derived_from: str = ""
    """The corpus whose trials these are, in another form (`Clip.derived_from`)."""
    test_only: bool = False
    """Kept to test on: a release may not have learnt from it (`mmer.packaging.export`)."""

    @property
    def by_hand(self) -> bool:
        """Whether its files are put into `data/raw/<name>` by hand: no link of its owner's is open to a program."""
        return self.sources is None or all(source.url is None for source in self.sources(None))


def names() -> list[str]:
    """Names of all corpora that have a reader."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def recorded_for(name: str) -> str:
    """The corpus that the clips of a corpus were recorded for: itself, but where it was made from another."""
    return (get(name).derived_from if name in names() else "") or name


def get(name: str) -> Corpus:
    """The corpus of that name.

    Raises:
        KeyError: no reader has that name; the message names the nearest one.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise KeyError(f"no corpus is called {name!r}; known: {', '.join(names())}.{hint}")
    corpus: Corpus = importlib.import_module(f"mmer.data.corpora.{name}").CORPUS
    return corpus


def clip_ids(names: Sequence[str]) -> dict[str, str]:
    """Ids that can be file names, one for each of the names, which are paths or the like and differ.

    What a file name should not hold becomes a dash; where that makes two names one (also on a disk that does not tell
    capitals apart), or very long, a part of the name's SHA-256 follows.
    """
    plain = {name: re.sub(r"[^\w.]+", "-", name).strip("-.") or "clip" for name in names}
    seen = Counter(found.casefold() for found in plain.values())

    def of(name: str) -> str:
        if seen[plain[name].casefold()] == 1 and len(plain[name]) <= 100:
            return plain[name]
        return f"{plain[name][:100]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    return {name: of(name) for name in names}


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of an owner's CSV table; none where it is missing."""
    if path.is_file():
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            yield from csv.DictReader(file)


def completeness(corpus: Corpus, clips: Sequence[Clip], pictures: int) -> str:
    """How much of the official whole is here, in words: "3 of 7,442 clips, 1 of 91 speakers, pictures in 3 of 7,442".

    Args:
        pictures: number of the clips that have a picture.
    """

    def of(key: str, have: int) -> str:
        return f"{have:,} of {corpus.expected[key]:,}" if key in corpus.expected else f"{have:,}"

    speakers = {c.speaker for c in clips if c.knows_speaker}
    told = f"{of('clips', len(clips))} clips"
    told += f", {of('speakers', len(speakers))} speakers" if speakers or not clips else ""
    told += f", pictures in {of('pictures', pictures)}"
    absent = sorted(set(speaker_folds(corpus.name)) - speakers)
    if absent:
        rest = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        told += f"; nothing of speaker {', '.join(absent[:5])}{rest}"
    return told


def require_licence(corpus: Corpus, licences: Sequence[str]) -> None:
    """Print what a corpus is and under which conditions, and stop where these were not accepted.

    Args:
        corpus: what is about to be fetched or read.
        licences: what params.yaml accepts.

    Raises:
        LicenceError: its licence must be accepted and is not; the message is the line to add.
    """
    print(f"{corpus.title}: {corpus.licence}")
    for line in (corpus.conditions, corpus.citation, corpus.homepage):
        if line:
            print(f"  {line}")
    if corpus.accept is not None and corpus.accept not in licences:
        raise LicenceError(
            f"{corpus.name}: its licence, {corpus.licence}, has conditions that you must accept first"
            f"{': ' + corpus.conditions if corpus.conditions else ''}\nRead it ({corpus.homepage}); if you may use the "
            f"corpus and will keep to it, put this line into params.yaml:\n\n"
            f"licences: [{', '.join((*licences, corpus.accept))}]\n"
        )
