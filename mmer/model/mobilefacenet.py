"""MobileFaceNet (Chen et al. 2018, arXiv:1804.07573): a small face network with a global depthwise convolution.

The depthwise convolution of the stem is followed by a pointwise one, which the paper's table leaves out and its
implementations have.
"""

from __future__ import annotations

from torch import Tensor, nn

from mmer.model.prelu import PReLU

#: (expansion, channels, repeats, stride) of the residual bottlenecks, table 1 of the paper.
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


def conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, linear: bool = False
) -> nn.Module:
    """Convolution, batch normalisation and, unless linear, PReLU; padded to keep the size (a stride apart)."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if not linear:
        layers.append(PReLU(outputs))
    return nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """Expand, filter each channel, project; added to the input where the shape allows."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            conv(inputs, hidden, 1),
            conv(hidden, hidden, 3, stride, groups=hidden),
            conv(hidden, outputs, 1, linear=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """Face crop to embedding: float [N, 3, S, S] in -1..1 → [N, embedding].

    Args:
        size: S, a multiple of 16; the paper's is 112.
        width: factor on every channel count.
    """

    def __init__(self, size: int, width: float, embedding: int) -> None:
        super().__init__()

        def wide(channels: int) -> int:
            return max(8, round(channels * width / 8) * 8)

        stem = wide(64)
        blocks: list[nn.Module] = [conv(3, stem, 3, 2), conv(stem, stem, 3, groups=stem), conv(stem, stem, 1)]
        channels = stem
        for expansion, base, repeats, stride in BOTTLENECKS:
            for i in range(repeats):
                blocks.append(Bottleneck(channels, wide(base), expansion, stride if i == 0 else 1))
                channels = wide(base)
        last = wide(512)
        self.features = nn.Sequential(*blocks, conv(channels, last, 1))
        self.side = size // 16
        self.embed = nn.Sequential(
            nn.Conv2d(
                last, last, self.side, groups=last, bias=False
            ),  # global depthwise: each place has its own weight
            nn.BatchNorm2d(last),
            nn.Flatten(),
            nn.Linear(last, embedding, bias=False),
            nn.BatchNorm1d(embedding),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.embed(self.features(x))
        return y
