"""eNTERFACE'05: people from 14 countries act six emotions in English, five sentences each (Martin et al. 2006).

The layout is `subject 1/anger/sentence 1/s1_an_1.avi`; subject 6 has no folders for the sentences. Speaker and emotion
are read from the folders, not from the files' names, some of which are wrong; only where no folder tells the emotion do
the two letters in the name. There is no neutral. The paper counts 42 subjects and 1,166 clips, users of the download 44
and 1,293: so how much the whole is is not stated here.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip
from mmer.data.corpora import Corpus, clip_ids
from mmer.data.splits import deal_folds
from mmer.labels import EMOTION_OF

SUBJECT = re.compile(r"subject[ _-]*(\d{1,2})", re.IGNORECASE)

#: In the middle of the file name. The corpus has no neutral.
EMOTION_CODES = {"ha": "happy", "sa": "sad", "an": "angry", "fe": "fear", "di": "disgust", "su": "surprise"}
CODE = re.compile(rf"_({'|'.join(EMOTION_CODES)})_", re.IGNORECASE)


def list_clips(raw: Path) -> list[Clip]:
    """One clip per video, named after its folders."""
    found = []
    for path in sorted(raw.rglob("*")):
        folders = path.relative_to(raw).parts[:-1]
        subjects = [match[1] for match in map(SUBJECT.fullmatch, folders) if match]
        if path.suffix.lower() == ".avi" and not path.name.startswith(".") and subjects:
            emotions = [EMOTION_OF[name.lower()] for name in folders if name.lower() in EMOTION_OF]
            emotions += [EMOTION_CODES[code.lower()] for code in CODE.findall(path.stem)]
            if emotions:
                found.append((path.relative_to(raw).as_posix(), f"{int(subjects[-1]):02d}", emotions[0]))
    ids = clip_ids([path.removesuffix(Path(path).suffix) for path, _, _ in found])
    folds = deal_folds(dict.fromkeys((f"{n:02d}" for n in range(1, 100)), "unknown"))
    return [
        Clip(
            clip_id=clip_id,
            corpus="enterface",
            speaker=speaker,
            label=emotion,
            fold=folds[speaker],
            path=path,
            has_face=True,
            has_scene=True,
            has_voice=True,
        )
        for (path, speaker, emotion), clip_id in zip(found, ids.values(), strict=True)
    ]


CORPUS = Corpus(
    name="enterface",
    title="eNTERFACE'05",
    licence="for scientific research",
    citation="Martin O, Kotsia I, Macq B, Pitas I (2006). The eNTERFACE'05 Audio-Visual Emotion Database. ICDE "
    "Workshops. doi 10.1109/ICDEW.2006.145",
    homepage="https://enterface.net/enterface05/emotion.html",
    language="English",
    list_clips=list_clips,
    accept="eNTERFACE05-research",
    conditions="made public for scientific research (so its paper); no other use is granted",
)
