"""nEMO: nine Polish actors speak ninety sentences in six emotions (Christop 2024). Voices only; there is no disgust.

A file's name is speaker, emotion and sentence: `samples/EB0_anger_1.wav`. The table beside, `data.tsv`, says no more of
a recording than its name, but for the text; the sexes are copied from it.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import RECORDING, Corpus, Source
from mmer.data.splits import deal_folds
from mmer.labels import emotion_of

NAME = re.compile(rf"([A-Z]{{2}}0)_(anger|fear|happiness|neutral|sadness|surprised)_\d+\.{RECORDING}")
WOMEN: dict[str, Sex] = dict.fromkeys(("EB0", "IC0", "KD0", "MK0"), "female")
MEN: dict[str, Sex] = dict.fromkeys(("KS0", "MP0", "SM0", "TP0", "WR0"), "male")
SEXES = WOMEN | MEN
REPOSITORY = "https://github.com/amu-cai/nEMO"


def list_clips(raw: Path) -> list[Clip]:
    """One clip per recording, below any folder (officially `samples/`)."""
    found = {p.stem: (m, p) for p in sorted(raw.rglob("*")) if (m := NAME.fullmatch(p.name)) and m[1] in SEXES}
    folds = deal_folds(SEXES)
    return [
        Clip(
            clip_id=name,
            corpus="nemo",
            speaker=match[1],
            sex=SEXES[match[1]],
            label=emotion_of(match[2]),
            fold=folds[match[1]],
            path=path.relative_to(raw).as_posix(),
            has_voice=True,
        )
        for name, (match, path) in sorted(found.items())
    ]


def sources(_: Path | None) -> list[Source]:
    """The repository as of the commit that brought the recordings; no checksum of the owner's is known."""
    return [Source("nEMO.zip", f"{REPOSITORY}/archive/06f1f83dde8f1a780443a57d53b2af3971af34ab.zip", archive=True)]


CORPUS = Corpus(
    name="nemo",
    title="nEMO",
    licence="CC BY-NC-SA 4.0",
    citation="Christop I (2024). nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024. arXiv 2404.06292",
    homepage=REPOSITORY,
    language="Polish",
    list_clips=list_clips,
    sources=sources,
    expected={"clips": 4481, "speakers": 9, "pictures": 0, "emotions": 6},
    accept="CC-BY-NC-SA-4.0",
    conditions="non-commercial use only; what you adapt from it stays under the same licence",
)
