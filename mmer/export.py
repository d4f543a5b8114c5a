"""The one graph: EmotionNet as ONNX, with all that a recogniser must know inside, checked against the network."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmer import __version__, corpora
from mmer.clips import Clip
from mmer.config import Faces, Media
from mmer.errors import MmerError
from mmer.labels import EMOTIONS
from mmer.rectifiers import vectorise

if TYPE_CHECKING:
    from mmer.model.network import EmotionNet
    from mmer.training import Origin

OPSET = 17


class ExportError(MmerError):
    """The graph does not say what the network says."""


@dataclass(frozen=True)
class Parity:
    """How the graph compares with the network over some clips."""

    clips: int
    max_difference: float
    """Largest difference of a clip's probability."""
    agreement: float
    """Share of the clips with the same label."""


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

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = copy.deepcopy(network)
            vectorise(self.network)

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
    torch.onnx.export(
        Graph().eval(),
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
        **origin.model_dump(),
        "drawings": all(reader.drawing for reader in readers),
        "partly_drawn": any(reader.drawing for reader in readers),
        "licence": "; ".join(f"{reader.title}: {reader.licence}" for reader in readers),
    }
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {"mmer": json.dumps(about)})
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def compare(network: EmotionNet, path: Path, clips: Sequence[Clip], processed: Path) -> Parity:
    """Run clips through the network and through the graph at `path`."""
    import onnxruntime
    import torch

    from mmer.model.network import Batch
    from mmer.training import clip_probabilities, predict

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = [i.name for i in session.get_inputs()]  # one that was not trained on is no input of the graph

    def forward(batch: Batch) -> torch.Tensor:
        given = {n: getattr(batch, n).numpy() for n in ("faces", "scenes", "voice", "present")}
        given["state"] = network.start(len(batch.target)).numpy()
        return torch.from_numpy(session.run(["logits"], {n: given[n] for n in wanted})[0])

    theirs = clip_probabilities(forward, clips, processed, network.input)
    ours = predict(network, clips, processed)
    same = ours.argmax(1) == theirs.argmax(1)
    return Parity(len(clips), float(np.abs(ours - theirs).max()), float(same.mean()))
