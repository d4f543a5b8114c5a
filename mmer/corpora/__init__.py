"""One reader per corpus: what it is, where it comes from, and how its files become clips.

A reader is a module `mmer.corpora.<name>` with one public constant, `CORPUS`. Adding a corpus is adding such a file.
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
from typing import Literal

from mmer.clips import Clip

Sex = Literal["female", "male", "unknown"]
AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".m4a")
IMAGES = (".jpg", ".jpeg", ".png")


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

    @property
    def by_hand(self) -> bool:
        """Whether its files are put into `data/raw/<name>` by hand: no link of its owner's is open to a program."""
        return self.sources is None or all(source.url is None for source in self.sources(None))


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


def deal_folds(speakers: Mapping[str, Sex], folds: int = 5) -> dict[str, int]:
    """The one rule for folds where none are published: the speakers, women first, then men, each in order of name, are
    dealt to the folds one after the other, like cards. So no speaker is in two folds, and each fold has both sexes
    where there are enough.

    Args:
        speakers: all speakers of the corpus, and their sex.
        folds: into how many; fewer speakers have a fold each.

    Returns:
        The fold, from 1, in which each speaker is tested.
    """
    order = sorted(speakers, key=lambda speaker: (speakers[speaker], speaker))
    return {speaker: place % folds + 1 for place, speaker in enumerate(order)}


def hold_out(clips: Sequence[Clip]) -> list[Clip]:
    """Make validation clips where an owner published only a training and a test part: of each emotion's training clips
    the last tenth in order of name. A run of neighbours, not a random draw: frames of one scene often have successive
    names, and should not be on both sides.
    """
    if any(clip.split == "val" for clip in clips):
        return list(clips)
    held: set[str] = set()
    for label in {clip.label for clip in clips}:
        train = sorted(clip.path for clip in clips if clip.label == label and clip.split == "train")
        held.update(train[len(train) - len(train) // 10 :])
    return [c.model_copy(update={"split": "val"}) if c.path in held else c for c in clips]


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
