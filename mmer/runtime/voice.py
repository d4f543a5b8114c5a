"""Voice on the grid of steps, and voice activity: the one rule for what counts as voice."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mmer.runtime.config import Input, Level
from mmer.runtime.grid import SAMPLE_RATE, voice_windows
from mmer.runtime.types import Floats

FRAME_SAMPLES = SAMPLE_RATE // 40
"""Samples of a frame whose level is taken: 25 ms."""
DIGITAL_SILENCE = -95.0
"""dB: below it is no recording of anything."""
LOW_PASS = 4
"""Samples whose mean is taken first …"""
LAG = 2
"""… and the means between which differences are: together a band around 1 kHz."""
HEARD_AT = -20.0
"""Level, dB of full scale, at which the loudest of a voice is heard where its level is followed."""
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

    def samples(self, begin: int, end: int) -> Floats:
        """What lies from `begin` to before `end`, samples since the beginning: float32 [N] in -1..1, with silence where
        there is none.
        """
        given = self._line[max(0, begin - self._start) : max(0, end - self._start)]
        before = max(0, self._start - begin)
        line = np.zeros(end - begin, np.float32)
        line[before : before + len(given)] = given.astype(np.float32) / 32768
        return line

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


class Loudness:
    """The level of a voice and the floor below it, followed tick by tick, using nothing of the future.

    The level jumps up with what is loud and falls slowly; the floor drops to what is soft and rises slowly. Voice is
    what reaches neither too far below the level nor too near the floor: a soft speaker is heard, and a loud fan, in
    whose frames loudest and softest are alike, is not.
    """

    def __init__(self, rules: Level, tick_s: float) -> None:
        self._rules, self._tick_s = rules, tick_s
        self.level: float | None = None
        """dB; None until something was heard."""
        self._floor: float | None = None

    def __call__(self, softest: float, loudest: float) -> bool:
        """The next tick, with the levels of its softest and loudest frame, dB: whether it is voice."""
        self.skip(1)
        if loudest <= DIGITAL_SILENCE:  # tells nothing of a room or a speaker
            return False
        self.level = loudest if self.level is None else max(self.level, loudest)
        self._floor = softest if self._floor is None else min(self._floor, softest)
        near = loudest >= self.level - self._rules.range_db
        return near and loudest > self._floor + self._rules.margin_db

    def skip(self, ticks: int) -> None:
        """Let so many ticks pass unheard."""
        if self.level is not None and self._floor is not None:
            self.level -= ticks * self._tick_s * self._rules.fall_db_s
            self._floor += ticks * self._tick_s * self._rules.rise_db_s


class Hearing:
    """How the voice windows of one clip or stream are heard, step by step, using nothing of the future.

    With `Input.level`, the loudness is followed (`Loudness`), and each window is scaled so that the level it is at has
    one fixed loudness: so the gain of a microphone does not matter, and what is louder than this speaker's own usual
    stays so. Levels are those of a band around 1 kHz (200 Hz to 1.8 kHz), where a voice has much of its power, and hiss
    and rumble have little.

    Without it windows are heard as they are, and voice is what reaches `silence_dbfs`.
    """

    def __init__(self, given: Input, silence_dbfs: float) -> None:
        self._loudness = None if given.level is None else Loudness(given.level, given.step_s)
        self._silence = silence_dbfs

    def __call__(self, windows: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """The next steps.

        Args:
            windows: float32 [T, W] in -1..1 (`voice_windows`).

        Returns:
            The windows as a network is to hear them, float32 [T, W], and whether each is voice, bool [T].
        """
        if self._loudness is None:
            return windows, voice_activity(windows, self._silence)
        gains, active = np.ones(len(windows), np.float32), np.zeros(len(windows), bool)
        for k, (softest, loudest) in enumerate(zip(*_extremes(windows), strict=True)):
            active[k] = self._loudness(float(softest), float(loudest))
            gains[k] = 0.0 if self._loudness.level is None else _gain(self._loudness.level)
        return windows * gains[:, None], active

    def skip(self, steps: int) -> None:
        """Let so many steps pass unheard."""
        if self._loudness is not None:
            self._loudness.skip(steps)


class FrameActivity:
    """Which frames of 25 ms are voice: the rule of `Hearing`, frame by frame, so that the end of speech is known at
    once and not only when the last window that holds some of it has passed.
    """

    BEFORE = LAG * LOW_PASS
    """Samples that must be known before a frame."""

    def __init__(self, given: Input, silence_dbfs: float) -> None:
        self._loudness = None if given.level is None else Loudness(given.level, FRAME_SAMPLES / SAMPLE_RATE)
        self._silence = silence_dbfs

    def __call__(self, samples: Floats) -> tuple[npt.NDArray[np.bool_], Floats]:
        """The next frames.

        Args:
            samples: float32 [BEFORE + n * FRAME_SAMPLES] in -1..1.

        Returns:
            Whether each is voice, bool [n], and its power, float32 [n].
        """
        frames = samples[self.BEFORE :].reshape(-1, FRAME_SAMPLES)
        power = np.mean(np.square(frames), axis=1)
        if self._loudness is None:
            return voice_activity(frames, self._silence), power
        low = samples.reshape(-1, LOW_PASS).mean(1)
        levels = _levels((low[LAG:] - low[:-LAG])[None])[0].tolist()
        return np.array([self._loudness(level, level) for level in levels], bool), power

    def skip(self, frames: int) -> None:
        """Let so many frames pass unheard."""
        if self._loudness is not None:
            self._loudness.skip(frames)


def hear(
    voice: npt.NDArray[np.int16], steps: int, given: Input, silence_dbfs: float
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """A whole clip's voice, int16 [N] at 16 kHz, as `Hearing` gives it: float32 [steps, W], bool [steps]."""
    return Hearing(given, silence_dbfs)(voice_windows(voice, steps, given.step_s, given.voice_window_s))


def _extremes(windows: Floats) -> tuple[Floats, Floats]:
    """Level of the softest frame and of the loudest of each window, dB: [T, W] → [T], [T]. Digital silence (what lies
    before the beginning, and what a gate left of a pause) is no frame, unless there is nothing else.
    """
    width = windows.shape[1] // FRAME_SAMPLES * FRAME_SAMPLES
    low = windows[:, -width:].reshape(len(windows), -1, LOW_PASS).mean(2)
    band = low - np.concatenate([low[:, :LAG], low[:, :-LAG]], axis=1)
    level = _levels(band)
    loudest = level.max(1)
    return np.where(level > DIGITAL_SILENCE, level, loudest[:, None]).min(1), loudest


def _levels(band: Floats) -> Floats:
    """Level of each frame, dB, of sound that is limited to the band: [T, n * FRAME_SAMPLES / LOW_PASS] → [T, n]."""
    power = np.mean(np.square(band.reshape(len(band), -1, FRAME_SAMPLES // LOW_PASS)), axis=2)
    level: Floats = 10 * np.log10(np.maximum(power, 1e-20))
    return level


def _gain(level: float) -> float:
    gain: float = 10 ** ((HEARD_AT - level) / 20)
    return gain


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
