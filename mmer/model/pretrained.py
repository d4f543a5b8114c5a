"""Starting from weights that learnt something else. They are looked for, never required, and never shipped.

Faces: face recognition, GitHub foamliu/MobileFaceNet (Apache-2.0; ArcFace on MS-Celeb-1M), a plain state dict. Voices:
speaker recognition, the package Resemblyzer (Apache-2.0; GE2E, Wan et al. 2018, arXiv:1710.10467, on VoxCeleb 1 and 2
and LibriSpeech), whose LSTM is causal.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from torchaudio.functional import melscale_fbanks

from mmer.config import SPEAKER_BANDS
from mmer.errors import MmerError
from mmer.model.fusion import LateFusion
from mmer.model.mobilefacenet import BOTTLENECKS, MobileFaceNet
from mmer.model.network import EmotionNet
from mmer.model.temporal import LSTM, FramesThenSteps
from mmer.runtime.grid import SAMPLE_RATE

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Of an LSTM, as torch names them."""
SPEAKER_SIZE, SPEAKER_LAYERS = 256, 3
"""Of the speaker encoder's LSTMs."""
SPEAKER_GAIN_DB = 1.0
"""It knows voices at -30 dB of full scale; a voice whose level is followed (`input.level`) lies at -25 (median of the
training corpora's clips), and yet is told apart better louder than that: docs/measurements/voices.md."""


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


def start_voice(network: EmotionNet, path: Path) -> None:
    """Load a speaker encoder's lower LSTMs into what gathers the evidence of a voice's mel energies, in place.

    The first must have its size; one above it may be smaller, and gets the units that the encoder's own next layer
    listens to most. Two differences are taken care of here: the encoder was trained on mel bands that are each divided
    by their width, which goes into the first layer's weights, as does the level; and it knows nothing of the last
    input, which says whether there is a voice: that one's weights are zero at first.

    Raises:
        WeightsError: the file holds other weights, or the network is another.
    """
    fusion = network.fusion
    temporal = fusion.temporal["voice"] if isinstance(fusion, LateFusion) else fusion.temporal
    layers = list(temporal.layers) if isinstance(temporal, FramesThenSteps) else []
    lstms = [layer.lstm for layer in layers if isinstance(layer, LSTM)]
    sizes = [lstm.hidden_size for lstm in lstms]
    if not 1 <= len(lstms) <= SPEAKER_LAYERS or sizes[0] != SPEAKER_SIZE or max(sizes) > SPEAKER_SIZE:
        raise WeightsError(
            "train.voice_weights are those of LSTMs on mel energies: set model.voice to frontend: mel, blocks: none, "
            f"and of its temporal below: [{SPEAKER_SIZE}, ...], up to {SPEAKER_LAYERS} of at most that"
        )
    try:
        given: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        inputs = torch.arange(SPEAKER_BANDS)
        for k, lstm in enumerate(lstms):
            into, again, *biases = (given[f"lstm.{name}_l{k}"] for name in PARTS)
            heard_above = (
                given[f"lstm.weight_ih_l{k + 1}"].norm(dim=0) if k + 1 < SPEAKER_LAYERS else torch.ones(SPEAKER_SIZE)
            )
            units = heard_above.argsort(descending=True, stable=True)[: lstm.hidden_size].sort().values
            gates = (units + SPEAKER_SIZE * torch.arange(4).unsqueeze(1)).flatten()
            into = into[gates][:, inputs] * (_band_gains() if k == 0 else 1)
            seen = torch.zeros(len(gates), lstm.input_size - into.shape[1])
            parts = torch.cat([into, seen], 1), again[gates][:, units], *(bias[gates] for bias in biases)
            lstm.load_state_dict({f"{name}_l0": part for name, part in zip(PARTS, parts, strict=True)})
            inputs = units
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{path} does not hold the weights of Resemblyzer: {str(error).splitlines()[0]}") from None


def _band_gains() -> Tensor:
    """What the energies of our mel bands must be multiplied by to be those that the speaker encoder knows: [40]."""
    ours, theirs = (
        melscale_fbanks(SAMPLE_RATE // 80 + 1, 0.0, SAMPLE_RATE / 2, SPEAKER_BANDS, SAMPLE_RATE, norm, "slaney").amax(0)
        for norm in (None, "slaney")
    )
    gains: Tensor = theirs / ours * 10 ** (SPEAKER_GAIN_DB / 10)
    return gains
