"""The shallow CNN on the whole image: what surrounds the person (Kosti et al. 2019, EMOTIC, show that it helps)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class SceneCNN(nn.Module):
    """Whole image to embedding: float [N, 3, C, C] in -1..1 → [N, embedding]. Four strided blocks and a mean."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        widths = [3, channels, 2 * channels, 4 * channels, 8 * channels]
        blocks: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            blocks += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ELU()]
        self.layers = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], embedding))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y
