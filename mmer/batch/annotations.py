"""A clip's timeline for annotators: tiers of labelled intervals, as ELAN (.eaf) and Praat (.TextGrid) open them."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pympi import Eaf, TextGrid

from mmer.batch.places import EAF
from mmer.batch.told import Told
from mmer.files import write_whole
from mmer.labels import EMOTIONS

Tiers = Mapping[str, list["Interval"]]


class Interval(NamedTuple):
    """A label and how long it holds, in whole milliseconds of the media file."""

    start: int
    end: int
    label: str


def tiers(told: Told, start_s: float = 0.0) -> Tiers:
    """The timeline of a clip: `emotion` is what is shown at each moment, smoothed; `face` and `voice` are what each
    says by itself; `utterance` is what was recognised of each. Where there is nothing to go by, there is no interval.

    Args:
        told: of the clip.
        start_s: where in the file the clip begins.
    """
    steps, step_ms, first = told["steps"], round(1000 * told["step_s"]), round(1000 * start_s)

    def along(labels: Iterable[str | None]) -> Iterator[Interval]:
        for label, run in groupby(enumerate(labels), key=lambda pair: pair[1]):
            ks = [k for k, _ in run]
            if label is not None:
                yield Interval(first + ks[0] * step_ms, first + (ks[-1] + 1) * step_ms, label)

    found = {"emotion": list(along(step["shown"] for step in steps))}
    for name in steps[0]["alone"]:
        found[name] = list(along(_likeliest(step["alone"][name]) for step in steps))
    found["utterance"] = [
        Interval(first + round(1000 * spoken["start"]), first + round(1000 * spoken["end"]), spoken["label"])
        for spoken in told["utterances"]
        if spoken["label"] is not None
    ]
    return found


def write_annotation(told: Told, media: Path, out: Path, start_s: float = 0.0) -> None:
    """Write one, in the format that the name's ending says; one that is there is kept beside it as `.bak`.

    Args:
        told: of the clip.
        media: the clip's file, which ELAN opens with it.
        out: ends in .eaf or .TextGrid.
        start_s: where in the file the clip begins.
    """
    made = _eaf(told, media, out, start_s) if out.suffix == EAF else _textgrid(told, start_s)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():  # somebody may have worked on it
        out.replace(out.with_name(f"{out.name}.bak"))
    write_whole(out, made.to_file)


def _eaf(told: Told, media: Path, out: Path, start_s: float) -> Eaf:
    """Linked to the media file, with the emotions as its controlled vocabulary."""
    eaf = Eaf(author="mmer")
    eaf.remove_tier("default")
    kind = mimetypes.guess_type(media.name)[0] or "application/octet-stream"
    eaf.add_linked_file(media.absolute().as_uri(), os.path.relpath(media.absolute(), out.absolute().parent), kind)
    eaf.add_language("eng", None, "English")
    eaf.add_controlled_vocabulary("emotions")
    for emotion in EMOTIONS:
        eaf.add_cv_entry("emotions", emotion, [(emotion, "eng", None)])
    about = {"LINGUISTIC_TYPE_ID": "emotion", "TIME_ALIGNABLE": "true", "CONTROLLED_VOCABULARY_REF": "emotions"}
    eaf.add_linguistic_type("emotion", param_dict=about)
    for name, intervals in tiers(told, start_s).items():
        eaf.add_tier(name, "emotion")
        for interval in intervals:
            eaf.add_annotation(name, *interval)
    return eaf


def _textgrid(told: Told, start_s: float) -> TextGrid:
    """Interval tiers, empty where there is nothing to go by."""
    grid = TextGrid(xmax=round(start_s + len(told["steps"]) * told["step_s"], 3))
    for name, intervals in tiers(told, start_s).items():
        tier = grid.add_tier(name)
        for start, end, label in intervals:
            tier.add_interval(start / 1000, end / 1000, label, check=False)  # which compares it with all others
    return grid


def _likeliest(said: Mapping[str, float] | None) -> str | None:
    return None if said is None else max(said, key=said.__getitem__)
