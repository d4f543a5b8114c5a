"""The one graph: EmotionNet as ONNX, with all that a recogniser must know inside, checked against the network."""

from __future__ import annotations

import copy
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmer import __version__, corpora, metrics
from mmer.clips import Clip
from mmer.config import Faces, Media
from mmer.errors import MmerError
from mmer.evaluation import one_hot
from mmer.labels import EMOTIONS, MODALITIES
from mmer.recognizer import Graph
from mmer.rectifiers import vectorise
from mmer.samples import SAMPLE_RATE

if TYPE_CHECKING:
    from mmer.model.network import EmotionNet
    from mmer.training import Origin

OPSET = 17


class ExportError(MmerError):
    """The graph does not say what the network says."""


@dataclass(frozen=True)
class Parity:
    """How the answers of a graph compare with those of the network over some clips."""

    clips: int
    max_difference: float
    """Largest difference of a clip's probability."""
    agreement: float
    """Share of the clips with the same label."""
    uar_loss: float
    """UAR of the network less that of the graph."""
    uar_loss_low: float | None
    """Its 95% interval over paired resamples of the speakers; None where there is only one speaker."""
    uar_loss_high: float | None


def export(
    network: EmotionNet,
    path: Path,
    *,
    media: Media,
    faces: Faces,
    origin: Origin,
    revision: str,
    status: str = "experiment",
) -> None:
    """Write `mmer.onnx`: uint8 pictures and float32 voice in, logits, state and each modality's own answer out.

    Args:
        media: how clips are decoded and silence is told; a recogniser must do as preparation did.
        faces: likewise, how faces are found and cropped.
        origin: of the weights.
        revision: git's, of the code that trained.
        status: experiment, candidate or release.
    """
    import onnx
    import torch

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = copy.deepcopy(network)
            vectorise(self.network, exact=False)

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            output = self.network(*inputs)
            return output.logits, output.state, self.network.alone(output)

    face, scene = network.input.face_size, network.input.scene_size
    batch, steps = 2, 3
    example = (
        torch.zeros(batch, steps, face, face, 3, dtype=torch.uint8),
        torch.zeros(batch, steps, scene, scene, 3, dtype=torch.uint8),
        torch.zeros(batch, steps, network.window),
        torch.ones(batch, steps, 3),
        network.start(batch),
    )
    names = ["faces", "scenes", "voice", "present", "state"]
    free: dict[str, dict[int, str]] = {n: {0: "B", 1: "T"} for n in [*names[:4], "logits", "alone"]}
    free |= {"state": {0: "B"}, "state_out": {0: "B"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(action="ignore"):  # of its age, and of free sizes, in which each graph is compared
        torch.onnx.export(
            Exported().eval(),
            example,
            str(path),
            input_names=names,
            output_names=["logits", "state_out", "alone"],
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,  # the other exporter fixes the example's T in the output's shape
        )
    readers = [corpora.get(name) for name in origin.corpora]
    about = {
        "labels": EMOTIONS,
        "input": network.input.model_dump(),
        "media": media.model_dump(),
        "faces": faces.model_dump(),
        "modalities": network.modalities,
        "version": __version__,
        "git": revision,
        "status": status,
        "weights": "float32",
        **origin.model_dump(),
        "drawings": all(reader.drawing for reader in readers),
        "partly_drawn": any(reader.drawing for reader in readers),
        "licence": "; ".join(f"{reader.title}: {reader.licence}" for reader in readers),
    }
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {"mmer": json.dumps(about)})
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def predict_graph(path: Path, clips: Sequence[Clip], processed: Path) -> npt.NDArray[np.float32]:
    """Clip probabilities float32 [n, 7] of a graph: what `mmer.training.predict` gives of a network."""
    import torch

    from mmer.model.network import Batch
    from mmer.training import clip_probabilities

    graph = Graph(path)

    def forward(batch: Batch) -> torch.Tensor:
        given = {n: getattr(batch, n).numpy() for n in ("faces", "scenes", "voice", "present")}
        begin = np.zeros((len(batch.target), graph.state_size), np.float32)
        return torch.from_numpy(graph({**given, "state": begin})["logits"])

    return clip_probabilities(forward, clips, processed, graph.info.input)


def compare(
    ours: npt.NDArray[np.float32],
    theirs: npt.NDArray[np.float32],
    clips: Sequence[Clip],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Parity:
    """Compare two ways of answering about the same clips.

    Args:
        ours: the network's probabilities [n, 7].
        theirs: the graph's.
        resamples: of the speakers, behind the interval.
        seed: of the draw.
    """
    truth, speakers = np.array([c.target for c in clips]), [c.person for c in clips]
    answers = np.stack([one_hot(ours), one_hot(theirs)])

    def loss(counts: metrics.Counts) -> npt.NDArray[np.float64]:
        scores = metrics.uar(counts)
        return np.asarray(scores[..., 0] - scores[..., 1])

    low = high = None
    if len(set(speakers)) > 1:
        low, high = metrics.percentile_interval(loss(metrics.bootstrap(truth, answers, speakers, resamples, seed)))
    return Parity(
        clips=len(clips),
        max_difference=float(np.abs(ours - theirs).max()),
        agreement=float((ours.argmax(1) == theirs.argmax(1)).mean()),
        uar_loss=float(loss(np.stack([metrics.soft_confusion(truth, a) for a in answers]))),
        uar_loss_low=low,
        uar_loss_high=high,
    )


def speed(paths: Sequence[Path], passes: int = 50) -> list[float]:
    """Processor milliseconds that each graph takes for one step of a stream, with one thread: the median over so many
    passes, in which they take turns.
    """
    graphs, taken = [Graph(path) for path in paths], np.zeros((passes, len(paths)))
    given, rng = graphs[0].info.input, np.random.default_rng(0)
    face, scene = given.face_size, given.scene_size
    arrays = {
        "faces": rng.integers(0, 256, (1, 1, face, face, 3), np.uint8),
        "scenes": rng.integers(0, 256, (1, 1, scene, scene, 3), np.uint8),
        "voice": rng.normal(0, 0.1, (1, 1, round(given.voice_window_s * SAMPLE_RATE))).astype(np.float32),
        "present": np.ones((1, 1, len(MODALITIES)), np.float32),
        "state": np.zeros((1, graphs[0].state_size), np.float32),
    }
    for turn in range(-3, passes):  # the first ones allocate
        for k, graph in enumerate(graphs):
            start = time.process_time()
            graph(arrays)
            if turn >= 0:
                taken[turn, k] = 1000 * (time.process_time() - start)
    return [float(ms) for ms in np.median(taken, axis=0)]
