"""Extraction: a corpus's files decoded to frames files, one per clip."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mmer.config import Params
from mmer.data import corpora
from mmer.data.clips import Clip
from mmer.data.prepare import PrepareError, Report, prepare
from mmer.data.samples import Writer
from mmer.runtime import media
from mmer.runtime.types import Picture

JPEG_QUALITY = 95


def extract_corpus(name: str, raw: Path, out: Path, params: Params) -> None:
    """Decode a corpus: its files in `raw` to `out/<clip_id>.npz` (its frames file), `clips.parquet` and `report.json`.

    Raises:
        PrepareError: `raw` holds no clips, too many of them are bad, or the machine gave up.
    """
    corpus = corpora.get(name)
    clips = corpus.list_clips(raw)
    if not clips:
        how = "put its files there, see docs/corpora.md" if corpus.by_hand else "fetch it first, or look if it was cut"
        raise PrepareError(f"{raw} holds no clip of {name}: {how}")
    twice = [clip_id for clip_id, count in Counter(clip.clip_id for clip in clips).items() if count > 1]
    if twice:
        raise PrepareError(f"{name} lists {len(twice)} clip ids twice, the first is {min(twice)!r}")

    extract = partial(_extract, raw=raw, out=out, params=params)
    prepare(name, clips, extract, out, params.prepare, Report(corpus=name, clips=0, listed=len(clips), bad=[], hours=0))


def _extract(clip: Clip, raw: Path, out: Path, params: Params) -> Clip:
    """One clip's file to its frames file."""
    source = raw / clip.path
    voice_path = None if clip.voice_path is None else raw / clip.voice_path
    sizes: dict[int, int] = {}
    heard = 0
    with Writer(out / f"{clip.clip_id}.npz") as writer:
        writer.append("jpegs", np.empty(0, np.uint8))
        writer.append("voice", np.empty(0, np.int16))

        def keep(step: int, _: float, rgb: Picture) -> None:
            bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
            _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            writer.append("jpegs", data)
            sizes[step] = len(data)

        def hear(piece: npt.NDArray[np.int16]) -> None:
            nonlocal heard
            writer.append("voice", piece)
            heard += len(piece)

        try:
            decoded = media.decode(
                source,
                params.media,
                params.input.step_s,
                keep,
                on_voice=hear,
                voice_path=voice_path,
                start_s=clip.start_s,
                end_s=clip.end_s,
            )
        except media.MediaError as error:
            if error.code == "no_ffmpeg":  # no fault of the clip
                raise PrepareError(str(error)) from None
            raise
        writer.append(
            "sizes", np.array([sizes.get(step, 0) for step in range(decoded.steps if sizes else 0)], np.int64)
        )
        writer.append("times", decoded.picture_times)
        writer.append("steps", np.array([decoded.steps]))
    found = {"has_face": bool(sizes), "has_scene": bool(sizes) and clip.has_scene, "has_voice": heard > 0}
    measured = {"sha256": _digest(source, clip), "duration_s": decoded.duration_s, "steps": decoded.steps}
    return clip.model_copy(update=found | measured)


def _digest(source: Path, clip: Clip) -> str:
    """SHA-256 of a clip's file; of a part of it, of the file's and where the part begins and ends."""
    with source.open("rb") as file:
        whole = hashlib.file_digest(file, "sha256").hexdigest()
    if not clip.start_s and clip.end_s is None:
        return whole
    return hashlib.sha256(f"{whole} {clip.start_s} {clip.end_s}".encode()).hexdigest()
