"""PReLU (He et al. 2015, arXiv:1502.01852) with a gradient that a CPU computes fast.

torch's own goes through memory one number at a time and back once more for the slopes' sum: a third of a training of
MobileFaceNet (docs/measurements/training.md). Here it is computed piece by piece, in vector instructions and within the
cache. All is the same to the last bit but the slopes' gradient, which is summed in another order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

PIECE = 1 << 16
"""Numbers that are in hand at once, for each thread: with what is made of them they fill a core's cache (1 MB)."""


class PReLU(nn.PReLU):
    """torch's, of float [N, C, H, W] whose channels are last on a CPU with the gradient of this file, else its own."""

    def forward(self, x: Tensor) -> Tensor:
        ours = (
            self.training
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype
            and x.dim() == 4
            and x.is_contiguous(memory_format=torch.channels_last)
            and not torch.compiler.is_compiling()
        )
        if not ours:
            return super().forward(x)
        y: Tensor = _ByPieces.apply(x, self.weight)
        return y


class _ByPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return nn.functional.prelu(x, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor]:
        """Where x is positive what comes from above, elsewhere that times the slope; and each channel's sum of what
        comes from above times x where it is not positive.
        """
        x, slope = ctx.saved_tensors
        below, of_slope = torch.empty_like(x), torch.zeros_like(slope)
        rows = max(1, PIECE * torch.get_num_threads() // len(slope))
        above = above.contiguous(memory_format=torch.channels_last)
        pieces = (t.permute(0, 2, 3, 1).flatten(0, 2).split(rows) for t in (x, above, below))
        for values, given, out in zip(*pieces, strict=True):
            passed = torch.ops.aten.threshold_backward(given, values, 0)
            bent = given - passed
            torch.addcmul(passed, bent, slope, out=out)
            of_slope += bent.mul_(values).sum(0)
        return below, of_slope
