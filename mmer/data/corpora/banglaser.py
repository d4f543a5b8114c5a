"""BanglaSER: 34 people act three sentences in five emotions, recorded by telephones and laptops (Das et al. 2022).

A file's name is that of RAVDESS, seven fields of two digits: modality, vocal channel, emotion, intensity, statement,
repetition, speaker: `Actor 01/03-01-01-01-01-01-01.wav`. The first field of three files is mistyped (`01`), so it is
not looked at. Seven speakers were not recorded in neutral. Voices only.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import RECORDING, Corpus
from mmer.data.splits import deal_folds

NAME = re.compile(rf"\d\d-(01-(0[1-5])-0[12]-0[1-3]-0[1-3]-(\d\d))\.{RECORDING}", re.IGNORECASE)

#: Odd speakers are men and even ones women, as in RAVDESS; so are the pitches of their neutral voices.
SEXES: dict[str, Sex] = {f"{n:02d}": "male" if n % 2 else "female" for n in range(1, 35)}

#: Third field of the file name; it is not RAVDESS's code.
EMOTION_CODES = {"01": "happy", "02": "sad", "03": "angry", "04": "surprise", "05": "neutral"}


def list_clips(raw: Path) -> list[Clip]:
    """One clip per recording, below any folder. The field of intensity only repeats the emotion (angry and surprise are
    called strong, the others normal), so a clip's intensity is unknown.
    """
    found = {m[1]: (m, p) for p in sorted(raw.rglob("*")) if (m := NAME.fullmatch(p.name)) and m[3] in SEXES}
    folds = deal_folds(SEXES)
    return [
        Clip(
            clip_id=trial,
            corpus="banglaser",
            speaker=match[3],
            sex=SEXES[match[3]],
            label=EMOTION_CODES[match[2]],
            fold=folds[match[3]],
            path=path.relative_to(raw).as_posix(),
            has_voice=True,
        )
        for trial, (match, path) in sorted(found.items())
    ]


CORPUS = Corpus(
    name="banglaser",
    title="BanglaSER",
    licence="CC BY 4.0",
    citation="Das RK, Islam N, Ahmed MR, Islam S, Shatabda S, Islam AKMM (2022). BanglaSER: A speech emotion "
    "recognition dataset for the Bangla language. Data in Brief 42: 108091. doi 10.1016/j.dib.2022.108091",
    homepage="https://data.mendeley.com/datasets/t9h6p943xy/5",
    language="Bengali",
    list_clips=list_clips,
    expected={"clips": 1467, "speakers": 34, "pictures": 0, "emotions": 5},
)
