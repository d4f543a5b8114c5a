"""RAVDESS: 24 actors speak two sentences in eight emotions, filmed from the front (Livingstone & Russo 2018).

A file's name is seven fields of two digits: modality, vocal channel, emotion, intensity, statement, repetition, actor.
The modality tells apart the three files of one trial: 01 audio-visual, 02 video only, 03 audio only.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip
from mmer.data.corpora import RECORDING, Corpus, Source
from mmer.data.splits import speaker_folds

NAME = re.compile(
    rf"(0[123])-((01)-(0[1-8])-(0[12])-(0[12])-(0[12])-([01]\d|2[0-4]))\.(mp4|{RECORDING})", re.IGNORECASE
)
"""Speech only (vocal channel 01): the songs are left out."""

RECORD = "https://zenodo.org/records/1188976"

#: The third field of the file name. Calm (02) counts as neutral: it was recorded as a second, milder baseline.
EMOTION_CODES = {
    "01": "neutral",
    "02": "neutral",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}


def list_clips(raw: Path) -> list[Clip]:
    """One clip per trial, whichever of its three files are there, below any folder (officially `Actor_NN/`).

    The audio-visual file is preferred; else the video-only file with the audio-only one as its voice (its own sound
    track is silent); else the audio-only file.
    """
    trials: dict[str, dict[str, str]] = {}
    for path in sorted(raw.rglob("*")):
        if found := NAME.fullmatch(path.name):
            trials.setdefault(found[2], {}).setdefault(found[1], path.relative_to(raw).as_posix())
    folds = speaker_folds("ravdess")
    return [_clip(trial, files, folds) for trial, files in sorted(trials.items())]


def _clip(trial: str, files: dict[str, str], folds: dict[str, int]) -> Clip:
    _, emotion, intensity, _, _, actor = trial.split("-")
    both, video, audio = (files.get(modality) for modality in ("01", "02", "03"))
    path = both or video or audio
    assert path is not None  # a trial is only known by its files
    return Clip(
        clip_id=trial,
        corpus="ravdess",
        speaker=actor,
        sex="male" if int(actor) % 2 else "female",
        label=EMOTION_CODES[emotion],
        intensity="high" if intensity == "02" else "normal",
        fold=folds.get(actor),
        path=path,
        voice_path=audio if path == video else None,
        has_face=path != audio,
        has_scene=path != audio,
        has_voice=bool(both or audio),
    )


def published_label(clip: Clip) -> str:
    """The eighth label is calm; a trial's name, which is the clip's id, holds it as its second field."""
    return "calm" if clip.clip_id.split("-")[1] == "02" else clip.label


def sources(_: Path | None) -> list[Source]:
    """The archives of speech: all voices in one, the videos in one for each actor."""
    voices, videos = "Audio_Speech_Actors_01-24.zip", [f"Video_Speech_Actor_{n:02d}.zip" for n in range(1, 25)]
    # Size and MD5 of the voices: the record's own list of files, as several public projects quote and verify it. Of the
    # videos nothing so well attested was found: their archives' CRCs count.
    return [
        Source(voices, _link(voices), md5="bc696df654c87fed845eb13823edef8a", size=208_468_073, archive=True),
        *(Source(name, _link(name), archive=True) for name in videos),
    ]


def _link(name: str) -> str:
    return f"{RECORD}/files/{name}?download=1"


CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS, speech",
    licence="CC BY-NC-SA 4.0",
    citation="Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song "
    "(RAVDESS). PLoS ONE 13(5): e0196391. doi 10.1371/journal.pone.0196391",
    homepage=RECORD,
    language="English",
    list_clips=list_clips,
    sources=sources,
    expected={"clips": 1440, "speakers": 24, "pictures": 1440},
    published_label=published_label,
    accept="CC-BY-NC-SA-4.0",
    conditions="non-commercial use only; what you adapt from it stays under the same licence; its owners sell others",
)
