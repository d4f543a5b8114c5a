"""The small graph: weights as int8, and everything computed in float32 as before.

A weight is a whole number of -127..127 times the scale of its output channel; what nobody learnt (the Fourier transform
of the log-mel frontend) is kept as float16. onnxruntime multiplies them out once, when it opens the file, so that a
pass costs what one of `mmer.onnx` costs, on every machine, and nothing has to be calibrated.
docs/measurements/budgets.md compares it with quantising the activations too.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

LEAST = 1024
"""Arrays of fewer numbers stay as they are: they weigh next to nothing."""


def quantise(path: Path, out: Path) -> None:
    """Write a graph of `mmer.packaging.export` anew with small weights; its metadata says `weights: int8`."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    large = {i.name: i for i in graph.initializer if i.data_type == onnx.TensorProto.FLOAT and _counts(i.dims)}
    nodes = []
    for node in graph.node:
        for name, axis in _weights(node):
            if name not in large:
                continue
            weight = large.pop(name)
            whole, scale = _rounded(numpy_helper.to_array(weight), axis)
            graph.initializer.remove(weight)
            graph.initializer.append(numpy_helper.from_array(whole, f"{name}_int8"))
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [name], axis=axis))
        value = next((a.t for a in node.attribute if a.name == "value"), None) if node.op_type == "Constant" else None
        if value is not None and value.data_type == onnx.TensorProto.FLOAT and _counts(value.dims):
            name = node.output[0]
            half = numpy_helper.to_array(value).astype(np.float16)
            graph.initializer.append(numpy_helper.from_array(half, f"{name}_half"))
            nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    for entry in model.metadata_props:
        if entry.key == "mmer":
            entry.value = json.dumps(json.loads(entry.value) | {"weights": "int8"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, out)


def _counts(shape: Any) -> bool:
    return len(shape) > 1 and math.prod(shape) >= LEAST


def _weights(node: Any) -> list[tuple[str, int]]:
    """The inputs of a node that are weights, and the axis of each on which its output channels lie."""
    if node.op_type == "Conv":
        return [(node.input[1], 0)]
    if node.op_type == "MatMul":
        return [(node.input[1], 1)]
    if node.op_type == "Gemm":
        return [(node.input[1], 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1)]
    if node.op_type in ("LSTM", "GRU"):
        return [(name, 1) for name in node.input[1:3]]
    return []


def _rounded(weight: Any, axis: int) -> tuple[Any, Any]:
    """A weight as int8, and float32 [channels] to multiply it by; a channel of nothing but zeros has scale 1."""
    others = tuple(k for k in range(weight.ndim) if k != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale.ravel()
