"""A live session: pictures and voice in as they come, a step out each `step_s` seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmer.runtime.calibration import Calibration
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.pipeline import ForwardPass, Pipeline
from mmer.runtime.resize import bound
from mmer.runtime.results import Step, Summary
from mmer.runtime.types import Arrays, Floats, Picture
from mmer.runtime.utterances import UtteranceStart
from mmer.runtime.voice import JITTER_S

if TYPE_CHECKING:
    from mmer.runtime.recognizer import Recognizer

STALE_S = 1.0
"""A stream's picture older than this no longer shows what is there: the camera has stopped."""
AHEAD_S = 10.0
"""A stream takes nothing from further ahead of its next step: what waits there is kept in memory."""


class Stream:
    """A live session: push what the camera and the microphone give, take a `Step` each `step_s` seconds.

    Causal: a step sees the newest picture that is not later than it, and the voice window that ends at it. A step costs
    the same at the first minute and at the hundredth.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._pipeline, self._forward = Pipeline(recognizer), recognizer.forward
        self._media = recognizer.info.media
        self._step_s = recognizer.info.input.step_s
        self._coming: dict[int, tuple[float, Picture | None]] = {}  # by the step that will see it
        self._frame: tuple[float, Picture | None] = (-math.inf, None)

    @property
    def next_time(self) -> float:
        """Seconds since the start at which the next step stands."""
        return (self._pipeline.done + 1) * self._step_s

    def push_frame(self, rgb: Picture | None, t: float) -> None:
        """A picture taken at `t` seconds, uint8 [H, W, 3] RGB; None where the camera was turned off at `t`.

        Of the pictures of one step only the newest is kept. A picture older than the one in use is ignored.

        Raises:
            ValueError: the picture has another shape or dtype, or `t` is below 0 or too far ahead.
        """
        self._check_time(t)
        if rgb is not None:
            if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
                raise ValueError(f"a picture must be uint8 [H, W, 3], not {rgb.dtype} {list(rgb.shape)}")
            rgb = bound(rgb, self._media.frame_side)
        step = max(self._pipeline.done, math.ceil(t / self._step_s - 1e-3) - 1)
        if t >= max(self._frame[0], self._coming.get(step, self._frame)[0]):
            self._coming[step] = (t, rgb)

    def push_voice(self, pcm: npt.NDArray[np.int16] | Floats, t: float) -> None:
        """Sound whose first sample is at `t` seconds: 16 kHz mono, int16, or float32 in -1..1.

        Voice missing between two pushes is silence; late voice is heard by those windows to come that reach it.

        Raises:
            ValueError: the array has another shape or dtype, or `t` is below 0 or too far ahead.
        """
        self._check_time(t)
        if pcm.ndim != 1 or pcm.dtype not in (np.int16, np.float32):
            raise ValueError(f"voice must be int16 or float32 [N], not {pcm.dtype} {list(pcm.shape)}")
        if pcm.dtype == np.float32:
            pcm = np.clip(np.nan_to_num(pcm) * 32768, -32768, 32767).astype(np.int16)
        voice, at = self._pipeline.voice, round(t * SAMPLE_RATE)
        if abs(at - voice.end) < JITTER_S * SAMPLE_RATE:
            at = voice.end
        voice.put(pcm.astype(np.int16, copy=False), at)

    def step(self) -> Step:
        """What is seen and heard at the next step. The caller keeps the time: nothing is waited for."""
        begun = self.begin()
        return self.end(begun, self._forward(begun.arrays))

    def begin(self) -> ForwardPass:
        """The first half of a step, for a caller that makes the pass through the graph itself."""
        now = self.next_time
        self._frame = self._coming.pop(self._pipeline.done, self._frame)
        at, rgb = self._frame
        fresh = rgb is not None and now - at <= STALE_S
        return self._pipeline.begin(self._pipeline.features(rgb, at) if rgb is not None and fresh else None)

    def end(self, begun: ForwardPass, found: Arrays) -> Step:
        """The second half.

        Args:
            found: what the graph gives for `begun.arrays`.
        """
        _, (step,) = self._pipeline.end(begun, found)
        self._pipeline.voice.forget(self._pipeline.done)
        return step

    def utterances(self, *, over: bool = False) -> list[UtteranceStart | Summary]:
        """What utterances began and ended since this was asked last, in order. Ask after each step, and after each push
        of voice: of pieces of 0.1 s an end is told 0.3 s after the voice ends, at the latest.

        Args:
            over: no more voice comes: an utterance that goes on ends here.
        """
        return self._pipeline.utterances(over=over)

    def calibrate(self, seconds: float) -> None:
        """Take what is seen and heard in the next seconds as this person at rest (`mmer.runtime.calibration`)."""
        self._pipeline.calibrator.measure(seconds)

    def calibration(self, *, over: bool = False) -> Calibration | None:
        """What `calibrate` found, once, and in use since; None while there is nothing to be told. Ask after each step.

        Args:
            over: no more steps come.

        Raises:
            CalibrationError: it came to nothing; what was in use before still is.
        """
        return self._pipeline.calibrator.found(over=over)

    def use(self, calibration: Calibration | None) -> None:
        """A calibration that was found before, from the next step on; None: none.

        Raises:
            CalibrationError: it is of another model.
        """
        self._pipeline.calibrator.use(calibration)

    def skip(self, steps: int) -> None:
        """Leave out the next steps, as if nothing were seen or heard in them; the state stays as it is."""
        self._pipeline.skip(steps)
        self._coming = {step: coming for step, coming in self._coming.items() if step >= self._pipeline.done}

    def _check_time(self, t: float) -> None:
        if not 0 <= t <= self.next_time + AHEAD_S:
            raise ValueError(
                f"time {t} s is not between 0 and {AHEAD_S:g} s after the next step ({self.next_time:g} s)"
            )
