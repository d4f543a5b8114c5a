"""Peers whose packages ship their weights, and our model, on the same images: FER2013's official test (PrivateTest).

There are two truths: FER2013's own label, and what most of ten people saw (FER+'s consensus by its authors' rule; the
images on which no majority agreed, or on contempt, are left out).

The peers get an environment of their own, outside the repository and never part of the project's requirements; it is
made where `--venv` says, from the pins below, if it is not there. All take turns over parts of the images, so that the
ratios of their times come from the same minutes. Not here, since their packages bring no weights and fetch them when
they are first called: emotiefflib 1.1.1, hsemotion 0.3.0, hsemotion-onnx 0.3.1, rmn 3.3.0, fer-pytorch 1.1.2.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import tempfile
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from mmer import metrics
from mmer.config import Evaluate
from mmer.data.clips import Clip
from mmer.data.corpora import fer2013
from mmer.data.crop import tight
from mmer.labels import EMOTIONS
from mmer.runtime.align import Alignment
from mmer.runtime.detector import Detector
from mmer.runtime.graph import Graph
from mmer.runtime.spec import GraphSpec
from mmer.runtime.tracker import Tracker
from studies.peers_inside import ORDER, PEERS, timed

HERE = Path(__file__).resolve().parent
# In this order: fer asks for any TensorFlow and for more than its network needs, so it comes without what it asks for.
PINS = (
    ("tensorflow-cpu==2.21.0", "numpy==2.4.6", "setuptools==65.5.0", "opencv-contrib-python==5.1.0.95"),
    ("pandas==3.1.1", "tqdm", "requests==2.34.2", "scikit-image==0.26.0", "onnxruntime==1.32.0"),
    ("--no-deps", "fer==25.10.3", "facex==1.1.0"),
)
OURS = "mmer"
SETS = ("all", "without_copies", "consensus")
"""Of images, by one truth each: what is rated of each peer."""
Scores = npt.NDArray[np.float32]
Times = npt.NDArray[np.float64]


def make_venv(folder: Path) -> Path:
    """The environment's Python; it is made if it is not there."""
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run(["python3", "-m", "venv", str(folder)], check=True)
        for pins in PINS:
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *pins], check=True)
    return python


def ask_peer(python: Path, peer: str, faces: npt.NDArray[np.uint8]) -> tuple[Scores, Times, dict[str, Any]]:
    """What a peer says about faces [n, 48, 48]: scores [n, 7], milliseconds of some, and its size."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "faces.npy", Path(folder) / "answers.npz"
        np.save(source, faces)
        command = [str(python), str(HERE / "peers_inside.py"), peer, str(source), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with np.load(target) as answers:
            return answers["scores"], answers["ms"], json.loads(str(answers["about"]))


def ask_ours(model: Path, faces: npt.NDArray[np.uint8]) -> tuple[Scores, Times, dict[str, Any]]:
    """The same of our model, given the face alone, one step, as of a still picture that is prepared as ours are."""
    graph = Graph(model)
    given, faces_given = graph.info.input, graph.info.faces
    tracker = Tracker(Detector.load(model.parent / "detector", faces_given), faces_given, given)
    arrays = GraphSpec.of(given).zeros(B=1, T=1, K=graph.state_size)
    arrays["present"][..., 0] = 1

    def answer(faces: Any) -> Any:
        crops = [tight(cv2.cvtColor(face, cv2.COLOR_GRAY2RGB), 0.0, Alignment(), tracker) for face in faces]
        return np.stack([graph({**arrays, "faces": crop[None, None]})["logits"][0, 0] for crop in crops])

    scores, ms = timed(answer, faces)
    return scores, ms, {"bytes": model.stat().st_size, "git": graph.info.git[:12], "status": graph.info.status}


def rated(scores: Scores, clips: list[Clip], *, by: Literal["label", "consensus"] = "label") -> dict[str, Any]:
    """n, accuracy (war) and UAR, each with its 95% interval over the images, by one of the truths."""
    truth, said = np.array([EMOTIONS.index(getattr(clip, by)) for clip in clips]), scores.argmax(1)
    answers = np.eye(len(EMOTIONS))[said]
    drawn = metrics.bootstrap(truth, answers, [clip.speaker for clip in clips], Evaluate().bootstrap, seed=0)
    told: dict[str, Any] = {"n": len(clips)}
    for name, score in (("war", metrics.war), ("uar", metrics.uar)):
        low, high = metrics.percentile_interval(score(drawn))
        value = float(score(metrics.confusion(truth, said)))
        told |= {name: round(value, 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
    return told


def main() -> None:
    """Write studies/peers.json and say it in words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="FER2013's folder, with train/ and test/ unpacked")
    parser.add_argument("--model", type=Path, default=Path("release/mmer.onnx"), help="(default: %(default)s)")
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "mmer-peers", help="the peers' own")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS), help="(default: all)")
    parser.add_argument("--parts", type=int, default=4, help="of the images, between which all take turns")
    parser.add_argument("--out", type=Path, default=HERE / "peers.json", help="(default: %(default)s)")
    args = parser.parse_args()
    assert ORDER == EMOTIONS
    python = make_venv(args.venv)
    clips = [clip for clip in fer2013.list_clips(args.raw) if clip.split == "test"]
    images = np.stack([np.asarray(cv2.imread(str(args.raw / clip.path), cv2.IMREAD_GRAYSCALE)) for clip in clips])
    answers: dict[str, list[tuple[Scores, Times]]] = {name: [] for name in (OURS, *args.peers)}
    about: dict[str, dict[str, Any]] = {}
    for part in np.array_split(images, args.parts):
        for name, given in answers.items():
            asked = ask_ours(args.model, part) if name == OURS else ask_peer(python, name, part)
            given.append(asked[:2])
            about[name] = asked[2]
            print(f"{name}: {sum(len(scores) for scores, _ in given):,} of {len(images):,} images", flush=True)
    medians = {name: np.array([np.median(ms) for _, ms in given]) for name, given in answers.items()}
    fresh = [k for k, clip in enumerate(clips) if not clip.copies]
    agreed = [k for k, clip in enumerate(clips) if clip.consensus in EMOTIONS]
    results = {}
    for name, given in answers.items():
        scores = np.concatenate([scores for scores, _ in given])
        results[name] = {
            **about[name],
            "all": rated(scores, clips),
            "without_copies": rated(scores[fresh], [clips[k] for k in fresh]),
            "consensus": rated(scores[agreed], [clips[k] for k in agreed], by="consensus"),
            "ms": round(float(np.median(medians[name])), 3),
            "times_ours": round(float(np.median(medians[name] / medians[OURS])), 2),
        }
    report = {
        "command": f"python -m studies.peers FER2013 --parts {args.parts} --peers {shlex.join(args.peers)}",
        "date": date.today().isoformat(),
        "machine": "2 cores of x86-64, no GPU, shared with other work; CPU milliseconds, one face at a time",
        "protocol": "FER2013 PrivateTest, images as published, by its labels; without copies: those that are no "
        "training image too, byte for byte; FER+: those on which most of ten people agree, by that; intervals: 95%, "
        "over images",
        "versions": {
            "peers": [pin for pins in PINS for pin in pins if "==" in pin],
            "onnxruntime": onnxruntime.__version__,
        }
        | {OURS: metadata.version("mmer")},
        "results": results,
    }
    args.out.write_text(json.dumps(report, indent=2) + "\n")
    for name, told in results.items():
        shares = ", ".join(f"{told[which]['war']:.1%} of {told[which]['n']:,}" for which in SETS)
        print(f"{name:<12} {shares}; {told['ms']:.1f} ms")


if __name__ == "__main__":
    main()
