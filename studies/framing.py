"""How a live face must be cropped to be framed as FER2013's images are, from its training images alone.

The detector looks at enlarged training images. FER2013 crops tightly, so part of a face may lie outside; the picture's
edge is repeated outwards, as `mmer.runtime.resize.crop` does. Crops that are laid on eyes and mouth (`faces.align`)
need to know where these lie on average: their means, mirrored with their mirror images, are
`mmer.runtime.align.TEMPLATE`. Crops around the box need a margin: where the box is `side` of the image's width, the one
that makes the crop the image is (1 / side - 1) / 2; the median is for `faces.margin`.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mmer.runtime.config import Faces
from mmer.runtime.detector import Detector

ENLARGED, BORDER = 192, 48
"""Pixels: the image's side when it is looked at, and what is added around it."""


def framed(archive: Path, detector: Detector, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest face's box in each of some training images and its landmarks, as shares of the image's side: float
    [n, 4], [n, 5, 2].
    """
    boxes, landmarks = [], []
    with zipfile.ZipFile(archive) as zipped:
        names = sorted(n for n in zipped.namelist() if n.startswith("train/") and n.endswith(".jpg"))
        chosen = np.random.default_rng(seed).permutation(len(names))[:count]
        for name in tqdm([names[i] for i in chosen], desc="framing", unit="image"):
            image = cv2.imdecode(np.frombuffer(zipped.read(name), np.uint8), cv2.IMREAD_COLOR)
            image = cv2.resize(image, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
            image = cv2.copyMakeBorder(image, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
            faces = detector.detect(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            if len(faces.boxes):
                boxes.append((faces.boxes[0] - BORDER) / ENLARGED)
                landmarks.append((faces.landmarks[0] - BORDER) / ENLARGED)
    return np.array(boxes), np.array(landmarks)


def main() -> None:
    """Print the quartiles of the box's size, of its centre and of the margin, and where eyes and mouth lie."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="FER2013's archive.zip")
    parser.add_argument("--detector", type=Path, default=Path("models/detector"), help="(default: %(default)s)")
    parser.add_argument("--images", type=int, default=2000, help="how many are looked at (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of their choice (default: %(default)s)")
    args = parser.parse_args()
    detector = Detector.load(args.detector, Faces(min_face=60, align=True))
    found, landmarks = framed(args.archive, detector, args.images, args.seed)
    side = (found[:, 2:] - found[:, :2]).max(1)
    centre = (found[:, :2] + found[:, 2:]) / 2
    print(f"a face was found in {len(found)} of {args.images} training images; quartiles:")
    rows = {"box side": side, "centre x": centre[:, 0], "centre y": centre[:, 1], "margin": (1 / side - 1) / 2}
    for name, values in rows.items():
        low, middle, high = np.percentile(values, [25, 50, 75])
        print(f"  {name:<9} {low:6.3f} {middle:6.3f} {high:6.3f}")
    left, right, _, mouth_left, mouth_right = landmarks.mean(0)
    for name, one, other in (("eyes", left, right), ("corners of the mouth", mouth_left, mouth_right)):
        apart, down = (other[0] - one[0]) / 2, (one[1] + other[1]) / 2
        print(f"{name}: {0.5 - apart:.3f} and {0.5 + apart:.3f} of the side across, {down:.3f} down")


if __name__ == "__main__":
    main()
