"""CAER-S: pictures from TV series, whole scenes with the people in them, in seven emotions (Lee et al. 2019).

The layout is `train/Anger/0001.png`, `test/Anger/0001.png`. Who is seen is not told, so a clip's own id stands for its
speaker. The official split is kept; it has no validation part, so the last tenth of each emotion's training images is
held out. **What is unseen in the test is the picture, not the person, the room or the scene**: the pictures are frames
of clips, and nothing published says that the frames of one clip, or those of one actor, are on one side only.
"""

from __future__ import annotations

from pathlib import Path

from mmer.data.clips import Clip, SplitName
from mmer.data.corpora import IMAGES, Corpus
from mmer.data.splits import hold_out
from mmer.labels import emotion_of

PARTS: dict[str, SplitName] = {"train": "train", "test": "test"}
CLASSES = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


def list_clips(raw: Path) -> list[Clip]:
    """One clip per picture, in `train/` and `test/` of the raw folder or of `CAER-S/` in it."""
    root = raw / "CAER-S" if (raw / "CAER-S").is_dir() else raw
    clips = [
        _clip(f"{part}-{emotion}-{path.stem}", split, emotion, path.relative_to(raw))
        for part, split in PARTS.items()
        for emotion in CLASSES
        for path in sorted((root / part / emotion).glob("*"))
        if path.suffix.lower() in IMAGES and not path.name.startswith(".")
    ]
    return hold_out(clips)


def _clip(clip_id: str, split: SplitName, emotion: str, path: Path) -> Clip:
    return Clip(
        clip_id=clip_id,
        corpus="caer_s",
        speaker=clip_id,
        label=emotion_of(emotion),
        split=split,
        path=path.as_posix(),
        has_face=True,
        has_scene=True,
    )


CORPUS = Corpus(
    name="caer_s",
    title="CAER-S, context-aware emotion recognition, still pictures",
    licence="for research; frames of TV series, whose rights are others'",
    citation="Lee J, Kim S, Kim S, Park J, Sohn K (2019). Context-Aware Emotion Recognition Networks. ICCV 2019. "
    "arXiv 1908.05913",
    homepage="https://caer-dataset.github.io",
    language="",
    list_clips=list_clips,
    accept="CAER-research",
    conditions="research only; ask its owners for it on their page",
)
