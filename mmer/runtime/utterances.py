"""Utterances: when somebody begins to speak and stops, and what was recognised meanwhile; and summaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.runtime.config import Input, Shown
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.results import Step, Summary, mean_affect, softmax
from mmer.runtime.smoothing import PRIOR_STEPS, centred, temperature
from mmer.runtime.types import Floats
from mmer.runtime.voice import FRAME_SAMPLES, FrameActivity, VoiceBuffer

PAUSE_S = 0.175
"""Silence after which an utterance is over: with a frame, and voice that comes in pieces of 0.1 s, its end is known
0.3 s after it at the latest. Of 120 clips of RAVDESS, a sentence each, 90% are one utterance so (of 0.25 s: 97%)."""
VOICED_S = 0.2
"""So much voice must be heard before it is an utterance: a click is none."""
LONGEST_S = 30.0
"""An utterance that goes on for longer is told in parts."""
QUIETEST = 1e-10
"""Power: what is less is told as -100 dB."""


@dataclass(frozen=True)
class UtteranceStart:
    """Somebody has begun to speak."""

    start: float
    """Seconds since the beginning."""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"start": round(self.start, 3)}


class Utterances:
    """The utterances of one clip or stream, using nothing of the future.

    Voice is taken in frames of 25 ms; a frame is judged before the step that stands at its end or later, so that a clip
    and a stream, whose voice comes in pieces, give the same.
    """

    def __init__(self, given: Input, silence_dbfs: float, shown: Shown | None) -> None:
        self._step_s, self._shown = given.step_s, shown
        self._active = FrameActivity(given, silence_dbfs)
        self._frame = 0  # the next one
        self._steps: list[Step] = []  # of this utterance; before one, the last
        self._begin()

    def _begin(self) -> None:
        self._first: int | None = None  # frame of the voice that is going on
        self._end = 0  # the frame after its last one with voice
        self._voiced = 0
        self._power: list[float] = []

    def listen(self, voice: VoiceBuffer, until: int) -> list[UtteranceStart | Summary]:
        """Take in the frames that end `until` that many samples since the beginning.

        Returns:
            What began and what ended in them.
        """
        count, before = until // FRAME_SAMPLES - self._frame, FrameActivity.BEFORE
        if count <= 0:
            return []
        begin = self._frame * FRAME_SAMPLES
        samples = voice.samples(begin - before, begin + count * FRAME_SAMPLES)
        if begin == 0:  # an offset of the recorder is no loudness
            samples[:before] = samples[before]
        told: list[UtteranceStart | Summary] = []
        for active, power in zip(*self._active(samples), strict=True):
            told += self._hear(bool(active), float(power))
        return told

    def push(self, step: Step) -> None:
        """A step, once the frames that end before it were listened to."""
        if self._first is None:
            self._steps.clear()
        self._steps.append(step)

    def skip(self, samples: int) -> list[UtteranceStart | Summary]:
        """Go on so many samples since the beginning, as if nothing were heard up to there; what goes on is over."""
        told, frame = self.finish(), samples // FRAME_SAMPLES
        self._active.skip(max(0, frame - self._frame))
        self._frame = max(frame, self._frame)
        self._steps.clear()
        return told

    def finish(self) -> list[UtteranceStart | Summary]:
        """End what goes on: nothing more comes."""
        first, end, begun = self._first, self._end, self._begun
        power = self._power[: end - (first or 0)]
        self._begin()
        if first is None or not begun:
            return []
        start_s, end_s = _seconds(first), _seconds(end)
        steps = [step for step in self._steps if start_s < step.t < end_s + self._step_s - 1e-6]
        return [summarise(steps, start_s, end_s, float(np.mean(power)), self._step_s, self._shown)]

    @property
    def _begun(self) -> bool:
        return self._voiced * FRAME_SAMPLES >= VOICED_S * SAMPLE_RATE

    def _hear(self, active: bool, power: float) -> list[UtteranceStart | Summary]:
        """The next frame."""
        begun, self._frame = self._begun, self._frame + 1
        if active:
            self._first = self._frame - 1 if self._first is None else self._first
            self._end, self._voiced = self._frame, self._voiced + 1
        if self._first is None:
            return []
        self._power.append(power)
        if _seconds(self._frame - self._end) >= PAUSE_S or _seconds(self._frame - self._first) >= LONGEST_S:
            return self.finish()
        return [UtteranceStart(_seconds(self._first))] if self._begun and not begun else []


class Summaries:
    """A stream's steps, told together every so many seconds."""

    def __init__(self, interval_s: float, step_s: float, shown: Shown | None) -> None:
        self._interval_s, self._step_s, self._shown = interval_s, step_s, shown
        self._start = 0.0
        self._steps: list[Step] = []

    def push(self, step: Step) -> Summary | None:
        """The next step; what is to be told, once the interval is over."""
        self._steps.append(step)
        return self.finish() if step.t >= self._start + self._interval_s - 1e-6 else None

    def finish(self) -> Summary | None:
        """What is left to be told."""
        if not self._steps:
            return None
        power = np.mean([10 ** (step.voice_dbfs / 10) for step in self._steps])
        start, end, steps = self._start, self._steps[-1].t, self._steps
        self._start, self._steps = end, []
        return summarise(steps, start, end, float(power), self._step_s, self._shown)


def summarise(
    steps: Sequence[Step], start: float, end: float, power: float, step_s: float, shown: Shown | None
) -> Summary:
    """What steps say together: the mean of their logits, over those with evidence, no surer than as much evidence has
    proved to be right (`mmer.runtime.smoothing`); and so of each modality by itself.

    Args:
        start: in seconds.
        end: in seconds.
        power: of the sound between them, its mean square, full scale 1.
        step_s: of the steps.
        shown: how sure it may be.
    """
    told = [step for step in steps if step.seen or step.heard]
    seen, heard = any(step.seen for step in told), any(step.heard for step in told)
    total = sum((centred(step.probabilities) for step in told), np.zeros(len(EMOTIONS), np.float32))
    mean = total / np.float32(len(told) + PRIOR_STEPS - 1)
    sure = softmax(mean / np.float32(temperature(shown, len(told) * step_s, seen=seen, heard=heard)))
    alone: dict[ModalityName, Floats | None] = {}
    for name in [name for name in MODALITIES if steps and name in steps[0].unimodal]:
        said = [one for step in steps if (one := step.unimodal[name]) is not None]
        alone[name] = softmax(np.mean([centred(one) for one in said], axis=0)) if said else None
    count = max(1, len(steps))
    return Summary(
        start=start,
        end=end,
        label=EMOTIONS[int(sure.argmax())] if told else None,
        probabilities=sure,
        unimodal=alone,
        seen=sum(step.present["face"] for step in steps) / count,
        heard=sum(step.heard for step in steps) / count,
        voice_dbfs=10 * float(np.log10(max(power, QUIETEST))),
        followed=Counter(step.followed for step in steps).most_common(1)[0][0] if steps else None,
        affect=mean_affect(steps),
        calibrated=bool(told) and all(step.calibrated for step in told),
    )


def _seconds(frames: int) -> float:
    return frames * FRAME_SAMPLES / SAMPLE_RATE
