"""A clip, the unit of every corpus, and manifests of clips.

A clip is one trial of one speaker with one label. Files that hold the same trial (RAVDESS publishes an
audio-visual, a video-only and an audio-only file of each) are one clip, never three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mmer.labels import EMOTIONS, MODALITIES, ModalityName

SplitName = Literal["train", "val", "test", "unused"]
"""`unused`: listed and prepared, but on no side (a copy of a test image among the training images)."""
MANIFEST = "clips.parquet"
RARE = ("derived_from", "consensus", "valence", "arousal")
"""Columns that a manifest has only where a clip fills them."""
Sex = Literal["female", "male", "unknown"]
Unit = Annotated[float, Field(ge=-1, le=1)] | None


class Clip(BaseModel):
    """One row of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip_id: str
    """Unique in its corpus; the name of its sample's file. Letters, digits, dot, dash and underscore only."""
    corpus: str
    speaker: str
    """Unique in its corpus. For a corpus that knows no speakers (face images), the image's own id."""
    derived_from: str = ""
    """The corpus whose trial this is, in another form; its speakers and clip ids are that corpus's."""
    sex: Literal["female", "male", "unknown"] = "unknown"
    label: str
    """The intended emotion, one of `EMOTIONS`; a cross-validation over published classes puts the corpus's own here.
    Empty for an `unused` clip whose annotation names none of them, or several."""
    votes: tuple[float, ...] | None = None
    """Where people who saw and heard the clip voted: their distribution over `EMOTIONS`, summing to 1."""
    votes_face: tuple[float, ...] | None = None
    """The same of those who only saw it."""
    votes_voice: tuple[float, ...] | None = None
    """The same of those who only heard it."""
    consensus: str = ""
    """What more than half of the people who judged it saw or heard, by the rule of the corpus's owner: an emotion, or
    a word for something that is none of `EMOTIONS`. Empty where nobody judged, or no majority agreed."""
    valence: Unit = None
    """From -1, unpleasant, to 1, pleasant, as the corpus's owner had it judged; None where that is not told."""
    arousal: Unit = None
    """From -1, calm, to 1, excited."""
    intensity: Literal["low", "normal", "high", "unknown"] = "unknown"
    split: SplitName | None = None
    """An official split, or the one `assign_splits` gave; None until then."""
    fold: int | None = None
    """The cross-validation fold, from 1, in which this speaker is tested."""
    path: str
    """The clip's file, relative to the corpus's raw folder."""
    start_s: float = 0.0
    """Where the clip begins in its file."""
    end_s: float | None = None
    """Where it ends; None: with the file."""
    voice_path: str | None = None
    """Where the voice lies in a file of its own beside a silent video."""
    sha256: str = ""
    """Of the file at `path` (of the part from `start_s` to `end_s`, both are hashed along)."""
    copies: int = 0
    """How many other clips of the corpus's training part, as its owner published it, are this file byte for byte, those
    that are `unused` now included: a test clip with some would have been seen in training on the published split."""
    unused_because: str = ""
    """Why a reader gave a clip as `unused`, the same words for the same cause, so that reports can count them."""
    duration_s: float = 0.0
    has_face: bool = False
    """Whether a face was found in at least one step (before cropping: whether there is a picture)."""
    has_scene: bool = False
    """Whether there is a picture at all whose surroundings count (a tight face crop has none)."""
    has_voice: bool = False
    """Whether a voice was loud enough in at least one step (before extraction: whether sound is expected)."""
    steps: int = 0
    face_rate: float = 0.0
    """Share of the steps with a picture in which a face was found."""
    voice_rate: float = 0.0
    """Share of the steps in which the voice is present."""
    hidden: Literal["none", "covered", "away", "unknown"] = "unknown"
    """Whether the face is known to be hidden for a part of the clip (the demo corpus knows)."""

    @field_validator("clip_id")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not value or not all(c.isalnum() or c in "._-" for c in value) or value.startswith("."):
            raise ValueError(f"clip_id {value!r} cannot be a file name: use letters, digits, '.', '_' and '-'")
        return value

    @model_validator(mode="after")
    def _known_label(self) -> Clip:
        if self.label not in EMOTIONS and (self.label or self.split != "unused"):
            raise ValueError(f"label {self.label!r} is none of {', '.join(EMOTIONS)}")
        return self

    @model_validator(mode="after")
    def _votes_are_a_distribution(self) -> Clip:
        for votes in (self.votes, self.votes_face, self.votes_voice):
            if votes is not None and (len(votes) != len(EMOTIONS) or abs(sum(votes) - 1) > 1e-6):
                raise ValueError(f"votes of {self.clip_id} must be {len(EMOTIONS)} shares that sum to 1")
        return self

    @property
    def target(self) -> int:
        """Index of the intended label in `EMOTIONS`."""
        return EMOTIONS.index(self.label)

    @property
    def person(self) -> str:
        """The speaker, unique over all corpora, and the same where one was made from another."""
        return f"{self.derived_from or self.corpus}/{self.speaker}"

    @property
    def trial(self) -> str:
        """The performance, unique over all corpora, and the same where one was made from another."""
        return f"{self.derived_from or self.corpus}/{self.clip_id}"

    @property
    def judged(self) -> tuple[float, ...] | None:
        """The votes of the people who were given what this clip holds: its face, its voice, or both."""
        if self.has_voice and not self.has_face:
            return self.votes_voice or self.votes
        if self.has_face and not self.has_voice:
            return self.votes_face or self.votes
        return self.votes

    @property
    def affect(self) -> tuple[float, float] | None:
        """Valence and arousal, where both are told."""
        return None if self.valence is None or self.arousal is None else (self.valence, self.arousal)

    @property
    def knows_speaker(self) -> bool:
        """Whether the corpus says whose this is: where it does not, the clip's own id stands for its speaker."""
        return self.speaker != self.clip_id

    @property
    def sample(self) -> str:
        """Path of the prepared sample below `data/processed` (or `data/interim`)."""
        return f"{self.corpus}/{self.clip_id}.npz"


def targets(clips: Sequence[Clip], classes: Sequence[str] = EMOTIONS) -> npt.NDArray[np.int64]:
    """Index of each clip's label in the classes, [n]."""
    return np.array([classes.index(c.label) for c in clips], np.int64)


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Write clips as parquet, ordered by corpus and id so that the same clips give the same bytes. What few corpora
    tell (`RARE`) has a column only where a clip has it.
    """
    import pandas as pd

    rows = sorted((c.model_dump() for c in clips), key=lambda r: (r["corpus"], r["clip_id"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows, columns=list(Clip.model_fields))
    frame["fold"] = frame["fold"].astype("Int64")
    told = frame[list(RARE)].replace("", None).notna().any()
    frame = frame.drop(columns=[name for name in RARE if not told[name]])
    frame.to_parquet(path, index=False)


def read_manifest(path: Path) -> list[Clip]:
    """Read what `write_manifest` wrote."""
    import pyarrow.parquet as pq

    return [Clip(**row) for row in pq.read_table(path).to_pylist()]


def modalities_of(clips: Sequence[Clip]) -> tuple[ModalityName, ...]:
    """The modalities of which these clips hold anything: the others are off in a network trained on them."""
    there = {
        "face": any(c.has_face for c in clips),
        "scene": any(c.has_scene for c in clips),
        "voice": any(c.has_voice for c in clips),
    }
    return tuple(m for m in MODALITIES if there[m])


def modalities_with_affect(clips: Sequence[Clip]) -> tuple[ModalityName, ...]:
    """The modalities of those of these clips of which valence and arousal are told."""
    return modalities_of([clip for clip in clips if clip.affect is not None])


def with_modalities(clips: Sequence[Clip], modalities: Sequence[ModalityName]) -> list[Clip]:
    """The clips that hold one of these modalities or more, with all others taken away."""
    gone: dict[str, object] = {f"has_{name}": False for name in MODALITIES if name not in modalities}
    return [clip.model_copy(update=gone) for clip in clips if any(getattr(clip, f"has_{name}") for name in modalities)]
