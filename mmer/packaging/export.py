"""The one graph: EmotionNet as ONNX, with all that a recogniser must know inside."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mmer import __version__
from mmer.data import corpora
from mmer.errors import MmerError
from mmer.evaluation.protocol import learnt_from
from mmer.labels import EMOTIONS
from mmer.packaging.prelu import vectorise
from mmer.runtime.config import Faces, Media, Shown
from mmer.runtime.spec import INPUTS, GraphSpec, outputs

if TYPE_CHECKING:
    from mmer.model.network import EmotionNet
    from mmer.training.checkpoints import Origin


OPSET = 17


class ExportError(MmerError):
    """The graph does not say what the network says, or may not be what it is to be called."""


def export(
    network: EmotionNet,
    path: Path,
    *,
    media: Media,
    faces: Faces,
    origin: Origin,
    revision: str,
    status: str = "experiment",
    shown: Shown | None = None,
) -> None:
    """Write `mmer.onnx`: uint8 pictures and float32 voice in, logits, state and each modality's own answer out;
    also valence and arousal, of a network that learnt them.

    Args:
        media: how clips are decoded and silence is told; a recogniser must do as preparation did.
        faces: likewise, how faces are found and cropped.
        origin: of the weights.
        revision: git's, of the code that trained.
        status: experiment, candidate or release.
        shown: how sure what is shown live may be (`mmer.evaluation.as_shown.fit`).

    Raises:
        ExportError: it is to be a release, and learnt from a corpus that is kept to test on.
    """
    import onnx
    import torch

    if status == "release":
        _refuse_test_only(origin)

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = copy.deepcopy(network)
            vectorise(self.network, exact=False)

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            output = self.network(*inputs)
            affect = () if output.affect is None else (output.affect,)
            return output.logits, output.state, self.network.unimodal(output), *affect

    spec = GraphSpec.of(network.input, affect=bool(network.affect))
    start = network.start(2)
    example = [torch.from_numpy(array) for array in spec.zeros(B=2, T=3, K=start.shape[1]).values()]
    free = {
        tensor.name: {axis: size for axis, size in enumerate(tensor.shape) if size in ("B", "T")}
        for tensor in (*spec.inputs, *spec.outputs)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(action="ignore"):  # of its age, and of free sizes, in which each graph is compared
        torch.onnx.export(
            Exported().eval(),
            tuple(example),
            str(path),
            input_names=INPUTS,
            output_names=outputs(affect=bool(network.affect)),
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,  # the other exporter fixes the example's T in the output's shape
        )
    earlier = sorted(name for name in learnt_from(origin) - {*origin.corpora} if name in corpora.names())
    readers = [
        corpora.get(name) for name in (*origin.corpora, *earlier)
    ]  # what weights learnt binds who goes on from them
    about = {
        "labels": EMOTIONS,
        "input": network.input.model_dump(),
        "media": media.model_dump(),
        "faces": faces.model_dump(),
        "modalities": network.modalities,
        **({"affect": network.affect} if network.affect else {}),
        "version": __version__,
        "git": revision,
        "status": status,
        "shown": None if shown is None else shown.model_dump(),
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


def _refuse_test_only(origin: Origin) -> None:
    """Scores on a corpus that is kept to test on are only worth something where no release ever learnt from it."""
    kept = [name for name in sorted(learnt_from(origin)) if name in corpora.names() and corpora.get(name).test_only]
    if kept:
        raise ExportError(
            f"these weights learnt from {', '.join(kept)}, which is kept to test on: they cannot be a release "
            "(package.status). Train without it: name it in split.test_corpora, or not in corpora; and go on from no "
            "weights that learnt from it (train.init_from)"
        )
