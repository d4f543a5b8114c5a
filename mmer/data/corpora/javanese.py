"""Javanese emotions: ten people act four sentences in six emotions, seven times each; one of the seven was also filmed.

A file's name is actor, sentence, emotion and repetition: `01-02-03_04.wav`, where the owner's guide writes
`01-02-03-04`. Repetition 01 is the filmed one, `01-02-03_01.mp4`: its recording is the sound of that video, so the two
are one clip. There is no disgust.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import RECORDING, Corpus, Source
from mmer.data.splits import deal_folds

NAME = re.compile(rf"(\d\d)-(0[1-4])-(0[1-6])[-_](0[1-7])\.(mp4|{RECORDING})", re.IGNORECASE)
WOMEN: dict[str, Sex] = dict.fromkeys(("01", "02", "03", "04", "05"), "female")
MEN: dict[str, Sex] = dict.fromkeys(("06", "07", "08", "09", "10"), "male")
SEXES = WOMEN | MEN

#: Third field of the file name: biasa, susah, seneng, kaget, wedi, nesu.
EMOTION_CODES = {"01": "neutral", "02": "sad", "03": "happy", "04": "surprise", "05": "fear", "06": "angry"}
VIDEOS, VOICES = (f"https://github.com/2black0/{what}-emotion-recognition-javanese" for what in ("video", "sound"))


def list_clips(raw: Path) -> list[Clip]:
    """One clip per trial, below any folder: its video if that is there, else the voice alone."""
    found: dict[str, tuple[str, str, Path]] = {}
    for path in sorted(raw.rglob("*"), key=lambda p: (p.suffix.lower() != ".mp4", p)):
        if (match := NAME.fullmatch(path.name)) and match[1] in SEXES:
            speaker, sentence, emotion, repetition = match.groups()[:4]
            found.setdefault(f"{speaker}-{sentence}-{emotion}_{repetition}", (speaker, emotion, path))
    folds = deal_folds(SEXES)
    return [
        Clip(
            clip_id=trial,
            corpus="javanese",
            speaker=speaker,
            sex=SEXES[speaker],
            label=EMOTION_CODES[emotion],
            fold=folds[speaker],
            path=path.relative_to(raw).as_posix(),
            has_face=path.suffix.lower() == ".mp4",
            has_scene=path.suffix.lower() == ".mp4",
            has_voice=True,
        )
        for trial, (speaker, emotion, path) in sorted(found.items())
    ]


def sources(_: Path | None) -> list[Source]:
    """An archive for each actor in each of the two repositories, as of a commit; no checksum is known."""
    videos = f"{VIDEOS}/raw/69be1ff86b9824f225cbee43ff692d2b791cc009/dataset"
    voices = f"{VOICES}/raw/4d8003ecd400a173a1064867af1a2c6692a84966/dataset"
    return [
        source
        for actor in SEXES
        for source in (
            Source(f"video/person-{actor}.zip", f"{videos}/person-{actor}.zip", archive=True),
            Source(f"sound/dataset-person-{actor}.zip", f"{voices}/dataset-person-{actor}.zip", archive=True),
        )
    ]


CORPUS = Corpus(
    name="javanese",
    title="Javanese emotions, video and sound",
    licence="MIT",
    citation=f"Seto A (2022). Video emotion recognition and Sound emotion recognition, Javanese. {VIDEOS}, {VOICES}",
    homepage=VIDEOS,
    language="Javanese",
    list_clips=list_clips,
    sources=sources,
    expected={"clips": 1680, "speakers": 10, "pictures": 240, "emotions": 6},
)
