"""Claims about voices through real codecs: each comes back in its place, and none with a part of another."""

from pathlib import Path

import numpy as np
import pytest

from mmer.data.clips import Clip
from mmer.data.samples import Sample, save_sample
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.types import Floats
from mmer.training import codecs
from mmer.training.codecs import CODECS, Codec, CodecError, Pcm, code_voices, coded, load_coded

STEP = SAMPLE_RATE // 5


def voice(seed: int, seconds: float) -> Pcm:
    """A buzz whose pitch and course hang on the seed, int16 [N]."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    knots = np.arange(0, seconds + 0.1, 0.1)
    pitch = 110 + 15 * seed + 8 * np.sin(2 * np.pi * 0.7 * t)
    buzz = sum(np.cos(k * 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE) / k for k in range(1, 20))
    loud = np.interp(t, knots, rng.uniform(0, 1, len(knots)))
    return np.asarray(5000 * buzz * loud**2, np.int16)


def level(x: Pcm) -> Floats:
    """Of each 10 ms, float32 [n]."""
    return np.sqrt(np.square(x[: len(x) // 160 * 160].astype(np.float32)).reshape(-1, 160).mean(1))


def compared(before: Pcm, after: Pcm) -> tuple[int, float]:
    """By how many samples it comes later, up to a step either way, and how alike the levels are at that."""

    def alike(by: int) -> float:
        one, two = (before[: len(before) - by], after[by:]) if by >= 0 else (before[-by:], after[:by])
        return float(np.corrcoef(level(one), level(two))[0, 1])

    found = {by: alike(by) for by in range(-STEP, STEP + 1, 80) if len(before) - abs(by) > STEP}
    by = max(found, key=lambda by: found[by])
    return by, found[by]


@pytest.fixture(scope="module", params=CODECS, ids=lambda codec: codec.name)
def through(request: pytest.FixtureRequest) -> tuple[list[Pcm], list[Pcm]]:
    """Voices of several lengths, among them a silent one and one shorter than a step, and what is left of them."""
    voices = [voice(1, 2.3), voice(2, 1.01), np.zeros(8000, np.int16), voice(3, 0.15), voice(4, 3)]
    return voices, coded(voices, request.param)


def test_a_voice_comes_back_as_long_as_it_was_in_its_place_and_like_itself(
    through: tuple[list[Pcm], list[Pcm]],
) -> None:
    for before, after in zip(*through, strict=True):
        assert (after.shape, after.dtype) == (before.shape, np.int16)
        if len(before) > 2 * STEP and before.any():
            by, alike = compared(before, after)
            assert abs(by) < STEP / 2
            assert alike > 0.93
            assert (after != before).mean() > 0.1, "a codec was there"


def test_nothing_of_one_voice_is_heard_in_another(through: tuple[list[Pcm], list[Pcm]]) -> None:
    _, after = through
    assert level(after[2]).max() < 30, "silence between two voices stays silence, at less than -60 dBFS"


def test_an_encoder_that_this_ffmpeg_lacks_is_named() -> None:
    with pytest.raises(CodecError, match=r"ffmpeg could not make Nothing at all: .*nothing_at_all"):
        coded([voice(0, 0.5)], Codec("Nothing at all", ("-c:a", "nothing_at_all"), "ogg"))


def test_each_clip_is_coded_into_a_file_and_the_same_bytes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "LINE", 2)  # so that a codec has several lines
    clips = []
    for number in range(24):
        clip = Clip(
            clip_id=f"v{number}", corpus="demo", speaker="s", label="sad", path="x", has_voice=True, split="train"
        )
        pcm = voice(number % 5, 0.4 + 0.1 * (number % 3))
        present = np.tile([False, False, True], (2, 1))
        empty = np.zeros((2, 1, 1, 3), np.uint8)
        for side in ("a", "b"):
            save_sample(tmp_path / side / "processed" / clip.sample, Sample(empty, empty, pcm, present))
        clips.append(clip)
    for side in ("a", "b"):
        code_voices(clips, tmp_path / side / "processed", seed=3)
    files = [sorted(path for path in (tmp_path / side / "coded").rglob("*") if path.is_file()) for side in ("a", "b")]
    assert len(files[0]) == len(clips)
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    for number, clip in enumerate(clips):
        left, given = load_coded(clip, tmp_path / "a" / "processed"), voice(number % 5, 0.4 + 0.1 * (number % 3))
        assert len(left) == len(given)
        assert compared(given, left)[1] > 0.9, "its own voice, not another's"
