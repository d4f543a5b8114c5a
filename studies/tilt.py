"""What a model says of faces whose whole picture is tilted: found, cropped and recognised as a live picture is.

    python -m studies.tilt --interim release/data/interim/javanese release other/model

Each clip's pictures (frames files of `dvc repro extract@<corpus>`) are turned whole, their edge repeated, and go
through the model's own detector, tracker and graph with nothing heard. UAR by clip with its 95% interval over speakers,
the share of steps with a face, and of clips with the label that the upright clip gets. A table goes to standard output.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mmer import metrics
from mmer.data.clips import MANIFEST, Clip, read_manifest
from mmer.data.samples import FramesReader
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import pool
from mmer.runtime.spec import GraphSpec
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Picture
from studies.frames import pictures

ANGLES = (0, -20, 20, -40, 40)


def turned(rgb: Picture, degrees: float) -> Picture:
    """The whole picture turned clockwise, its edge repeated."""
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    out: Picture = cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return out


def look(recognizer: Recognizer, clip: Clip, interim: Path, angle: float) -> tuple[npt.NDArray[np.float32], float]:
    """Probabilities [7] of a clip's face at this angle, and in which share of its pictures there was one."""
    info, frames = recognizer.info, FramesReader(interim / f"{clip.clip_id}.npz")
    tracker = Tracker(recognizer.detector, info.faces, info.input)
    arrays = GraphSpec.of(info.input).zeros(B=1, T=frames.steps, K=recognizer.graph.state_size)
    seen = np.zeros(frames.steps, bool)
    for step, rgb, t in pictures(frames):
        view = tracker.track(turned(rgb, angle) if angle else rgb, t)
        if view.face is not None:
            arrays["faces"][0, step], seen[step] = view.face, True
    arrays["present"][0, :, 0] = seen
    return pool(recognizer.graph(arrays)["logits"][0], seen), float(seen.mean())


def row(clips: Sequence[Clip], said: npt.NDArray[np.float32], upright: npt.NDArray[np.float32]) -> str:
    """UAR with its interval, and how many labels stay."""
    truth, answers = np.array([clip.target for clip in clips]), metrics.one_hot(said)
    again = metrics.bootstrap(truth, answers, [clip.person for clip in clips], 1000, 0)
    low, high = metrics.percentile_interval(metrics.uar(again))
    found = float(metrics.uar(metrics.soft_confusion(truth, answers)))
    return f"{found:.3f} ({low:.3f}–{high:.3f}) | {(said.argmax(1) == upright.argmax(1)).mean():.1%}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m studies.tilt", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, help="folders that hold mmer.onnx")
    parser.add_argument("--interim", type=Path, required=True, help="a corpus's extracted frames")
    given = parser.parse_args()
    clips = [clip for clip in read_manifest(given.interim / MANIFEST) if clip.has_face]
    print("| model | tilted by | steps with a face | UAR (95%) | label of the upright clip |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for path in given.models:
        recognizer, upright = Recognizer.load(path), None
        for angle in ANGLES:
            told = [look(recognizer, clip, given.interim, angle) for clip in tqdm(clips, unit="clip", leave=False)]
            said, shares = np.stack([answer for answer, _ in told]), np.mean([share for _, share in told])
            upright = said if upright is None else upright
            print(f"| {path.as_posix()} | {angle} | {shares:.1%} | {row(clips, said, upright)} |", flush=True)


if __name__ == "__main__":
    main()
