"""A model, ready to recognise: a whole clip at once, or live streams."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np

from mmer.labels import EMOTIONS, MODALITIES
from mmer.runtime import media
from mmer.runtime.detector import Detector
from mmer.runtime.explain import Explanation, explain
from mmer.runtime.graph import HOW_TO_GET, Graph, ModelError, find_model
from mmer.runtime.pipeline import FrameFeatures, Pipeline
from mmer.runtime.results import Prediction, pool
from mmer.runtime.stream import Stream
from mmer.runtime.types import Arrays, Forward, Picture

CHUNK = 32
"""Steps that go through the graph at once: bounds memory, whatever a clip's length."""


class Recognizer:
    """A model, ready. Safe to share between threads: each clip and each stream has its own state.

    Args:
        graph: what the model is.
        detector: of faces.
        forward: where forward passes are made; by default in the graph itself.
    """

    def __init__(self, graph: Graph, detector: Detector, forward: Forward | None = None) -> None:
        self.graph, self.detector, self.forward = graph, detector, forward or graph
        self.info = graph.info
        """What the model says of itself."""

    def with_media(self, **limits: float) -> Recognizer:
        """The same with other limits of decoding (fields of `mmer.runtime.config.Media`)."""
        other = copy.copy(self)
        other.info = self.info.model_copy(update={"media": self.info.media.model_copy(update=limits)})
        return other

    @classmethod
    def load(cls, path: Path | str | None = None, *, threads: int = 1, forward: Forward | None = None) -> Recognizer:
        """Open a model.

        Args:
            path: a folder that holds `mmer.onnx` and `detector/`, or another graph beside that `detector/`
                (`mmer.int8.onnx`); by default `$MMER_MODEL`, else `release/`.
            threads: of one pass through the graph. One is best where several clips are served at once.
            forward: where forward passes are made, if not here.

        Raises:
            ModelError: there is none, a file of it is missing, or it is no graph of this project.
        """
        found = find_model(path)
        folder = found.parent
        for file in (found, *(folder / "detector" / f"{net}.onnx" for net in ("pnet", "rnet", "onet"))):
            if not file.is_file():
                raise ModelError(f"{file} is missing, so {folder} is no model. {HOW_TO_GET}")
        graph = Graph(found, threads=threads)
        try:
            detector = Detector.load(folder / "detector", graph.info.faces)
        except ValueError as error:
            raise ModelError(str(error)) from None
        return cls(graph, detector, forward)

    def predict(
        self, path: Path | str, *, keep_crops: bool = False, start_s: float = 0.0, end_s: float | None = None
    ) -> Prediction:
        """Recognise one file: a video, a sound or an image.

        What is kept of a clip while it is read is its crops (24 kB a step) and its voice (32 kB a second).

        Args:
            path: the file.
            keep_crops: also return the face at each step, for showing.
            start_s: where the part to look at begins; it becomes time zero.
            end_s: where it ends; None is the end of the file.

        Raises:
            mmer.runtime.media.MediaError: the file is empty, no media, cut off, too long, …; `code` says which.
        """
        pipeline = Pipeline(self)
        features: dict[int, FrameFeatures] = {}

        def on_picture(step: int, at: float, rgb: Picture) -> None:
            features[step] = pipeline.features(rgb, at)

        decoded = media.decode(
            Path(path), self.info.media, self.info.input.step_s, on_picture, start_s=start_s, end_s=end_s
        )
        pipeline.voice.put(decoded.voice, 0)
        logits, steps = [], []
        for first in range(0, decoded.steps, CHUNK):
            chunk = [features.get(k) for k in range(first, min(first + CHUNK, decoded.steps))]
            more_logits, more_steps = pipeline.advance(chunk)
            logits.append(more_logits)
            steps += more_steps
        evidence = np.array([any(step.present.values()) for step in steps])
        probabilities = pool(np.concatenate(logits), evidence)
        return Prediction(
            path=str(path),
            label=EMOTIONS[int(probabilities.argmax())] if evidence.any() else None,
            probabilities=probabilities,
            steps=steps,
            missing=[name for name in MODALITIES if not any(step.present[name] for step in steps)],
            model=self.info,
            crops=[features[k].face if k in features else None for k in range(len(steps))] if keep_crops else [],
        )

    def stream(self) -> Stream:
        """A live session of its own, at time zero."""
        return Stream(self)


def explain_clip(
    recognizer: Recognizer, path: Path | str, emotion: str | None = None
) -> tuple[Prediction, Explanation | None]:
    """Recognise a file and explain it: a `Prediction`, and None where there was nothing to go by.

    Args:
        emotion: by default the one that was recognised.

    Raises:
        mmer.runtime.media.MediaError: the file cannot be used.
    """
    passes: list[Arrays] = []

    def forward(arrays: Arrays) -> Arrays:
        passes.append(arrays)
        found: Arrays = recognizer.forward(arrays)
        return found

    prediction = Recognizer(recognizer.graph, recognizer.detector, forward).predict(path)
    if prediction.label is None:
        return prediction, None
    return prediction, explain(recognizer.forward, passes, emotion or prediction.label)
