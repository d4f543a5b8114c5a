"""What a face branch says of faces as people show them: both truths, other corpora, tilted, framed otherwise, mirrored.

    python -m studies.faces --data release/data release some/other/model

Each model sees prepared crops with nothing heard. FER2013's test faces are scored against its own label and against
FER+'s consensus (by its authors' rule: single votes dropped, more than half of the others); corpora that are named with
--whole are scored clip by clip, every clip of theirs with a face. Then a random part of the test faces is shown again
changed, and counted is how many labels that were sure (at least `SURE`) stay. Tables go to standard output.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mmer import metrics
from mmer.data.clips import MANIFEST, Clip, read_manifest
from mmer.data.samples import as_pass, load_sample
from mmer.labels import EMOTIONS
from mmer.runtime.graph import GRAPH, Graph
from mmer.runtime.results import pool, softmax
from mmer.runtime.smoothing import Smoother
from mmer.runtime.types import Picture

MINUTE_S = 60.0
SURE = 0.5
"""Probability from which on a label counts as sure."""
Change = Callable[[Picture], Picture]


def moved(angle: float = 0.0, scale: float = 1.0, right: float = 0.0, down: float = 0.0) -> Change:
    """Rolled by degrees, made larger, moved by shares of the side; the edge is repeated."""

    def change(face: Picture) -> Picture:
        side = face.shape[0]
        matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, scale)
        matrix[:, 2] += np.array([right, down]) * side
        out: Picture = cv2.warpAffine(face, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        return out

    return change


CHANGES: dict[str, Change] = {
    "mirrored": lambda face: np.ascontiguousarray(face[:, ::-1]),
    **{f"rolled by {angle} degrees": moved(angle=angle) for angle in (10, 20, 40)},
    "12% larger": moved(scale=1.12),
    "12% smaller": moved(scale=1 / 1.12),
    "12% to the side": moved(right=0.12),
    "12% down": moved(down=0.12),
    "12% up": moved(down=-0.12),
}


def look(graph: Graph, clips: Sequence[Clip], processed: Path, change: Change | None = None) -> npt.NDArray[np.float32]:
    """Probabilities [n, 7] of clips of which only the face is seen."""
    found = []
    for clip in tqdm(clips, desc="faces", unit="clip", leave=False):
        sample = load_sample(processed / clip.sample, ["face"])
        arrays = as_pass(sample, graph.info.input, graph.state_size)
        arrays["present"][..., 1:] = 0
        if change is not None:
            arrays["faces"] = np.stack([change(face) for face in sample.faces])[None]
        found.append(pool(graph(arrays)["logits"][0], sample.present[:, 0]))
    return np.stack(found)


def resting(graph: Graph, clips: Sequence[Clip], processed: Path) -> float:
    """Share of the shown labels that are not neutral while a neutral clip's face is looked at for a minute, over and
    over.
    """
    step_s, wrong, shown = graph.info.input.step_s, 0, 0
    for clip in tqdm([c for c in clips if c.label == "neutral"], desc="resting", unit="clip", leave=False):
        arrays = as_pass(load_sample(processed / clip.sample, ["face"]), graph.info.input, graph.state_size)
        arrays["present"][..., 1:] = 0
        turns = -(-round(MINUTE_S / step_s) // clip.steps)
        smoother, state = Smoother(step_s, graph.info.shown), arrays["state"]
        for _ in range(turns):
            found = graph({**arrays, "state": state})
            state = found["state_out"]
            for said, present in zip(softmax(found["logits"][0]), arrays["present"][0, :, 0] > 0, strict=True):
                _, label = smoother.push(said, seen=bool(present), heard=False)
                shown += label is not None
                wrong += label not in (None, "neutral")
    return wrong / max(shown, 1)


def score(probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.int64], people: Sequence[str]) -> str:
    """Accuracy and UAR with their 95% intervals over resamples of the people, and each emotion's recall."""
    answers = metrics.one_hot(probabilities)
    counts = metrics.soft_confusion(truth, answers)
    again = metrics.bootstrap(truth, answers, people, 1000, 0)
    cells = []
    for of in (metrics.war, metrics.uar):
        low, high = metrics.percentile_interval(of(again))
        cells.append(f"{float(of(counts)):.3f} ({low:.3f}–{high:.3f})")
    recalls = " ".join("–" if np.isnan(r) else f"{r:.2f}" for r in metrics.recalls(counts))
    return f"{len(truth):,} | {cells[0]} | {cells[1]} | {recalls}"


def truths(clips: Sequence[Clip]) -> dict[str, tuple[list[int], npt.NDArray[np.int64]]]:
    """What counts as right, by name: which of the clips have it, and what it is."""
    label = np.array([clip.target for clip in clips])
    agreed = [place for place, clip in enumerate(clips) if clip.consensus in EMOTIONS]
    found = {"its label": (list(range(len(clips))), label)}
    if agreed:
        found["FER+'s consensus"] = agreed, np.array([EMOTIONS.index(clips[place].consensus) for place in agreed])
        alone = [place for place, clip in enumerate(clips) if not clip.copies]
        found["its label, without copies"] = alone, label[alone]
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m studies.faces", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, help="folders that hold mmer.onnx")
    parser.add_argument("--data", type=Path, default=Path("release/data"), help="default: %(default)s")
    parser.add_argument("--whole", nargs="*", default=[], metavar="NAME", help="corpora of which all is looked at")
    parser.add_argument("--changed", type=int, default=600, help="test faces that are changed; default 600")
    given = parser.parse_args()
    processed = given.data / "processed"
    test = [clip for clip in read_manifest(processed / "fer2013" / MANIFEST) if clip.split == "test"]
    whole = {
        name: [clip for clip in read_manifest(processed / name / MANIFEST) if clip.has_face] for name in given.whole
    }
    part = [test[k] for k in sorted(np.random.default_rng(0).permutation(len(test))[: given.changed].tolist())]
    print("\nRecalls:", *EMOTIONS, "\n")
    print("| model | faces | truth | n | accuracy (95%) | UAR (95%) | recalls |")
    print("| --- | --- | --- | ---: | ---: | ---: | --- |")
    changed, rested = [], []
    for path in given.models:
        graph = Graph(path / GRAPH)
        for corpus, clips in {"fer2013": test, **whole}.items():
            said = look(graph, clips, processed)
            for name, (places, truth) in truths(clips).items():
                people = [clips[place].person for place in places]
                print(f"| {path.as_posix()} | {corpus} | {name} | {score(said[places], truth, people)} |", flush=True)
        rested += [
            f"| {path.as_posix()} | {corpus} | {resting(graph, clips, processed):.1%} |"
            for corpus, clips in whole.items()
        ]
        usual = look(graph, part, processed)
        sure, right = usual.max(1) >= SURE, np.array([clip.target for clip in part])
        agreed = np.array([EMOTIONS.index(c.consensus) if c.consensus in EMOTIONS else -1 for c in part])
        for name, change in {"as it is": None, **CHANGES}.items():
            now = usual if change is None else look(graph, part, processed, change)
            labels, kept = now.argmax(1), (now.argmax(1) == usual.argmax(1))[sure].mean()
            hit = (labels == agreed)[agreed >= 0].mean()
            scores = f"{(labels == right).mean():.3f} | {hit:.3f}"
            changed.append(f"| {path.as_posix()} | {name} | {kept:.1%} of {int(sure.sum())} | {scores} |")
    print("\n| model | neutral clips of | labels that are not neutral |\n| --- | --- | ---: |")
    print("\n".join(rested))
    print("\n| model | faces | sure labels that stay | accuracy, its label | FER+'s consensus |")
    print("| --- | --- | ---: | ---: | ---: |")
    print("\n".join(changed))


if __name__ == "__main__":
    main()
