"""The tensors of /infer: from the safetensors format, checked against what the graph takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mmer.labels import MODALITIES
from mmer.recognizer import Arrays, Graph
from mmer.samples import SAMPLE_RATE
from mmer.serving.openapi import MAX_BATCH, MAX_STEPS
from mmer.serving.protocol import Refusal


def read_tensors(body: bytes, graph: Graph) -> Arrays:
    """The arrays of a pass.

    Raises:
        Refusal: `bad_tensors`, which names the tensor and what it must be.
    """
    try:
        given: dict[str, npt.NDArray[Any]] = load(body)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise Refusal("bad_tensors", f"the body is not in the safetensors format: {error}") from None
    info = graph.info
    face, scene = info.input.face_size, info.input.scene_size
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "faces": (np.uint8, (face, face, 3)),
        "scenes": (np.uint8, (scene, scene, 3)),
        "voice": (np.float32, (round(info.input.voice_window_s * SAMPLE_RATE),)),
        "present": (np.float32, (len(MODALITIES),)),
    }
    if "present" not in given or given["present"].ndim != 3:
        raise Refusal("bad_tensors", "present is missing, or not float32 [B, T, 3]")
    batch, steps = given["present"].shape[:2]
    if not (1 <= batch <= MAX_BATCH and 1 <= steps <= MAX_STEPS):
        raise Refusal("bad_tensors", f"B is {batch} and T {steps}: at most {MAX_BATCH} and {MAX_STEPS}, at least 1")
    given.setdefault("state", np.zeros((batch, graph.state_size), np.float32))
    wanted = {name: (kind, (batch, steps, *shape)) for name, (kind, shape) in shapes.items() if name in graph.inputs}
    wanted["state"] = (np.float32, (batch, graph.state_size))
    wanted["present"] = (np.float32, (batch, steps, len(MODALITIES)))
    for name, (kind, shape) in wanted.items():
        found = given.get(name)
        if found is None or found.dtype != kind or found.shape != shape:
            was = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise Refusal("bad_tensors", f"{name} must be {np.dtype(kind)} {list(shape)}; it is {was}")
        if found.dtype == np.float32 and not np.isfinite(found).all():
            raise Refusal("bad_tensors", f"{name} holds numbers that are not finite")
    return {name: given[name] for name in wanted}


def write_tensors(found: Arrays) -> bytes:
    """What a pass gave."""
    return bytes(save({name: np.ascontiguousarray(found[name]) for name in ("logits", "state_out", "alone")}))
