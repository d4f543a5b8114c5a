"""Time the face detector against facenet-pytorch's MTCNN: identical frames, one thread each, in one run.

The two take turns frame by frame, so that whatever else the machine does meets both alike; times are of the
processor, not of the clock. Without clips the frames are of one speaker of the
demo corpus, drawn on the spot: no evidence about people.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch start their threads

import cv2
import numpy as np

from mmer.data.demo.corpus import draw_corpus
from mmer.runtime.config import Faces
from mmer.runtime.detector import Detector
from mmer.runtime.types import Picture


def read_frames(clip: Path, fps: float, height: int) -> list[Picture]:
    """A clip's frames, `height` pixels high, aspect kept."""
    command = ["ffmpeg", "-v", "error", "-i", str(clip), "-vf", f"fps={fps},scale=-2:{height}", "-f", "image2pipe"]
    out = subprocess.run([*command, "-c:v", "ppm", "-"], stdout=subprocess.PIPE, check=True).stdout
    frames = []
    while out:  # each is a header "P6\nWIDTH HEIGHT\n255\n" and its pixels
        _, size, _, out = out.split(b"\n", 3)
        columns, rows = (int(n) for n in size.split())
        frames.append(np.frombuffer(out, np.uint8, 3 * columns * rows).reshape(rows, columns, 3))
        out = out[3 * columns * rows :]
    return frames


def timed(detect: Callable[[Picture], Any], rgb: Picture) -> tuple[float, Any]:
    """Processor milliseconds of one detection, and what it gave."""
    start = time.process_time()
    found = detect(rgb)
    return (time.process_time() - start) * 1000, found


def compare(frames: list[Picture], min_face: int, folder: Path) -> str:
    """One line of the table."""
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    faces = Faces(min_face=min_face)
    ours = Detector.load(folder, faces)
    theirs = MTCNN(keep_all=True, min_face_size=min_face, thresholds=list(faces.thresholds), factor=0.709)
    for detector in (ours, theirs):  # the first detection allocates
        detector.detect(frames[0])
    times, alike, found = [], 0, 0
    for rgb in frames:
        a, (boxes, _) = timed(ours.detect, rgb)
        b, (expected, _) = timed(theirs.detect, rgb)
        expected = np.empty((0, 4)) if expected is None else expected.astype(float)
        alike += boxes.shape == expected.shape and np.allclose(boxes, expected, atol=0.01)
        found += len(boxes) == 1
        times.append((a, b))
    a, b = np.median(times, axis=0)
    height, width = frames[0].shape[:2]
    size = f"{width}x{height}"
    share, same = f"{found}/{len(frames)}", f"{alike}/{len(frames)}"
    return f"{size:>9} {min_face:>8} {len(frames):>7} {a:>8.1f} {b:>8.1f} {b / a:>6.1f} {share:>9} {same:>10}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="videos to take the frames from (default: drawn clips)")
    parser.add_argument("--min-face", nargs="+", type=int, default=[40, 60], help="pixels (default: 40 60)")
    parser.add_argument("--fps", type=float, default=5, help="frames a second taken from a clip (default: 5)")
    parser.add_argument("--height", type=int, default=360, help="of the frames, pixels (default: 360)")
    parser.add_argument("--detector", type=Path, default=Path("models/detector"), help="(default: %(default)s)")
    args = parser.parse_args()

    groups: dict[tuple[int, ...], list[Picture]] = {}
    with tempfile.TemporaryDirectory() as drawings:
        if not args.clips:
            draw_corpus(Path(drawings), speakers=1, takes=1, workers=1)
        for clip in args.clips or sorted(Path(drawings).glob("clips/*.mp4")):
            for rgb in read_frames(clip, args.fps, args.height):
                groups.setdefault(rgb.shape, []).append(rgb)
    print("   frames min_face   count  mmer ms facenet  ratio  one face same boxes")
    for frames in groups.values():
        for min_face in args.min_face:
            print(compare(frames, min_face, args.detector), flush=True)


if __name__ == "__main__":
    main()
