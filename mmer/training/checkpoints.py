"""Weights on disk: networks with all that builds them again, checkpoints keyed by everything they depend on, and the
weights that a training may start from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from mmer.config import Model, Params, renamed
from mmer.data.clips import Clip
from mmer.files import sha256
from mmer.labels import MODALITIES, ModalityName
from mmer.runtime.config import Input
from mmer.runtime.lineage import Ancestor, Lineage
from mmer.training.batches import TEACHER

if TYPE_CHECKING:
    from torch import Tensor

    from mmer.model.network import EmotionNet


#: Where checkpoints and studies lie: outside the stages' outputs, which DVC deletes before a run.
WORK = Path(".mmer")
#: What decides the weights, and what there only counts and tells. A test holds it against the imports of `fit`.
CODE = (
    *("model/*.py", "training/*.py", "data/clips.py", "data/samples.py", "files.py", "labels.py", "metrics.py"),
    *("runtime/grid.py", "runtime/lineage.py", "runtime/spec.py", "runtime/types.py", "runtime/voice.py"),
)
COUNTERS = ("cost.py", "mlflow_runs.py")


def fingerprint(blocks: Iterable[BaseModel | int | str], files: Iterable[Path]) -> str:
    """16 hexadecimal digits of SHA-256 over the parameters and the files' contents, in the order given."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update((block.model_dump_json() if isinstance(block, BaseModel) else repr(block)).encode() + b"\0")
    for path in files:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Origin(BaseModel):
    """Where a network's weights come from; lies in their file and in the graph."""

    corpora: tuple[str, ...]
    """Trained on."""
    pairing: str = "none"
    """Whether voices and faces of different recordings were joined into artificial clips."""
    face_weights: str | None = None
    """The face-recognition weights that the face network started from: name and sha256."""
    voice_weights: str | None = None
    """The speaker-recognition weights that the voice started from: name and sha256."""
    start: Lineage = ()
    """The earlier trainings that this one went on from."""


def keys_of_branch(name: ModalityName, weights: Mapping[str, Tensor]) -> list[str]:
    """The names of the weights that belong to a modality's branch."""
    return [key for key in weights if name in key.split(".")]


def init_face(network: EmotionNet, name: str) -> str | None:
    """Start the face network from the weights `name` below MMER_MIRROR, if they are there; returns their name and
    sha256, None where the network has no face or starts from nothing.
    """
    from mmer.model.pretrained import start_from

    if "face" not in network.modalities:
        return None
    path = face_weights(name)
    if path is None:
        print(f"train.face_weights: there is no {name} below MMER_MIRROR; the face network starts from nothing")
        return None
    start_from(network.branch["face"], path)
    return f"{name} sha256:{sha256(path)}"


def init_voice(network: EmotionNet, name: str) -> str | None:
    """Start the voice's LSTMs from a speaker encoder's, if its package is installed; returns its name and sha256, None
    where the network has no voice or starts from nothing.
    """
    from mmer.model.pretrained import start_voice

    if "voice" not in network.modalities:
        return None
    path = voice_weights(name)
    if path is None:
        print(f"train.voice_weights: the package {name} is not installed; the voice starts from nothing")
        return None
    start_voice(network, path)
    return f"{name} sha256:{sha256(path)}"


def init_from(network: EmotionNet, path: Path) -> Lineage:
    """Start the branches that an earlier training has in the same shape from its weights; returns it and those before
    it, none where there is nothing at `path`.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        print(f"train.init_from: there is no {path}; the network starts without it")
        return ()
    earlier, own = load_file(path), network.state_dict()  # whatever else that network had is not asked
    taken = []
    for name in network.modalities:
        mine = keys_of_branch(name, own)
        # A head for valence and arousal is learnt anew where that training had none.
        mine = [key for key in mine if key in earlier or not key.startswith("fusion.affect.")]
        if all(key in earlier and earlier[key].shape == own[key].shape for key in mine):
            own |= {key: earlier[key] for key in mine}
            taken.append(name)
    network.load_state_dict(own)
    origin = read_origin(path)
    return Ancestor(branches=tuple(taken), weights=sha256(path)[:12], corpora=origin.corpora), *origin.start


def teacher(path: Path, given: Input) -> tuple[EmotionNet, Lineage]:
    """The network that teaches another one of this `input`, and where it comes from.

    Raises:
        WeightsError: there is none, or what it is given is of other sizes.
    """
    from mmer.model.pretrained import WeightsError

    if not path.is_file():
        raise WeightsError(f"train.taught_by: there is no {path}")
    network, origin = load_network(path), read_origin(path)
    if network.input != given:
        raise WeightsError(f"train.taught_by: {path} was trained with another `input`: {network.input!r}")
    taught = Ancestor(branches=(), weights=sha256(path)[:12], corpora=origin.corpora, teacher=True)
    return network.requires_grad_(False), (taught, *origin.start)


def affect_of(path: Path) -> tuple[ModalityName, ...]:
    """The modalities with which the network in a file says valence and arousal; none where there is no file."""
    from safetensors import safe_open

    if not path.is_file():
        return ()
    with safe_open(path, "pt") as file:
        return tuple(json.loads(file.metadata().get("affect", "[]")))


def face_weights(name: str) -> Path | None:
    """Where the weights lie that a face network may start from; None where they are not."""
    path = Path(os.environ.get("MMER_MIRROR", "")) / name
    return path if path.is_file() else None


def voice_weights(name: str) -> Path | None:
    """Where the weights lie that come with the package; None where it is not installed. It is not imported."""
    found = find_spec(name)
    path = Path(found.origin).with_name("pretrained.pt") if found is not None and found.origin else Path()
    return path if path.is_file() else None


def save_network(network: EmotionNet, path: Path, origin: Origin) -> None:
    """Write weights and, in the file's metadata, all that is needed to build the network again: the same bytes for the
    same network.
    """
    from safetensors.torch import save

    about = {
        "input": network.input.model_dump_json(),
        "model": network.model.model_dump_json(),
        "modalities": json.dumps(network.modalities),
        **({"affect": json.dumps(network.affect)} if network.affect else {}),
        "origin": origin.model_dump_json(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = save({k: v.contiguous() for k, v in network.state_dict().items()}, about)
    # safetensors writes the metadata in an order that is another one each time.
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:end])
    header["__metadata__"] = about
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(end - 8)
    path.write_bytes(whole[:8] + text + whole[end:])


def load_network(path: Path) -> EmotionNet:
    """The network of a file that `save_network` wrote, in evaluation mode."""
    import torch
    from safetensors import safe_open

    from mmer.model.fusion import LateFusion
    from mmer.model.network import EmotionNet

    with safe_open(path, "pt") as file:
        about = file.metadata()
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
    input = Input.model_validate_json(about["input"])
    model = Model.model_validate(renamed(json.loads(about["model"])))
    network = EmotionNet(input, model, json.loads(about["modalities"]), affect=json.loads(about.get("affect", "[]")))
    if isinstance(network.fusion, LateFusion):
        weights.setdefault("fusion.say", torch.ones(len(MODALITIES)))  # files of before it was learnt
    network.load_state_dict(weights)
    return network.eval()


def read_origin(path: Path) -> Origin:
    """Where the weights in a file that `save_network` wrote come from."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return Origin.model_validate_json(file.metadata()["origin"])


def code() -> list[Path]:
    """The files of this package that decide the weights, in order."""
    package = Path(__file__).parents[1]
    return sorted(path for name in CODE for path in package.glob(name) if path.name not in COUNTERS)


def data_key(params: Params, manifest: Path, clips: Sequence[Clip], processed: Path) -> str:
    """Key of everything that decides a training but its hyperparameters: data, sizes of the network, code."""
    samples = [processed / c.sample for c in clips if c.split in ("train", "val")]
    trainings = [params.train, *(params.train.of_branch(name) for name in params.train.branches)]
    given = [face_weights(t.face_weights) for t in trainings if t.face_weights]
    given += [voice_weights(t.voice_weights) for t in trainings if t.voice_weights]
    given += [Path(name) for t in trainings for name in (t.init_from, t.taught_by) if name]
    if any(t.taught for t in trainings):
        given.append(processed.with_name(TEACHER))
    files = [manifest, *code(), *samples, *(path for path in given if path and path.is_file())]
    return fingerprint([params.seed, params.input, params.model, params.media], files)


def checkpoint_of(key: str, params: Params, seed: int) -> Path:
    """Where the training with this `model` and `train` keeps its checkpoint."""
    return WORK / "checkpoints" / f"{fingerprint([key, params.model, params.train, seed], [])}.ckpt"


def forget(checkpoint: Path) -> None:
    """Remove the checkpoint of a training that is done, also those of branches trained apart."""
    for path in checkpoint.parent.glob(f"{checkpoint.stem}*.ckpt"):
        path.unlink()
