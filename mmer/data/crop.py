"""Cropping: frames files to samples, with the face found, followed and cropped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mmer.config import Params
from mmer.data.clips import MANIFEST, Clip, read_manifest
from mmer.data.prepare import REPORT, PrepareError, Report, prepare
from mmer.data.samples import FramesReader, Writer
from mmer.runtime.align import Alignment
from mmer.runtime.config import Faces
from mmer.runtime.detector import Detector
from mmer.runtime.grid import SAMPLE_RATE, voice_windows
from mmer.runtime.resize import crop, shrink
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Picture
from mmer.runtime.voice import Hearing

PIECE = 256
"""Steps of a clip that are in memory at once when it is cropped."""
TIGHT = 144
"""Side to which a tight crop of a face is made large or small before eyes and mouth are looked for in it, pixels."""


def crop_corpus(name: str, interim: Path, out: Path, detector: Path, params: Params) -> None:
    """Find, follow and crop the faces of an extracted corpus: `out/<clip_id>.npz` (`Sample`), `clips.parquet` with the
    rates filled in, and `report.json`, which carries on the one of the extraction.

    Raises:
        PrepareError: `interim` is not complete, too many clips are bad, or the machine gave up.
    """
    for path in (interim / MANIFEST, interim / REPORT):
        if not path.is_file():
            raise PrepareError(f"{path} is missing: run `dvc repro extract@{name}`")
    try:
        Detector.load(detector, params.faces)
    except (OSError, ValueError) as error:
        raise PrepareError(f"no face detector: {error}; run `dvc repro detector`") from error
    report: Report = json.loads((interim / REPORT).read_text())

    prepared = partial(_crop, interim=interim, out=out, detector=detector, params=params)
    prepare(name, read_manifest(interim / MANIFEST), prepared, out, params.prepare, report)


def _crop(clip: Clip, interim: Path, out: Path, detector: Path, params: Params) -> Clip:
    """One clip's frames file to its sample."""
    frames = FramesReader(interim / f"{clip.clip_id}.npz")
    counts = np.zeros(3, int)
    pictures = 0
    with Writer(out / f"{clip.clip_id}.npz") as writer:
        crops = _crops(clip, frames, detector, params)
        for voice, heard in _voice(frames, params):
            faces, scenes, seen = zip(*islice(crops, len(heard)), strict=True)
            present = np.concatenate([np.array(seen)[:, :2], heard[:, None]], axis=1)
            pictures += sum(picture for *_, picture in seen)
            counts += present.sum(axis=0)
            for name, rows in (("faces", faces), ("scenes", scenes), ("voice", voice), ("present", present)):
                writer.append(name, np.asarray(rows))
    face, scene, voice_steps = counts.tolist()
    found = {"has_face": face > 0, "has_scene": scene > 0, "has_voice": voice_steps > 0}
    rates = {"face_rate": face / pictures if pictures else 0.0, "voice_rate": voice_steps / frames.steps}
    return clip.model_copy(update=found | rates)


def _crops(
    clip: Clip, frames: FramesReader, detector: Path, params: Params
) -> Iterator[tuple[Picture, Picture, tuple[bool, bool, bool]]]:
    """Step by step: the face's crop, the scene, and whether there is a face, a scene, a picture.

    A picture without surroundings is a tight crop of a face already (FER2013): there is nothing to search, and in
    images as small as that a detector misses every fifth face.
    """
    side, scene_side = params.input.face_size, params.input.scene_size
    no_face, no_scene = np.zeros((side, side, 3), np.uint8), np.zeros((scene_side, scene_side, 3), np.uint8)
    tracker = Tracker(_detector(detector, params.faces), params.faces, params.input)
    alignment = Alignment()
    jpegs = frames.jpegs()
    for step in range(frames.steps):
        jpeg = next(jpegs, b"")
        if not jpeg:
            yield no_face, no_scene, (False, False, False)
            continue
        bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ValueError(f"the picture of step {step} cannot be read")
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        if not clip.has_scene:
            yield tight(rgb, float(frames.times[step]), alignment, tracker), no_scene, (True, False, True)
            continue
        view = tracker.track(rgb, float(frames.times[step]))
        face = no_face if view.face is None else view.face
        yield face, shrink(rgb, scene_side), (view.face is not None, True, True)


def tight(rgb: Picture, t: float, alignment: Alignment, tracker: Tracker) -> Picture:
    """The crop of a picture that is a tight crop of a face already: with `faces.align` laid on eyes and mouth, where
    these are found in it; else as it is.

    For that it is looked at enlarged and with room around it: the detector knows faces in pictures.
    """
    if not tracker.faces.align:
        return shrink(rgb, tracker.input.face_size)
    large = cv2.resize(rgb, (TIGHT, TIGHT), interpolation=cv2.INTER_LINEAR)
    room = TIGHT // 3
    large = cv2.copyMakeBorder(large, room, room, room, room, cv2.BORDER_REPLICATE)
    whole = (room, room, room + TIGHT, room + TIGHT)
    found = tracker.detector.follow(large, whole, alignment.roll)
    if found is not None:
        alignment.see(found.landmarks, whole, t)
    return crop(large, alignment.box(whole), tracker.input.face_size, tracker.faces.margin, alignment.roll)


def _voice(frames: FramesReader, params: Params) -> Iterator[tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]]:
    """The voice, a piece of `PIECE` steps at a time, and whether it is present at each of these steps."""
    given = params.input
    hop = round(given.step_s * SAMPLE_RATE)
    context = math.ceil(given.voice_window_s / given.step_s)
    pieces = frames.voice(PIECE * hop)
    before, hearing = np.zeros(context * hop, np.int16), Hearing(given, params.media.silence_dbfs)
    for first in range(0, frames.steps, PIECE):
        steps = min(PIECE, frames.steps - first)
        last = first + steps == frames.steps
        voice = np.concatenate([np.empty(0, np.int16), *(pieces if last else islice(pieces, 1))])
        line = np.concatenate([before, voice])
        windows = voice_windows(line, context + steps, given.step_s, given.voice_window_s)[context:]
        yield voice, hearing(windows)[1]
        before = np.pad(line, (0, max(0, (context + steps) * hop - len(line))))[steps * hop :][: context * hop]


@lru_cache(maxsize=1)
def _detector(folder: Path, faces: Faces) -> Detector:
    """The detector, loaded once in each worker."""
    return Detector.load(folder, faces)
