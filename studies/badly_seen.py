"""Faces that are seen badly: how sure a model is of them, and whether a weight by how well they are seen would help.

    python -m studies.badly_seen --data release/data release release/light

Validation faces (photographs of FER2013, drawn by chance, and frames of every clip that holds a face and a voice) are
blurred, made small, covered, turned aside or darkened, and looked for again as the tracker looks for a face that it
follows. Of those that are found it is told how sure the model is, how often it is right, and the same where what the
face says is scaled by `quality`. Then that quality, to a power that is fitted, is asked whether it makes the truth
likelier: of the face alone, and beside the clip's voice. Tables go to standard output.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from tqdm import tqdm

from mmer import metrics
from mmer.data.clips import MANIFEST, Clip, read_manifest
from mmer.data.crop import TIGHT
from mmer.data.samples import Sample, as_pass, load_clip
from mmer.evaluation.robustness import blur, darkness, size
from mmer.labels import MODALITIES
from mmer.runtime.align import Alignment
from mmer.runtime.detector import Detector
from mmer.runtime.graph import GRAPH, Graph
from mmer.runtime.resize import crop
from mmer.runtime.results import pool, softmax
from mmer.runtime.spec import GraphSpec
from mmer.runtime.types import Floats, Picture
from mmer.training import cameras
from mmer.training.inference import truths

SURE = 0.9
"""Probability from which on an answer counts as sure."""
FRAMES = 4
"""Of a clip, at most."""
LEAST = 20
"""Faces that must be found for a row."""
ROOM = TIGHT // 3
"""Around a crop in which a face is looked for, pixels: the detector knows faces in pictures."""
Spoil = Callable[[Sample, np.random.Generator], Sample]


def blurred(sigma: float) -> Spoil:
    """By a Gaussian, pixels of the crop."""
    return lambda sample, rng: blur(sample, sigma, rng)


def small(pixels: int) -> Spoil:
    """A face that is so wide in its picture."""
    return lambda sample, rng: size(sample, pixels, rng)


def covered(left: float, top: float, right: float, bottom: float) -> Spoil:
    """A part of the crop, in shares of its side, behind a plain shade."""

    def spoil(sample: Sample, rng: np.random.Generator) -> Sample:
        faces, side = sample.faces.copy(), sample.faces.shape[1]
        rows, columns = (slice(round(a * side), round(b * side)) for a, b in ((top, bottom), (left, right)))
        faces[:, rows, columns] = rng.integers(20, 230, 3)
        return replace(sample, faces=faces)

    return spoil


def turned(degrees: float) -> Spoil:
    """Turned aside as if the face were painted on a cylinder: what the picture does not show stays unseen."""

    def spoil(sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG001 (chance has no part in it)
        side = sample.faces.shape[1]
        radius, middle = 0.52 * side, (side - 1) / 2
        angles = np.arcsin(np.clip((np.arange(side) - middle) / radius, -1, 1)) - np.radians(degrees)
        across = middle + radius * np.sin(np.clip(angles, -np.pi / 2, np.pi / 2))
        x, y = np.meshgrid(across.astype(np.float32), np.arange(side, dtype=np.float32))
        faces = [cv2.remap(f, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for f in sample.faces]
        return replace(sample, faces=np.stack(faces))

    return spoil


KINDS: dict[str, Spoil] = {
    "as it is": lambda sample, rng: sample,  # noqa: ARG005
    **{f"blurred, sigma {sigma} of 64 pixels": blurred(sigma) for sigma in (1, 2, 3, 4)},
    **{f"{pixels} pixels wide": small(pixels) for pixels in (28, 20, 14, 10)},
    "a mask, glasses or a hand": lambda sample, rng: replace(sample, faces=cameras.covered(sample.faces, rng)),
    "lower half covered": covered(0, 0.55, 1, 1),
    "upper half covered": covered(0, 0, 1, 0.5),
    "left half covered": covered(0, 0, 0.5, 1),
    **{f"turned by {d} degrees": turned(d) for d in (20, 40, 60)},
    "a seventh of the light": lambda sample, rng: darkness(sample, 0.15, rng),
}


@dataclass(frozen=True)
class Seen:
    """A spoilt face that was looked for."""

    kind: str
    clip: int
    """The place of its clip."""
    face: Picture | None
    """Its crop; None where the face is not found."""
    quality: float


def quality(face: Picture, landmarks: Floats, score: float) -> float:
    """How well a face is seen, 0 to 1, from what is known without any further network: the detector's score, how far
    the nose lies beside the line from between the eyes to the middle of the mouth (a face turned aside), and how much
    of the crop's contrast lies in its finest detail (blur, and a small face made large).
    """
    grey = face.astype(np.float32).mean(2)
    inner = grey[1:-1, 1:-1]
    detail = grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1] - 4 * inner
    eyes, nose, mouth = landmarks[:2].mean(0), landmarks[2], landmarks[3:].mean(0)
    (right, down), height = mouth - eyes, max(float(np.hypot(*(mouth - eyes))), 1e-3)
    x, y = nose - (eyes + mouth) / 2
    beside = abs(x * down - y * right) / height**2
    sharp = np.log(max(float(detail.var() / (inner.var() + 1)), 1e-6))
    shares = (score - 0.7) / 0.29, (0.4 - beside) / 0.3, (sharp - np.log(0.003)) / np.log(10)
    return float(np.prod(np.clip(shares, 0, 1)))


def look_again(detector: Detector, face: Picture, side: int) -> tuple[Picture | None, float]:
    """A crop as the tracker makes it of the same face in a picture, and its quality."""
    large = cv2.resize(face, (TIGHT, TIGHT), interpolation=cv2.INTER_LINEAR)
    large = cv2.copyMakeBorder(large, ROOM, ROOM, ROOM, ROOM, cv2.BORDER_REPLICATE)
    whole = (ROOM, ROOM, ROOM + TIGHT, ROOM + TIGHT)
    found, alignment = detector.follow(large, whole), Alignment()
    if found is None:
        return None, 0.0
    alignment.see(found.landmarks, whole, 0.0)
    laid = crop(large, alignment.box(whole), side, 0.0, alignment.roll)
    return laid, quality(laid, found.landmarks, found.score)


def spoilt(detector: Detector, clips: Sequence[Clip], processed: Path, side: int) -> list[Seen]:
    """A few frames of each clip, of every kind."""
    seen = []
    for place, clip in enumerate(tqdm(clips, desc="faces", unit="clip", leave=False)):
        sample = load_clip(clip, processed)
        steps = np.flatnonzero(sample.present[:, 0])
        chosen = steps[:: -(-len(steps) // FRAMES)]
        few = replace(sample, faces=sample.faces[chosen])
        for number, (kind, spoil) in enumerate(KINDS.items()):
            faces = spoil(few, np.random.default_rng([place, number])).faces
            seen += [Seen(kind, place, *look_again(detector, face, side)) for face in faces]
    return seen


def said_of(graph: Graph, faces: Sequence[Picture]) -> Floats:
    """Log-probabilities [n, 7] of faces, each seen for one step."""
    said, spec = [], GraphSpec.of(graph.info.input)
    for start in range(0, len(faces), 64):
        part = np.stack(faces[start : start + 64])
        arrays = spec.zeros(B=len(part), T=1, K=graph.state_size)
        arrays["faces"][:, 0], arrays["present"][..., MODALITIES.index("face")] = part, 1
        said.append(graph(arrays)["alone"][:, 0, MODALITIES.index("face")])
    return np.concatenate(said)


def heard(graph: Graph, clips: Sequence[Clip], processed: Path) -> Floats:
    """Log-probabilities [n, 7] of clips of which only the voice is heard."""
    said = []
    for clip in tqdm(clips, desc="voices", unit="clip", leave=False):
        arrays = as_pass(load_clip(clip, processed), graph.info.input, graph.state_size)
        arrays["present"] *= np.array([name == "voice" for name in MODALITIES], np.float32)
        evidence = arrays["present"][0].any(1)
        said.append(pool(graph(arrays)["logits"][0], evidence))
    return np.log(np.maximum(np.stack(said), 1e-7))


def losses(logits: Floats, truth: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Negative log-likelihood of the truth, [n]."""
    scaled = logits.astype(np.float64)
    return np.asarray(np.logaddexp.reduce(scaled, 1) - scaled[np.arange(len(truth)), truth])


def confidence(said: Floats, truth: npt.NDArray[np.int64], people: Sequence[str]) -> str:
    """Mean confidence and accuracy with their 95% intervals over resamples of the people; the share that is sure, and
    how many of these are right.
    """
    probabilities = softmax(said)
    sure, right = probabilities.max(1), probabilities.argmax(1) == truth
    table = np.stack([np.ones(len(truth)), sure, right], 1)
    cells = [f"{mean:.3f}" for mean in table[:, 1:].mean(0)]
    if len(set(people)) > 1:
        again = metrics.bootstrap_sums(table, people, 1000, 0)
        between = (metrics.percentile_interval(again[:, column] / again[:, 0]) for column in (1, 2))
        cells = [f"{mean} ({low:.3f}–{high:.3f})" for mean, (low, high) in zip(cells, between, strict=True)]
    chosen = sure >= SURE
    rate = f"{right[chosen].mean():.0%} of {int(chosen.sum()):,}" if chosen.any() else "–"
    return f"{cells[0]} | {cells[1]} | {chosen.mean():.1%} | {rate}"


def fitted(faces: Floats, qualities: Floats, truth: npt.NDArray[np.int64], voices: Floats | None = None) -> str:
    """The mean loss at a power of the quality, the say of each modality fitted anew for it: of none, of half and of the
    whole quality, then of the power that makes the truth likeliest, and that power.
    """
    weights = np.maximum(qualities, 1e-3)[:, None]

    def loss(values: npt.NDArray[np.float64], power: float) -> float:
        logits = np.exp(values[0]) * faces * weights**power
        return float(losses(logits if voices is None else logits + np.exp(values[1]) * voices, truth).mean())

    def least(power: float) -> float:
        found: float = minimize(loss, np.zeros(1 if voices is None else 2), args=(power,)).fun
        return found

    powers = np.linspace(0, 1, 21)
    each = [least(power) for power in powers]
    best = int(np.argmin(each))
    return f"{each[0]:.4f} | {each[10]:.4f} | {each[20]:.4f} | {each[best]:.4f} at {powers[best]:.2f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m studies.badly_seen", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, help="folders that hold mmer.onnx and detector/, of one input")
    parser.add_argument("--data", type=Path, default=Path("release/data"), help="default: %(default)s")
    parser.add_argument("--photographs", type=int, default=400, metavar="N", help="of FER2013; default %(default)s")
    given = parser.parse_args()
    graphs = {path.as_posix(): Graph(path / GRAPH) for path in given.models}
    info, processed = next(iter(graphs.values())).info, given.data / "processed"
    detector = Detector.load(given.models[0] / "detector", info.faces)
    validation = [clip for clip in read_manifest(given.data / MANIFEST) if clip.split == "val" and clip.has_face]
    photographs = [clip for clip in validation if clip.corpus == "fer2013"]
    drawn = sorted(np.random.default_rng(0).permutation(len(photographs))[: given.photographs].tolist())
    sets = {
        "photographs": [photographs[k] for k in drawn],
        "films": [clip for clip in validation if clip.has_voice],
    }
    print("| model | faces | seen | found | as it is: sure (95%) | right (95%) | at 90% | of these right ", end="")
    print("| by quality: sure (95%) | right (95%) | at 90% | of these right |")
    print(f"| --- | --- | --- | --- |{' ---: |' * 8}")
    fits = []
    for name, clips in sets.items():
        seen = spoilt(detector, clips, processed, info.input.face_size)
        found = [one for one in seen if one.face is not None]
        faces = [one.face for one in found if one.face is not None]
        kinds, places = np.array([one.kind for one in found]), np.array([one.clip for one in found])
        qualities, truth = np.array([one.quality for one in found], np.float32), truths(clips, "both")[places]
        people = np.array([clip.person for clip in clips])[places]
        for path, graph in graphs.items():
            said = said_of(graph, faces)
            for kind in KINDS:
                own, asked = kinds == kind, sum(one.kind == kind for one in seen)
                cells = f"{path} | {name} | {kind} | {own.sum():,} of {asked:,}"
                if own.sum() < LEAST:
                    print(f"| {cells} |{' – |' * 8}")
                    continue
                scaled = said[own] * qualities[own, None]
                each = (confidence(some, truth[own], people[own].tolist()) for some in (said[own], scaled))
                print(f"| {cells} | {' | '.join(each)} |", flush=True)
            fits.append(f"| {path} | {name} | alone | {len(said):,} | {fitted(said, qualities, truth)} |")
            if name == "films":
                voices = heard(graph, clips, processed)[places]
                fits.append(f"| {path} | {name} | + voice | {len(said):,} | {fitted(said, qualities, truth, voices)} |")
    print("\n| model | faces | the face | n | no weight | root of quality | quality | best power |")
    print(f"| --- | --- | --- |{' ---: |' * 5}\n" + "\n".join(fits))


if __name__ == "__main__":
    main()
