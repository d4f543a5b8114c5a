"""Claims about the channels that a voice in training goes through: each does what its name says, by the seed alone."""

from collections.abc import Callable

import numpy as np
import pytest

from mmer.config import Channels
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.types import Floats
from mmer.training import channels

ALL = Channels(equaliser=1, clipping=1, compression=1, gate=1, telephone=1, babble=1, gain=1, shift=1)


def voice(seconds: float = 2.0) -> Floats:
    """Bursts of a buzz with pauses between them, over a little noise."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    buzz = sum(np.cos(2 * np.pi * 150 * k * t) / k for k in range(1, 40))
    x = 0.1 * buzz * (np.sin(2 * np.pi * 2 * t) > 0) + 1e-4 * np.random.default_rng(0).standard_normal(len(t))
    return np.asarray(x, np.float32)


def power(x: Floats, low: float, high: float) -> float:
    """dB of a band."""
    spectrum, hertz = np.abs(np.fft.rfft(x)) ** 2, np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    return float(10 * np.log10(spectrum[(hertz >= low) & (hertz < high)].sum() + 1e-12))


def made(change: Callable[[Floats, np.random.Generator], Floats], seed: int = 0) -> Floats:
    return change(voice(), np.random.default_rng(seed))


@pytest.mark.parametrize("change", ["equaliser", "clipping", "compression", "gate", "telephone"])
def test_each_keeps_the_length_and_repeats_with_its_seed(change: str) -> None:
    one, two = (made(getattr(channels, change), 3) for _ in range(2))
    assert one.shape == voice().shape
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - voice()).max() > 1e-4, "it changes something"


def test_a_telephone_lets_the_middle_through_and_not_what_lies_outside() -> None:
    for seed in range(5):
        before, after = voice(), made(channels.telephone, seed)
        lost = [power(before, *band) - power(after, *band) for band in ((60, 180), (600, 3000), (4500, 8000))]
        assert lost[0] > lost[1] + 6
        assert lost[2] > lost[1] + 6


def test_clipping_flattens_the_peaks_and_nothing_else() -> None:
    before, after = voice(), made(channels.clipping)
    limit = np.abs(after).max()
    assert 0.15 < limit / np.abs(before).max() < 0.95
    inside = np.abs(before) < limit
    np.testing.assert_array_equal(after[inside], before[inside])


def test_gain_control_brings_loud_and_soft_together_and_a_gate_drives_them_apart() -> None:
    t = np.arange(4 * SAMPLE_RATE)
    x = voice(4) * np.where(t < len(t) / 2, 1.0, 0.2).astype(np.float32)

    def apart(y: Floats) -> float:
        halves = [float(np.square(half).mean()) for half in np.array_split(y, 2)]
        return 10 * float(np.log10(halves[0] / halves[1]))

    assert apart(channels.compression(x, np.random.default_rng(1))) < apart(x) - 2
    gated = channels.gate(voice(), np.random.default_rng(1))
    pause = np.square(voice()).reshape(-1, 400).mean(1) < 1e-6
    quieter = np.square(gated).reshape(-1, 400).mean(1)[pause] / np.square(voice()).reshape(-1, 400).mean(1)[pause]
    assert np.median(10 * np.log10(quieter)) < -8


def test_mu_law_is_that_of_the_telephone() -> None:
    x = np.linspace(-1, 1, 2001, dtype=np.float32)
    error = channels.mu_law(x) - x
    assert np.abs(error).max() < 0.03
    small = np.abs(x) < 0.02
    assert np.abs(error[small]).max() < 0.002, "what is soft is coded finely"


def tone(hertz: float, size: float) -> Floats:
    return (size * np.sin(2 * np.pi * hertz * np.arange(8000) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("others", [[tone(3000, 0.5)], [tone(3000, 0.5), tone(5000, 0.005), tone(6000, 0)]])
def test_others_are_softer_together_and_as_loud_as_each_other(others: list[Floats]) -> None:
    for seed in range(5):
        mixed = channels.babble(voice(), others, np.random.default_rng(seed))
        assert (mixed.shape, mixed.dtype) == (voice().shape, np.float32)
        lines = mixed - voice()
        added = 10 * np.log10(np.mean(np.square(lines)) / np.mean(np.square(voice())))
        assert -30.5 < added < -5.5
        if len(others) > 1:
            assert power(lines, 2900, 3100) == pytest.approx(power(lines, 4900, 5100), abs=1.5)


def test_silence_of_others_adds_nothing() -> None:
    np.testing.assert_array_equal(channels.babble(voice(), [tone(440, 0)], np.random.default_rng(0)), voice())


def test_a_shift_is_less_than_a_step_and_moves_the_whole_voice() -> None:
    pcm = np.arange(1, 16001, dtype=np.int16)
    for seed in range(20):
        moved = channels.shifted(pcm, 0.2, np.random.default_rng(seed))
        spoken = moved[moved > 0]
        assert (np.diff(spoken) == 1).all()
        assert abs(int(spoken[0]) - 1 - int((moved == 0).sum())) <= 3200


def test_a_chain_of_none_changes_nothing_and_silence_stays_silence() -> None:
    pcm = (voice() * 32768).astype(np.int16)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(channels.through(pcm, Channels(), [], rng), pcm)
    silence = np.zeros(16000, np.int16)
    np.testing.assert_array_equal(channels.through(silence, ALL, [pcm], rng), silence)
    changed = channels.through(pcm, ALL, [pcm, silence], np.random.default_rng(5))
    assert changed.dtype == np.int16
    np.testing.assert_array_equal(changed, channels.through(pcm, ALL, [pcm, silence], np.random.default_rng(5)))
