"""Where a training runs: one device or several, by Lightning Fabric.

On several, each has a process of its own, which takes its share of every batch; gradients are averaged
(DistributedDataParallel, Li et al. 2020, arXiv:2006.15704), so that all hold the same weights.
"""

from __future__ import annotations

import ctypes
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from mmer.config import Train
from mmer.errors import MmerError
from mmer.model.network import Batch, EmotionNet
from mmer.training.losses import batch_loss

MAPPED_BLOCKS, FREE_AT_THE_END = -4, -1
"""glibc's M_MMAP_MAX, how many blocks may have pages of their own, and M_TRIM_THRESHOLD, how many bytes may be free
before some are given back (mallopt(3))."""


class DevicesError(MmerError):
    """There are not so many devices; the message says how many there are."""


def one(train: Train) -> Fabric:
    """One device, in this process: a GPU where there is one."""
    return Fabric(accelerator="auto", devices=1, precision=_precision(train))


def launch(train: Train) -> Fabric:
    """The devices of `train.devices`. Where they are several, the command that this process was begun with runs once
    more for each further one; of these only the first (`is_global_zero`) is to write and log.

    Raises:
        DevicesError: there are fewer GPUs.
    """
    gpus = torch.cuda.device_count()
    count = (gpus or 1) if train.devices == "auto" else train.devices
    if gpus and count > gpus:
        raise DevicesError(f"train.devices is {count}, and there are {gpus} GPUs: lower it, or set auto")
    if count == 1:
        return one(train)
    # A batch may hold no clip with a face, say: then a branch is not used.
    strategy = DDPStrategy(find_unused_parameters=True)
    kind = "cuda" if gpus else "cpu"
    fabric = Fabric(accelerator=kind, devices=count, strategy=strategy, precision=_precision(train))
    fabric.launch()
    return fabric


def keep_memory() -> None:
    """Have this process use the memory again that it frees. By default glibc gives large blocks back at once, and takes
    others for the next layer and batch, whose pages the kernel has to clear: a fifth of a training on a CPU. Nothing
    happens where the C library is another.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MAPPED_BLOCKS, 0)
        library.mallopt(FREE_AT_THE_END, 2**31 - 1)


def _precision(train: Train) -> Literal["32-true", "bf16-mixed"]:
    if train.precision != "auto":
        return train.precision
    return "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "32-true"


class Update(nn.Module):
    """What there is to compute before weights are changed, as one call: that is what gradients are averaged over."""

    def __init__(self, network: EmotionNet, train: Train, weights: Tensor) -> None:
        super().__init__()
        self.network, self._settings, self._weights = network, train, weights

    def forward(self, before: Tensor | None, **batch: Tensor) -> tuple[Tensor, Tensor]:
        """`batch_loss` of the tensors of a `Batch`."""
        return batch_loss(self.network, Batch(**batch), before, self._settings, self._weights)
