"""How much CPU a graph takes for live input: one core, step by step, as a stream runs it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

STEPS, ROUNDS = 25, 8


def live_ms(graph: Path) -> float:
    """CPU milliseconds of the graph alone for a second of live input in which face, scene and voice are all there.

    One thread, one step at a time with the state handed on. The fastest of eight rounds of 25 steps: what other work on
    the machine adds is not the graph's.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    sizes = json.loads(session.get_modelmeta().custom_metadata_map["mmer"])["input"]
    rng = np.random.default_rng(0)
    given = {}
    for tensor in session.get_inputs():
        shape = [side if isinstance(side, int) else 1 for side in tensor.shape]
        if tensor.type == "tensor(uint8)":
            given[tensor.name] = rng.integers(0, 256, shape, np.uint8)
        elif tensor.name == "voice":
            given[tensor.name] = rng.normal(0, 0.1, shape).astype(np.float32)
        else:
            given[tensor.name] = (np.ones if tensor.name == "present" else np.zeros)(shape, np.float32)

    def round_ms() -> float:
        started = time.process_time()
        for _ in range(STEPS):
            given["state"] = session.run(["state_out"], given)[0]
        return (time.process_time() - started) / STEPS * 1000

    round_ms()
    return min(round_ms() for _ in range(ROUNDS)) / float(sizes["step_s"])
