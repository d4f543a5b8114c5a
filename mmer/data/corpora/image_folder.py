"""Your own pictures of faces, sorted into folders named after emotions: `happy/1.jpg`, `anna/Anger/002.png`.

Folders may be nested in any way; the nearest one that is named after an emotion is the label. Top folders `train`,
`val` (or `validation`, `dev`) and `test` are kept as the split; without `val`, the last tenth of each emotion's
training pictures is held out; without any of them, the pictures are dealt to five folds. Who is seen is not known here,
so a clip's own id stands for its speaker: where you know the people, use the corpus `folder` (docs/own-clips.md), which
keeps them apart. The pictures are taken as faces, cut out as tightly as you like: what is around is not looked at.
"""

from __future__ import annotations

from pathlib import Path

from mmer.data.clips import Clip, SplitName
from mmer.data.corpora import IMAGES, Corpus, clip_ids
from mmer.data.splits import deal_folds, hold_out
from mmer.errors import MmerError
from mmer.labels import EMOTIONS, LabelError, emotion_of

PARTS: dict[str, SplitName] = {"train": "train", "val": "val", "validation": "val", "dev": "val", "test": "test"}


class ImageFolderError(MmerError, ValueError):
    """The folders cannot be read as emotions; the message names them."""


def list_clips(raw: Path) -> list[Clip]:
    """One clip per picture.

    Raises:
        ImageFolderError: a picture lies in no folder that is named after an emotion, or only some lie in `train`,
            `val` or `test`.
    """
    paths = sorted(p.relative_to(raw) for p in raw.rglob("*") if p.suffix.lower() in IMAGES and p.is_file())
    paths = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    ids = clip_ids([path.as_posix() for path in paths])
    labels, unknown = {}, {}
    for path in paths:
        try:
            labels[path] = _label(path)
        except LabelError as error:
            unknown[path.parent.as_posix()] = str(error)
    if unknown:
        first, why = min(unknown.items())
        raise ImageFolderError(
            f"{raw / first}: {why}. Pictures must lie in folders named after emotions ({', '.join(EMOTIONS)}); "
            f"rename this one or move it away (so {len(unknown)} in all)"
        )
    parts = [PARTS.get(path.parts[0].lower()) for path in paths]
    if None in parts and any(parts):
        outside = paths[parts.index(None)].parts[0]
        raise ImageFolderError(f"{raw / outside} lies beside train, val or test: put all pictures into these, or none")
    clips = [
        Clip(
            clip_id=clip_id,
            corpus="image_folder",
            speaker=clip_id,
            label=labels[path],
            split=part,
            path=path.as_posix(),
            has_face=True,
        )
        for path, part, clip_id in zip(paths, parts, ids.values(), strict=True)
    ]
    if any(parts):
        return hold_out(clips)
    folds = deal_folds({clip.clip_id: "unknown" for clip in clips})
    return [clip.model_copy(update={"fold": folds[clip.clip_id]}) for clip in clips]


def _label(path: Path) -> str:
    """The emotion of the nearest folder that names one."""
    folders = path.parts[:-1]
    for name in reversed(folders):
        try:
            return emotion_of(name)
        except LabelError:
            continue
    return emotion_of(folders[-1] if folders else "")


CORPUS = Corpus(
    name="image_folder",
    title="Your own pictures, in folders",
    licence="yours to know",
    citation="Your own.",
    homepage="docs/own-clips.md",
    language="",
    list_clips=list_clips,
)
