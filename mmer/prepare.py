"""Corpora prepared, clip by clip and in parallel: files to frames (extract), frames to samples (crop).

One policy for both: a bad clip is reported with its reason and skipped, until there are too many; trouble of the
machine (a full disk, missing ffmpeg) stops the work at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from os import cpu_count
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
import numpy.typing as npt

from mmer import corpora, media, samples
from mmer.clips import MANIFEST, Clip, read_manifest, write_manifest
from mmer.config import Faces, Params, Prepare
from mmer.errors import MmerError
from mmer.faces import Detector, Tracker, shrink

REPORT = "report.json"
JPEG_QUALITY = 95
PIECE = 256
"""Steps of a clip that are in memory at once when it is cropped."""
INSTALL = "`pip install '{}'`, on all machines of the cluster"
KILLED = "a worker was killed, most likely for want of memory: lower prepare.workers and run again"


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
    """One clip's file to its frames file."""
    source = raw / clip.path
    voice_path = None if clip.voice_path is None else raw / clip.voice_path
    sizes: dict[int, int] = {}
    heard = 0
    with samples.Writer(out / f"{clip.clip_id}.npz") as writer:
        writer.append("jpegs", np.empty(0, np.uint8))
        writer.append("voice", np.empty(0, np.int16))

        def keep(step: int, _: float, rgb: media.Picture) -> None:
            bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
            _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            writer.append("jpegs", data)
            sizes[step] = len(data)

        def hear(piece: npt.NDArray[np.int16]) -> None:
            nonlocal heard
            writer.append("voice", piece)
            heard += len(piece)

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


def _crop(clip: Clip, interim: Path, out: Path, detector: Path, params: Params) -> Clip:
    """One clip's frames file to its sample."""
    frames = samples.FramesReader(interim / f"{clip.clip_id}.npz")
    counts = np.zeros(3, int)
    pictures = 0
    with samples.Writer(out / f"{clip.clip_id}.npz") as writer:
        looks = _look(clip, frames, detector, params)
        for voice, heard in _hear(frames, params):
            faces, scenes, seen = zip(*islice(looks, len(heard)), strict=True)
            present = np.concatenate([np.array(seen)[:, :2], heard[:, None]], axis=1)
            pictures += sum(picture for *_, picture in seen)
            counts += present.sum(axis=0)
            for name, rows in (("faces", faces), ("scenes", scenes), ("voice", voice), ("present", present)):
                writer.append(name, np.asarray(rows))
    face, scene, voice_steps = counts.tolist()
    found = {"has_face": face > 0, "has_scene": scene > 0, "has_voice": voice_steps > 0}
    rates = {"face_rate": face / pictures if pictures else 0.0, "voice_rate": voice_steps / frames.steps}
    return clip.model_copy(update=found | rates)


def _look(
    clip: Clip, frames: samples.FramesReader, detector: Path, params: Params
) -> Iterator[tuple[media.Picture, media.Picture, tuple[bool, bool, bool]]]:
    """Step by step: the face's crop, the scene, and whether there is a face, a scene, a picture.

    A picture without surroundings is a tight crop of a face already (FER2013): there is nothing to detect, and in
    images as small as that a detector misses every fifth face.
    """
    side, scene_side = params.input.face_size, params.input.scene_size
    no_face, no_scene = np.zeros((side, side, 3), np.uint8), np.zeros((scene_side, scene_side, 3), np.uint8)
    tracker = Tracker(_detector(detector, params.faces), params.faces, params.input)
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
            yield shrink(rgb, side), no_scene, (True, False, True)
            continue
        view = tracker.look(rgb, float(frames.times[step]))
        face = no_face if view.face is None else view.face
        yield face, shrink(rgb, scene_side), (view.face is not None, True, True)


def _hear(
    frames: samples.FramesReader, params: Params
) -> Iterator[tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]]:
    """The voice, a piece of `PIECE` steps at a time, and whether it is present at each of these steps."""
    given = params.input
    hop = round(given.step_s * samples.SAMPLE_RATE)
    context = math.ceil(given.voice_window_s / given.step_s)
    pieces = frames.voice(PIECE * hop)
    before = np.zeros(context * hop, np.int16)
    for first in range(0, frames.steps, PIECE):
        steps = min(PIECE, frames.steps - first)
        last = first + steps == frames.steps
        voice = np.concatenate([np.empty(0, np.int16), *(pieces if last else islice(pieces, 1))])
        line = np.concatenate([before, voice])
        windows = samples.voice_windows(line, context + steps, given.step_s, given.voice_window_s)[context:]
        yield voice, samples.voice_present(windows, params.media.silence_dbfs)
        before = np.pad(line, (0, max(0, (context + steps) * hop - len(line))))[steps * hop :][: context * hop]


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
    from tqdm import tqdm

    out.mkdir(parents=True, exist_ok=True)
    done: list[Clip] = []
    bad = list(report["bad"])
    run = _on_dask if rules.backend == "dask" else _on_joblib
    try:
        for result in tqdm(run(work, clips, rules), total=len(clips), desc=name, unit="clip"):
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


def _on_joblib(work: Callable[[Clip], Clip], clips: Sequence[Clip], rules: Prepare) -> Iterator[Clip | Bad]:
    """What becomes of each clip, as it comes, from the processes of this machine or from a Ray cluster."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    if rules.backend == "ray":
        try:
            from ray.util.joblib import register_ray
        except ImportError:
            raise PrepareError(f"prepare.backend is ray, which is not installed: {INSTALL.format('ray')}") from None
        register_ray()
    as_they_come = "list" if rules.backend == "ray" else "generator_unordered"  # Ray's backend gives all at the end
    pool = Parallel(n_jobs=rules.workers, backend=rules.backend, return_as=as_they_come)
    try:
        yield from pool(delayed(_attempt)(work, clip) for clip in clips)
    except TerminatedWorkerError:
        raise PrepareError(KILLED) from None


def _on_dask(work: Callable[[Clip], Clip], clips: Sequence[Clip], rules: Prepare) -> Iterator[Clip | Bad]:
    """The same from a Dask cluster: the one that DASK_SCHEDULER_ADDRESS names, else one of this machine's processes.

    Dask is asked itself: joblib's way to it waits for ever where a clip kills each worker that tries it.
    """
    try:
        import dask
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise PrepareError(
            f"prepare.backend is dask, which is not installed: {INSTALL.format('dask[distributed]')}"
        ) from None
    workers = (cpu_count() or 1) if rules.workers < 0 else rules.workers
    address = dask.config.get("scheduler-address", None)
    try:
        client = Client(address) if address else Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    except OSError as error:
        raise PrepareError(f"no Dask scheduler answers at DASK_SCHEDULER_ADDRESS={address}: {error}") from None
    with client:
        try:
            results = client.map(partial(_attempt, work), clips, pure=False)
            yield from (result for _, result in as_completed(results, with_results=True))
        except KilledWorker:
            raise PrepareError(KILLED) from None


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
