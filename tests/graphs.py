"""A small model that follows the contract of `mmer.onnx` but learned nothing: what tests of the runtime, the command
line and the service run on. Its state sums up everything it is shown, so that whatever is lost, seen twice or seen in
another order between a clip and a stream changes every later step. Beside it, a few drawn clips to try it on.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mmer.data.demo.corpus import draw_corpus
from mmer.labels import EMOTIONS, MODALITIES
from mmer.packaging.detector import export_detector
from mmer.runtime.config import Faces, Input, Media
from tests.shared import made_once


def write_model(folder: Path, **metadata: Any) -> Path:
    """Write `mmer.onnx` and `detector/` into a folder; keywords replace entries of the metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(detector(), folder / "detector")
    return write_graph(folder, **metadata)


def write_graph(folder: Path, **metadata: Any) -> Path:
    """Write `mmer.onnx` alone."""
    given = Input(**metadata.get("input", {}))
    about = {
        "labels": EMOTIONS,
        "input": given.model_dump(),
        "media": Media().model_dump(),
        "faces": Faces().model_dump(),
        "modalities": MODALITIES,
        "version": "0.0.0",
        "git": "0000000",
        "corpora": ["demo"],
        "status": "experiment",
        "drawings": True,
        "partly_drawn": True,
        "pairing": "none",
        "face_weights": None,
        "licence": "CC0-1.0",
        **metadata,
    }
    model = helper.make_model(
        _graph(given, affect="affect" in metadata), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    helper.set_model_props(model, {"mmer": json.dumps(about)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "mmer.onnx")
    return folder


def drawn_clips() -> dict[str, Path]:
    """One speaker's clip of each emotion: `neutral` hides the face in it, `angry` says nothing."""
    out = made_once("demo", lambda folder: draw_corpus(folder, speakers=1, takes=1, workers=1))
    return {emotion: out / "clips" / f"s01-{emotion}-1.mp4" for emotion in EMOTIONS}


def detector() -> Path:
    """MTCNN's three nets: exporting them takes seconds."""
    return made_once("detector", export_detector)


def _graph(given: Input, *, affect: bool) -> onnx.GraphProto:
    """logits = 2 sin(W h), h = state + running sum of [face RGB, scene RGB, voice level], each times its presence."""
    rng = np.random.default_rng(0)
    face, scene, width = given.face_size, given.scene_size, round(given.voice_window_s * 16_000)
    spread = np.zeros((3, 7), np.float32)  # from the three presences to the seven features
    spread[0, :3] = spread[1, 3:6] = spread[2, 6] = 1
    constants = {
        "white": np.float32(255),
        "two": np.float32(2),
        "ten": np.float32(10),
        "time": np.int64(1),
        "time_axis": np.array([1], np.int64),
        "modality_axis": np.array([2], np.int64),
        "last": np.array([-1], np.int64),
        "end": np.array([np.iinfo(np.int64).max], np.int64),
        "spread": spread,
        "weights": rng.normal(size=(7, 7)).astype(np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["faces"], ["faces_f"], to=TensorProto.FLOAT),
        node("Cast", ["scenes"], ["scenes_f"], to=TensorProto.FLOAT),
        node("ReduceMean", ["faces_f"], ["face_mean"], axes=[2, 3], keepdims=0),
        node("ReduceMean", ["scenes_f"], ["scene_mean"], axes=[2, 3], keepdims=0),
        node("Div", ["face_mean", "white"], ["face_rgb"]),
        node("Div", ["scene_mean", "white"], ["scene_rgb"]),
        node("Abs", ["voice"], ["voice_abs"]),
        node("ReduceMean", ["voice_abs"], ["voice_mean"], axes=[2], keepdims=1),
        node("Mul", ["voice_mean", "ten"], ["voice_level"]),
        node("Concat", ["face_rgb", "scene_rgb", "voice_level"], ["features"], axis=2),
        node("MatMul", ["present", "spread"], ["mask"]),
        node("Mul", ["features", "mask"], ["seen"]),
        node("CumSum", ["seen", "time"], ["sum"]),
        node("Unsqueeze", ["state", "time_axis"], ["before"]),
        node("Add", ["sum", "before"], ["hidden"]),
        node("MatMul", ["hidden", "weights"], ["angle"]),
        node("Sin", ["angle"], ["wave"]),
        node("Mul", ["wave", "two"], ["logits"]),
        node("LogSoftmax", ["logits"], ["chances"], axis=-1),
        node("Unsqueeze", ["chances", "modality_axis"], ["one"]),
        node("Concat", ["one", "one", "one"], ["alone"], axis=2),
        node("Slice", ["hidden", "last", "end", "time_axis"], ["newest"]),
        node("Squeeze", ["newest", "time_axis"], ["state_out"]),
    ]
    felt = []
    if affect:
        nodes += [node("Slice", ["wave", "first", "second", "modality_axis"], ["affect"])]
        constants |= {"first": np.array([0], np.int64), "second": np.array([2], np.int64)}
        felt = [helper.make_tensor_value_info("affect", TensorProto.FLOAT, ["B", "T", 2])]
    return helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("faces", TensorProto.UINT8, ["B", "T", face, face, 3]),
            helper.make_tensor_value_info("scenes", TensorProto.UINT8, ["B", "T", scene, scene, 3]),
            helper.make_tensor_value_info("voice", TensorProto.FLOAT, ["B", "T", width]),
            helper.make_tensor_value_info("present", TensorProto.FLOAT, ["B", "T", 3]),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["B", 7]),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", "T", 7]),
            helper.make_tensor_value_info("state_out", TensorProto.FLOAT, ["B", 7]),
            helper.make_tensor_value_info("alone", TensorProto.FLOAT, ["B", "T", 3, 7]),
            *felt,
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
