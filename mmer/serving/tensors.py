"""The tensors of /infer: from the safetensors format, checked against what the graph takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mmer.runtime.graph import Graph
from mmer.runtime.spec import GraphSpec
from mmer.runtime.types import Arrays
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
    if "present" not in given or given["present"].ndim != 3:
        raise Refusal("bad_tensors", "present is missing, or not float32 [B, T, 3]")
    batch, steps = given["present"].shape[:2]
    if not (1 <= batch <= MAX_BATCH and 1 <= steps <= MAX_STEPS):
        raise Refusal("bad_tensors", f"B is {batch} and T {steps}: at most {MAX_BATCH} and {MAX_STEPS}, at least 1")
    given.setdefault("state", np.zeros((batch, graph.state_size), np.float32))
    free = {"B": batch, "T": steps, "K": graph.state_size}
    wanted = [tensor for tensor in GraphSpec.of(graph.info.input).inputs if tensor.name in graph.inputs]
    for tensor in wanted:
        name, kind, shape = tensor.name, tensor.dtype, tensor.sizes(**free)
        found = given.get(name)
        if found is None or found.dtype != kind or found.shape != shape:
            was = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise Refusal("bad_tensors", f"{name} must be {np.dtype(kind)} {list(shape)}; it is {was}")
        if found.dtype == np.float32 and not np.isfinite(found).all():
            raise Refusal("bad_tensors", f"{name} holds numbers that are not finite")
    return {tensor.name: given[tensor.name] for tensor in wanted}


def write_tensors(found: Arrays) -> bytes:
    """What a pass gave."""
    return bytes(save({name: np.ascontiguousarray(array) for name, array in found.items()}))
