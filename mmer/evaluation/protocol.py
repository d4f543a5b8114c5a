"""How scores came about, in words: who was tested, what must be known before a score is believed."""

from __future__ import annotations

from collections.abc import Sequence

from mmer.data import corpora
from mmer.data.clips import Clip
from mmer.reporting import Report, counted
from mmer.training.checkpoints import Origin

DRAWN = "drawn people: no evidence about people"
PAIRED = {
    "label": "trained with faces and voices of different people, joined by emotion (train.pairing: label)",
    "speaker": "trained with faces and voices of different recordings of one person, joined by emotion "
    "(train.pairing: speaker)",
}


def about(clips: Sequence[Clip], pairing: str) -> Report:
    """What was scored, and what must be known before a score of it is believed."""
    names = sorted({c.corpus for c in clips})
    # A corpus without a reader here is taken for real people.
    drawn = [name for name in names if name in corpora.names() and corpora.get(name).drawing]
    notes = []
    if drawn == names:
        notes.append(DRAWN)
    elif drawn:
        notes.append(f"part of it ({', '.join(drawn)}) is {DRAWN}")
    if pairing in PAIRED:
        notes.append(PAIRED[pairing])
    return {
        "drawings": drawn == names,
        "drawn_corpora": drawn,
        "pairing": pairing,
        **({"note": "; ".join(notes)} if notes else {}),
        "corpora": names,
        "n_clips": len(clips),
        "n_speakers": n_speakers(clips),
        "tested": describe(clips),
    }


def learnt_from(origin: Origin) -> set[str]:
    """The corpora that weights learnt from, also in the earlier trainings that theirs went on from."""
    return {*origin.corpora, *(name for ancestor in origin.start for name in ancestor.corpora)}


def describe(clips: Sequence[Clip]) -> str:
    """Who the clips are of, in words: "60 clips of 4 unseen speakers", "3,589 images of unknown people"."""
    parts = []
    if known := [c for c in clips if c.knows_speaker]:
        parts.append(f"{counted(len(known), noun(known))} of {counted(n_speakers(known), 'unseen speaker')}")
    if unknown := [c for c in clips if not c.knows_speaker]:
        parts.append(f"{counted(len(unknown), noun(unknown))} of unknown people")
    return " and ".join(parts)


def noun(clips: Sequence[Clip]) -> str:
    """`image` where each clip is a single picture, else `clip`."""
    return "clip" if any(c.has_voice or c.steps > 1 for c in clips) else "image"


def n_speakers(clips: Sequence[Clip]) -> int:
    """Number of speakers that are known."""
    return len({c.person for c in clips if c.knows_speaker})


def resampled(clips: Sequence[Clip]) -> str:
    """What an interval over these clips is resampled over: the speakers, or where none is known the clips."""
    unknown = [c for c in clips if not c.knows_speaker]
    if not unknown:
        return "the speakers"
    if len(unknown) == len(clips):
        return f"the {noun(clips)}s"
    return f"the speakers (in {', '.join(sorted({c.corpus for c in unknown}))}: the {noun(unknown)}s)"


def protocol(clips: Sequence[Clip], resamples: int, cross_corpus: Sequence[str]) -> str:
    """How the scores came about, in words."""
    parts = []
    for corpus in sorted({c.corpus for c in clips}):
        own = [c for c in clips if c.corpus == corpus]
        folds = sorted({c.fold for c in own if c.fold is not None})
        if corpus in cross_corpus:
            where = "the whole corpus, of which nothing is in training or validation (cross-corpus)"
        else:
            where = f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}" if folds else "the official test split"
        what, speakers = noun(own), n_speakers(own)
        if speakers:
            who = f"{counted(speakers, 'speaker')}, of whom nothing is in training or validation (speaker-independent)"
        else:
            who = f"people whom the corpus does not tell apart (each {what} counts as one)"
        parts.append(f"{corpus}: {counted(len(own), what)} of {who}, {where}.")
    if len(parts) > 1:
        parts.append("Scores of no corpus by name are of all these clips pooled.")
    parts.append(f"Against intended labels. Intervals: 95%, {resamples} resamples of {resampled(clips)}.")
    return " ".join(parts)
