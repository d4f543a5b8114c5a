"""Trials of RAVDESS as clips of the face alone: cut out around it, a few frames a second, with the trial's own sound.

No published files, but made from some (60 of actor 05 in our mirror): the names are RAVDESS's, there is no scene, and
the pictures cover a part of the trial. Who takes this corpus and `ravdess` together learns from each trial once.
"""

from __future__ import annotations

from pathlib import Path

from mmer.data.clips import Clip
from mmer.data.corpora import Corpus, ravdess


def list_clips(raw: Path) -> list[Clip]:
    """One clip per trial."""
    own = {"corpus": CORPUS.name, "derived_from": CORPUS.derived_from, "has_scene": False}
    return [clip.model_copy(update=own) for clip in ravdess.list_clips(raw)]


CORPUS = Corpus(
    name="ravdess_crops",
    title="RAVDESS, face crops with sound",
    licence=ravdess.CORPUS.licence,
    citation=ravdess.CORPUS.citation,
    homepage=ravdess.CORPUS.homepage,
    language=ravdess.CORPUS.language,
    list_clips=list_clips,
    accept=ravdess.CORPUS.accept,
    conditions=ravdess.CORPUS.conditions,
    derived_from=ravdess.CORPUS.name,
)
