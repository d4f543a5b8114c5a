"""A model, ready to recognise: a whole clip at once, or live streams."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np

from mmer.labels import EMOTIONS, MODALITIES
from mmer.runtime import media
from mmer.runtime.calibration import Calibration, CalibrationError
from mmer.runtime.config import Faces
from mmer.runtime.detector import Detector
from mmer.runtime.explain import Explanation, explain
from mmer.runtime.graph import HOW_TO_GET, Graph, ModelError, find_model
from mmer.runtime.results import Prediction, pool
from mmer.runtime.second_look import DOUBT, View, look_again
from mmer.runtime.stream import Stream
from mmer.runtime.types import Arrays, Forward, Note
from mmer.runtime.walk import Walk


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

    def following(self, people: int) -> Recognizer:
        """The same for another limit of people (`faces.max_people`); 1 follows one face as long as it is found."""
        other = copy.copy(self)
        faces = Faces.model_validate(self.info.faces.model_dump() | {"max_people": people})
        other.info = self.info.model_copy(update={"faces": faces})
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
        self,
        path: Path | str,
        *,
        keep_crops: bool = False,
        start_s: float = 0.0,
        end_s: float | None = None,
        calibration: Calibration | None = None,
    ) -> Prediction:
        """Recognise one file: a video, a sound or an image.

        What is kept of a clip is its timeline alone. Its label is that of who is followed (`Step`). Where no face is
        found, or a doubtful one, there is a second look, turned and at its own size (`mmer.runtime.second_look`).

        Args:
            path: the file.
            keep_crops: also return the face at each step, for showing.
            start_s: where the part to look at begins; it becomes time zero.
            end_s: where it ends; None is the end of the file.
            calibration: of the person in it (`calibrate`).

        Raises:
            mmer.runtime.media.MediaError: the file is empty, no media, cut off, too long, …; `code` says which.
            mmer.runtime.calibration.CalibrationError: the calibration is of another model.
        """
        path, view = Path(path), View()
        clip = self._walk(path, None, view, start_s, end_s, keep_crops, calibration)
        probed, notes = clip.probed, list(clip.notes)
        score = float(np.median(clip.scores or [0.0]))
        if probed.has_picture and "face" in self.info.modalities and score < DOUBT:
            view, note = look_again(self, path, probed, start_s, clip.duration_s, score)
            notes += [note] if note else []
            if view != View():
                clip = self._walk(path, probed, view, start_s, end_s, keep_crops, calibration)
        more = max(step.more_people for step in clip.steps)
        if more:
            notes.append(
                Note(
                    "more_people",
                    f"shows {more} more than the {self.info.faces.max_people} people who are followed at once: "
                    "the largest faces were kept",
                )
            )
        evidence = np.array([any(step.present.values()) for step in clip.steps])
        probabilities = pool(np.concatenate(clip.logits), evidence)
        return Prediction(
            path=str(path),
            label=EMOTIONS[int(probabilities.argmax())] if evidence.any() else None,
            probabilities=probabilities,
            steps=clip.steps,
            missing=[name for name in MODALITIES if not any(step.present[name] for step in clip.steps)],
            model=self.info,
            utterances=clip.utterances,
            turned=view.turn,
            notes=notes,
            crops=clip.crops,
        )

    def calibrate(self, path: Path | str) -> Calibration:
        """What somebody is like at rest, from a clip of it: of at least a second; of some five it is worth having.

        Raises:
            mmer.runtime.media.MediaError: the file cannot be used.
            mmer.runtime.calibration.CalibrationError: there is neither a face nor a voice for long enough.
        """
        try:
            found, _ = Calibration.of(self.predict(path).steps, self.info.input.step_s, self.info.id)
        except CalibrationError as error:
            raise CalibrationError(f"{path}: {error}") from None
        return found

    def _walk(
        self,
        path: Path,
        probed: media.Probe | None,
        view: View,
        start_s: float,
        end_s: float | None,
        keep_crops: bool,
        calibration: Calibration | None,
    ) -> Walk:
        walk, limits = Walk(self, view, keep_crops, calibration), self.info.media
        if view.side is not None:
            limits = limits.model_copy(update={"frame_side": view.side})
        decoded = media.decode(
            path,
            limits,
            self.info.input.step_s,
            walk.on_picture,
            on_voice=walk.on_voice,
            on_probed=walk.on_probed,
            start_s=start_s,
            end_s=end_s,
            probed=probed,
        )
        walk.end(decoded)
        return walk

    def stream(self) -> Stream:
        """A live session of its own, at time zero."""
        return Stream(self)


def explain_clip(
    recognizer: Recognizer, path: Path | str, emotion: str | None = None
) -> tuple[Prediction, Explanation | None]:
    """Recognise a file and explain it: a `Prediction`, and None where there was nothing to go by. Of several people,
    one is followed from the beginning (`faces.max_people` of 1).

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

    alone = Recognizer(recognizer.graph, recognizer.detector, forward).following(1)
    prediction = alone.predict(path)
    if prediction.label is None:
        return prediction, None
    return prediction, explain(recognizer.forward, passes, emotion or prediction.label)
