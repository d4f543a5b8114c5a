"""SAVEE: four English men speak 15 sentences in each of six emotions and 30 in neutral (Jackson & Haq 2014).

A file's name is emotion and sentence, in a folder named after the speaker: `AudioVisualClip/DC/a1.avi` and, for the
voice alone, `AudioData/DC/a01.wav`. In copies all lie in one folder, with the speaker in the name: `ALL/DC_a01.wav`.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import RECORDING, Corpus
from mmer.data.splits import deal_folds

SEXES: dict[str, Sex] = dict.fromkeys(("DC", "JE", "JK", "KL"), "male")
NAME = re.compile(rf"(?:(DC|JE|JK|KL)_)?(sa|su|[adfhn])(\d{{1,2}})\.(avi|mp4|{RECORDING})", re.IGNORECASE)
VIDEO = (".avi", ".mp4")

#: The letters before the sentence's number.
EMOTION_CODES = {"n": "neutral", "h": "happy", "sa": "sad", "a": "angry", "f": "fear", "d": "disgust", "su": "surprise"}


def list_clips(raw: Path) -> list[Clip]:
    """One clip per sentence that was spoken: its audio-visual file if that is there, else the voice."""
    found: dict[str, Path] = {}
    for path in sorted(raw.rglob("*"), key=lambda p: (p.suffix.lower() not in VIDEO, p)):
        if match := NAME.fullmatch(path.name):
            speaker = (match[1] or path.parent.name).upper()
            if speaker in SEXES:
                found.setdefault(f"{speaker}_{match[2].lower()}{int(match[3]):02d}", path)
    folds = deal_folds(SEXES)
    return [_clip(name, path, raw, folds) for name, path in sorted(found.items())]


def _clip(name: str, path: Path, raw: Path, folds: dict[str, int]) -> Clip:
    speaker, sentence = name.split("_")
    seen = path.suffix.lower() in VIDEO
    return Clip(
        clip_id=name,
        corpus="savee",
        speaker=speaker,
        sex=SEXES[speaker],
        label=EMOTION_CODES[sentence.rstrip("0123456789")],
        fold=folds[speaker],
        path=path.relative_to(raw).as_posix(),
        has_face=seen,
        has_scene=seen,
        has_voice=True,
    )


CORPUS = Corpus(
    name="savee",
    title="SAVEE, Surrey audio-visual expressed emotion",
    licence="for research, after registration with the University of Surrey",
    citation="Jackson P, Haq S (2014). Surrey Audio-Visual Expressed Emotion (SAVEE) database. University of Surrey",
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    language="English",
    list_clips=list_clips,
    expected={"clips": 480, "speakers": 4, "pictures": 480},
    accept="SAVEE-research",
    conditions="research only; register with its owners, who send a password for the download",
)
