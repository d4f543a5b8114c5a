"""Voice on the grid of steps, and voice activity: the one rule for what counts as voice."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mmer.runtime.config import Input
from mmer.runtime.grid import SAMPLE_RATE, voice_windows
from mmer.runtime.types import Floats

JITTER_S = 0.05
"""Voice that arrives with a time stamp off by less simply continues what came before."""


class VoiceBuffer:
    """The voice on the grid of steps; of a stream only what later windows can still reach."""

    def __init__(self, given: Input) -> None:
        self._step_s, self._window_s = given.step_s, given.voice_window_s
        self._hop = round(given.step_s * SAMPLE_RATE)
        self._context = math.ceil(given.voice_window_s / given.step_s)
        self._start = 0  # of the line, samples since the beginning
        self._line = np.zeros(0, np.int16)

    @property
    def end(self) -> int:
        """Samples since the beginning up to which there is voice."""
        return self._start + len(self._line)

    def put(self, pcm: npt.NDArray[np.int16], at: int) -> None:
        """Lay voice down, its first sample at `at`."""
        pcm = pcm[max(0, self._start - at) :]
        at = max(at, self._start)
        if at + len(pcm) > self.end:
            self._line = np.concatenate([self._line, np.zeros(at + len(pcm) - self.end, np.int16)])
        self._line[at - self._start : at - self._start + len(pcm)] = pcm

    def windows(self, first: int, count: int) -> Floats:
        """The windows of steps `first` to `first + count`, float32 [count, W]."""
        before = min(first, self._context)
        begin = (first - before) * self._hop - self._start
        line = self._line[begin : begin + (before + count) * self._hop]
        return voice_windows(line, before + count, self._step_s, self._window_s)[before:]

    def forget(self, step: int) -> None:
        """Drop what the windows of `step` and later cannot reach."""
        begin = max(0, (step - self._context) * self._hop)
        if begin > self._start:
            self._line = self._line[begin - self._start :].copy()
            self._start = begin


def voice_activity(windows: npt.NDArray[np.float32], silence_dbfs: float) -> npt.NDArray[np.bool_]:
    """The one rule for what counts as voice: a window whose level reaches `silence_dbfs`.

    The level decides, not the presence of a sound track: RAVDESS's video-only files carry a silent one.

    Args:
        windows: float32 [T, W] in -1..1.
        silence_dbfs: RMS in dB of full scale.

    Returns:
        bool [T].
    """
    power = np.mean(np.square(windows, dtype=np.float32), axis=-1)
    present: npt.NDArray[np.bool_] = power >= 10 ** (silence_dbfs / 10)
    return present
