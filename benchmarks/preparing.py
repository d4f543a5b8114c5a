"""Time the preparing of clips, stage by stage, and compare the followed faces with those of a search in every frame.

Times are of the processor (this process and those it started), in milliseconds per second of clip, so that what else
the machine does matters little; only the table of workers also reads the clock. `facenet` is facenet-pytorch's MTCNN on
every one of the same frames, and the same crop; `floor` is `ffmpeg -f null` on the same file. Without clips they are
those of one speaker of the demo corpus, drawn on the spot: no evidence about people.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch start their threads

import cv2
import numpy as np
import numpy.typing as npt

from mmer import media
from mmer.config import Params, load_params
from mmer.corpora.demo import draw_corpus
from mmer.faces import Box, Detector, Picture, Tracker, View, crop, shrink
from mmer.prepare import crop_corpus, extract_corpus

Frames = list[tuple[float, Picture]]
"""What decoding gives: times in seconds and pictures."""
Boxes = npt.NDArray[np.float64]

STAGES = ("floor", "decode", "extract", "track", "crop", "search", "facenet")
"""`extract` holds `decode`, `crop` holds `track`; `search` is `track` with a search in every frame."""
FRAME = 8
"""Pixels that are added to a picture's width and height so that it can be moved."""
STILL_FRAMES, STILL_NOISE = 25, 2.0
"""A still face: one frame, repeated with noise of this standard deviation, of 255."""
MOVES = [(0, 0), (1, 3), (3, 1), (5, 6), (6, 5), (7, 2), (2, 7), (4, 4)]
"""Pixels by which it is; the first is not."""


def cpu(work: Callable[[], Any]) -> float:
    """Processor seconds of some work, in this process and in those that it started and waited for."""
    start = sum(os.times()[:4])
    work()
    return sum(os.times()[:4]) - start


def frames_of(clip: Path, params: Params) -> Frames:
    """A clip's pictures on the grid of steps, as preparing and serving see them."""
    frames: Frames = []
    media.decode(clip, params.media, params.input.step_s, lambda step, t, rgb: frames.append((t, rgb)))
    return frames


def track(frames: Frames, detector: Detector, params: Params) -> list[View]:
    """A tracker's views of a clip."""
    tracker = Tracker(detector, params.faces, params.input)
    return [tracker.look(rgb, t) for t, rgb in frames]


def facenet(frames: Frames, original: Any, params: Params) -> None:
    """The same crops by facenet-pytorch's detector, in every frame."""
    for _, rgb in frames:
        boxes, _ = original.detect(rgb)
        if boxes is not None:
            crop(rgb, tuple(boxes[0].tolist()), params.input.face_size, params.faces.margin)
        shrink(rgb, params.input.scene_size)


def as_corpus(clips: list[Path], raw: Path, copies: int = 1) -> None:
    """Lay clips down as the corpus `folder`."""
    raw.mkdir()
    with (raw / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "speaker"])
        for k in range(copies):
            for clip in clips:
                shutil.copy(clip, raw / f"{k}-{clip.name}")
                table.writerow([f"{k}-{clip.name}", "neutral", clip.stem])


def line(name: str, seconds: float, took: dict[str, float]) -> str:
    """One line of the table of stages."""
    whole = took["extract"] + took["crop"]
    times = " ".join(f"{ms:>8.1f}" for ms in (*(took[stage] for stage in STAGES), whole, 1000 / whole))
    return f"{name:<28} {seconds:>5.1f} {times}"


def searching(params: Params) -> Params:
    """The same, with a search of the whole picture in every frame."""
    return params.model_copy(update={"faces": params.faces.model_copy(update={"detect_every_s": 0.0})})


def spread_over(params: Params, workers: int) -> Params:
    """The same, on so many workers of this machine."""
    return params.model_copy(
        update={"prepare": params.prepare.model_copy(update={"workers": workers, "backend": "loky"})}
    )


def stage_times(
    clip: Path, detector: Detector, original: Any, params: Params, repeats: int
) -> tuple[float, dict[str, float]]:
    """A clip's seconds, and the processor milliseconds per second of it of each of `STAGES`: the median of some
    rounds."""
    alone, every = spread_over(params, 1), searching(params)
    frames = frames_of(clip, params)
    null = ["ffmpeg", "-v", "error", "-nostdin", "-i", clip, "-f", "null", "-"]
    rounds = []
    with tempfile.TemporaryDirectory() as made:
        raw, interim, out = (Path(made) / name for name in ("raw", "interim", "out"))
        as_corpus([clip], raw)
        work: dict[str, Callable[[], Any]] = {
            "floor": lambda: subprocess.run(null, check=True),
            "decode": lambda: frames_of(clip, params),
            "extract": lambda: extract_corpus("folder", raw, interim, alone),
            "track": lambda: track(frames, detector, params),
            "crop": lambda: crop_corpus("folder", interim, out, detector.folder, alone),
            "search": lambda: track(frames, detector, every),
            "facenet": lambda: facenet(frames, original, params),
        }
        for _ in range(repeats + 1):  # the first round loads what is loaded once
            rounds.append([1000 * cpu(work[name]) for name in STAGES])
    seconds = len(frames) * params.input.step_s
    return seconds, dict(zip(STAGES, (np.median(rounds[1:], axis=0) / seconds).tolist(), strict=True))


def worker_times(clips: list[Path], detector: Path, params: Params, workers: int, copies: int) -> tuple[float, float]:
    """Wall-clock and processor seconds of extracting and cropping, workers started and ended."""
    from joblib.externals.loky import get_reusable_executor

    given = spread_over(params, workers)
    with tempfile.TemporaryDirectory() as made:
        raw, interim, out = (Path(made) / name for name in ("raw", "interim", "out"))
        as_corpus(clips, raw, copies)

        def work() -> None:
            extract_corpus("folder", raw, interim, given)
            crop_corpus("folder", interim, out, detector, given)
            if workers > 1:
                get_reusable_executor().shutdown(wait=True)  # only of a process that has ended is the time known

        start = time.perf_counter()
        used = cpu(work)
        return time.perf_counter() - start, used


def sides(boxes: Boxes) -> Boxes:
    """Longer sides [n] of boxes [n, 4]."""
    longer: Boxes = (boxes[:, 2:] - boxes[:, :2]).max(1)
    return longer


def overlaps(a: Boxes, b: Boxes) -> Boxes:
    """Intersection over union [n] of boxes [n, 4], pair by pair."""
    shared = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0).prod(1)
    union: Boxes = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    return shared / union


def moved(rgb: Picture, box: Box, detector: Detector) -> Boxes:
    """Detections [n, 4] of one face in slightly moved pictures, moved back: how they differ says how far a detection
    depends on where the pyramid's grid falls; their mean does not."""
    found = []
    for x, y in MOVES:
        padded = cv2.copyMakeBorder(rgb, y, FRAME - y, x, FRAME - x, cv2.BORDER_REPLICATE)
        boxes = detector.detect(padded)[0].astype(float) - [x, y, x, y]
        near = overlaps(boxes, np.broadcast_to(box, boxes.shape))
        found += [boxes[near.argmax()]] if near.size and near.max() > 0.5 else []
    return np.array(found or [box])


def jitter(rgb: Picture, detector: Detector, params: Params) -> float:
    """How much a still face's box moves: the standard deviation of its centre, as a share of its side."""
    random = np.random.default_rng(0)
    noise = random.normal(0, STILL_NOISE, (STILL_FRAMES, *rgb.shape))
    still = [(k * params.input.step_s, np.clip(rgb + n, 0, 255).astype(np.uint8)) for k, n in enumerate(noise)]
    boxes = np.array([view.box for view in track(still, detector, params) if view.box])
    return float(np.hypot(*((boxes[:, :2] + boxes[:, 2:]) / 2).std(0)) / sides(boxes).mean())


def quality(clips: list[Path], detector: Detector, params: Params) -> str:
    """What following changes, against a search in every frame."""
    every = searching(params)
    faces = lost = gained = total = 0
    searched, followed, settled, own, still = [], [], [], [], []
    for clip in clips:
        frames = frames_of(clip, params)
        total += len(frames)
        for (_, rgb), a, b in zip(frames, track(frames, detector, every), track(frames, detector, params), strict=True):
            has, had = b.box is not None and not b.held, a.box is not None and not a.held
            faces, lost, gained = faces + had, lost + (had and not has), gained + (has and not had)
            if had and has and a.box and b.box:
                others = moved(rgb, a.box, detector)
                searched.append(a.box)
                followed.append(b.box)
                settled.append(others.mean(0))
                own += overlaps(others[1:], np.broadcast_to(a.box, others[1:].shape)).tolist()
        if frames:
            still.append((jitter(frames[0][1], detector, every), jitter(frames[0][1], detector, params)))
    a, b, mean = np.array(searched), np.array(followed), np.array(settled)
    alike = overlaps(a, b)
    shift = np.hypot(*((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2).T) / sides(a)
    growth = np.abs(sides(b) / sides(a) - 1)
    return "\n".join(
        [
            f"{total} frames; a face is found in {faces}; of these following lost {lost}, and had {gained} others",
            f"IoU with the search of the same frame: {spread(alike, 50, 5)} (median, 5th percentile)",
            f"  a search of the picture moved by up to 7 pixels: {spread(np.array(own), 50, 5)}",
            f"IoU with the mean of searches of moved pictures: {spread(overlaps(b, mean), 50, 5)}",
            f"  of the search of the same frame: {spread(overlaps(a, mean), 50, 5)}",
            f"centre off by {spread(shift, 50, 95)} of the side, side by {spread(growth, 50, 95)} (median, 95th)",
            "jitter of a still face, of its side: followed {1:.4f}, searched {0:.4f}".format(*np.mean(still, axis=0)),
        ]
    )


def spread(values: Boxes, *percentiles: int) -> str:
    return ", ".join(f"{v:.3f}" for v in np.percentile(values, percentiles))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="videos (default: drawn clips)")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="(default: %(default)s)")
    parser.add_argument("--detector", type=Path, default=Path("models/detector"), help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the median is taken (default: 3)")
    parser.add_argument("--copies", type=int, default=8, help="of the clips, for the table of workers (default: 8)")
    args = parser.parse_args()

    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    params = load_params(args.params)
    detector = Detector.load(args.detector, params.faces)
    original = MTCNN(
        keep_all=True, min_face_size=params.faces.min_face, thresholds=list(params.faces.thresholds), factor=0.709
    )
    with tempfile.TemporaryDirectory() as drawings:
        if not args.clips:
            draw_corpus(Path(drawings), speakers=1, takes=1, workers=1)
        clips = args.clips or sorted(Path(drawings).glob("clips/*.mp4"))

        print("CPU ms per second of clip")
        print(f"{'clip':<28} {'s':>5}", *(f"{name:>8}" for name in (*STAGES, "whole", "x real")))
        rows = []
        for clip in clips:
            seconds, took = stage_times(clip, detector, original, params, args.repeats)
            rows.append(took)
            print(line(clip.name, seconds, took), flush=True)
        mean = {name: float(np.mean([took[name] for took in rows])) for name in STAGES}
        whole = mean["extract"] + mean["crop"]
        print(line("mean", 0, mean))
        print(
            f"facenet / track {mean['facenet'] / mean['track']:.1f}, facenet / search {mean['facenet'] / mean['search']:.1f}"
        )
        print(f"whole / floor {whole / mean['floor']:.1f}", end=", ")
        print(f"whole with facenet / whole {(whole - mean['track'] + mean['facenet']) / whole:.1f}\n")

        print(quality(clips, detector, params) + "\n", flush=True)

        print(f"{len(clips) * args.copies} clips\nworkers  wall s   CPU s")
        for workers in (1, 2):
            wall, used = worker_times(clips, args.detector, params, workers, args.copies)
            print(f"{workers:>7} {wall:>7.1f} {used:>7.1f}", flush=True)


if __name__ == "__main__":
    main()
