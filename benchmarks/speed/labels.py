"""Whether 240 real clips keep what is said of them: labels, UAR, faces seen; upright and tilted."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.speed.trees import Sides, decoded, recognizer, workers
from mmer import metrics
from mmer.labels import EMOTIONS
from mmer.runtime.graph import GRAPH, Graph

CLIPS = 240
KEPT, LOST = 0.98, 0.005
"""Of the labels at least, and of UAR at most."""
JAVANESE = dict(zip("123456", ("neutral", "sad", "happy", "surprise", "fear", "angry"), strict=True))
RAVDESS = dict(
    zip("12345678", ("neutral", "neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"), strict=True)
)
CREMA_D = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}


def clips_with_labels(mirror: Path) -> list[tuple[Path, str]]:
    """javanese's films, CREMA-D's, RAVDESS's, and as many of its crops as fill them up."""
    found = [(path, JAVANESE[path.stem[7]]) for path in sorted(mirror.glob("javanese/video/*.mp4"))]
    found += [(path, CREMA_D[path.stem.split("_")[2]]) for path in sorted(mirror.glob("crema_d/VideoFlash/*.flv"))]
    for folder in ("ravdess/*/01-*.mp4", "ravdess_crops/*/*.mp4"):
        found += [(path, RAVDESS[path.stem[7]]) for path in sorted(mirror.glob(folder))]
    return found[:CLIPS]


def section(sides: Sides) -> str:
    """The table."""
    mirror = os.environ.get("MMER_MIRROR")
    found = clips_with_labels(Path(mirror)) if mirror else []
    if not found:
        return "Not measured: MMER_MIRROR names no folder of real clips."
    info = Graph(sides.after / "release" / GRAPH).info
    trees = {"before": sides.before, "after": sides.after}
    told: dict[str, list[dict[str, object]]] = {"before": [], "after": []}
    with (
        tempfile.TemporaryDirectory() as name,
        workers({who: recognizer(tree, tree / "release") for who, tree in trees.items()}) as made,
    ):
        for path, _ in tqdm(found, desc="labels", unit="clip"):
            clip = decoded(path, Path(name), info.media)
            for who, worker in made.items():
                told[who].append(worker(clip, 0))
            clip.unlink()
    truth = np.array([EMOTIONS.index(label) for _, label in found])
    corpora = [re.sub(r"_crops$", "", path.relative_to(str(mirror)).parts[0]) for path, _ in found]
    lines = [
        "| what is recognised | clips | same label | UAR before | after | share of steps with a face before | after |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    verdict = ""
    chosen = {"all": np.ones(len(found), bool), "javanese": np.array([name == "javanese" for name in corpora])}
    for which, rows in chosen.items():
        for kind in ("both", "face"):
            said = {who: np.array([one[kind] for one in of])[rows] for who, of in told.items()}
            uars = [
                float(metrics.uar(metrics.soft_confusion(truth[rows], metrics.one_hot(said[who]))))
                for who in ("before", "after")
            ]
            seen = [float(np.mean([one["seen"] for one in told[who]], where=rows)) for who in ("before", "after")]
            same = float((said["before"].argmax(1) == said["after"].argmax(1)).mean())
            words = "face and voice" if kind == "both" else "the face alone"
            numbers = f"{same:.1%} | {uars[0]:.3f} | {uars[1]:.3f} | {seen[0]:.1%} | {seen[1]:.1%}"
            lines.append(f"| {which}: {words} | {rows.sum()} | {numbers} |")
            verdict = verdict or (
                f"Wanted: the same label for {KEPT:.0%}: {'met' if same >= KEPT else '**missed**'}; at most {LOST:g} "
                f"of UAR lost: {'met' if uars[0] - uars[1] <= LOST else '**missed**'}."
            )
    return "\n".join([*lines, "", verdict])
