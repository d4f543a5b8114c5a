"""The 1D CNN on the voice, after the local feature learning blocks of Zhao, Mao and Chen 2019
("Speech emotion recognition using deep 1D & 2D CNN LSTM networks"): convolution, batch normalisation, ELU, max-pooling.

What the blocks see is the output of a front: a filter bank learnt on the waveform (their 1D network), or log-mel
energies (what their 2D network is given; here the blocks still run over time alone, which costs a tenth).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from mmer.config import VoiceNet
from mmer.samples import SAMPLE_RATE

MEL_BANDS = 64


class LearntBank(nn.Module):
    """A filter bank on the waveform: float [N, W] → energies [N, bands, W / 64].

    The convolution has 64 taps (4 ms, long enough for the formants) and a stride of 8, which leaves 2 kHz.
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bank = nn.Conv1d(1, bands, 64, 8, 28, bias=False)
        self.mean = nn.AvgPool1d(8)

    def forward(self, x: Tensor) -> Tensor:
        energy: Tensor = self.mean(self.bank(x.unsqueeze(1)).square())
        return energy


class MelBank(nn.Module):
    """Energies in mel bands: float [N, W] → [N, bands, frames], frames of 25 ms each 10 ms; nothing is learnt.

    The Fourier transform is a convolution with fixed weights, since torch's exporter has none of its own.
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        from torchaudio.functional import melscale_fbanks

        size, self.hop = SAMPLE_RATE // 40, SAMPLE_RATE // 100
        turns = torch.arange(size // 2 + 1).double().outer(torch.arange(size).double()) * (2 * torch.pi / size)
        window = torch.hann_window(size, dtype=torch.float64)
        waves = torch.cat([turns.cos() * window, turns.sin() * window]).float().unsqueeze(1)
        mel = melscale_fbanks(size // 2 + 1, 50.0, SAMPLE_RATE / 2, bands, SAMPLE_RATE, mel_scale="slaney")
        self.waves: Tensor
        self.mel: Tensor
        self.register_buffer("waves", waves, persistent=False)
        self.register_buffer("mel", mel.T.unsqueeze(-1).contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        real, imaginary = nn.functional.conv1d(x.unsqueeze(1), self.waves, stride=self.hop).chunk(2, 1)
        return nn.functional.conv1d(real.square() + imaginary.square(), self.mel)


class VoiceCNN(nn.Module):
    """Voice window to embedding: float [N, W] in -1..1 at 16 kHz → [N, embedding].

    Energies are taken as logarithms, as loudness is heard, which also makes quiet voices visible. After the blocks, a
    window is summed up by its mean and its maximum over time; with `recurrent`, of what a GRU (Cho et al. 2014,
    arXiv:1406.1078) makes of it frame by frame, each 40 ms of log-mel, and of the GRU's last word: how a voice moves
    inside a window then counts, as in the CNN LSTM of Zhao et al.

    Args:
        voice: `front` "waveform" (`LearntBank`) or "logmel" (`MelBank`), sizes, `recurrent`.
        mask: in training, up to this share of the bands and of the frames of each window is hidden.
        dropout: before the GRU.
    """

    def __init__(self, voice: VoiceNet, mask: float = 0.0, dropout: float = 0.0) -> None:
        super().__init__()
        bands = MEL_BANDS if voice.front == "logmel" else 2 * voice.channels
        self.front = MelBank(bands) if voice.front == "logmel" else LearntBank(bands)
        self.scale, self.mask = nn.BatchNorm1d(bands), mask
        factors = (2, 2) if voice.recurrent else (2, 3, 4)
        widths = [bands, *(factor * voice.channels for factor in factors)]
        blocks: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            blocks += [
                nn.Conv1d(inputs, outputs, 3, 1, 1, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ELU(),
                nn.MaxPool1d(2),
            ]
        self.blocks = nn.Sequential(*blocks)
        self.recurrent = nn.GRU(widths[-1], voice.embedding, batch_first=True) if voice.recurrent else None
        self.drop = nn.Dropout(dropout)
        self.project = nn.Linear(3 * voice.embedding if voice.recurrent else 2 * widths[-1], voice.embedding)

    def forward(self, x: Tensor) -> Tensor:
        y = self.scale(torch.log(self.front(x) + 1e-6))
        if self.training and self.mask:
            y = masked(y, self.mask)
        y = self.blocks(y)
        parts = [y.mean(-1), y.amax(-1)]
        if self.recurrent is not None:
            start = torch.zeros(1, y.size(0), self.recurrent.hidden_size, device=y.device)  # so that N is free in ONNX
            y, _ = self.recurrent(self.drop(y.transpose(1, 2)), start)
            parts = [y[:, -1], y.mean(1), y.amax(1)]
        summed: Tensor = self.project(torch.cat(parts, -1))
        return summed


def masked(x: Tensor, share: float) -> Tensor:
    """SpecAugment (Park et al. 2019): of each [bands, frames] in [N, bands, frames] a stripe of bands and one of
    frames, each up to `share` of its side, becomes zero, the mean.
    """
    for dim in (1, 2):
        size = x.shape[dim]
        width = torch.rand(len(x), 1, device=x.device) * share * size
        begin = torch.rand(len(x), 1, device=x.device) * (size - width)
        place = torch.arange(size, device=x.device)
        hidden = (place >= begin) & (place < begin + width)
        x = x.masked_fill(hidden.unsqueeze(3 - dim), 0.0)
    return x
