"""The model's graph, `mmer.onnx`: where it is found, what its metadata says, and one forward pass through it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from pydantic import BaseModel, ConfigDict, ValidationError

from mmer.errors import MmerError
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.runtime.config import Faces, Input, Media, Shown
from mmer.runtime.lineage import Lineage
from mmer.runtime.spec import INPUT_OF, GraphSpec, outputs
from mmer.runtime.types import Arrays

GRAPH = "mmer.onnx"
SMALL_GRAPH = "mmer.int8.onnx"
ONNX_TYPES = {np.uint8: "tensor(uint8)", np.float32: "tensor(float)"}
HOW_TO_GET = "Make one with `make repro`, then name it: `--model models`, or MMER_MODEL=models."


class ModelError(MmerError):
    """There is no model, or what is there cannot be used; the message says which file, what is wrong, what to do."""


class ModelInfo(BaseModel):
    """What a model says of itself, from the metadata in its graph."""

    model_config = ConfigDict(frozen=True)

    labels: tuple[str, ...]
    input: Input
    media: Media
    faces: Faces
    modalities: tuple[ModalityName, ...]
    """Those it was trained on; the others are never shown to it."""
    affect: tuple[ModalityName, ...] = ()
    """Those of which valence and arousal were told in training: where one of them is present, it says these two too.
    None: it knows nothing of them, and no answer names them."""
    version: str
    git: str
    status: Literal["experiment", "candidate", "release"]
    corpora: tuple[str, ...]
    drawings: bool
    """Trained on drawn people only: no evidence about real ones."""
    partly_drawn: bool
    """Trained on drawn people among others."""
    pairing: str
    """`label`, `speaker`: also trained on artificial clips, the voice of one recording with the face of another, of
    another person or of the same."""
    face_weights: str | None
    """Face-recognition weights that the face network started from."""
    voice_weights: str | None = None
    """Speaker-recognition weights that the voice started from."""
    start: Lineage = ()
    """The earlier trainings that its weights went on from, the newest first: the `branches` that were taken, the sha256
    of the `weights`, their `corpora`.
    """
    licence: str
    shown: Shown | None = None
    """How sure what is shown live may be; None: as sure as the network is."""
    weights: Literal["float32", "int8"] = "float32"
    """How the graph stores what was learnt; it computes in float32."""

    @property
    def id(self) -> str:
        """What a calibration is of: the same for the same network, however its weights are stored and it is used."""
        known = self.model_dump_json(exclude={"media", "faces", "weights"})
        return hashlib.sha256(known.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """What a reader of results needs to know."""
        info = self.model_dump(mode="json", exclude={"input", "media", "faces", "shown"})
        if not self.affect:
            del info["affect"]
        return {"id": self.id, **info, "step_s": self.input.step_s}


class Graph:
    """`mmer.onnx`, open: call it to make a pass. Safe to share between threads."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Open the file and make sure that it is what its metadata says.

        Raises:
            ModelError: it is no graph of this project.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False  # one would be kept for each number of people and steps
        # int8 weights are multiplied out once, here, and not in each pass.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise ModelError(f"{path} is no graph that onnxruntime opens: {error}") from None
        self.path, self.info = path, _read_info(self.session, path)
        ports = {port.name: port for port in self.session.get_inputs()}
        self.inputs = frozenset(ports)
        """A graph of a model that was not trained on a modality may lack that input."""
        self.state_size = int(ports["state"].shape[1])
        self._outputs = outputs(affect=bool(self.info.affect))

    def __call__(self, arrays: Arrays) -> Arrays:
        """One forward pass (`mmer.runtime.spec.GraphSpec`)."""
        found = self.session.run(self._outputs, {name: array for name, array in arrays.items() if name in self.inputs})
        return dict(zip(self._outputs, found, strict=True))


def find_model(path: Path | str | None = None) -> Path:
    """The model's graph; the folder it lies in is the model's.

    It is the one named or that of the folder named, else of `$MMER_MODEL`, else the default one: of `release/` here, of
    `release/` in the repository, or of the installed package, whichever is there. The name of a graph that is not here
    (`mmer.int8.onnx`) means that graph of the default model.

    Raises:
        ModelError: there is none.
    """
    named = path or os.environ.get("MMER_MODEL")
    if named and Path(named).is_dir():
        return Path(named) / GRAPH
    if named and Path(named).is_file():
        return Path(named)
    if named and str(named) not in (GRAPH, SMALL_GRAPH):
        raise ModelError(f"{named} is no folder and no graph, so no model. {HOW_TO_GET}")
    package = Path(__file__).resolve().parents[1]
    for home in (Path(), package.parent, package):
        found = home / "release" / (named or GRAPH)
        if found.is_file():
            return found
    raise ModelError(f"no model is named and there is no release/{named or GRAPH}. {HOW_TO_GET}")


def _read_info(graph: onnxruntime.InferenceSession, path: Path) -> ModelInfo:
    """The metadata of a graph, once it is sure that the graph is what the metadata says."""
    text = graph.get_modelmeta().custom_metadata_map.get("mmer")
    if text is None:
        raise ModelError(f"{path} has no metadata under the key 'mmer': it is no graph of this project. {HOW_TO_GET}")
    try:
        info = ModelInfo.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
        raise ModelError(
            f"the metadata in {path} is of another version of mmer: {wrong}. Package the model anew"
        ) from None
    if info.labels != EMOTIONS:
        raise ModelError(f"{path} tells apart {', '.join(info.labels)}; this version knows {', '.join(EMOTIONS)}")
    spec, ports = GraphSpec.of(info.input), {port.name: port for port in graph.get_inputs()}
    unused = {INPUT_OF[name] for name in MODALITIES if name not in info.modalities}
    for wanted in spec.inputs:
        port = ports.get(wanted.name)
        if port is None and wanted.name in unused:
            continue
        if port is None or port.type != ONNX_TYPES[wanted.dtype] or not _fits(port.shape, wanted.shape):
            found = "is missing" if port is None else f"is {port.type} {port.shape}"
            raise ModelError(f"{path} is no graph of this project: its input {wanted.name!r} {found}. {HOW_TO_GET}")
    missing = set(outputs(affect=bool(info.affect))) - {port.name for port in graph.get_outputs()}
    if missing:
        raise ModelError(
            f"{path} is no graph of this project: it gives no {' and no '.join(sorted(missing))}. {HOW_TO_GET}"
        )
    return info


def _fits(found: Sequence[int | str | None], wanted: Sequence[int | str]) -> bool:
    """Whether a shape is as wanted: a number is that number; K is some number; B and T are free."""
    return len(found) == len(wanted) and all(
        isinstance(f, int) if w == "K" else not isinstance(f, int) if isinstance(w, str) else f == w
        for f, w in zip(found, wanted, strict=True)
    )
