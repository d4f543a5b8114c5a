"""CREMA-D: 91 actors speak twelve sentences in six emotions, judged by a crowd (Cao et al. 2014). It has no surprise.

A file's name is actor, sentence, emotion and level: `1001_IEO_ANG_HI.flv`. Only one sentence was spoken at three
levels; elsewhere the level is XX. In copies older than October 2022 one name is cut short, `1040_ITH_SAD_X.wav` (issue
6 of its repository): it is read as XX. All 7,442 videos are named by the rule.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import Corpus, Source, read_rows
from mmer.data.splits import speaker_folds
from mmer.labels import EMOTIONS

NAME = re.compile(r"((\d{4})_[A-Z]{3}_(NEU|HAP|SAD|ANG|FEA|DIS)_)(XX?|LO|MD|HI)")
INTENSITIES: dict[str, Literal["low", "normal", "high", "unknown"]] = {"LO": "low", "MD": "normal", "HI": "high"}
SEXES: dict[str, Sex] = {"Female": "female", "Male": "male"}
FOLDERS = {"VideoFlash": (".flv",), "AudioWAV": (".wav", ".flac", ".opus"), "AudioMP3": (".mp3",)}
"""Where a clip may lie, best first. A mirror may hold FLAC or Ogg Opus where the owner publishes wav."""

HEARD, SEEN, BOTH = "1", "2", "3"
VOTES = "processedResults/tabulatedVotes.csv"
PEOPLE = "VideoDemographics.csv"
REPOSITORY = "CheyneyComputerScience/CREMA-D"
TABLE_URL = f"https://raw.githubusercontent.com/{REPOSITORY}/master/"
MEDIA_URL = f"https://media.githubusercontent.com/media/{REPOSITORY}/master/"

#: The third field of the file name. The corpus has no surprise.
EMOTION_CODES = {"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry", "FEA": "fear", "DIS": "disgust"}

#: The columns of the vote table.
VOTE_CODES = {"N": "neutral", "H": "happy", "S": "sad", "A": "angry", "F": "fear", "D": "disgust"}


def list_clips(raw: Path) -> list[Clip]:
    """One clip per recording: its video if that is there, else its sound.

    Votes (of those who saw and heard it, only saw it, only heard it) and sexes come from the owner's tables; without
    these, votes are None and the sex is unknown. The table of people also tells age, race and ethnicity: nothing here
    uses them, so they are not read.
    """
    files: dict[str, str] = {}
    for folder, endings in FOLDERS.items():
        for path in sorted((raw / folder).glob("*")):
            if path.suffix.lower() in endings and (found := NAME.fullmatch(path.stem)):
                level = "XX" if found[4] == "X" else found[4]
                files.setdefault(found[1] + level, path.relative_to(raw).as_posix())
    votes, folds = _votes(raw / VOTES), speaker_folds("crema_d")
    sexes = {row["ActorID"]: SEXES.get(row["Sex"], "unknown") for row in read_rows(raw / PEOPLE)}
    clips = []
    for name, path_in in sorted(files.items()):
        actor, _, emotion, level = name.split("_")
        clips.append(
            Clip(
                clip_id=name,
                corpus="crema_d",
                speaker=actor,
                sex=sexes.get(actor, "unknown"),
                label=EMOTION_CODES[emotion],
                votes=votes[BOTH].get(name),
                votes_face=votes[SEEN].get(name),
                votes_voice=votes[HEARD].get(name),
                intensity=INTENSITIES.get(level, "unknown"),
                fold=folds.get(actor),
                path=path_in,
                has_face=path_in.startswith("VideoFlash"),
                has_scene=path_in.startswith("VideoFlash"),
                has_voice=True,
            )
        )
    return clips


def _votes(path: Path) -> dict[str, dict[str, tuple[float, ...]]]:
    """Per kind of judges (the first digit of a row's number) and clip, the distribution of the votes over `EMOTIONS`.

    Each clip has three rows: numbered from 100,001 heard only, from 200,001 seen only, from 300,001 seen and heard.
    """
    found: dict[str, dict[str, tuple[float, ...]]] = {kind: {} for kind in (HEARD, SEEN, BOTH)}
    for row in read_rows(path):
        counts = {emotion: int(row[code]) for code, emotion in VOTE_CODES.items()}
        if (total := sum(counts.values())) and row[""][:1] in found:
            found[row[""][:1]][row["fileName"]] = tuple(counts.get(emotion, 0) / total for emotion in EMOTIONS)
    return found


def sources(_: Path | None) -> list[Source]:
    """The tables, and all videos. These the repository keeps in Git LFS, whose pointers are the owner's word on the
    SHA-256 and size of each: `crema_d.csv` lists them as of commit 02f12b39b56c8424039d0a953b89d47fc47d380f.
    """
    tables = [Source(path, TABLE_URL + path) for path in (VOTES, PEOPLE)]
    pointers = read_rows(Path(__file__).with_name("crema_d.csv"))
    return tables + [Source(p["file"], MEDIA_URL + p["file"], p["sha256"], size=int(p["bytes"])) for p in pointers]


CORPUS = Corpus(
    name="crema_d",
    title="CREMA-D",
    licence="Open Database License 1.0, contents under the Database Contents License 1.0",
    citation="Cao H, Cooper DG, Keutmann MK, Gur RC, Nenkova A, Verma R (2014). CREMA-D: Crowd-sourced Emotional "
    "Multimodal Actors Dataset. IEEE Transactions on Affective Computing 5(4): 377-390. "
    "doi 10.1109/TAFFC.2014.2336244",
    homepage=f"https://github.com/{REPOSITORY}",
    language="English",
    list_clips=list_clips,
    sources=sources,
    expected={"clips": 7442, "speakers": 91, "pictures": 7442, "emotions": 6},
    # The ODbL allows every use, also commercial: nothing need be accepted. What it asks for begins with publishing.
    conditions="if you publish: name the database and its licence; a changed copy of the database stays under the ODbL",
)
