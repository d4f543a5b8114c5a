"""The CNN on the voice, after the local feature learning blocks of Zhao, Mao and Chen 2019
("Speech emotion recognition using deep 1D & 2D CNN LSTM networks"): convolution, batch normalisation, ELU, max-pooling.

What the blocks see is the output of a frontend: a filter bank learnt on the waveform (their 1D network), or mel
energies, as logarithms (what their 2D network is given) or normalised in each band (PCEN). The blocks run over time
alone, or over bands and time as those of their 2D network do.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from mmer.config import SPEAKER_BANDS, VoiceNet
from mmer.runtime.config import Input
from mmer.runtime.grid import SAMPLE_RATE

MEL_BANDS = 64
"""Under convolutions."""
LEAST = 1e-6
"""Added to an energy before its logarithm is taken, and before it is divided by."""


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

    size, hop = SAMPLE_RATE // 40, SAMPLE_RATE // 100
    """Samples of a frame, and from one to the next."""
    rate = SAMPLE_RATE / hop
    """Frames a second."""

    def __init__(self, bands: int, lowest: float = 50.0) -> None:
        super().__init__()
        from torchaudio.functional import melscale_fbanks

        self.as_exported = False
        size = self.size
        turns = torch.arange(size // 2 + 1).double().outer(torch.arange(size).double()) * (2 * torch.pi / size)
        window = torch.hann_window(size, dtype=torch.float64)
        waves = torch.cat([turns.cos() * window, turns.sin() * window]).float().unsqueeze(1)
        mel = melscale_fbanks(size // 2 + 1, lowest, SAMPLE_RATE / 2, bands, SAMPLE_RATE, mel_scale="slaney")
        self.waves: Tensor
        self.window: Tensor
        self.mel: Tensor
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("waves", waves, persistent=False)
        self.register_buffer("mel", mel.T.unsqueeze(-1).contiguous(), persistent=False)

    @classmethod
    def frames(cls, samples: int) -> int:
        """In a window of so many."""
        return (samples - cls.size) // cls.hop + 1

    def forward(self, x: Tensor) -> Tensor:
        if not (self.as_exported or torch.onnx.is_in_onnx_export()):
            turns = torch.fft.rfft(x.unfold(-1, self.size, self.hop) * self.window)
            energy: Tensor = (turns.real.square() + turns.imag.square()) @ self.mel.squeeze(-1).T
            return energy.transpose(1, 2)
        real, imaginary = nn.functional.conv1d(x.unsqueeze(1), self.waves, stride=self.hop).chunk(2, 1)
        return nn.functional.conv1d(real.square() + imaginary.square(), self.mel)


class LogEnergy(nn.Module):
    """Energies as logarithms, as loudness is heard, which also makes quiet voices visible: any shape."""

    def forward(self, energy: Tensor) -> Tensor:
        return torch.log(energy + LEAST)


class PCEN(nn.Module):
    """Per-channel energy normalisation (Wang et al. 2017, arXiv:1607.05666): each band divided by its own recent level
    M, and compressed, (E / (1e-6 + M)^alpha + delta)^r - delta^r: energies [N, bands, frames] → the same shape.

    alpha, delta and r of each band are learnt as logarithms, from the paper's fixed values on. The smoother
    M[t] = (1 - s) M[t - 1] + s E[t] is not: s is the paper's, 0.025. It begins anew in each window, with the window's
    first frame, and knows nothing before it, although windows overlap: so a window is heard alike wherever it lies, and
    a stream hears what a clip does without one more state. What M is worth is therefore bounded by the window: of one
    of 0.4 s its first frame still makes up two fifths at the end. As the number of frames is fixed, the recurrence is
    one product with a lower-triangular matrix.
    """

    S, ALPHA, DELTA, R = 0.025, 0.98, 2.0, 0.5

    def __init__(self, bands: int, frames: int) -> None:
        super().__init__()
        self.log_alpha, self.log_delta, self.log_r = (
            nn.Parameter(torch.full((bands, 1), math.log(value))) for value in (self.ALPHA, self.DELTA, self.R)
        )
        age = (torch.arange(frames).unsqueeze(1) - torch.arange(frames)).double()
        weights = self.S * (1 - self.S) ** age
        weights[:, 0] /= self.S  # before the first frame all was as it is
        self.smooth: Tensor
        self.register_buffer("smooth", weights.tril().T.float().contiguous(), persistent=False)

    def forward(self, energy: Tensor) -> Tensor:
        alpha, delta, r = self.log_alpha.exp(), self.log_delta.exp(), self.log_r.exp()
        level = torch.log(energy @ self.smooth + LEAST)
        compressed: Tensor = (energy * torch.exp(-alpha * level) + delta) ** r - delta**r
        return compressed


class VoiceCNN(nn.Module):
    """Voice window to embeddings: float [N, W] in -1..1 at 16 kHz → [N, frames, embedding].

    Either a window is summed up, by the mean and the maximum over time of what the blocks make of it: one frame. Or
    what the blocks say of each 40 ms (32 ms of the waveform's) is kept, of as many as a step has, and what lies before
    them in the window is their context: then what gathers evidence over time sees how a voice moves inside a step, as
    the LSTM of Zhao et al. does.

    Args:
        voice: `frontend` "waveform" (`LearntBank`), "logmel" (`MelBank`, `LogEnergy`) or "pcen" (`MelBank`, `PCEN`),
            `blocks`, sizes, `pooling`.
        given: lengths of a step and of a window.
        mask: in training, up to this share of the bands and of the frames of each window is hidden.
    """

    def __init__(self, voice: VoiceNet, given: Input, mask: float = 0.0) -> None:
        super().__init__()
        mel = voice.frontend != "waveform"
        bands = MEL_BANDS if mel else 2 * voice.channels
        self.front = MelBank(bands) if mel else LearntBank(bands)
        frames = MelBank.frames(round(given.voice_window_s * SAMPLE_RATE))
        self.compress = PCEN(bands, frames) if voice.frontend == "pcen" else LogEnergy()
        self.scale, self.mask = nn.BatchNorm1d(bands), mask
        self.whole = voice.pooling == "window"
        halvings = 3 if self.whole or not mel else 2
        self.frames = 1 if self.whole else round(given.step_s * self.front.rate / 2**halvings)
        make = blocks_2d if voice.blocks == "2d" else blocks_1d
        blocks, width = make(bands, voice.channels, halvings)
        if not self.whole:
            blocks += _block(width, voice.embedding)
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Linear(2 * width, voice.embedding) if self.whole else nn.Identity()

    def hear(self, x: Tensor) -> Tensor:
        """The energies of windows, compressed: [N, W] → [N, bands, frames]."""
        heard: Tensor = self.compress(self.front(x))
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


class MelFrames(nn.Module):
    """Voice window to the mel energies of the step's own frames of 10 ms, as a speaker encoder hears them: float [N, W]
    in -1..1 at 16 kHz → [N, frames, 40]. Nothing is learnt; what gathers evidence over time does all the work.

    Args:
        given: lengths of a step and of a window.
        mask: in training, up to this share of the bands and of the frames of each window is hidden.
    """

    def __init__(self, given: Input, mask: float = 0.0) -> None:
        super().__init__()
        self.hear, self.mask = MelBank(SPEAKER_BANDS, 0.0), mask
        self.frames = round(given.step_s * MelBank.rate)

    def forward(self, x: Tensor) -> Tensor:
        """Also takes what `hear` made of windows, instead of them."""
        y = (x if x.dim() == 3 else self.hear(x))[..., -self.frames :]
        if self.training and self.mask:
            y = masked(y, self.mask)
        return y.transpose(1, 2)


def make_voice(voice: VoiceNet, given: Input, mask: float = 0.0) -> VoiceCNN | MelFrames:
    """What `voice` names."""
    return MelFrames(given, mask) if voice.blocks == "none" else VoiceCNN(voice, given, mask)


def blocks_1d(bands: int, channels: int, halvings: int) -> tuple[list[nn.Module], int]:
    """Over time alone, each band an input of its own: [N, bands, frames] → [N, width, frames / 2**halvings].

    Returns:
        The blocks and the width.
    """
    widths = [bands, *(factor * channels for factor in (2, 3, 4)[:halvings])]
    blocks: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        blocks += [*_block(inputs, outputs), nn.MaxPool1d(2)]
    return blocks, widths[-1]


def blocks_2d(bands: int, channels: int, halvings: int) -> tuple[list[nn.Module], int]:
    """Over bands and time, a picture of one channel: the same shapes as `blocks_1d`.

    Pooling takes bands by 2, 4 and 4, as the first three of the four blocks of Zhao et al. do, but time by no more than
    the 1D blocks do; the two places that are left of 64 bands stay apart. ELU comes after the pooling: as it rises
    everywhere the result is the same, in half the time of training. Channels (half of `channels`, then twice as many
    each) are such that both kinds have about as many parameters (tests/model/test_cost.py).
    """
    widths = [1, *(factor * (channels // 2) for factor in (1, 2, 4))]
    blocks: list[nn.Module] = [nn.Unflatten(1, (1, bands))]
    for k, (inputs, outputs) in enumerate(pairwise(widths)):
        pool = (2 if k == 0 else 4, 2 if k < halvings else 1)
        *before, elu = _block(inputs, outputs, nn.Conv2d, nn.BatchNorm2d)
        blocks += [*before, nn.MaxPool2d(pool), elu]
    return [*blocks, nn.Flatten(1, 2)], widths[-1] * (bands // 32)


def _block(
    inputs: int,
    outputs: int,
    conv: type[nn.Conv1d | nn.Conv2d] = nn.Conv1d,
    norm: type[nn.BatchNorm1d | nn.BatchNorm2d] = nn.BatchNorm1d,
) -> list[nn.Module]:
    return [conv(inputs, outputs, 3, 1, 1, bias=False), norm(outputs), nn.ELU()]


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
