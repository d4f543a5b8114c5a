"""What recognising a live stream costs on one core, against the budgets (docs/measurements/budgets.md).

Everything goes through `Recognizer` and `Stream`, as in the service: five pictures a second, the voice in pieces of a
step. The rivals take turns, clip by clip, in one process with one thread, and times are of the processor, so that
whatever else the machine does meets all alike:

- mmer: the model's float32 graph and the detector, in onnxruntime;
- int8: the same with `mmer.int8.onnx`;
- torch: the same network in torch (eager) and facenet-pytorch's MTCNN, on the same schedule of searches and with the
  same crops, so its answers must be the same. It needs the weights, `network.safetensors` in the model's folder.

With `--params` the network is that of a params.yaml and learnt nothing: what a profile will cost before it is trained.
Without clips and without MMER_MIRROR the clips are drawn ones.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch start their threads

import cv2
import numpy as np

from mmer.data.demo.corpus import draw_corpus
from mmer.packaging.quantise import quantise
from mmer.params import load_params
from mmer.runtime import media
from mmer.runtime.config import Faces
from mmer.runtime.detector import LANDMARKS, Detections, Detector, Face
from mmer.runtime.graph import GRAPH, SMALL_GRAPH, Graph
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Step
from mmer.runtime.types import Arrays, Box, Forward, Picture

BUDGETS = {
    "parameters": 1_600_000,
    "float32 graph, MB": 6.5,
    "int8 graph, MB": 2.0,
    "CPU ms a second, with detection": 60.0,
    "CPU ms a second, without": 45.0,
    "memory, MB": 200.0,
}
LEAST_RATIO = 2.0
"""Of torch's time to ours."""
WEIGHTS = "network.safetensors"
JPEG_QUALITY = 80
"""As the page sends pictures."""


@dataclass(frozen=True)
class Live:
    """A clip as a camera and a microphone would give it."""

    name: str
    pictures: dict[int, tuple[float, bytes]]
    """By step: its time, and the picture as JPEG."""
    voice: Any
    steps: int


@dataclass
class Rival:
    """A recogniser whose parts are timed."""

    recognizer: Recognizer
    seconds: Counter[str] = field(default_factory=Counter)
    """Of the processor, by part, in the turn under way."""
    turns: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """CPU ms a second of input, by part, of each clip in each turn."""

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[part] += time.process_time() - start

    def ms(self, part: str = "whole") -> float:
        """The median over the turns, and of that the mean over the clips."""
        return float(np.mean([np.median([turn.get(part, 0.0) for turn in turns]) for turns in self.turns.values()]))


class Timed(Detector):
    """A detector that tells its rival what it took."""

    def __init__(self, folder: Path, faces: Faces) -> None:
        super().__init__(folder, faces)
        self.rival: Rival

    def detect(self, rgb: Picture) -> Detections:
        with self.rival.timed("search"):
            return self.search(rgb)

    def search(self, rgb: Picture) -> Detections:
        return super().detect(rgb)

    def follow(self, rgb: Picture, last: Box, roll: float = 0.0) -> Face | None:
        with self.rival.timed("follow"):
            return super().follow(rgb, last, roll)


class InTorch(Timed):
    """facenet-pytorch's detector; a face is followed by the same two of its networks."""

    def __init__(self, folder: Path, faces: Faces) -> None:
        import torch
        from facenet_pytorch import MTCNN

        super().__init__(folder, faces)
        thresholds = list(faces.thresholds)
        self._mtcnn = MTCNN(keep_all=True, min_face_size=faces.min_face, thresholds=thresholds, factor=0.709)

        class Session:
            def __init__(self, network: torch.nn.Module) -> None:
                self.network = network

            def run(self, wanted: list[str], given: dict[str, Any]) -> list[Any]:
                with torch.inference_mode():
                    found = self.network(torch.from_numpy(np.ascontiguousarray(given["images"])))
                by_name = {"offsets": found[0], "scores": found[-1], LANDMARKS: found[1]}
                return [by_name[name].numpy() for name in wanted]

        self._rnet, self._onet = Session(self._mtcnn.rnet), Session(self._mtcnn.onet)

    def search(self, rgb: Picture) -> Detections:
        boxes, scores, landmarks = self._mtcnn.detect(rgb, landmarks=True)
        if boxes is None:
            boxes, scores, landmarks = np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2))
        return Detections(boxes.astype(np.float32), scores.astype(np.float32), np.array(landmarks, np.float32))


def rival(graph: Graph, detector: Timed, run: Forward) -> Rival:
    """Put the parts together."""
    made = Rival(Recognizer(graph, detector))
    detector.rival = made

    def timed_run(arrays: Arrays) -> Arrays:
        with made.timed("network"):
            return run(arrays)

    made.recognizer.forward = timed_run
    return made


def read(clip: Path, recognizer: Recognizer) -> Live:
    """Decode a clip once, beforehand."""
    pictures: dict[int, tuple[float, bytes]] = {}

    def keep(step: int, t: float, rgb: Picture) -> None:
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        pictures[step] = (t, cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), quality)[1].tobytes())

    decoded = media.decode(clip, recognizer.info.media, recognizer.info.input.step_s, keep)
    return Live(clip.stem, pictures, decoded.voice, decoded.steps)


def stream(one: Rival, live: Live, loops: int) -> list[Step]:
    """Play a clip, `loops` times on end, into a stream; add a turn to the rival's."""
    step_s, hop = one.recognizer.info.input.step_s, round(one.recognizer.info.input.step_s * 16_000)
    one.seconds.clear()
    session, steps = one.recognizer.stream(), []
    for k in range(live.steps * loops):
        place = k % live.steps
        if place in live.pictures:
            with one.timed("decode"):
                bgr = cv2.imdecode(np.frombuffer(live.pictures[place][1], np.uint8), cv2.IMREAD_COLOR)
                rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        with one.timed("whole"):
            if place in live.pictures:
                session.push_frame(rgb, min(live.pictures[place][0] + (k - place) * step_s, session.next_time))
            session.push_voice(live.voice[place * hop : (place + 1) * hop], k * step_s)
            steps.append(session.step())
    seconds = live.steps * loops * step_s
    taken = {part: 1000 * s / seconds for part, s in one.seconds.items()}
    one.turns.setdefault(live.name, []).append(taken)
    return steps


def branches(graph: Path, passes: int = 60) -> dict[str, float]:
    """Shares of a pass that go to face, scene, voice and what joins them, by onnxruntime's own profile.

    Nodes that onnxruntime adds have no branch in their names: they belong to that of the node before.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level, options.enable_profiling = 1, 3, True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        rng, arrays = np.random.default_rng(0), {}
        for port in session.get_inputs():
            shape = [1 if not isinstance(n, int) else n for n in port.shape]
            if port.type == "tensor(uint8)":
                arrays[port.name] = rng.integers(0, 256, shape, np.uint8)
            else:
                noise = rng.normal(0, 0.1, shape).astype(np.float32)
                arrays[port.name] = np.ones_like(noise) if port.name == "present" else noise
        for _ in range(passes):
            session.run(None, arrays)
        events = json.loads(Path(session.end_profiling()).read_text())
    taken: dict[str, list[float]] = {}
    of: dict[str, str] = {}
    branch = "joining"
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"]
            if found := re.match(r"/network/(face|scene|voice)(_\d+)?/", name):
                branch = found[1]
            elif name.startswith("/network/fusion"):
                branch = "joining"
            of.setdefault(name, branch)
            taken.setdefault(name, []).append(event["dur"])
    spent: Counter[str] = Counter()
    for name, durations in taken.items():
        spent[of[name]] += float(np.percentile(durations, 20))
    return {name: ms / spent.total() for name, ms in spent.most_common()}


def memory(model: Path, clip: Path) -> tuple[float, float]:
    """Resident MB of a fresh process after loading the model, and its peak after a clip."""
    code = """
import re, sys
from pathlib import Path
from mmer import Recognizer
status = lambda key: int(re.search(key + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
recognizer = Recognizer.load(sys.argv[1]); loaded = status("VmRSS")
recognizer.predict(sys.argv[2]); print(loaded, status("VmHWM"))
"""
    command = [sys.executable, "-c", code, str(model), str(clip)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(told[0]), float(told[1])


def untrained(params_file: Path, folder: Path) -> None:
    """A model of that profile which learnt nothing."""
    import torch

    from mmer.model.network import EmotionNet
    from mmer.packaging.export import export
    from mmer.training.checkpoints import Origin, save_network

    params, origin = load_params(params_file), Origin(corpora=("demo",))
    torch.manual_seed(0)
    network = EmotionNet(params.input, params.model, params.model.modalities).eval()
    save_network(network, folder / WEIGHTS, origin)
    export(network, folder / GRAPH, media=params.media, faces=params.faces, origin=origin, revision="untrained")
    quantise(folder / GRAPH, folder / SMALL_GRAPH)


def clips_at_hand(drawings: Path) -> list[Path]:
    """Three of CREMA-D and three of RAVDESS, where MMER_MIRROR has them; else of one drawn speaker."""
    if mirror := os.environ.get("MMER_MIRROR"):
        found = [*Path(mirror).glob("crema_d/VideoFlash/*.flv"), *Path(mirror).glob("ravdess/Actor_01/01-01-*.mp4")]
        if found:
            return sorted(found)
    draw_corpus(drawings, speakers=1, takes=1, workers=1)
    return sorted(drawings.glob("clips/*.mp4"))


def rivals(model: Path, small: Path) -> dict[str, Rival]:
    """Those there are."""
    graph, quantised = Graph(model / GRAPH), Graph(small)
    faces, folder = graph.info.faces, model / "detector"
    found = {
        "mmer": rival(graph, Timed(folder, faces), graph),
        "int8": rival(quantised, Timed(folder, faces), quantised),
    }
    if (model / WEIGHTS).is_file():
        import torch

        from mmer.training.checkpoints import load_network
        from mmer.training.inference import as_forward

        torch.set_num_threads(1)
        network = load_network(model / WEIGHTS)
        if network.modalities != graph.info.modalities:
            raise SystemExit(
                f"{model / WEIGHTS} holds {', '.join(network.modalities)} alone: not what {GRAPH} came from"
            )
        found["torch"] = rival(graph, InTorch(folder, faces), as_forward(network))
    return found


def alike(ours: list[Step], theirs: list[Step]) -> tuple[int, float, float]:
    """Steps with the same label, the largest difference of a probability, and that of a box (shares of the picture)."""
    same = sum(a.label == b.label for a, b in zip(ours, theirs, strict=True))
    off = max(float(np.abs(a.probabilities - b.probabilities).max()) for a, b in zip(ours, theirs, strict=True))
    boxes = [
        np.abs(np.subtract(a.box, b.box)).max() if a.box and b.box else float(a.box != b.box)
        for a, b in zip(ours, theirs, strict=True)
    ]
    return same, off, float(max(boxes))


def report(rivals: dict[str, Rival], answers: dict[str, list[Step]], model: Path, small: Path, clip: Path) -> str:
    """The tables, in Markdown."""
    ours, lines = rivals["mmer"], []
    parts: dict[str, Callable[[Rival], float]] = {
        "decode (JPEG; the service's, not counted)": lambda r: r.ms("decode"),
        f"search for faces, every {ours.recognizer.info.faces.detect_every_s:g} s": lambda r: r.ms("search"),
        "follow the face": lambda r: r.ms("follow"),
        "network": lambda r: r.ms("network"),
        "crop, windows, bookkeeping": lambda r: r.ms() - sum(r.ms(p) for p in ("search", "follow", "network")),
        "**with detection**": lambda r: r.ms(),
        "**without**": lambda r: r.ms() - r.ms("search") - r.ms("follow"),
    }
    lines += [f"| CPU ms a second of input | {' | '.join(rivals)} |", "|---" + "|---:" * len(rivals) + "|"]
    for name, value in parts.items():
        lines.append(f"| {name} | {' | '.join(f'{value(r):.1f}' for r in rivals.values())} |")
    shares = branches(model / GRAPH)
    lines += ["", "Of a pass through the network: " + ", ".join(f"{n} {s:.0%}" for n, s in shares.items()) + "."]
    ratio: float | None = None
    for name, one in rivals.items():
        if one is ours:
            continue
        same, off, box = alike(answers["mmer"], answers[name])
        turns = zip(chain(*one.turns.values()), chain(*ours.turns.values()), strict=True)
        ratio = float(np.median([theirs["whole"] / own["whole"] for theirs, own in turns]))
        lines += [
            "",
            f"{name} takes {ratio:.2f} times as long as mmer: same label in {same} of {len(answers[name])} steps, "
            f"probabilities within {off:.1g}, boxes within {box:.1g} of the picture's side.",
        ]
    if "torch" not in rivals:
        ratio = None
    loaded, peak = memory(model / GRAPH, clip)
    measured = {
        "parameters": parameters(model),
        "float32 graph, MB": (model / GRAPH).stat().st_size / 1e6,
        "int8 graph, MB": small.stat().st_size / 1e6,
        "CPU ms a second, with detection": parts["**with detection**"](ours),
        "CPU ms a second, without": parts["**without**"](ours),
        "memory, MB": peak,
    }
    lines += ["", "| budget | | measured | |", "|---|---:|---:|---|"]
    for name, most in BUDGETS.items():
        value = measured[name]
        told = "–" if value is None else f"{value:,.0f}" if value > 1e4 else f"{value:.1f}"
        lines.append(
            f"| {name} | at most {most:,.10g} | {told} | {verdict(value, value is not None and value <= most)} |"
        )
    if ratio is not None:
        met = verdict(ratio, ratio >= LEAST_RATIO)
        lines.append(f"| times as fast as torch | at least {LEAST_RATIO:g} | {ratio:.1f} | {met} |")
    lines += ["", f"Memory of the process: {loaded:.0f} MB with the model loaded, at most {peak:.0f} MB with a clip."]
    return "\n".join(lines)


def verdict(value: float | None, met: bool) -> str:
    """A budget's."""
    return "not measured" if value is None else "met" if met else "**missed**"


def parameters(model: Path) -> int | None:
    """Of the weights, where they are there."""
    if not (model / WEIGHTS).is_file():
        return None
    from mmer.training.checkpoints import load_network

    return sum(p.numel() for p in load_network(model / WEIGHTS).parameters())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="videos of one person each")
    parser.add_argument("--model", type=Path, default=Path("release"), help="folder (default: %(default)s)")
    parser.add_argument("--params", type=Path, help="a params.yaml: an untrained network of this profile instead")
    parser.add_argument("--turns", type=int, default=5, help="of each rival with each clip (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="that a clip is looped for (default: %(default)s)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        home, model = Path(name), args.model
        if args.params:
            (home / "model").mkdir()
            untrained(args.params, home / "model")
            (home / "model" / "detector").symlink_to((args.model / "detector").absolute())
            model = home / "model"
        small = model / SMALL_GRAPH
        if not small.is_file():
            small = home / SMALL_GRAPH
            quantise(model / GRAPH, small)
        clips = args.clips or clips_at_hand(home / "drawn")
        found = rivals(model, small)
        lives = [read(clip, found["mmer"].recognizer) for clip in clips]
        answers: dict[str, list[Step]] = {}
        for turn in range(args.turns + 1):  # the first allocates
            for live in lives:
                loops = max(1, round(args.seconds / (live.steps * found["mmer"].recognizer.info.input.step_s)))
                for which, one in found.items():
                    steps = stream(one, live, loops)
                    if turn == 0:
                        one.turns.clear()
                        answers.setdefault(which, []).extend(steps)
        jpegs = [jpeg for live in lives for _, jpeg in live.pictures.values()]
        sizes = {cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[1::-1] for jpeg in jpegs}
        told = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        print(f"{len(lives)} clips ({told} as decoded), each looped for {args.seconds:g} s, {args.turns} turns.\n")
        print(report(found, answers, model, small, clips[0]))


if __name__ == "__main__":
    main()
