"""Claims about samples on disk and about the grid of steps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer.samples import (
    Frames,
    Sample,
    load_frames,
    load_sample,
    save_frames,
    save_sample,
    step_count,
    voice_present,
    voice_windows,
)


def test_samples_and_frames_come_back_and_their_bytes_repeat(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sample = Sample(
        rng.integers(0, 256, (3, 64, 64, 3), np.uint8),
        rng.integers(0, 256, (3, 64, 64, 3), np.uint8),
        rng.integers(-9, 9, 9600, np.int16),
        rng.random((3, 3)) < 0.5,
    )
    for name in ("1.npz", "2.npz"):
        save_sample(tmp_path / name, sample)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    again = load_sample(tmp_path / "1.npz")
    for field, value in vars(sample).items():
        np.testing.assert_array_equal(getattr(again, field), value)

    frames = Frames([b"one", b"", b"three"], np.array([0.1, np.nan, 0.5], np.float32), np.arange(5, dtype=np.int16), 3)
    save_frames(tmp_path / "f.npz", frames)
    back = load_frames(tmp_path / "f.npz")
    assert (back.jpegs, back.steps) == (frames.jpegs, 3)
    np.testing.assert_array_equal(back.times, frames.times)
    np.testing.assert_array_equal(back.voice, frames.voice)
    assert not list(tmp_path.glob("*.part"))


@given(st.integers(0, 40_000), st.integers(1, 14))
def test_a_voice_window_ends_at_its_step(length: int, steps: int) -> None:
    voice = np.arange(1, length + 1, dtype=np.int64).astype(np.int16)
    windows = voice_windows(voice, steps, 0.2, 0.6)
    assert windows.shape == (steps, 9600)
    for k in range(steps):
        end = (k + 1) * 3200
        expected = np.zeros(9600, np.int16)
        there = voice[max(0, end - 9600) : end]
        start = max(0, 9600 - end)
        expected[start : start + len(there)] = there
        np.testing.assert_array_equal((windows[k] * 32768).astype(np.int16), expected)


@pytest.mark.parametrize(
    ("seconds", "steps"), [(0.0, 1), (0.05, 1), (0.2, 1), (0.39, 1), (0.4, 2), (0.6, 3), (2.0, 10), (3.003, 15)]
)
def test_a_clip_has_the_steps_whose_time_has_come(seconds: float, steps: int) -> None:
    assert step_count(seconds, 0.2) == steps


def test_level_decides_what_is_voice() -> None:
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((3, 9600)).astype(np.float32) * np.array(
        [[0.05], [10 ** (-91 / 20)], [0]], np.float32
    )
    assert voice_present(windows, -50).tolist() == [True, False, False]
