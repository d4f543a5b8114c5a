"""Aff-Wild2, its expressions: films of people from the web, judged frame by frame (Kollias & Zafeiriou 2019).

The layout is `annotations/EXPR_Set/{Train_Set,Validation_Set}/VIDEO.txt` (in later releases
`ABAW Annotations/EXPR_Recognition_Challenge/...`, or the like) and videos in `batch1/`, `batch2/` and so on. An
annotation's first line names the expressions, each other line is the number of a frame's among them, from 0; -1 is a
frame that nobody judged:

    Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other
    -1
    4

**A clip is a run of frames with one expression**, at least a second of them; longer ones than ten seconds are cut into
equal parts. Shorter runs and frames without an expression are in no clip. Runs of `Other` are `unused`. Valence and
arousal are the means over the clip's frames of `annotations/VA_.../*_Set/VIDEO.txt`, where that is there (-5 is a frame
that nobody judged); this track has a split of its own, which is not used.

**Times** come from the frames' numbers by the video's mean frame rate, which OpenCV reads from the head of the file; of
a file that tells none it is the number in its name (`134-30-1280x720`). In a video whose rate varies they are as wrong
as it varies.

**Two people in one video** have an annotation each, `VIDEO_left.txt` and `VIDEO_right.txt`. Cropping follows the
largest face, and cannot be told a side: their clips are `unused`.

**The split**: nobody outside has the labels of the official test part, so the official validation part is the test, as
in most published work. Every tenth video of the training part, in order of name, validates. Who is seen is not told: a
video is taken for a speaker. The owners say that no person is in two of their parts; somebody who is in two training
videos may be trained on and validated on.

The expression is of the face. The sound is that of the video: often not the person's (films of people who watch
something), so think twice before a voice is taught from it.

The layout is as public readers of it describe; not tried on the original.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer.data.clips import Clip, SplitName
from mmer.data.corpora import AnnotationError, Corpus, clip_ids
from mmer.data.splits import deal_folds
from mmer.labels import LabelError, emotion_of

VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".wmv", ".mpg", ".mpeg")
PARTS: dict[str, SplitName] = {"Train_Set": "train", "Validation_Set": "test"}
SIDE = re.compile(r"_(left|right)$")
RATE = re.compile(r"\d+-(\d+)-\d+x\d+")
ANNOTATIONS = "*nnotations*"
OTHER, NOBODY = "other", -1
RATES = (1, 240)
"""Frames a second that a video can have; the head of a damaged file says anything."""
SHORTEST_S, LONGEST_S = 1.0, 10.0
VALIDATION = 10
"""Every how-manieth training video validates."""

IS_OTHER = "the expression is none of the seven emotions"
TWO_PEOPLE = "two people are in its video"
NO_RATE = "its video tells no frame rate, so that nobody knows when its frames are"


def list_clips(raw: Path) -> list[Clip]:
    """The clips of each annotation whose video is there.

    Raises:
        AnnotationError: an annotation's line is not as described above, or a video is in both parts.
    """
    videos = {
        path.stem: path
        for path in sorted(raw.glob("batch*/*"))
        if path.suffix.lower() in VIDEOS and not path.name.startswith(".")
    }
    parts = {part: _files(raw, f"EXPR_*/{part}") for part in PARTS}
    affects = _files(raw, "VA_*/*_Set")
    people: dict[str, set[str]] = defaultdict(set)
    for name in (name for found in parts.values() for name in found):
        people[_video(name)].add(name)
    if twice := {_video(name) for name in parts["Train_Set"]} & {_video(name) for name in parts["Validation_Set"]}:
        raise AnnotationError(f"{raw}: {min(twice)!r} is annotated in both Train_Set and Validation_Set")
    # By all annotations, which come as a whole, so that a video that is not there moves no other.
    folds = deal_folds({_video(name): "unknown" for name in parts["Train_Set"]}, VALIDATION)
    clips: dict[str, dict[str, Any]] = {}
    for part, found in parts.items():
        for name, path in found.items():
            video = _video(name)
            if video in videos:
                split: SplitName = "val" if folds.get(video) == VALIDATION else PARTS[part]
                of: dict[str, Any] = {
                    "speaker": video,
                    "path": videos[video].relative_to(raw).as_posix(),
                    "split": split,
                }
                if people[video] != {video}:
                    of |= {"split": "unused", "unused_because": TWO_PEOPLE}
                rate = _frame_rate(videos[video])
                clips |= {f"{name}-{first}": of | clip for first, clip in _clips(path, affects.get(name), rate)}
    ids = clip_ids(list(clips))
    seen = {"has_face": True, "has_scene": True, "has_voice": True}
    return [Clip(clip_id=ids[name], corpus="aff_wild2", **seen, **clip) for name, clip in clips.items()]


def _files(raw: Path, folder: str) -> dict[str, Path]:
    """The annotations in a folder, by name."""
    return {path.stem: path for path in sorted(raw.glob(f"{ANNOTATIONS}/{folder}/[!.]*.txt"))}


def _video(name: str) -> str:
    """The name of an annotation's video."""
    return SIDE.sub("", name)


def _clips(path: Path, affect: Path | None, rate: float | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The first frame of each clip of an annotation, and what the clip holds of it.

    Args:
        path: the expressions.
        affect: valence and arousal, if these are told.
        rate: frames a second; None where nobody knows.
    """
    if rate is None:
        yield 0, {"label": "", "split": "unused", "unused_because": NO_RATE}
        return
    labels, numbers = _expressions(path)
    dimensions = _dimensions(affect) if affect else np.empty((0, 2))
    for number, first, last in _runs(numbers, rate):
        clip: dict[str, Any] = {"label": labels[number], "start_s": first / rate, "end_s": last / rate}
        part = dimensions[first:last]
        if len(part := part[(np.abs(part) <= 1).all(axis=1)]):
            clip["valence"], clip["arousal"] = part.mean(axis=0).tolist()
        yield first, clip if labels[number] else clip | {"split": "unused", "unused_because": IS_OTHER}


def _runs(numbers: list[int], rate: float) -> Iterator[tuple[int, int, int]]:
    """The expression of each clip, its first frame, and the one after its last."""
    begin = 0
    for number, run in groupby(numbers):
        frames = len(list(run))
        if number != NOBODY and frames >= SHORTEST_S * rate:
            parts = math.ceil(frames / (LONGEST_S * rate))
            edges = [begin + round(frames * place / parts) for place in range(parts + 1)]
            yield from ((number, first, last) for first, last in pairwise(edges))
        begin += frames


def _expressions(path: Path) -> tuple[list[str], list[int]]:
    """The labels that the first line names (empty for `Other`), and each frame's number among them, -1 for none."""
    head, *lines = _lines(path)
    labels = []
    for name in (name.strip() for name in head.split(",")):
        try:
            labels.append("" if name.casefold() == OTHER else emotion_of(name))
        except LabelError as error:
            raise AnnotationError(f"{path}, line 1: {error}") from None
    known = {str(number): number for number in range(NOBODY, len(labels))}
    try:
        return labels, [known[line] for line in lines]
    except KeyError as error:
        number = lines.index(error.args[0]) + 2
        raise AnnotationError(
            f"{path}, line {number}: {error.args[0]!r} is no whole number from -1 to {len(labels) - 1}"
        ) from None


def _dimensions(path: Path) -> npt.NDArray[np.float64]:
    """Valence and arousal of each frame, [n, 2]; beyond -1 to 1 where nobody judged."""
    head, *lines = _lines(path)
    if [name.strip().casefold() for name in head.split(",")] != ["valence", "arousal"]:
        raise AnnotationError(f"{path}, line 1: {head!r} is not valence,arousal")
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            valence, arousal = map(float, line.split(","))
        except ValueError:
            raise AnnotationError(f"{path}, line {number}: {line!r} is not two numbers") from None
        rows.append((valence, arousal))
    return np.array(rows, np.float64).reshape(-1, 2)


def _lines(path: Path) -> list[str]:
    """Its lines without blanks around them, one at least."""
    return [line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").rstrip().split("\n")]


def _frame_rate(video: Path) -> float | None:
    """Frames a second, as the file's head tells, else its name; None where neither does."""
    import cv2

    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    told = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    named = RATE.match(video.stem)
    for rate in (told, float(named[1]) if named else 0.0):
        if RATES[0] <= rate <= RATES[1]:
            return float(rate)
    return None


CORPUS = Corpus(
    name="aff_wild2",
    title="Aff-Wild2, the track of expressions",
    licence="an agreement (EULA) with its owners, for non-commercial research",
    citation="Kollias D, Zafeiriou S (2019). Expression, Affect, Action Unit Recognition: Aff-Wild2, Multi-Task "
    "Learning and ArcFace. BMVC 2019. arXiv 1910.04855",
    homepage="https://sites.google.com/view/dimitrioskollias/databases/aff-wild2",
    language="Multiple languages",
    list_clips=list_clips,
    accept="Aff-Wild2-research",
    conditions="non-commercial research only; a signed agreement from an academic address, and no copies to others",
)
