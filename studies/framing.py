"""How a live face must be cropped to be framed as FER2013's images are, from its training images alone.

The detector looks at enlarged training images. FER2013 crops tightly, so part of a face may lie outside; the picture's
edge is repeated outwards, as `mmer.runtime.resize.crop` does. Where the box is `side` of the image's width, the margin
that makes the crop the image is (1 / side - 1) / 2; the median goes into `faces.margin` of release/params.yaml.
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


def boxes(archive: Path, detector: Detector, count: int, seed: int) -> np.ndarray:
    """The largest face's box in each of some training images, as shares of the image's side: float [n, 4]."""
    found = []
    with zipfile.ZipFile(archive) as zipped:
        names = sorted(n for n in zipped.namelist() if n.startswith("train/") and n.endswith(".jpg"))
        chosen = np.random.default_rng(seed).permutation(len(names))[:count]
        for name in tqdm([names[i] for i in chosen], desc="framing", unit="image"):
            image = cv2.imdecode(np.frombuffer(zipped.read(name), np.uint8), cv2.IMREAD_COLOR)
            image = cv2.resize(image, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
            image = cv2.copyMakeBorder(image, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
            faces, *_ = detector.detect(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            if len(faces):
                found.append((faces[0] - BORDER) / ENLARGED)
    return np.array(found)


def main() -> None:
    """Print the quartiles of the box's size, of its centre and of the margin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="FER2013's archive.zip")
    parser.add_argument("--detector", type=Path, default=Path("models/detector"), help="(default: %(default)s)")
    parser.add_argument("--images", type=int, default=2000, help="how many are looked at (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of their choice (default: %(default)s)")
    args = parser.parse_args()
    found = boxes(args.archive, Detector.load(args.detector, Faces(min_face=60)), args.images, args.seed)
    side = (found[:, 2:] - found[:, :2]).max(1)
    centre = (found[:, :2] + found[:, 2:]) / 2
    print(f"a face was found in {len(found)} of {args.images} training images; quartiles:")
    rows = {"box side": side, "centre x": centre[:, 0], "centre y": centre[:, 1], "margin": (1 / side - 1) / 2}
    for name, values in rows.items():
        low, middle, high = np.percentile(values, [25, 50, 75])
        print(f"  {name:<9} {low:6.3f} {middle:6.3f} {high:6.3f}")


if __name__ == "__main__":
    main()
