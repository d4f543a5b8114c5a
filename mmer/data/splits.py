"""Splits that keep speakers apart: official ones, folds of speakers, corpora that are tested whole."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmer.data.clips import Clip, Sex

if TYPE_CHECKING:
    from mmer.config import Split


CROSS_CORPUS = "kept for this corpus's own test, while another corpus is tested"
SAME_PERSON = "of a person in the corpus that is tested"
SAME_TRIAL = "the same trial is a clip of another corpus"


def assign_splits(clips: Sequence[Clip], split: Split) -> list[Clip]:
    """Put each clip on its side of the split.

    An official split is kept. Else speakers of `split.test_fold` are tested, those of `split.val_fold` validate, all
    others train: a speaker has one fold, so no speaker is ever on two sides. A clip without a fold trains.

    Where `split.test_corpora` names corpora, all their clips are tested, and nothing else is: the clips that would be
    tested otherwise are `unused`, so that the test speakers of a corpus are never trained on, whatever is asked. A clip
    that its reader gave as `unused` stays so.

    Where one corpus was made from another, a trial is one clip, that of the tested corpus or else the derived one; and
    the people of a tested corpus are in no other.
    """
    tested = {clip.person for clip in clips if clip.corpus in split.test_corpora}
    kept: dict[str, Clip] = {}
    for clip in sorted(clips, key=lambda c: (c.corpus in split.test_corpora, bool(c.derived_from))):
        kept[clip.trial] = clip

    def of(clip: Clip) -> dict[str, str]:
        if clip.split == "unused":
            return {}
        if kept[clip.trial].corpus != clip.corpus:
            return {"split": "unused", "unused_because": SAME_TRIAL}
        if clip.corpus in split.test_corpora:
            return {"split": "test"}
        if clip.person in tested:
            return {"split": "unused", "unused_because": SAME_PERSON}
        side = clip.split
        if side is None:
            side = "test" if clip.fold == split.test_fold else "val" if clip.fold == split.val_fold else "train"
        if side == "test" and split.test_corpora:
            return {"split": "unused", "unused_because": CROSS_CORPUS}
        return {"split": side}

    return [c.model_copy(update=of(c)) for c in clips]


def sides(clips: Iterable[Clip], key: Callable[[Clip], str]) -> dict[str, set[str]]:
    """The sides of the split that each group of clips is on; clips that are not used count nowhere."""
    found: dict[str, set[str]] = {}
    for clip in clips:
        if clip.split != "unused":
            found.setdefault(key(clip), set()).add(str(clip.split))
    return found


def speakers_on_two_sides(clips: Iterable[Clip]) -> list[str]:
    """Speakers that stand in more than one split: always a mistake. An empty list is what one wants."""
    return sorted(person for person, on in sides(clips, lambda c: c.person).items() if len(on) > 1)


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
    validation: set[str] = set()
    for label in {clip.label for clip in clips}:
        train = sorted(clip.path for clip in clips if clip.label == label and clip.split == "train")
        validation.update(train[len(train) - len(train) // 10 :])
    return [c.model_copy(update={"split": "val"}) if c.path in validation else c for c in clips]
