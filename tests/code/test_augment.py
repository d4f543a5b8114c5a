"""Claims about augmentation: the clip stays a clip, and what changes is what the docstrings say."""

from collections.abc import Callable

import numpy as np
import pytest

from mmer.data.samples import Sample
from mmer.runtime.grid import SAMPLE_RATE
from mmer.training.augment import _shift, augment, hum, noise, outlier

T = 5


def sample(face: bool = True, voice: bool = True) -> Sample:
    rng = np.random.default_rng(0)
    pcm = (8000 * np.sin(np.arange(T * 3200) * 2 * np.pi * 220 / SAMPLE_RATE)).astype(np.int16)
    return Sample(
        faces=np.repeat(rng.integers(0, 256, (1, 32, 32, 3), np.uint8), T, 0),
        scenes=np.zeros((T, 32, 32, 3), np.uint8),
        voice=pcm if voice else pcm[:0],
        present=np.tile([face, False, voice], (T, 1)),
    )


def shapes(of: Sample) -> list[object]:
    return [(a.shape, a.dtype) for a in vars(of).values()]


@pytest.mark.parametrize("seed", range(30))
def test_a_varied_copy_has_the_same_shapes_and_the_same_picture_in_all_steps(seed: int) -> None:
    before = sample()
    after = augment(before, 1.0, np.random.default_rng(seed))
    assert shapes(after) == shapes(before)
    assert (after.faces == after.faces[0]).all(), "one change for the whole clip: no flicker"
    np.testing.assert_array_equal(after.present, before.present)


def test_the_same_chance_gives_the_same_copy_and_none_gives_the_clip() -> None:
    one, two = (augment(sample(), 0.7, np.random.default_rng(3)) for _ in range(2))
    for a, b in zip(vars(one).values(), vars(two).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert augment(sample(), 0.0, np.random.default_rng(3)).voice is not None
    np.testing.assert_array_equal(augment(sample(), 0.0, np.random.default_rng(3)).voice, sample().voice)


@pytest.mark.parametrize("made", [noise, hum])
def test_noise_has_the_level_it_is_said_to_have(made: Callable[..., np.ndarray]) -> None:
    for seed in range(5):
        y = made(16_000, np.random.default_rng(seed))
        assert np.sqrt(np.mean(y**2)) == pytest.approx(1, abs=1e-3)
    assert made(0, np.random.default_rng(0)).shape == (0,)


def test_a_hum_is_a_few_low_tones() -> None:
    for seed in range(10):
        power = np.abs(np.fft.rfft(hum(16_000, np.random.default_rng(seed)))) ** 2
        assert power[1200:].sum() < 0.01 * power.sum()
        assert np.sort(power)[-40:].sum() > 0.9 * power.sum()


def test_nothing_keeps_what_is_present_and_shows_none_of_the_clip() -> None:
    for seed in range(10):
        before = sample()
        after = outlier(before, np.random.default_rng(seed))
        assert shapes(after) == shapes(before)
        np.testing.assert_array_equal(after.present, before.present)
        spectrum, at = np.abs(np.fft.rfft(after.voice.astype(float))), round(220 * len(after.voice) / SAMPLE_RATE)
        assert spectrum[at] < 0.5 * np.sqrt(np.sum(spectrum**2)), "no tone is left of the voice"
    assert shapes(outlier(sample(voice=False), np.random.default_rng(0))) == shapes(sample(voice=False))


@pytest.mark.parametrize("by", [-700, 0, 900])
def test_a_shifted_voice_is_the_same_voice_later_or_earlier(by: int) -> None:
    voice = sample().voice
    moved = _shift(voice, by)
    assert len(moved) == len(voice)
    middle = slice(1000, -1000)
    np.testing.assert_array_equal(moved[middle], np.roll(voice, by)[middle])
