"""The 1D CNN on the waveform, after the local feature learning blocks of Zhao, Mao and Chen 2019
("Speech emotion recognition using deep 1D & 2D CNN LSTM networks"): convolution, batch normalisation, ELU, max-pooling.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class VoiceCNN(nn.Module):
    """Voice window to embedding: float [N, W] in -1..1 at 16 kHz → [N, embedding].

    The first convolution has 64 taps (4 ms, long enough for the formants) and a stride of 8: a filter bank that is
    learnt, at 2 kHz. Its output is taken as log energy, as loudness is heard, which also makes quiet voices visible.
    The mean and the maximum over time are kept.
    """

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.bank = nn.Conv1d(1, 2 * channels, 64, 8, 28, bias=False)
        self.energy = nn.AvgPool1d(8)
        widths = [2 * channels, 2 * channels, 3 * channels, 4 * channels]
        blocks: list[nn.Module] = [nn.BatchNorm1d(2 * channels)]
        for inputs, outputs in pairwise(widths):
            blocks += [
                nn.Conv1d(inputs, outputs, 3, 1, 1, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ELU(),
                nn.MaxPool1d(2),
            ]
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Linear(2 * widths[-1], embedding)

    def forward(self, x: Tensor) -> Tensor:
        energy = self.energy(self.bank(x.unsqueeze(1)).square())
        y = self.blocks(torch.log(energy + 1e-6))
        pooled: Tensor = self.project(torch.cat([y.mean(-1), y.amax(-1)], -1))
        return pooled
