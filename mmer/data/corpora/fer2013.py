"""FER2013: 35,887 faces found by an image search, cut out tightly, grey, 48 by 48 pixels (Goodfellow et al. 2013).

The layout is that of Kaggle's `archive.zip`: `train/CLASS/Training_*.jpg`, `test/CLASS/PublicTest_*.jpg` (the contest's
public test, used for validation) and `test/CLASS/PrivateTest_*.jpg` (the test of all published results). Nobody's name
is known, so a clip's own id stands for its speaker.

The same image often stands in it more than once, byte for byte, also on both sides of the official split. Clips that
may not be learnt from are `unused`, with the reason beside them:

- the test stays as it is published, so that scores can be compared;
- an image of the validation part that is also a test image, and a training image that is also in either, is left out:
  it would be seen before it is asked for;
- of the same training image with the same label, the first is kept: repeats would weigh it more for no reason;
- a training image that comes with different labels is left out altogether: at most one of them is right, and nothing
  says which.

Copies within the validation or the test part stay.

FER+ (Barsoum et al. 2016, arXiv:1608.01041) asked ten people about each of these images. The join of its counts with
the names in the archive, made by comparing pixels, is `fer_plus.csv.gz` beside this file (MIT: fer_plus.LICENSE). By
its authors' rule a vote that nobody shares is dropped, and `consensus` is what more than half of the others chose. A
training image in which most saw no face, or could not tell, is left out.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mmer.data.clips import Clip, SplitName
from mmer.data.corpora import Corpus, Source
from mmer.labels import EMOTIONS, emotion_of

NAME = re.compile(r"(Training|PublicTest|PrivateTest)_\d+")
OFFICIAL: dict[str, SplitName] = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
ARCHIVE = "archive.zip"

IN_TEST = "the same image is a test image"
IN_VALIDATION = "the same image is a validation image"
TWO_LABELS = "the same training image has another label"
REPEATED = "the same training image came before"
NOTHING_SEEN = "most people saw no face in it, or could not tell"
UNTOLD = ("unknown", "not_a_face")
"""What FER+ counts besides emotions (and contempt)."""


class Votes(NamedTuple):
    """What people said of an image, single votes dropped."""

    distribution: tuple[float, ...] | None
    """Over `EMOTIONS`; None where nobody named one of these."""
    consensus: str
    """As in `Clip`; `contempt` is possible."""
    untold: bool
    """Most said that it shows no face, or that they cannot tell."""


@cache
def fer_plus() -> dict[str, Votes]:
    """FER+ by the image's path in the archive; 175 of the 35,887 images, most of them no face, are not there."""
    found = {}
    with gzip.open(Path(__file__).with_name("fer_plus.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            image = row.pop("image")
            counts = {name: int(count) if int(count) > 1 else 0 for name, count in row.items()}
            most = max(counts, key=lambda name: counts[name])
            seen = sum(counts[emotion] for emotion in EMOTIONS)
            clear = most not in UNTOLD and 2 * counts[most] > sum(counts.values())
            shares = tuple(counts[emotion] / seen for emotion in EMOTIONS) if seen else None
            found[image] = Votes(shares, most if clear else "", most in UNTOLD)
    return found


def list_clips(raw: Path) -> list[Clip]:
    """One clip per image, those that may not be learnt from as `unused`."""
    same: dict[str, list[Clip]] = defaultdict(list)
    for folder in (raw / part / emotion for part in ("train", "test") for emotion in CLASSES):
        for name in sorted(path.name for path in folder.glob("*.jpg")):
            if found := NAME.fullmatch(name.removesuffix(".jpg")):
                path = folder / name
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                same[digest].append(_clip(path.relative_to(raw), OFFICIAL[found[1]], digest))
    return [clip for copies in same.values() for clip in _judge(copies)]


def _clip(path: Path, split: SplitName, digest: str) -> Clip:
    clip_id = f"{path.stem}-{path.parent.name}"  # two names come in two classes
    votes = fer_plus().get(path.as_posix(), Votes(None, "", False))
    return Clip(
        clip_id=clip_id,
        corpus="fer2013",
        speaker=clip_id,
        label=emotion_of(path.parent.name),
        votes_face=votes.distribution,
        consensus=votes.consensus,
        split=split,
        path=path.as_posix(),
        sha256=digest,
        has_face=True,
    )


def _judge(copies: list[Clip]) -> list[Clip]:
    """All clips of one image, each with what becomes of it."""
    train = [clip for clip in copies if clip.split == "train"]
    sides, labels = {clip.split for clip in copies}, {clip.label for clip in train}

    def why(clip: Clip) -> str:
        if clip.split == "test":
            return ""
        if "test" in sides:
            return IN_TEST
        if clip.split == "val":
            return ""
        if "val" in sides:
            return IN_VALIDATION
        if fer_plus().get(clip.path, Votes(None, "", False)).untold:
            return NOTHING_SEEN
        if len(labels) > 1:
            return TWO_LABELS
        return "" if clip is train[0] else REPEATED

    def judged(clip: Clip) -> Clip:
        told = {"copies": len(train) - (clip.split == "train"), "unused_because": why(clip)}
        return clip.model_copy(update=told | ({"split": "unused"} if told["unused_because"] else {}))

    return [judged(clip) for clip in copies]


def sources(folder: Path | None) -> list[Source]:
    """Kaggle's archive, which needs a login: it has no link, and must lie in the mirror or in the raw folder. Nothing
    where it is unpacked already.
    """
    if folder is not None and (folder / "train").is_dir() and not (folder / ARCHIVE).is_file():
        return []
    return [Source(ARCHIVE, archive=True)]


CORPUS = Corpus(
    name="fer2013",
    title="FER2013",
    licence="for academic, non-commercial use; the images' own rights are with many others",
    citation="Goodfellow IJ, Erhan D, Carrier PL, Courville A, et al. (2013). Challenges in Representation Learning: A "
    "report on three machine learning contests. ICONIP 2013. arXiv 1307.0414",
    homepage="https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
    language="",
    list_clips=list_clips,
    sources=sources,
    expected={"clips": 35_887, "pictures": 35_887, "train": 28_709, "val": 3_589, "test": 3_589},
    accept="FER2013-academic",
    conditions="academic, non-commercial use only; Kaggle asks for a login and that you accept the contest's rules",
)
