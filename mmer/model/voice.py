"""The 1D CNN on the voice, after the local feature learning blocks of Zhao, Mao and Chen 2019
("Speech emotion recognition using deep 1D & 2D CNN LSTM networks"): convolution, batch normalisation, ELU, max-pooling.

What the blocks see is the output of a frontend: a filter bank learnt on the waveform (their 1D network), or log-mel
energies (what their 2D network is given; here the blocks still run over time alone, which costs a tenth).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from mmer.config import VoiceNet
from mmer.runtime.grid import SAMPLE_RATE

MEL_BANDS = 64


class LearntBank(nn.Module):
    """A filter bank on the waveform: float [N, W] → energies [N, bands, W / 64].

    The convolution has 64 taps (4 ms, long enough for the formants) and a stride of 8, which leaves 2 kHz.
    """

    rate = SAMPLE_RATE / 64
    """Frames a second."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bank = nn.Conv1d(1, bands, 64, 8, 28, bias=False)
        self.mean = nn.AvgPool1d(8)

    def forward(self, x: Tensor) -> Tensor:
        energy: Tensor = self.mean(self.bank(x.unsqueeze(1)).square())
        return energy


class MelBank(nn.Module):
    """Energies in mel bands: float [N, W] → [N, bands, frames], frames of 25 ms each 10 ms; nothing is learnt.

    In the exported graph, and where its cost is counted, the Fourier transform is a convolution with fixed weights,
    since the exporter has none of its own; in training, where it would take most of the time, it is a fast one.
    """

    rate = 100.0
    """Frames a second."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        from torchaudio.functional import melscale_fbanks

        self.as_exported = False
        size, self.hop = SAMPLE_RATE // 40, SAMPLE_RATE // 100
        turns = torch.arange(size // 2 + 1).double().outer(torch.arange(size).double()) * (2 * torch.pi / size)
        window = torch.hann_window(size, dtype=torch.float64)
        waves = torch.cat([turns.cos() * window, turns.sin() * window]).float().unsqueeze(1)
        mel = melscale_fbanks(size // 2 + 1, 50.0, SAMPLE_RATE / 2, bands, SAMPLE_RATE, mel_scale="slaney")
        self.waves: Tensor
        self.window: Tensor
        self.mel: Tensor
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("waves", waves, persistent=False)
        self.register_buffer("mel", mel.T.unsqueeze(-1).contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.as_exported or torch.onnx.is_in_onnx_export()):
            turns = torch.fft.rfft(x.unfold(-1, len(self.window), self.hop) * self.window)
            energy: Tensor = (turns.real.square() + turns.imag.square()) @ self.mel.squeeze(-1).T
            return energy.transpose(1, 2)
        real, imaginary = nn.functional.conv1d(x.unsqueeze(1), self.waves, stride=self.hop).chunk(2, 1)
        return nn.functional.conv1d(real.square() + imaginary.square(), self.mel)


class VoiceCNN(nn.Module):
    """Voice window to embeddings: float [N, W] in -1..1 at 16 kHz → [N, frames, embedding].

    Energies are taken as logarithms, as loudness is heard, which also makes quiet voices visible. Either a window is
    summed up, by the mean and the maximum over time of what the blocks make of it: one frame. Or what the blocks say of
    each 40 ms (32 ms of the waveform's) is kept, of as many as a step has, and what lies before them in the window is
    their context: then what gathers evidence over time sees how a voice moves inside a step, as the LSTM of Zhao et al.
    does.

    Args:
        voice: `frontend` "waveform" (`LearntBank`) or "logmel" (`MelBank`), sizes, `pooling`.
        step_s: of a step.
        mask: in training, up to this share of the bands and of the frames of each window is hidden.
    """

    def __init__(self, voice: VoiceNet, step_s: float, mask: float = 0.0) -> None:
        super().__init__()
        mel = voice.frontend == "logmel"
        bands = MEL_BANDS if mel else 2 * voice.channels
        self.front = MelBank(bands) if mel else LearntBank(bands)
        self.scale, self.mask = nn.BatchNorm1d(bands), mask
        self.whole = voice.pooling == "window"
        halvings = 3 if self.whole or not mel else 2
        self.frames = 1 if self.whole else round(step_s * self.front.rate / 2**halvings)
        widths = [bands, *(factor * voice.channels for factor in (2, 3, 4)[:halvings])]
        blocks: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            blocks += [*_block(inputs, outputs), nn.MaxPool1d(2)]
        if not self.whole:
            blocks += _block(widths[-1], voice.embedding)
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Linear(2 * widths[-1], voice.embedding) if self.whole else nn.Identity()

    def hear(self, x: Tensor) -> Tensor:
        """The logarithms of the energies of windows: [N, W] → [N, bands, frames]."""
        heard: Tensor = torch.log(self.front(x) + 1e-6)
        return heard

    def forward(self, x: Tensor) -> Tensor:
        """Also takes what `hear` made of windows, instead of them."""
        y = self.scale(x if x.dim() == 3 else self.hear(x))
        if self.training and self.mask:
            y = masked(y, self.mask)
        y = self.blocks(y)
        summed = (
            torch.cat([y.mean(-1), y.amax(-1)], -1).unsqueeze(1)
            if self.whole
            else y[..., -self.frames :].transpose(1, 2)
        )
        embedded: Tensor = self.project(summed)
        return embedded


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv1d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm1d(outputs), nn.ELU()]


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
