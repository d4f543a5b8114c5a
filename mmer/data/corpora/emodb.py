"""EmoDB: ten German actors speak ten sentences in seven emotions (Burkhardt et al. 2005). Voices only.

A file's name is speaker, sentence, emotion and version: `wav/03a01Fa.wav`. Boredom (81 of 535) is none of the seven
emotions here and is left out. There is no surprise.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import RECORDING, Corpus, Source
from mmer.data.splits import deal_folds

NAME = re.compile(rf"(\d\d)[ab]\d\d([NFTWAE])[a-z]?\.{RECORDING}", re.IGNORECASE)
WOMEN: dict[str, Sex] = dict.fromkeys(("08", "09", "13", "14", "16"), "female")
MEN: dict[str, Sex] = dict.fromkeys(("03", "10", "11", "12", "15"), "male")
SEXES = WOMEN | MEN
"""As the corpus's documentation tells them (http://emodb.bilderbar.info/docu/)."""

#: The sixth character of the file name: the first letter of the German word. L, Langeweile, is boredom: left out.
EMOTION_CODES = {"N": "neutral", "F": "happy", "T": "sad", "W": "angry", "A": "fear", "E": "disgust"}


def list_clips(raw: Path) -> list[Clip]:
    """One clip per recording, below any folder (officially `wav/`)."""
    found = {p.stem: (m, p) for p in sorted(raw.rglob("*")) if (m := NAME.fullmatch(p.name)) and m[1] in SEXES}
    folds = deal_folds(SEXES)
    return [
        Clip(
            clip_id=name,
            corpus="emodb",
            speaker=match[1],
            sex=SEXES[match[1]],
            label=EMOTION_CODES[match[2].upper()],
            fold=folds[match[1]],
            path=path.relative_to(raw).as_posix(),
            has_voice=True,
        )
        for name, (match, path) in found.items()
    ]


def sources(_: Path | None) -> list[Source]:
    """One archive. The link is the one that audformat's documentation gives; neither size nor checksum of the owner's
    was found.
    """
    return [Source("download.zip", "http://emodb.bilderbar.info/download/download.zip", archive=True)]


CORPUS = Corpus(
    name="emodb",
    title="EmoDB, the Berlin database of emotional speech",
    licence="free to download; no licence text was found",
    citation="Burkhardt F, Paeschke A, Rolfes M, Sendlmeier WF, Weiss B (2005). A database of German emotional speech. "
    "Interspeech 2005: 1517-1520",
    homepage="http://emodb.bilderbar.info/docu/",
    language="German",
    list_clips=list_clips,
    sources=sources,
    expected={"clips": 454, "speakers": 10, "pictures": 0},
    accept="EmoDB-unstated",
    conditions="its owners ask to be cited; no licence was found that grants more: ask before any but research use",
)
