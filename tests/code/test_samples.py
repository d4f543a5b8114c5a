"""Claims about samples on disk and about the grid of steps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer.data.samples import SPOOL, FramesReader, Memory, Sample, Writer, load_sample, save_sample
from mmer.runtime.grid import step_count, voice_windows
from mmer.runtime.voice import voice_activity


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


def test_frames_come_back_piece_by_piece(tmp_path: Path) -> None:
    times, voice = np.array([0.1, np.nan, 0.5], np.float32), np.arange(5, dtype=np.int16)
    with Writer(tmp_path / "f.npz") as writer:
        for jpeg in (b"one", b"", b"three"):
            writer.append("jpegs", np.frombuffer(jpeg, np.uint8))
        for piece in (voice[:2], voice[2:]):
            writer.append("voice", piece)
        writer.append("sizes", np.array([3, 0, 5]))
        writer.append("times", times)
        writer.append("steps", np.array([3]))
    back = FramesReader(tmp_path / "f.npz")
    assert list(back.jpegs()) == [b"one", b"", b"three"]
    np.testing.assert_array_equal(back.times, times)
    assert [piece.tolist() for piece in back.voice(2)] == [[0, 1], [2, 3], [4]]
    assert back.steps == 3
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
    assert voice_activity(windows, -50).tolist() == [True, False, False]


def test_what_is_written_piece_by_piece_is_what_numpy_writes(tmp_path: Path) -> None:
    """Also where an array outgrows the memory that it is given."""
    rows = np.random.default_rng(0).integers(0, 256, (3000, 32, 32), np.uint8)
    assert rows.nbytes > 2 * SPOOL
    with Writer(tmp_path / "f.npz") as writer:
        for start in range(0, 3000, 700):
            writer.append("rows", rows[start : start + 700])
        writer.append("nothing", np.zeros((0, 3), np.float32))
        writer.append("zeros", np.zeros((1000, 1000), np.int16))
    np.savez(
        tmp_path / "numpy.npz", rows=rows, nothing=np.zeros((0, 3), np.float32), zeros=np.zeros((1000, 1000), np.int16)
    )
    with np.load(tmp_path / "f.npz") as ours, np.load(tmp_path / "numpy.npz") as theirs:
        assert set(ours) == set(theirs)
        for name in ours:
            assert ours[name].dtype == theirs[name].dtype
            np.testing.assert_array_equal(ours[name], theirs[name])
    assert (tmp_path / "f.npz").stat().st_size < rows.nbytes + 20_000, "zeros are deflated"


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    path.write_bytes(b"before")

    def write() -> None:
        with Writer(path) as writer:
            writer.append("rows", np.zeros((1, 3)))
            writer.append("rows", np.zeros((1, 4)))

    with pytest.raises(ValueError, match="rows are"):
        write()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_memory_reads_a_sample_once_and_no_more_than_it_may_keep(tmp_path: Path) -> None:
    faces, voice = np.zeros((2, 8, 8, 3), np.uint8), np.arange(1000, dtype=np.int16)
    paths = [tmp_path / f"{k}.npz" for k in range(3)]
    for path in paths:
        save_sample(path, Sample(faces, faces, voice, np.ones((2, 3), bool)))
    one = load_sample(paths[0], ["voice"])
    read = Memory(2 * (one.voice.nbytes + one.present.nbytes))
    before = [read(path, ["voice"]) for path in paths]
    assert [read(path, ["voice"]) is kept for path, kept in zip(paths, before, strict=True)] == [True, True, False]
    np.testing.assert_array_equal(read(paths[2], ["voice"]).voice, voice)
    assert read(paths[0], ["face"]) is not before[0], "another part of it"
