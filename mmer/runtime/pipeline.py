"""The way of one clip or stream through the model, which `Recognizer.predict` and `Stream.step` share.

Faces are found by the one tracker, voice windows are cut by the one rule, the state is carried from step to step: so a
clip fed as a stream gives what the clip gives whole (to 1e-4). The forward passes are apart from all that (`Forward`),
so that a server may gather those of many clips and streams into batches.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmer.labels import EMOTIONS, MODALITIES
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.resize import shrink
from mmer.runtime.results import Step, softmax
from mmer.runtime.spec import GraphSpec
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Arrays, Floats, Picture
from mmer.runtime.voice import Hearing, VoiceBuffer

if TYPE_CHECKING:
    from mmer.runtime.recognizer import Recognizer


@dataclass(frozen=True)
class FrameFeatures:
    """What one picture shows."""

    face: Picture | None
    scene: Picture | None
    """Where the model was trained on scenes."""
    box: tuple[float, float, float, float] | None
    score: float
    """The detector's, of the box; 0 where there is none."""
    ms: float


@dataclass(frozen=True)
class ForwardPass:
    """A pass through the graph that is about to be made."""

    arrays: Arrays
    """What the graph takes, B = 1."""
    features: tuple[FrameFeatures | None, ...]
    """Behind each step."""
    voice_dbfs: tuple[float, ...]
    """Level of the sound since the step before, as it came, dB of full scale."""
    start: float
    """When it was begun, by `time.perf_counter`."""


class Pipeline:
    """One clip's or one stream's way through the model: a tracker, the voice, the network's state."""

    def __init__(self, recognizer: Recognizer) -> None:
        info = self._info = recognizer.info
        self._forward = recognizer.forward
        self._tracker = Tracker(recognizer.detector, info.faces, info.input)
        self._trained = np.array([name in info.modalities for name in MODALITIES])
        self._spec = GraphSpec.of(info.input)
        self._state = np.zeros((1, recognizer.graph.state_size), np.float32)
        self.voice = VoiceBuffer(info.input)
        self._hearing = Hearing(info.input, info.media.silence_dbfs)
        self._hop = round(info.input.step_s * SAMPLE_RATE)
        self.done = 0
        """Steps done."""

    def features(self, rgb: Picture, at: float) -> FrameFeatures:
        """Find the face in the picture of `at` seconds. Pictures come in order."""
        start = time.perf_counter()
        view = self._tracker.track(rgb, at)
        height, width = rgb.shape[:2]
        box = None
        if view.box is not None:
            x1, y1, x2, y2 = view.box
            box = (x1 / width, y1 / height, x2 / width, y2 / height)
        scene = shrink(rgb, self._info.input.scene_size) if "scene" in self._info.modalities else None
        return FrameFeatures(view.face, scene, box, view.score, 1000 * (time.perf_counter() - start))

    def advance(self, features: Sequence[FrameFeatures | None]) -> tuple[Floats, list[Step]]:
        """Go on by the next steps: their logits [n, 7], and each as a `Step`. None is a step without a picture."""
        begun = self.begin(features)
        return self.end(begun, self._forward(begun.arrays))

    def skip(self, steps: int) -> None:
        """Leave out the next steps, as if nothing were seen or heard in them; the network's state stays as it is."""
        self.done += steps
        self._hearing.skip(steps)
        self.voice.forget(self.done)

    def begin(self, features: Sequence[FrameFeatures | None]) -> ForwardPass:
        """What the graph must see of the next steps."""
        start = time.perf_counter()
        count = len(features)
        arrays = self._spec.zeros(B=1, T=count, K=self._state.shape[1])
        present = np.zeros((count, len(MODALITIES)), bool)
        for k, seen in enumerate(features):
            if seen is not None:
                present[k, :2] = seen.face is not None, seen.scene is not None
                if seen.face is not None:
                    arrays["faces"][0, k] = seen.face
                if seen.scene is not None:
                    arrays["scenes"][0, k] = seen.scene
        windows = self.voice.windows(self.done, count)
        heard, present[:, 2] = self._hearing(windows)
        present &= self._trained
        arrays |= {"voice": heard[None], "present": present[None].astype(np.float32), "state": self._state}
        power = np.mean(np.square(windows[:, -self._hop :]), axis=1)
        levels = 10 * np.log10(np.maximum(power, 1e-10))
        return ForwardPass(arrays, tuple(features), tuple(levels.tolist()), start)

    def end(self, begun: ForwardPass, found: Arrays) -> tuple[Floats, list[Step]]:
        """What the graph gave, as logits [n, 7] and steps."""
        features, given, count = begun.features, self._info.input, len(begun.features)
        logits, self._state = found["logits"][0], found["state_out"]
        present = begun.arrays["present"][0] > 0
        probabilities, unimodal = softmax(logits), np.exp(found["alone"][0])
        ms = 1000 * (time.perf_counter() - begun.start) / count
        steps = [
            Step(
                t=(self.done + k + 1) * given.step_s,
                probabilities=probabilities[k],
                label=EMOTIONS[int(probabilities[k].argmax())] if present[k].any() else None,
                unimodal={
                    name: unimodal[k, m] if present[k, m] else None
                    for m, name in enumerate(MODALITIES)
                    if self._trained[m]
                },
                box=seen.box if seen is not None else None,
                present={name: bool(there) for name, there in zip(MODALITIES, present[k], strict=True)},
                voice_dbfs=begun.voice_dbfs[k],
                ms=ms + (seen.ms if seen is not None else 0),
            )
            for k, seen in enumerate(features)
        ]
        self.done += count
        return logits, steps
