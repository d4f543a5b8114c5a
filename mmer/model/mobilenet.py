"""MobileNetV3-Small (Howard et al. 2019, arXiv:1905.02244) by torchvision: the rival of MobileFaceNet, made for
pictures of anything.
"""

from __future__ import annotations

from torch import Tensor, nn


class MobileNetV3Small(nn.Module):
    """Face crop to embedding: float [N, 3, S, S] in -1..1 → [N, embedding]. Nothing is downloaded.

    Args:
        width: factor on every channel count.
    """

    def __init__(self, width: float, embedding: int) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v3_small

        # torchvision's own batch normalisation follows too slowly (momentum 0.01) for a training of a few epochs.
        net = mobilenet_v3_small(weights=None, width_mult=width, norm_layer=nn.BatchNorm2d)
        self.features = net.features
        self.embed = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(net.classifier[0].in_features, embedding, bias=False),
            nn.BatchNorm1d(embedding),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.embed(self.features(x))
        return y
