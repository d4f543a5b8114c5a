"""What lies between a mouth and a model: microphones, telephones, codecs, gain control, gates, other voices.

Each change is a function from a voice, float32 [N] at 16 kHz in -1..1, to another one, and draws all chance from the
generator it is given. How often each is made are the keys of `train.channels` (`mmer.config.Channels`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer.config import Channels
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.types import Floats

MU = 255.0
"""Of the mu-law (ITU-T G.711)."""


def through(
    voice: npt.NDArray[np.int16], channels: Channels, others: Sequence[npt.NDArray[np.int16]], rng: np.random.Generator
) -> npt.NDArray[np.int16]:
    """A voice, int16 [N], as it comes out of a chain of channels, in the order in which a recording meets them.

    Args:
        channels: the chance of each.
        others: voices of somebody else, in the background.
    """
    x: Floats = voice.astype(np.float32) / np.float32(32768)
    if not np.any(x):
        return voice
    if others:
        x = babble(x, [other.astype(np.float32) / np.float32(32768) for other in others], rng)
    for rate, change in (
        (channels.equaliser, equaliser),
        (channels.clipping, clipping),
        (channels.compression, compression),
        (channels.gate, gate),
        (channels.telephone, telephone),
    ):
        if rng.random() < rate:
            x = change(x, rng)
    if rng.random() < channels.gain:
        x = x * np.float32(10 ** (rng.uniform(-30, 30) / 20))
    return np.clip(np.round(x * 32768), -32768, 32767).astype(np.int16)


def equaliser(x: Floats, rng: np.random.Generator) -> Floats:
    """The response of a microphone and a place: gains of up to 10 dB either way at eight frequencies, smooth between
    them, over a slope.
    """
    knots = np.linspace(np.log2(60), np.log2(SAMPLE_RATE / 2), 8)
    gains = rng.normal(0, 4, 8).clip(-10, 10) + np.linspace(-1, 1, 8) * rng.uniform(-6, 6)
    return _filtered(x, lambda hertz: 10 ** (np.interp(np.log2(np.maximum(hertz, 30)), knots, gains) / 20))


def clipping(x: Floats, rng: np.random.Generator) -> Floats:
    """A recording that was too loud: what is above 20 to 90% of the peak is cut off."""
    limit = float(np.abs(x).max()) * rng.uniform(0.2, 0.9)
    return np.clip(x, -limit, limit)


def compression(x: Floats, rng: np.random.Generator) -> Floats:
    """Automatic gain control: the gain follows the level, with a time constant of 0.1 to 1 s, and takes out 30 to 80%
    of how it differs from the usual one.
    """
    decibels = _envelope(x, rng.uniform(0.1, 1.0))
    usual = float(np.percentile(decibels, 90))
    gain = np.clip(rng.uniform(0.3, 0.8) * (usual - decibels), -20, 20)
    heard: Floats = (x * 10 ** (gain / 20)).astype(np.float32)
    return heard


def gate(x: Floats, rng: np.random.Generator) -> Floats:
    """Noise suppression that closes in pauses: what lies 20 to 40 dB below the loudest is turned down by 10 to 60."""
    decibels = _envelope(x, 0.02)
    open_above = float(decibels.max()) - rng.uniform(20, 40)
    gain = np.where(decibels >= open_above, 0.0, -rng.uniform(10, 60))
    smooth = np.ones(SAMPLE_RATE // 50) / (SAMPLE_RATE // 50)
    heard: Floats = (x * 10 ** (np.convolve(gain, smooth, "same") / 20)).astype(np.float32)
    return heard


def telephone(x: Floats, rng: np.random.Generator) -> Floats:
    """A telephone line: 300 to 3,400 Hz (each edge a little elsewhere), 8 kHz, and often mu-law at some level."""
    low, high = 300 * rng.uniform(0.7, 1.2), 3400 * rng.uniform(0.9, 1.15)
    y = _filtered(x, lambda hertz: ((1 + (low / np.maximum(hertz, 1)) ** 8) * (1 + (hertz / high) ** 24)) ** -0.5)
    if rng.random() < 0.7:
        y = mu_law(y / max(float(np.abs(y).max()), 1e-9) * np.float32(10 ** (-rng.uniform(0, 24) / 20)))
    return y


def mu_law(x: Floats) -> Floats:
    """Coded in 8 bits by ITU-T G.711's mu-law and decoded again; -1..1."""
    coded = np.sign(x) * np.log1p(MU * np.minimum(np.abs(x), 1)) / np.log1p(MU)
    coded = np.round(coded * 127) / 127
    decoded: Floats = (np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU).astype(np.float32)
    return decoded


def babble(x: Floats, others: Sequence[Floats], rng: np.random.Generator) -> Floats:
    """Others who talk further away, all equally loud and together 6 to 30 dB softer."""
    lines = np.zeros_like(x)
    for other in others:
        theirs = float(np.mean(np.square(other)))
        if theirs:
            lines += np.resize(np.roll(other, int(rng.integers(len(x)))), len(x)) / np.float32(np.sqrt(theirs))
    power, theirs = float(np.mean(np.square(x))), float(np.mean(np.square(lines)))
    return x + lines * np.float32(np.sqrt(power / theirs) * 10 ** (-rng.uniform(6, 30) / 20)) if theirs else x


def shifted(voice: npt.NDArray[np.int16], step_s: float, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """The start moved by up to a step: what falls before the first step is lost, so that the answer does not hang on
    where the grid of steps happens to lie.
    """
    by = int(rng.integers(-round(step_s * SAMPLE_RATE), round(step_s * SAMPLE_RATE) + 1))
    if by >= 0:
        return voice[by:] if by < len(voice) else voice
    return np.concatenate([np.zeros(-by, np.int16), voice])[: len(voice)]


def _filtered(x: Floats, response: Callable[[npt.NDArray[np.floating[Any]]], npt.NDArray[Any]]) -> Floats:
    """A voice with the gain that `response` gives for each frequency in Hz, phases kept."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(x), real=True)
    gains = response(np.fft.rfftfreq(size, 1 / SAMPLE_RATE)).astype(np.float32)
    heard: Floats = irfft(rfft(x, size) * gains, size)[: len(x)]
    return heard


def _envelope(x: Floats, constant_s: float) -> Floats:
    """The level over time, dB, smoothed both ways with that time constant: float32 [N]."""
    hop = SAMPLE_RATE // 100
    frames = -(-len(x) // hop)
    power = np.square(np.pad(x, (0, frames * hop - len(x)))).reshape(frames, hop).mean(1)
    width = max(1, round(constant_s * 100))
    smooth = np.convolve(power, np.ones(width) / width, "same")
    level = 10 * np.log10(np.maximum(smooth, 1e-10))
    found: Floats = np.interp(np.arange(len(x)), np.arange(frames) * hop + hop / 2, level).astype(np.float32)
    return found
