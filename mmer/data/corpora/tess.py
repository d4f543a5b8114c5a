"""TESS: two actresses, of 26 and 64 years, say 200 words in seven emotions (Pichora-Fuller & Dupuis 2010). Voices only.

A file's name is speaker, word and emotion, as in `OAF_back_angry.wav` (the older) and `YAF_back_ps.wav` (the younger;
pleasant surprise), in folders such as `OAF_angry`. In copies of it one speaker is cut short (`OA_bite_neutral.wav`).

**Two speakers are two folds**: one can be tested by a model that learnt from the other, but then none is left to
validate on. So TESS alone cannot be trained, tuned and tested on unseen speakers; it is for mixtures, or to be tested
on as a whole (`split.test_corpora`).
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import RECORDING, Corpus
from mmer.data.splits import deal_folds

NAME = re.compile(rf"(OA|YA)F?_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)\.{RECORDING}", re.IGNORECASE)
SEXES: dict[str, Sex] = {"OAF": "female", "YAF": "female"}

#: The end of the file name; ps is pleasant surprise.
EMOTION_CODES = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fear": "fear",
    "disgust": "disgust",
    "ps": "surprise",
}


def list_clips(raw: Path) -> list[Clip]:
    """One clip per recording, below any folder; copies of the corpus often hold it twice, which is once here."""
    found: dict[str, Clip] = {}
    folds = deal_folds(SEXES)
    for path in sorted(raw.rglob("*")):
        if match := NAME.fullmatch(path.name):
            speaker, word, code = f"{match[1].upper()}F", match[2].lower(), match[3].lower()
            clip = Clip(
                clip_id=f"{speaker}_{word}_{code}",
                corpus="tess",
                speaker=speaker,
                sex="female",
                label=EMOTION_CODES[code],
                fold=folds[speaker],
                path=path.relative_to(raw).as_posix(),
                has_voice=True,
            )
            found.setdefault(clip.clip_id, clip)
    return list(found.values())


CORPUS = Corpus(
    name="tess",
    title="TESS, the Toronto emotional speech set",
    licence="CC BY-NC-ND 4.0",
    citation="Pichora-Fuller MK, Dupuis K (2020). Toronto emotional speech set (TESS). Borealis. "
    "doi 10.5683/SP2/E8H2MF",
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    language="English",
    list_clips=list_clips,
    expected={"clips": 2800, "speakers": 2, "pictures": 0},
    accept="CC-BY-NC-ND-4.0",
    conditions="non-commercial use only; what you adapt from it may not be shared: ask whether a model is such a thing",
)
