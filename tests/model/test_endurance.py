"""A claim about long sessions of the model in release/: what it says of a clip does not depend on what came before, and
it does not grow. Faster than real time: a stream's caller keeps the time.
"""

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mmer.labels import EMOTIONS
from mmer.runtime import media
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.stream import Stream
from mmer.runtime.types import Picture
from tests.conftest import ROOT
from tests.graphs import drawn_clips

LONG_S = 600.0
HOP = 3200
"""Samples of voice in a step."""


@dataclass(frozen=True)
class Heard:
    """A clip, decoded."""

    pictures: dict[int, Picture]
    """By step."""
    voice: np.ndarray
    steps: int


@pytest.fixture(scope="module")
def release() -> Recognizer:
    return Recognizer.load(ROOT / "release")


def decoded(recognizer: Recognizer, path: Path) -> Heard:
    pictures: dict[int, Picture] = {}
    found = media.decode(
        path, recognizer.info.media, recognizer.info.input.step_s, lambda k, _, rgb: pictures.update({k: rgb})
    )
    return Heard(pictures, found.voice, found.steps)


def played(stream: Stream, clip: Heard) -> str:
    """Show a clip to a stream, wherever it stands; the label of the clip, from the mean over its steps."""
    chances = []
    for k in range(clip.steps):
        if k in clip.pictures:
            stream.push_frame(clip.pictures[k], stream.next_time)
        stream.push_voice(clip.voice[k * HOP : (k + 1) * HOP], stream.next_time - 0.2)
        step = stream.step()
        if any(step.present.values()):
            chances.append(np.log(np.maximum(step.probabilities, 1e-9)))
    return EMOTIONS[int(np.mean(chances, axis=0).argmax())]


def real_clips() -> list[Path]:
    """Where MMER_MIRROR has them: three of CREMA-D, three of RAVDESS."""
    folder = Path(os.environ.get("MMER_MIRROR", "/nowhere"))
    return sorted([*folder.glob("crema_d/VideoFlash/*.flv"), *folder.glob("ravdess/Actor_01/01-01-*.mp4")])


def resident_mb() -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


@pytest.fixture(scope="module")
def clips(release: Recognizer) -> dict[str, Heard]:
    return {path.stem: decoded(release, path) for path in [*drawn_clips().values(), *real_clips()]}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process's memory from Linux's /proc")
def test_after_ten_minutes_of_other_clips_a_clip_has_the_same_label_and_the_memory_is_the_same(
    release: Recognizer, clips: dict[str, Heard]
) -> None:
    names = [path.stem for path in real_clips()] or list(clips)[-3:]
    asked = {name: clips[name] for name in names}
    first = {name: played(release.stream(), clip) for name, clip in asked.items()}
    stream, others = release.stream(), itertools.cycle(clip for name, clip in clips.items() if name not in asked)

    def play_until(seconds: float) -> float:
        while stream.next_time < seconds:
            played(stream, next(others))
        return resident_mb()

    begun, ended = play_until(LONG_S / 10), play_until(LONG_S)
    assert ended - begun < 5, "MB that it grew between the first minute and the tenth"
    assert {name: played(stream, clip) for name, clip in asked.items()} == first
