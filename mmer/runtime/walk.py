"""A clip, a chunk of steps at a time, as pictures and voice are decoded: memory does not grow with its length."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmer.runtime.calibration import Calibration
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.media import Decoded, Probe
from mmer.runtime.pipeline import FrameFeatures, Pipeline
from mmer.runtime.results import Step, Summary
from mmer.runtime.second_look import View
from mmer.runtime.types import Floats, Note, Picture

if TYPE_CHECKING:
    from mmer.runtime.recognizer import Recognizer

CHUNK = 4
"""Steps that go through the graph at once: of more the process takes more memory (of 16, 20 MB), and is no faster."""

APART_S = 60.0
"""Where one of picture and voice is so far behind the other, it is taken to be over. A file's two tracks lie closer."""


class Walk:
    """One way through a clip: give it to `media.decode`, then `end` it.

    Args:
        recognizer: what goes.
        view: how its pictures are looked at.
        keep_crops: whether the faces are kept, for showing.
        calibration: of who is followed first.

    Raises:
        CalibrationError: the calibration is of another model.
    """

    probed: Probe
    """What the clip holds; decoding tells it first."""

    def __init__(self, recognizer: Recognizer, view: View, keep_crops: bool, calibration: Calibration | None) -> None:
        self.logits: list[Floats] = []
        self.steps: list[Step] = []
        self.utterances: list[Summary] = []
        self.crops: list[Picture | None] = []
        self.scores: list[float] = []
        """The detector's, of each step that shows a face: of the surest."""
        self.notes: tuple[Note, ...] = ()
        self.duration_s = 0.0
        self._pipeline, self._view, self._keep_crops = Pipeline(recognizer), view, keep_crops
        self._pipeline.calibrator.use(calibration)
        step_s = recognizer.info.input.step_s
        self._hop, self._apart = round(step_s * SAMPLE_RATE), math.ceil(APART_S / step_s)
        self._features: dict[int, FrameFeatures] = {}
        self._samples = 0
        self._seen = self._heard = 0.0

    def on_probed(self, probed: Probe) -> None:
        """What the clip holds, and so what is waited for."""
        self.probed = probed
        self._seen = 0.0 if probed.has_picture else math.inf
        self._heard = 0.0 if probed.has_sound else math.inf

    def on_picture(self, step: int, at: float, rgb: Picture) -> None:
        """A step's picture."""
        self._seen = step + 1
        if step >= self._pipeline.done:
            found = self._pipeline.features(self._view.turned(rgb), at)
            self._features[step] = replace(found, boxes=tuple(self._view.turned_back(box) for box in found.boxes))
            self.scores += [max(one.view.score for one in found.people)] if found.people else []
        self._go()

    def on_voice(self, piece: npt.NDArray[np.int16]) -> None:
        """More of the voice."""
        self._pipeline.voice.put(piece, self._samples)
        self._samples += len(piece)
        self._heard = self._samples // self._hop
        self._go()

    def end(self, decoded: Decoded) -> None:
        """The steps that are left."""
        self._go(decoded.steps)
        self._keep_utterances(over=True)
        self.notes, self.duration_s = decoded.notes, decoded.duration_s

    def _go(self, steps: int | None = None) -> None:
        """Make those chunks that have all that they need, or all up to the number of steps."""
        near, far = sorted((self._seen, self._heard))
        ready = near if math.isinf(far) else max(near, far - self._apart)
        while (count := min(CHUNK, (steps or math.inf) - (done := self._pipeline.done))) > 0:
            if steps is None and ready < done + CHUNK:
                break
            features = [self._features.pop(k, None) for k in range(done, done + int(count))]
            logits, told = self._pipeline.advance(features)
            self._keep_utterances(over=False)
            self._pipeline.voice.forget(self._pipeline.done)
            self.logits.append(logits)
            self.steps += told
            if self._keep_crops:
                self.crops += [
                    None if seen is None else seen.face(step.followed)
                    for seen, step in zip(features, told, strict=True)
                ]

    def _keep_utterances(self, *, over: bool) -> None:
        self.utterances += [told for told in self._pipeline.utterances(over=over) if isinstance(told, Summary)]
