"""What a network costs: its parameters, and the multiply-adds of a second of live input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmer.labels import MODALITIES
from mmer.model.network import EmotionNet
from mmer.model.voice import MelBank


@dataclass(frozen=True)
class Cost:
    """Of a network or a part of it."""

    parameters: int
    """Learnt numbers; a fixed filter bank has none."""
    macs_per_s: float
    """Multiply-adds of convolutions and matrix products for a second of input in which every step holds all
    modalities, given step by step as a live stream is."""
    by_branch: Mapping[str, Cost]
    """face, scene and voice, as far as the network has them, and `fusion`: what joins them. Of a part: none."""


def cost(network: EmotionNet) -> Cost:
    """Count what a network does with one step, left in evaluation mode."""
    face, scene = network.input.face_size, network.input.scene_size
    step = (
        torch.zeros(1, 1, face, face, 3, dtype=torch.uint8),
        torch.zeros(1, 1, scene, scene, 3, dtype=torch.uint8),
        torch.zeros(1, 1, network.window),
        torch.ones(1, 1, len(MODALITIES)),
        network.start(1),
    )
    parts: dict[str, list[nn.Module]] = {m: [network.branch[m], network.norm[m]] for m in network.modalities}
    parts["fusion"] = [network.fusion]
    names = {f"EmotionNet.branch.{m}": m for m in network.modalities} | {"EmotionNet.fusion": "fusion"}
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: _lstm_flops})
    with torch.no_grad(), counter, _as_exported(network):
        network.eval()(*step)
    counted = counter.get_flop_counts()
    macs = {name: sum(counted.get(path, {}).values()) / 2 / network.input.step_s for path, name in names.items()}
    branches = {
        name: Cost(sum(p.numel() for m in modules for p in m.parameters()), macs[name], {})
        for name, modules in parts.items()
    }
    return Cost(
        sum(part.parameters for part in branches.values()),
        sum(part.macs_per_s for part in branches.values()),
        branches,
    )


@contextmanager
def _as_exported(network: EmotionNet) -> Iterator[None]:
    """What is computed is what the graph computes, which is what runs."""
    banks = [module for module in network.modules() if isinstance(module, MelBank)]
    for bank in banks:
        bank.as_exported = True
    try:
        yield
    finally:
        for bank in banks:
            bank.as_exported = False


def _lstm_flops(steps: Any, weights_in: Any, weights_again: Any, *_: Any, **__: Any) -> int:
    """Of torch's LSTM on a CPU, which the counter does not know, from the shapes of what it is given."""
    length, batch, _ = steps
    return int(2 * length * batch * (math.prod(weights_in) + math.prod(weights_again)))
