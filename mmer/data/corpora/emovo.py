"""EMOVO: six Italian actors speak fourteen sentences in seven emotions (Costantini et al. 2014). Voices only.

A file's name is emotion, speaker and sentence: `f1/dis-f1-b1.wav`.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import RECORDING, Corpus
from mmer.data.splits import deal_folds

NAME = re.compile(rf"(dis|gio|neu|pau|rab|sor|tri)-([fm][1-3])-[bdln]\d\.{RECORDING}", re.IGNORECASE)
SEXES: dict[str, Sex] = dict.fromkeys(("f1", "f2", "f3"), "female")
SEXES |= dict.fromkeys(("m1", "m2", "m3"), "male")

#: First letters of the Italian words: disgusto, gioia, neutrale, paura, rabbia, sorpresa, tristezza.
EMOTION_CODES = {
    "neu": "neutral",
    "gio": "happy",
    "tri": "sad",
    "rab": "angry",
    "pau": "fear",
    "dis": "disgust",
    "sor": "surprise",
}


def list_clips(raw: Path) -> list[Clip]:
    """One clip per recording, below any folder (officially one for each speaker)."""
    found = {p.stem.lower(): (m, p) for p in sorted(raw.rglob("*")) if (m := NAME.fullmatch(p.name))}
    folds = deal_folds(SEXES)
    return [
        Clip(
            clip_id=name,
            corpus="emovo",
            speaker=match[2].lower(),
            sex=SEXES[match[2].lower()],
            label=EMOTION_CODES[match[1].lower()],
            fold=folds[match[2].lower()],
            path=path.relative_to(raw).as_posix(),
            has_voice=True,
        )
        for name, (match, path) in sorted(found.items())
    ]


CORPUS = Corpus(
    name="emovo",
    title="EMOVO",
    licence="free to download for research; told differently in different places",
    citation="Costantini G, Iaderola I, Paoloni A, Todisco M (2014). EMOVO Corpus: an Italian Emotional Speech "
    "Database. LREC 2014: 3501-3504",
    homepage="http://voice.fub.it/activities/corpora/emovo/index.html",
    language="Italian",
    list_clips=list_clips,
    expected={"clips": 588, "speakers": 6, "pictures": 0},
    accept="EMOVO-research",
    conditions="research only; its licence is told differently in different places, so test on it, and let nothing "
    "that you share learn from it",
    test_only=True,
)
