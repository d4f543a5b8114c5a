"""How good the face's box is where the tracker follows it instead of searching each picture, on real clips.

Which box is right nobody knows, so the measure is the consensus of 16 detections in each picture, moved by a few pixels
and shrunk a little: their mean box. "search" is one detection in each picture, as facenet-pytorch would have it. The
clips are as they are, and also with the picture panned under the face faster and faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mmer.config import Params
from mmer.params import load_params
from mmer.runtime import media
from mmer.runtime.detector import Detector
from mmer.runtime.tracker import Tracker, View
from mmer.runtime.types import Picture

MOVES = ((0, 0), (1, 3), (3, 1), (5, 6), (6, 5), (7, 2), (2, 7), (4, 4))
SCALES = (1.0, 0.93)
Frames = list[tuple[float, Picture]]
Boxes = npt.NDArray[np.float64]


def consensus(rgb: Picture, detector: Detector) -> Boxes:
    """The mean box [4] of the largest face over slightly changed copies of a picture."""
    found = []
    for across, down in MOVES:
        moved = cv2.copyMakeBorder(rgb, down, 8 - down, across, 8 - across, cv2.BORDER_REPLICATE)
        for scale in SCALES:
            changed = cv2.resize(moved, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            boxes, *_ = detector.detect(changed)
            if len(boxes):
                found.append(boxes[0] / scale - (across, down, across, down))
    mean: Boxes = np.mean(found, axis=0)
    return mean


def overlap(a: Boxes, b: Boxes) -> Boxes:
    """Intersection over union of boxes [n, 4]."""
    shared = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0).prod(1)
    return np.asarray(shared / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared))


def restlessness(boxes: Boxes) -> tuple[Boxes, Boxes]:
    """How far each box's centre and side are from the middle between those before and after, in sides of the box."""
    centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(1)
    off = np.hypot(*(centre[1:-1] - (centre[2:] + centre[:-2]) / 2).T) / side[1:-1]
    return off, np.abs(side[1:-1] - (side[2:] + side[:-2]) / 2) / side[1:-1]


def views(frames: Frames, detector: Detector, params: Params, every_s: float) -> list[View]:
    """What the tracker sees."""
    faces = params.faces.model_copy(update={"detect_every_s": every_s})
    tracker = Tracker(detector, faces, params.input)
    return [tracker.track(rgb, t) for t, rgb in frames]


def panned(frames: Frames, step: float, detector: Detector) -> Frames:
    """The frames moved sideways, there and back, by `step` sides of the face each."""
    box = detector.detect(frames[0][1])[0][0]
    way, middle = step * float((box[2:] - box[:2]).max()), len(frames) // 4
    made = []
    for k, (t, rgb) in enumerate(frames):
        shift = way * (min(k, len(frames) - 1 - k) - middle)
        matrix = np.array([[1, 0, shift], [0, 1, 0]])
        made.append((t, cv2.warpAffine(rgb, matrix, rgb.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)))
    return made


def accepted_elsewhere(clips: Sequence[Frames], detector: Detector, count: int) -> tuple[int, int]:
    """Of squares that lie apart from the face, how many there are and how many are followed as one."""
    random, tried, taken = np.random.default_rng(0), 0, 0
    pictures = [rgb for frames in clips for _, rgb in frames]
    while tried < count:
        rgb = pictures[random.integers(len(pictures))]
        side = random.uniform(60, 180)
        x, y = random.uniform(0, np.array(rgb.shape[1::-1]) - side)
        box = (x, y, x + side, y + side)
        if overlap(np.array([box]), detector.detect(rgb)[0][:1].astype(float))[0] < 0.05:
            tried, taken = tried + 1, taken + (detector.follow(rgb, box) is not None)
    return tried, taken


def row(name: str, clips: list[list[View]], truth: list[Boxes]) -> str:
    """One line of the table; only frames with a box count in all but the last column."""
    good, missed = list[Boxes](), 0
    off, side = list[Boxes](), list[Boxes]()
    for seen, right in zip(clips, truth, strict=True):
        there = np.array([view.box is not None for view in seen])
        boxes = np.array([view.box for view in seen if view.box is not None])
        missed += sum(view.box is None or view.coasted for view in seen)
        good.append(overlap(boxes, right[there]))
        for told, value in zip((off, side), restlessness(boxes), strict=True):
            told.append(value)
    iou = np.concatenate(good)
    return (
        f"{name:<12} {len(iou):>6} {iou.mean():>9.3f} {np.percentile(iou, 5):>6.3f} {iou.min():>6.3f} "
        f"{np.concatenate(off).mean():>10.4f} {np.concatenate(side).mean():>8.4f} {missed:>6}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, help="videos of one person each")
    parser.add_argument("--every", nargs="+", type=float, default=[1, 2, 60], help="detect_every_s (default: 1 2 60)")
    parser.add_argument("--detector", type=Path, default=Path("models/detector"), help="(default: %(default)s)")
    args = parser.parse_args()
    params = load_params()
    detector = Detector.load(args.detector, params.faces)
    clips: list[Frames] = []
    for clip in args.clips:
        frames: Frames = []

        def keep(_: int, t: float, rgb: Picture, to: Frames = frames) -> None:
            to.append((t, rgb))

        media.decode(clip, params.media, params.input.step_s, keep)
        clips.append(frames)

    truth = [np.array([consensus(rgb, detector) for _, rgb in frames]) for frames in clips]
    print("box          frames  IoU mean     5%  least  jitter of centre, side   lost")
    print(row("search", [views(frames, detector, params, 0) for frames in clips], truth), flush=True)
    for every in args.every:
        print(row(f"every {every:g} s", [views(f, detector, params, every) for f in clips], truth), flush=True)
    print("\nfollowed against searched while the picture pans, sides of the face a step")
    for step in (0.1, 0.2, 0.3, 0.5):
        moved = [panned(frames, step, detector) for frames in clips]
        searched, followed = ([views(f, detector, params, every) for f in moved] for every in (0, args.every[0]))
        both = [
            (a.box, b.box) for x, y in zip(searched, followed, strict=True) for a, b in zip(x, y, strict=True)
            if a.box and b.box
        ]  # fmt: skip
        iou = overlap(*(np.array(boxes) for boxes in zip(*both, strict=True)))
        lost = [sum(v.box is None or v.coasted for seen in run for v in seen) for run in (searched, followed)]
        print(f"  {step:.1f}: IoU mean {iou.mean():.3f}, 5% {np.percentile(iou, 5):.3f}; lost {lost[0]} and {lost[1]}")
    tried, taken = accepted_elsewhere(clips, detector, 1000)
    print(f"\nof {tried} squares apart from the face {taken} are followed as one")


if __name__ == "__main__":
    main()
