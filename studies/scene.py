"""What surroundings say of the emotion where a corpus was filmed in one studio: nothing, if nothing leaks.

    python -m studies.scene javanese

The scene branch alone is cross-validated over a corpus's speakers, twice: on whole pictures, and on pictures in which
the face, as the detector finds it and half as much around it, is covered by the picture's mean colour. Covered, it
must stay at chance on speakers it never saw: what it knows above that is posture, hair and shoulders, or a leak of the
label through light or cut. A table goes to standard output.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmer.data.clips import MANIFEST, read_manifest, write_manifest
from mmer.data.samples import FramesReader, Sample, save_sample
from mmer.evaluation.cross_validation import cross_validate
from mmer.params import load_params
from mmer.runtime.detector import Detector
from mmer.runtime.resize import shrink
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Box, Picture
from studies import frames as extracted

AROUND = 0.5
"""Of the box's sides, covered on each of them: hair, chin and neck tell as well."""
ROWS = {"whole": "whole pictures", "covered": "the face covered"}


def covered(rgb: Picture, box: Box | None) -> Picture:
    """The picture with its mean colour where the face is."""
    if box is None:
        return rgb
    left, top, right, bottom = np.array(box)
    room = AROUND * np.array([right - left, bottom - top])
    x0, y0 = np.maximum(np.floor(np.array([left, top]) - room), 0).astype(int)
    x1, y1 = np.maximum(np.ceil(np.array([right, bottom]) + room), 0).astype(int)
    out = rgb.copy()
    out[y0:y1, x0:x1] = rgb.reshape(-1, 3).mean(0).astype(np.uint8)
    return out


def scenes(frames: FramesReader, tracker: Tracker, *, cover: bool) -> Sample:
    """A clip of which the surroundings alone are there."""
    side = tracker.input.scene_size
    pictures, seen = np.zeros((frames.steps, side, side, 3), np.uint8), np.zeros((frames.steps, 3), bool)
    for step, rgb, t in extracted.pictures(frames):
        box = tracker.track(rgb, t).box
        if cover and box is None:
            continue  # a face that was missed would be shown
        pictures[step], seen[step, 1] = shrink(covered(rgb, box) if cover else rgb, side), True
    nothing = np.zeros((frames.steps, tracker.input.face_size, tracker.input.face_size, 3), np.uint8)
    return Sample(nothing, pictures, np.zeros(0, np.int16), seen)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m studies.scene", description=__doc__.split("\n")[0])
    parser.add_argument("corpus", help="of clips whose surroundings are seen")
    parser.add_argument("--data", type=Path, default=Path("release/data"), help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path("release/params.yaml"), help="default: %(default)s")
    parser.add_argument("--detector", type=Path, default=Path("release/detector"), help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=24, help="default: %(default)s")
    given = parser.parse_args()
    changed = {
        "corpora": [given.corpus], "model.modalities": ["scene"], "folds.modalities": ["scene"],
        "folds.epochs": given.epochs, "train.branches": {}, "train.epochs": given.epochs, "train.lr": 0.002,
    }  # fmt: skip
    params = load_params(given.params, changed)
    interim = given.data / "interim" / given.corpus
    clips = [clip for clip in read_manifest(interim / MANIFEST) if clip.has_scene]
    detector = Detector.load(given.detector, params.faces)
    print("| scene alone | UAR, mean over folds (95%) | clips, speakers | chance |")
    print("| --- | ---: | ---: | ---: |")
    for kind, name in ROWS.items():
        with tempfile.TemporaryDirectory() as made:
            out = Path(made) / given.corpus
            kept = []
            for clip in tqdm(clips, desc=kind, unit="clip", leave=False):
                frames = FramesReader(interim / f"{clip.clip_id}.npz")
                tracker = Tracker(detector, params.faces, params.input)
                sample = scenes(frames, tracker, cover=kind == "covered")
                if sample.present.any():
                    save_sample(out / f"{clip.clip_id}.npz", sample)
                    alone = {"has_face": False, "has_scene": True, "has_voice": False, "steps": frames.steps}
                    kept.append(clip.model_copy(update=alone))
            write_manifest(out / MANIFEST, kept)
            told = cross_validate(params, Path(made), Path(made) / "report")
        shown = f"{told['uar']:.3f} ({told['uar_low']:.3f}–{told['uar_high']:.3f})"
        classes = len({clip.label for clip in kept})
        print(f"| {name} | {shown} | {told['n_clips']}, {told['n_speakers']} | {1 / classes:.3f} |", flush=True)


if __name__ == "__main__":
    main()
