"""Starting the face network from face-recognition weights: those of GitHub foamliu/MobileFaceNet (Apache-2.0; ArcFace
on MS-Celeb-1M), a plain state dict. They are looked for, never required, and never shipped.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from mmer.errors import MmerError
from mmer.model.mobilefacenet import BOTTLENECKS, MobileFaceNet

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


class WeightsError(MmerError):
    """The weights do not fit; the message says why."""


def start_from(network: nn.Module, path: Path) -> None:
    """Load face-recognition weights into a MobileFaceNet of width 1 and any input size, in place.

    Two differences are taken care of here: theirs were trained on pictures normalised by ImageNet's mean and deviation,
    which goes into the first layer; and on 112 pixels, so that the last depthwise kernel [7, 7] is averaged to the size
    that this network's has. One is left to the training: they have ReLU6 where the paper and we have PReLU, which
    starts as a plain ReLU.

    Raises:
        WeightsError: the file holds other weights, or the network is another or has another width.
    """
    if not isinstance(network, MobileFaceNet):
        raise WeightsError(f"{path} is of a MobileFaceNet: leave train.face_weights empty, or choose that face.kind")
    try:
        given: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        mapped = _mapped(given, network.side)
        missing = network.load_state_dict(mapped, strict=False)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path} does not fit a MobileFaceNet of width 1 and embedding 128: {str(error).splitlines()[0]}"
        ) from None
    slopes = [name for name, _ in network.named_parameters() if name in missing.missing_keys]
    for name in slopes:
        network.get_parameter(name).data.zero_()


def _mapped(given: dict[str, Tensor], side: int) -> dict[str, Tensor]:
    """Their names to ours."""
    out: dict[str, Tensor] = {}

    def take(ours: str, convolution: str, norm: str) -> None:
        out[f"{ours}.0.weight"] = given[f"{convolution}.weight"]
        for part in BATCH_NORM:
            out[f"{ours}.1.{part}"] = given[f"{norm}.{part}"]

    take("features.0", "conv1.0", "conv1.1")
    take("features.1", "dw_conv.depthwise", "dw_conv.bn1")
    take("features.2", "dw_conv.pointwise", "dw_conv.bn2")
    blocks = sum(repeats for _, _, repeats, _ in BOTTLENECKS)
    for i in range(blocks):
        for layer, norm in ((0, "0.1"), (1, "1.1")):
            take(f"features.{3 + i}.layers.{layer}", f"features.{i}.conv.{layer}.0", f"features.{i}.conv.{norm}")
        take(f"features.{3 + i}.layers.2", f"features.{i}.conv.2", f"features.{i}.conv.3")
    take(f"features.{3 + blocks}", "conv2.0", "conv2.1")

    kernel = given["gdconv.depthwise.weight"]
    out["embed.0.weight"] = adaptive_avg_pool2d(kernel, side) * (kernel.shape[-1] / side) ** 2
    out["embed.3.weight"] = given["conv3.weight"].flatten(1)
    for part in BATCH_NORM:
        out[f"embed.1.{part}"], out[f"embed.4.{part}"] = given[f"gdconv.bn.{part}"], given[f"bn.{part}"]
    out["embed.4.running_mean"] = given["bn.running_mean"] - given["conv3.bias"]

    # Theirs: (p / 255 - mean) / deviation; ours: y = p / 127.5 - 1. So theirs is (y / 2 + 0.5 - mean) / deviation.
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
    first = given["conv1.0.weight"]
    out["features.0.0.weight"] = first / (2 * deviation)
    shift = (first * ((0.5 - mean) / deviation)).sum((1, 2, 3))
    out["features.0.1.running_mean"] = given["conv1.1.running_mean"] - shift
    return out
