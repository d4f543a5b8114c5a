"""PReLU in operations that onnxruntime computes fast: for the exporters of the network and of the detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def vectorise(network: nn.Module, *, exact: bool) -> None:
    """Put operations in place of each PReLU, since onnxruntime's own takes two fifths of a pass through MobileFaceNet
    (docs/budgets.md).

    Args:
        exact: the same to the last bit. Else the same but for rounding, in operations that onnxruntime computes in the
            layout of its convolutions, which is faster still.
    """
    import torch
    from torch import nn

    class Rectifier(nn.Module):
        def __init__(self, original: nn.PReLU) -> None:
            super().__init__()
            self.slope = original.weight.detach()
            self.bends_up = bool((self.slope <= 1).all())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            slope = self.slope.view(-1, *[1] * (x.dim() - 2))
            if not self.bends_up:
                positive = x.relu()
                return positive + slope * (x - positive)
            return torch.maximum(x, slope * x) if exact else slope * x + ((1 - slope) * x).relu()

    for parent in list(network.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.PReLU):
                setattr(parent, name, Rectifier(module))
