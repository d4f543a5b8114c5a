"""IEMOCAP: ten actors in five dialogues of two, improvised and scripted, judged turn by turn (Busso et al. 2008).

The layout is that of `IEMOCAP_full_release`: `Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav`, and the
judges' words in `Session1/dialog/EmoEvaluation/Ses01F_impro01.txt`. The letter in front says who wears the markers of
the motion capture, the last one who speaks: this turn is the man's. A file of judgements has such blocks:

    [6.2901 - 8.2357]	Ses01F_impro01_M000	neu	[2.5000, 2.5000, 2.5000]
    C-E2:	Neutral state;	()
    C-F1:	Neutral state;	()

The label is what most judges named. Excited is happy, as in most published work. Turns that most found frustrated, or
other, and those without a majority (`xxx`), are `unused`. `votes` are of the judges (`C-E...`) and not the actors'
judgements of themselves (`C-F`, `C-M`); one who named several emotions has a share of a vote for each, and votes for
none of the seven are left out. Valence and arousal (there: activation) go from 1 to 5 in the file.

**Voice alone**: a session's videos show both actors beside each other, and nothing here tells which face to follow. The
judges saw the video too, so that `votes` say more than a voice may tell.

The folds are the five sessions, as published (leave one session out). Most published figures are about four classes
(neutral, happy with excited, sad, angry; 5,531 turns), and are not to be compared with those over seven here.

The layout is as the release's README and public readers of it describe; not tried on the original.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import AnnotationError, Corpus
from mmer.labels import EMOTION_OF, EMOTIONS

RELEASE = "IEMOCAP_full_release"
TURN = re.compile(
    r"\[[\d.]+ *- *[\d.]+\]\s+(?P<turn>(?P<dialog>Ses0(?P<session>[1-5])[FM]_\w+)_(?P<sex>[FM])\w+)\s+"
    r"(?P<code>\w+)\s+\[(?P<valence>[\d.]+), *(?P<activation>[\d.]+), *[\d.]+\]"
)
JUDGE = re.compile(r"C-E\d+:([^()]*)")
SEXES: dict[str, Sex] = {"F": "female", "M": "male"}
ENDINGS = (".wav", ".flac", ".opus")
"""Of a turn's recording. A mirror may hold FLAC or Ogg Opus where the owner publishes wav."""

EMOTION_CODES = {
    "neu": "neutral",
    "hap": "happy",
    "exc": "happy",
    "sad": "sad",
    "ang": "angry",
    "fea": "fear",
    "dis": "disgust",
    "sur": "surprise",
}
UNUSED = {
    "fru": "most judges heard frustration, which is none of the seven emotions",
    "oth": "most judges heard something other than the listed emotions",
    "xxx": "no emotion has a majority of the judges",
}
WORDS = EMOTION_OF | {"neutral state": "neutral", "excited": "happy"}
"""What a judge could name, and the emotion that it is here."""


class Turn(NamedTuple):
    """One turn, as it was judged."""

    name: str
    dialog: str
    session: int
    sex: str
    """F or M."""
    code: str
    valence: float
    """From 1 to 5."""
    activation: float
    """From 1 to 5."""
    judges: tuple[tuple[str, ...], ...]
    """What each judge named."""


def list_clips(raw: Path) -> list[Clip]:
    """One clip per judged turn whose recording is there.

    Raises:
        AnnotationError: a line of the judgements is not as described above.
    """
    root = raw / RELEASE if (raw / RELEASE).is_dir() else raw
    clips = []
    for path in sorted(root.glob("Session[1-5]/dialog/EmoEvaluation/Ses*.txt")):
        for turn in _turns(path):
            folder = root / f"Session{turn.session}" / "sentences" / "wav" / turn.dialog
            voices = (folder / f"{turn.name}{ending}" for ending in ENDINGS)
            if voice := next((voice for voice in voices if voice.is_file()), None):
                clips.append(_clip(turn, voice.relative_to(raw)))
    return clips


def _clip(turn: Turn, path: Path) -> Clip:
    return Clip(
        clip_id=turn.name,
        corpus="iemocap",
        speaker=f"{turn.session}{turn.sex}",
        sex=SEXES[turn.sex],
        label=EMOTION_CODES.get(turn.code, ""),
        votes=_votes(turn.judges),
        valence=(turn.valence - 3) / 2,
        arousal=(turn.activation - 3) / 2,
        split="unused" if turn.code in UNUSED else None,
        unused_because=UNUSED.get(turn.code, ""),
        fold=turn.session,
        path=path.as_posix(),
        has_voice=True,
    )


def _turns(path: Path) -> Iterator[Turn]:
    """The turns of a file; between a turn's line and the next stand those of its judges."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("[")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        where, found = f"{path}, line {start + 1}", TURN.fullmatch(lines[start].strip())
        if found is None:
            raise AnnotationError(f"{where}: {lines[start].strip()!r} is no turn, its label and its three judgements")
        if found["code"] not in EMOTION_CODES and found["code"] not in UNUSED:
            raise AnnotationError(f"{where}: label {found['code']!r} is none of {', '.join([*EMOTION_CODES, *UNUSED])}")
        valence, activation = float(found["valence"]), float(found["activation"])
        if not (1 <= valence <= 5 and 1 <= activation <= 5):
            raise AnnotationError(f"{where}: valence {valence:g} or activation {activation:g} is not from 1 to 5")
        yield Turn(
            name=found["turn"],
            dialog=found["dialog"],
            session=int(found["session"]),
            sex=found["sex"],
            code=found["code"],
            valence=valence,
            activation=activation,
            judges=tuple(
                tuple(word.strip() for word in judge[1].split(";") if word.strip())
                for judge in map(JUDGE.match, lines[start + 1 : end])
                if judge
            ),
        )


def _votes(judges: tuple[tuple[str, ...], ...]) -> tuple[float, ...] | None:
    """Their distribution over `EMOTIONS`; None where nobody named one of these."""
    counts = dict.fromkeys(EMOTIONS, 0.0)
    for words in judges:
        for word in words:
            if emotion := WORDS.get(word.casefold()):
                counts[emotion] += 1 / len(words)
    total = sum(counts.values())
    return tuple(counts[emotion] / total for emotion in EMOTIONS) if total else None


CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    licence="the release form of the University of Southern California, for research",
    citation="Busso C, Bulut M, Lee CC, Kazemzadeh A, Mower E, Kim S, Chang JN, Lee S, Narayanan SS (2008). IEMOCAP: "
    "Interactive emotional dyadic motion capture database. Language Resources and Evaluation 42(4): 335-359. "
    "doi 10.1007/s10579-008-9076-6",
    homepage="https://sail.usc.edu/iemocap/",
    language="English",
    list_clips=list_clips,
    expected={"clips": 10_039, "speakers": 10, "pictures": 0, "emotions": 7},
    accept="IEMOCAP-research",
    conditions="a signed release form, sent to its owners; research, and no copies to others",
)
