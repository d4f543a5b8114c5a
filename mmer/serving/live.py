"""One live session: what came in, when a step is due, what is answered. The socket is `mmer.serving.stream`'s."""

from __future__ import annotations

import io
import math
import time
from collections import deque
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmer.runtime.calibration import CalibrationError
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.media import is_laborious
from mmer.runtime.pipeline import ForwardPass
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Step, Summary, by_emotion
from mmer.runtime.smoothing import Smoothers
from mmer.runtime.stream import Stream
from mmer.runtime.types import Arrays
from mmer.runtime.utterances import Summaries, UtteranceStart
from mmer.serving import answers
from mmer.serving.protocol import CAMERA_OFF, FRAME, VOICE, Calibrate, Hello, Media, Refusal

LATE_S = 0.25
"""A step waits no longer for one modality once another has reached it."""
BEHIND_S = 1.0
"""Further behind what came in than this, steps are skipped …"""
KEEP_S = 0.4
"""… until this much is left."""
MAILBOX = 256
"""Messages of a kind that wait, at most: more come only from a client that plays with its clock."""
EARLY = 0.5
"""Share of a step: a picture taken no earlier than that before a step will do for it."""
SPOKEN: dict[type, str] = {UtteranceStart: "utterance_start", Summary: "utterance"}
"""What the messages are called."""

REDUCED = ((cv2.IMREAD_REDUCED_COLOR_8, 8), (cv2.IMREAD_REDUCED_COLOR_4, 4), (cv2.IMREAD_REDUCED_COLOR_2, 2))
"""How OpenCV is told to decode a JPEG at a part of its size, and at which one."""


class Session:
    """The state of one connection: mailboxes, the recogniser's stream, the smoothed label.

    `receive` is called as messages come, and then `utterances`. While `due`: `take`, then `look` (which works, so in a
    thread, and alone), then a pass through the graph, then `tell`. At the end, `finish`.
    """

    def __init__(self, recognizer: Recognizer, hello: Hello, pixels: int) -> None:
        self._stream: Stream = recognizer.stream()
        self._step_s = recognizer.info.input.step_s
        self._smoothers = Smoothers(self._step_s, recognizer.info.shown)
        self._pixels, self._side, self._version = pixels, recognizer.info.media.frame_side, hello.protocol
        self._summaries = (
            None if hello.interval_s is None else Summaries(hello.interval_s, self._step_s, recognizer.info.shown)
        )
        self._video_t = -math.inf if hello.video else math.inf
        self._audio_t = -math.inf if hello.audio else math.inf
        self._frames: dict[int, Media] = {}  # by the step that may see them; the newest of each
        self._voice: deque[Media] = deque(maxlen=MAILBOX)
        self._deaf = False  # the microphone went off since utterances were told
        self._reached: deque[tuple[float, float]] = deque(maxlen=MAILBOX)  # how far what came in reached, and when
        self._frame_ms: int | None = None
        self.ms = {"decode": 0.0, "detect": 0.0, "network": 0.0}
        """Milliseconds that the phases of the last step took."""
        self.steps = 0
        """Answered so far."""

    @property
    def due(self) -> bool:
        """Whether the next step can be made."""
        step, newest = self._stream.next_time - 1e-3, self._newest()
        if newest is None:
            return False
        complete = self._audio_t >= step and self._video_t >= step - EARLY * self._step_s
        return complete or newest >= step + LATE_S

    def receive(self, message: Media) -> None:
        """Keep what came in for the steps that need it."""
        if message.kind in (FRAME, CAMERA_OFF):
            step = max(self._next, math.ceil(message.t / self._step_s - 1e-3) - 1)
            if step not in self._frames or self._frames[step].t <= message.t:
                self._frames[step] = message
            if len(self._frames) > MAILBOX:
                del self._frames[min(self._frames)]
            self._video_t = max(self._seen(self._video_t), message.t) if message.kind == FRAME else math.inf
        else:
            end = message.t + len(message.payload) / 2 / SAMPLE_RATE
            self._audio_t = max(self._seen(self._audio_t), end) if message.kind == VOICE else math.inf
            self._voice.append(message)
        newest = self._newest()
        if newest is not None and (not self._reached or newest > self._reached[-1][0]):
            self._reached.append((newest, time.monotonic()))

    def since_reached(self, t: float) -> float:
        """Seconds since something came in that was as late as a step at `t`; steps are asked for in their order."""
        while len(self._reached) > 1 and self._reached[0][0] < t - 1e-3:
            self._reached.popleft()
        return time.monotonic() - self._reached[0][1]

    def catch_up(self) -> dict[str, Any] | None:
        """Skip steps if the session is too far behind; what to tell the client of it."""
        newest = self._newest()
        if newest is None or newest - self._stream.next_time <= BEHIND_S:
            return None
        behind = newest - self._stream.next_time
        steps = math.floor((newest - KEEP_S - self._stream.next_time) / self._step_s)
        self._stream.skip(steps)
        dropped = [step for step in self._frames if step < self._next]
        for step in dropped:
            del self._frames[step]
        return {"type": "dropped", "frames": len(dropped), "steps": steps, "behind_s": round(behind, 2)}

    def take(self) -> Media | None:
        """The picture that the next step needs (or that the camera went off); the voice so far goes to the stream."""
        self._hear()
        return self._frames.pop(self._next, None)

    def utterances(self) -> list[dict[str, Any]]:
        """The messages of what utterances began and ended, as far as voice has come in; version 1 knows none."""
        self._hear()
        told, self._deaf = self._stream.utterances(over=self._deaf), False
        return [_message(SPOKEN[type(one)], one) for one in told if self._version > 1]

    def calibrate(self, message: Calibrate) -> None:
        """Somebody is at rest from the next step on, or a calibration is used.

        Raises:
            Refusal: `bad_calibration`: it is of another model. `bad_message`: version 1 knows no such message.
        """
        if self._version == 1:
            raise Refusal("bad_message", "version 1 of the protocol has no calibrate")
        if message.seconds is not None:
            return self._stream.calibrate(message.seconds)
        try:
            self._stream.use(message.calibration)
        except CalibrationError as error:
            raise Refusal("bad_calibration", str(error)) from None

    def finish(self) -> list[dict[str, Any]]:
        """The messages of what is still to be said: nothing more comes."""
        self._deaf = True
        rest = None if self._summaries is None else self._summaries.finish()
        summary = [] if rest is None else [_message("summary", rest)]
        return [*self.utterances(), *summary, *self._calibration(over=True)]

    def look(self, frame: Media | None) -> tuple[ForwardPass, Refusal | None]:
        """The first half of a step: decode, find the face.

        Returns:
            The pass to be made, and what was wrong with the picture, if anything.
        """
        start, refused = time.perf_counter(), None
        if frame is not None:
            try:
                picture = _decode(frame.payload, self._pixels, self._side) if frame.kind == FRAME else None
                self._stream.push_frame(picture, frame.t)
                self._frame_ms = None if picture is None else round(1000 * frame.t)
            except Refusal as error:
                refused = error
        decoded = time.perf_counter()
        begun = self._stream.begin()
        self.ms = {"decode": 1000 * (decoded - start), "detect": 1000 * (time.perf_counter() - decoded)}
        return begun, refused

    def tell(self, begun: ForwardPass, found: Arrays) -> tuple[Step, list[dict[str, Any]]]:
        """The second half of a step, and the messages for the client.

        Args:
            found: what the graph gave for `begun.arrays`.
        """
        step = self._stream.end(begun, found)
        self.ms["network"] = max(0.0, step.ms - self.ms["detect"])
        raw, told = by_emotion(step.probabilities), self._smoothers.push(step).to_json()
        self.steps += 1
        also = [*self._calibration(), *self.utterances()]
        if self._summaries is not None:
            summary = self._summaries.push(step)
            return step, [*([] if summary is None else [_message("summary", summary)]), *also]
        message: dict[str, Any] = {
            "type": "step",
            "n": self._next - 1,
            "t": told["t"],
            "label": told["label"],
            "probabilities": told["probabilities"],
            "raw": raw,
            "alone": told["alone"],
            "box": told["box"],
            "present": told["present"],
            "voice_dbfs": told["voice_dbfs"],
            "followed": told["followed"],
            "people": told["people"],
            "more_people": told["more_people"],
            "calibrated": told["calibrated"],
            **{name: told[name] for name in step.affect},
            "frame_ms": self._frame_ms if begun.seen is not None else None,
            "ms": {phase: round(ms, 2) for phase, ms in self.ms.items()},
        }
        return step, [message, *also]

    def _calibration(self, *, over: bool = False) -> list[dict[str, Any]]:
        """What came of a calibration, once."""
        try:
            found = self._stream.calibration(over=over)
        except CalibrationError as error:
            return [answers.told("error", "bad_calibration", str(error))]
        return [] if found is None else [found.model_dump(mode="json")]

    def _hear(self) -> None:
        """The voice that waits goes to the stream."""
        for piece in self._voice:
            if piece.kind != VOICE:
                self._deaf = True
            elif piece.t < self._stream.next_time + 2 * BEHIND_S:
                self._stream.push_voice(np.frombuffer(piece.payload, "<i2").astype(np.int16, copy=False), piece.t)
        self._voice.clear()

    @property
    def _next(self) -> int:
        """Number of the next step."""
        return round(self._stream.next_time / self._step_s) - 1

    def _newest(self) -> float | None:
        """Seconds that the client's media has reached; None before anything came."""
        reached = [t for t in (self._video_t, self._audio_t) if math.isfinite(t)]
        return max(reached, default=None)

    @staticmethod
    def _seen(t: float) -> float:
        """A modality that was off begins anew."""
        return -math.inf if t == math.inf else t


def _message(kind: str, told: UtteranceStart | Summary) -> dict[str, Any]:
    return {"type": kind, **told.to_json()}


def _decode(jpeg: bytes, pixels: int, side: int) -> npt.NDArray[np.uint8]:
    """A JPEG as uint8 [H, W, 3] RGB; one of twice the long side that is wanted, or more, is decoded at a half of its
    size, a quarter or an eighth, which takes a sixth of the time (docs/measurements/serving.md).

    Raises:
        Refusal: `bad_picture`, or `too_large` by its header, before anything is decoded.
    """
    from PIL import Image

    if is_laborious(jpeg):
        raise Refusal("bad_picture", "the picture is made of too many parts")
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
            width, height = image.size
    except Exception as error:  # Pillow raises whatever a broken picture leads to
        raise Refusal("bad_picture", f"the picture is no JPEG: {error}") from None
    if width * height > pixels:
        raise Refusal("too_large", f"the picture is {width}x{height}; at most {pixels} pixels are taken")
    how = next((flag for flag, by in REDUCED if max(width, height) >= by * side), cv2.IMREAD_COLOR_RGB)
    rgb = cv2.imdecode(np.frombuffer(jpeg, np.uint8), how)
    if rgb is None:
        raise Refusal("bad_picture", "the picture is damaged")
    return np.asarray(rgb if how == cv2.IMREAD_COLOR_RGB else cv2.cvtColor(rgb, cv2.COLOR_BGR2RGB), np.uint8)
