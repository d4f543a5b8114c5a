"""Claims about how a voice is heard: its gain does not matter, steady noise is none, a stream hears what clips do."""

import numpy as np
import numpy.typing as npt
import pytest

from mmer.runtime.config import Input, Level
from mmer.runtime.grid import SAMPLE_RATE, voice_windows
from mmer.runtime.voice import HEARD_AT, Hearing, hear
from mmer.training.augment import hum, noise

FOLLOWED = Input(step_s=0.2, voice_window_s=0.4, level=Level())
AS_RECORDED = FOLLOWED.model_copy(update={"level": None})


def speech(seconds: float, dbfs: float, seed: int = 0) -> npt.NDArray[np.int16]:
    """Syllables of a buzz with formants, four a second, over the hiss of a good recording 45 dB below."""
    rng = np.random.default_rng(seed)
    n = round(seconds * SAMPLE_RATE)
    t = np.arange(n) / SAMPLE_RATE
    buzz = sum(np.cos(2 * np.pi * 130 * k * t) / k for k in range(1, 30))
    syllables = np.maximum(np.sin(2 * np.pi * 4 * t), 0) ** 0.5 * (0.6 + 0.4 * rng.random())
    x = np.asarray(buzz * syllables)
    x = x / np.sqrt(np.mean(x**2)) + rng.standard_normal(n) * 10 ** (-45 / 20)
    return level_of(x, dbfs)


def level_of(x: npt.NDArray[np.floating], dbfs: float) -> npt.NDArray[np.int16]:
    y = x / np.sqrt(np.mean(np.square(x))) * 32768 * 10 ** (dbfs / 20)
    return np.clip(np.round(y), -32768, 32767).astype(np.int16)


def heard(
    voice: npt.NDArray[np.int16], given: Input = FOLLOWED
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    return hear(voice, len(voice) // round(given.step_s * SAMPLE_RATE), given, -60)


@pytest.mark.parametrize("dbfs", [-52, -42, -25, -20])
def test_the_gain_of_a_microphone_does_not_matter(dbfs: float) -> None:
    usual, there = heard(speech(4, -30))
    other, also = heard(speech(4, dbfs))
    np.testing.assert_array_equal(there[1:], also[1:])
    assert there[1:].all()
    difference = np.sqrt(np.mean(np.square(other - usual)[2:])) / np.sqrt(np.mean(np.square(usual[2:])))
    assert difference < 0.07, "but for what 16 bits lose of a very soft one, and clipping of a loud one"


def test_as_recorded_it_is_neither_scaled_nor_heard_when_soft() -> None:
    soft = speech(2, -70)
    windows, there = heard(soft, AS_RECORDED)
    np.testing.assert_array_equal(windows, voice_windows(soft, len(windows), 0.2, 0.4))
    assert not there.any()


@pytest.mark.parametrize("dbfs", [-60, -40, -20, -6])
@pytest.mark.parametrize("what", ["white", "room", "hum", "tone", "nothing"])
def test_steady_noise_is_no_voice_at_any_level(what: str, dbfs: float) -> None:
    n, rng = 10 * SAMPLE_RATE, np.random.default_rng(1)
    sound = {
        "white": lambda: rng.standard_normal(n),
        "room": lambda: noise(n, rng),
        "hum": lambda: hum(n, rng),
        "tone": lambda: np.sin(2 * np.pi * 440 * np.arange(n) / SAMPLE_RATE),
        "nothing": lambda: np.full(n, 1e-9),
    }[what]()
    _, there = heard(level_of(sound, dbfs) if what != "nothing" else np.zeros(n, np.int16))
    assert not there[2:].any(), "and at its beginning for two steps at the most"


def test_a_voice_over_a_fan_is_heard_and_the_fan_alone_is_not() -> None:
    fan = np.random.default_rng(2).standard_normal(10 * SAMPLE_RATE)
    voice = np.zeros(len(fan))
    voice[5 * SAMPLE_RATE :] = speech(5, -20).astype(float) / 32768
    both = voice + fan * 10 ** (-32 / 20)
    _, there = heard(np.round(np.clip(both, -1, 1) * 32767).astype(np.int16))
    assert not there[2:24].any()
    assert there[27:].mean() > 0.9


def test_a_sentence_after_a_long_silence_is_heard_from_its_first_second() -> None:
    line = np.concatenate([speech(3, -20), np.zeros(60 * SAMPLE_RATE, np.int16), speech(3, -40)])
    windows, there = heard(line)
    begin = 63 * 5
    assert there[begin + 1 : begin + 6].all()
    alone, _ = heard(speech(3, -40))
    ratio = np.abs(windows[begin + 5 :]).max() / np.abs(alone[5:]).max()
    assert ratio == pytest.approx(1, abs=0.2), "as loud as if nothing had been before"


def test_louder_than_usual_stays_louder_for_a_while_and_a_soft_end_stays_soft() -> None:
    line = np.concatenate([speech(4, -30), speech(0.6, -18), speech(4, -30)])
    windows, _ = heard(line)
    loudness = 20 * np.log10(np.sqrt(np.mean(np.square(windows), axis=1)) + 1e-9)
    assert loudness[24] < loudness[18] - 6, "after an outburst the usual is heard softer"
    assert loudness[-1] == pytest.approx(loudness[18], abs=3), "and later as before"


def test_step_by_step_it_hears_what_it_hears_whole() -> None:
    line = np.concatenate([speech(2, -40), np.zeros(SAMPLE_RATE, np.int16), speech(2, -15)])
    windows = voice_windows(line, 25, 0.2, 0.4)
    whole, there = Hearing(FOLLOWED, -60)(windows)
    hearing = Hearing(FOLLOWED, -60)
    steps = [hearing(windows[k : k + 1]) for k in range(25)]
    np.testing.assert_array_equal(np.concatenate([one for one, _ in steps]), whole)
    np.testing.assert_array_equal(np.concatenate([one for _, one in steps]), there)


def test_steps_that_are_skipped_pass_as_silence_does() -> None:
    windows = voice_windows(speech(2, -20), 10, 0.2, 0.4)
    skipped, silent = Hearing(FOLLOWED, -60), Hearing(FOLLOWED, -60)
    for hearing in (skipped, silent):
        hearing(windows)
    skipped.skip(20)
    silent(np.zeros((20, windows.shape[1]), np.float32))
    later = voice_windows(speech(1, -50), 5, 0.2, 0.4)[2:]
    np.testing.assert_allclose(skipped(later)[0], silent(later)[0], rtol=1e-5)


def test_an_offset_of_the_recorder_is_no_loudness() -> None:
    plain = speech(3, -40)
    offset = (plain.astype(int) + 3000).astype(np.int16)
    np.testing.assert_array_equal(heard(plain)[1][2:], heard(offset)[1][2:])


def test_the_loudest_frame_of_a_voice_is_heard_at_one_level() -> None:
    windows, _ = heard(speech(3, -35))
    low = windows[5:].reshape(len(windows) - 5, -1, 4).mean(2)
    frames = (low[:, 100:] - low[:, 98:-2]).reshape(len(windows) - 5, -1, 100)
    assert 10 * np.log10(np.mean(np.square(frames), axis=2).max()) == pytest.approx(HEARD_AT, abs=1.5)
