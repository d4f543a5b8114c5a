"""Corpora prepared, clip by clip and in parallel: files to `Frames` (extract), `Frames` to samples (crop).

One policy for both: a bad clip is reported with its reason and skipped, until there are too many; trouble of the
machine (a full disk, missing ffmpeg) stops the work at once.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np

from mmer import corpora, media, samples
from mmer.clips import MANIFEST, Clip, read_manifest, write_manifest
from mmer.config import Faces, Params, Prepare
from mmer.errors import MmerError
from mmer.faces import Detector, Tracker

REPORT = "report.json"
JPEG_QUALITY = 95


class PrepareError(MmerError):
    """A corpus cannot be prepared; the message says why and what to do."""


class Bad(TypedDict):
    """A clip that was skipped."""

    clip_id: str
    path: str
    reason: str


class Report(TypedDict):
    """What became of a corpus."""

    corpus: str
    clips: int
    """Prepared."""
    listed: int
    """Found in the raw folder; those that are not prepared are in `bad`, of this step and the one before."""
    bad: list[Bad]
    hours: float
    """Of the prepared clips together."""


def extract_corpus(name: str, raw: Path, out: Path, params: Params) -> None:
    """Decode a corpus: its files in `raw` to `out/<clip_id>.npz` (`Frames`), `clips.parquet` and `report.json`.

    Raises:
        PrepareError: `raw` holds no clips, too many of them are bad, or the machine gave up.
    """
    clips = corpora.get(name).list_clips(raw)
    if not clips:
        raise PrepareError(f"{raw} holds no clip of {name}: fetch the corpus first, or look whether it was cut short")
    twice = [clip_id for clip_id, count in Counter(clip.clip_id for clip in clips).items() if count > 1]
    if twice:
        raise PrepareError(f"{name} lists {len(twice)} clip ids twice, the first is {min(twice)!r}")

    extract = partial(_extract, raw=raw, out=out, params=params)
    _prepare(
        name, clips, extract, out, params.prepare, Report(corpus=name, clips=0, listed=len(clips), bad=[], hours=0)
    )


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

    crop = partial(_crop, interim=interim, out=out, detector=detector, params=params)
    _prepare(name, read_manifest(interim / MANIFEST), crop, out, params.prepare, report)


def _extract(clip: Clip, raw: Path, out: Path, params: Params) -> Clip:
    """One clip's file to its `Frames` file."""
    pictures: dict[int, bytes] = {}

    def keep(step: int, _: float, rgb: media.Picture) -> None:
        _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        pictures[step] = data.tobytes()

    source = raw / clip.path
    voice_path = None if clip.voice_path is None else raw / clip.voice_path
    decoded = media.decode(source, params.media, params.input.step_s, keep, voice_path=voice_path)
    jpegs = [pictures.get(step, b"") for step in range(decoded.steps)] if pictures else []
    frames = samples.Frames(jpegs, decoded.picture_times, decoded.voice, decoded.steps)
    samples.save_frames(out / f"{clip.clip_id}.npz", frames)
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = {
        "has_face": bool(pictures),
        "has_scene": bool(pictures) and clip.has_scene,
        "has_voice": len(decoded.voice) > 0,
    }
    measured = {"sha256": digest, "duration_s": decoded.duration_s, "steps": decoded.steps}
    return clip.model_copy(update=found | measured)


def _crop(clip: Clip, interim: Path, out: Path, detector: Path, params: Params) -> Clip:
    """One clip's `Frames` file to its sample."""
    frames = samples.load_frames(interim / f"{clip.clip_id}.npz")
    tracker = Tracker(_detector(detector, params.faces), params.faces, params.input)
    face_size, scene_size = params.input.face_size, params.input.scene_size
    faces = np.zeros((frames.steps, face_size, face_size, 3), np.uint8)
    scenes = np.zeros((frames.steps, scene_size, scene_size, 3), np.uint8)
    present = np.zeros((frames.steps, 3), np.bool_)
    for step, jpeg in enumerate(frames.jpegs):
        if not jpeg:
            continue
        bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ValueError(f"the picture of step {step} cannot be read")
        view = tracker.look(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), float(frames.times[step]))
        if clip.has_scene:  # the picture is no tight crop of a face
            scenes[step], present[step, 1] = view.scene, True
        if view.face is not None:
            faces[step], present[step, 0] = view.face, True
    windows = samples.voice_windows(frames.voice, frames.steps, params.input.step_s, params.input.voice_window_s)
    present[:, 2] = samples.voice_present(windows, params.media.silence_dbfs)
    samples.save_sample(out / f"{clip.clip_id}.npz", samples.Sample(faces, scenes, frames.voice, present))
    pictures = sum(bool(jpeg) for jpeg in frames.jpegs)
    face, scene, voice = (int(count) for count in present.sum(axis=0))
    found = {"has_face": face > 0, "has_scene": scene > 0, "has_voice": voice > 0}
    rates = {"face_rate": face / pictures if pictures else 0.0, "voice_rate": voice / frames.steps}
    return clip.model_copy(update=found | rates)


@lru_cache(maxsize=1)
def _detector(folder: Path, faces: Faces) -> Detector:
    """The detector, loaded once in each worker."""
    return Detector.load(folder, faces)


def _attempt(work: Callable[[Clip], Clip], clip: Clip) -> Clip | Bad:
    """Runs in a worker: a clip prepared, or why it cannot be."""
    cv2.setNumThreads(1)  # the workers are the parallelism
    try:
        return work(clip)
    except media.MediaError as error:
        if error.code == "no_ffmpeg":
            raise PrepareError(str(error)) from None
        return Bad(clip_id=clip.clip_id, path=clip.path, reason=str(error))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, cv2.error) as error:
        return Bad(clip_id=clip.clip_id, path=clip.path, reason=f"{type(error).__name__}: {error}")


def _prepare(
    name: str, clips: Sequence[Clip], work: Callable[[Clip], Clip], out: Path, rules: Prepare, report: Report
) -> None:
    """Do `work` on each clip in parallel, then write the report and, last, the manifest: where it is, all is done."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    out.mkdir(parents=True, exist_ok=True)
    done: list[Clip] = []
    bad = list(report["bad"])
    pool = Parallel(n_jobs=rules.workers, backend=rules.backend, return_as="generator_unordered")
    try:
        results = pool(delayed(_attempt)(work, clip) for clip in clips)
        for result in tqdm(results, total=len(clips), desc=name, unit="clip"):
            if isinstance(result, Clip):
                done.append(result)
            else:
                bad.append(result)
        bad.sort(key=lambda entry: entry["clip_id"])
        hours = sum(clip.duration_s for clip in sorted(done, key=lambda clip: clip.clip_id)) / 3600
        report |= {"clips": len(done), "bad": bad, "hours": hours}
        _write_whole(out / REPORT, lambda part: part.write_text(json.dumps(report, indent=2) + "\n"))
        _refuse_too_many(report, rules.max_bad_fraction, out)
        _write_whole(out / MANIFEST, lambda part: write_manifest(part, done))
    except OSError as error:
        what = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        raise PrepareError(f"{name} cannot be prepared in {out}: {what}; set that right and run again") from error


def _refuse_too_many(report: Report, limit: float, out: Path) -> None:
    bad, listed = report["bad"], report["listed"]
    if len(bad) <= limit * listed and report["clips"]:
        return
    first = "".join(f"\n  {entry['clip_id']}: {entry['reason']}" for entry in bad[:5])
    raise PrepareError(
        f"{len(bad)} of {listed} clips of {report['corpus']} are bad; prepare.max_bad_fraction allows {limit:.0%}. "
        f"All are in {out / REPORT}; the first:{first}"
    )


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
