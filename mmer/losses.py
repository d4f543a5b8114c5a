"""What a training minimises: cross-entropy against a distribution over the emotions, plain or weighted in two ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmer.clips import Clip
from mmer.labels import EMOTIONS

if TYPE_CHECKING:
    from torch import Tensor

FOCUS = 2.0
"""Of the focal loss: the paper's gamma."""


def clip_losses(logits: Tensor, target: Tensor, *, kind: str, smoothing: float, weights: Tensor) -> Tensor:
    """The loss of each clip: [n, 7], [n, 7] → [n].

    Args:
        target: distributions over EMOTIONS.
        kind: `cross_entropy`; `balanced`, in which an emotion counts by `weights`; or `focal`, in which it counts the
            less the surer the network is of it already (Lin et al. 2017, arXiv:1708.02002).
        smoothing: share of each target that is spread evenly over the emotions (Szegedy et al. 2016, arXiv:1512.00567).
        weights: [7], see `emotion_weights`.
    """
    chances = logits.log_softmax(-1)
    wanted = target * (1 - smoothing) + smoothing / len(EMOTIONS)
    if kind == "balanced":
        wanted = wanted * weights
    elif kind == "focal":
        wanted = wanted * (1 - chances.exp()) ** FOCUS
    return -(wanted * chances).sum(-1)


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """How much two answers to the same clips differ, [n, 7], [n, 7] → [n]: the mean of the Kullback-Leibler divergences
    in both directions (as in R-Drop, Liang et al. 2021, arXiv:2106.14448).
    """
    a, b = one.log_softmax(-1), other.log_softmax(-1)
    return ((a.exp() - b.exp()) * (a - b)).sum(-1) / 2


def emotion_weights(clips: Sequence[Clip]) -> Tensor:
    """For each emotion [7] the weight that makes all that there are count alike, 1 on average over the clips; 0 for one
    that is not there.
    """
    import torch

    counts = Counter(clip.label for clip in clips)
    even = len(clips) / len(counts)
    return torch.tensor([even / counts[e] if e in counts else 0.0 for e in EMOTIONS])
