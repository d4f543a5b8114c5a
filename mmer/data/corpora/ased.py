"""ASED: 65 people speak 27 sentences of Amharic in five emotions, each twice; 2,474 of the recordings were kept, those
in which at least five of eight judges heard the emotion that was meant (Retta et al. 2023). Voices only.

A file's name is emotion, sentence, repetition, sex and speaker: `01Neutral/n1-02-01-01-03.wav`. Sentences 01 and 02
were spoken in all emotions; each of the others belongs to one, so that **what is said tells the emotion too**. The sex
in five names is not that of all other recordings of that speaker, so the majority counts.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import RECORDING, Corpus, Source
from mmer.data.splits import deal_folds

NAME = re.compile(rf"([nfhsa])\d-\d\d-\d\d-\d\d-(\d\d)\.{RECORDING}", re.IGNORECASE)
WOMEN = (*range(1, 39, 2), 43, 47, 48, 49, 58, 62)
SEXES: dict[str, Sex] = {f"{n:02d}": "female" if n in WOMEN else "male" for n in range(1, 66)}

#: First letter of the file name.
EMOTION_CODES = {"n": "neutral", "f": "fear", "h": "happy", "s": "sad", "a": "angry"}
REPOSITORY = "https://github.com/wgwangang/ASED_V1"


def list_clips(raw: Path) -> list[Clip]:
    """One clip per recording, below any folder (officially one for each emotion)."""
    found = {p.stem.lower(): (m, p) for p in sorted(raw.rglob("*")) if (m := NAME.fullmatch(p.name)) and m[2] in SEXES}
    folds = deal_folds(SEXES)
    return [
        Clip(
            clip_id=name,
            corpus="ased",
            speaker=match[2],
            sex=SEXES[match[2]],
            label=EMOTION_CODES[match[1].lower()],
            fold=folds[match[2]],
            path=path.relative_to(raw).as_posix(),
            has_voice=True,
        )
        for name, (match, path) in sorted(found.items())
    ]


def sources(_: Path | None) -> list[Source]:
    """The repository as of the commit that brought the recordings; no checksum of the owner's is known."""
    return [Source("ASED_V1.zip", f"{REPOSITORY}/archive/ba83034f48f8f5791cd5056a08233aaad6014d36.zip", archive=True)]


CORPUS = Corpus(
    name="ased",
    title="ASED, the Amharic speech emotion dataset",
    licence="published for research by its authors, without a licence text",
    citation="Retta EA, Almekhlafi E, Sutcliffe R, Mhamed M, Ali H, Feng J (2023). A New Amharic Speech Emotion "
    "Dataset and Classification Benchmark. ACM Transactions on Asian and Low-Resource Language Information Processing "
    "22(1). doi 10.1145/3529759",
    homepage=REPOSITORY,
    language="Amharic",
    list_clips=list_clips,
    sources=sources,
    expected={"clips": 2474, "speakers": 65, "pictures": 0, "emotions": 5},
    accept="ASED-no-licence",
    conditions="its authors call it freely available, to encourage research; no licence text grants any use",
)
