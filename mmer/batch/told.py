"""What is told of one clip: plain numbers and names, which tables, annotations and the journal are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Prediction
from mmer.runtime.smoothing import Smoother

Told = dict[str, Any]
"""What `tell` or `refuse` says. Whoever has one knows by its `error` which."""

FORMAT = 3
"""Of what is told: journals of another one are begun anew."""

LONGEST_H = 12.0
"""Of a clip: it is the user's own, and memory does not grow with it."""


def own_files(model: Path | None) -> Recognizer:
    """A recogniser of the user's own files, of any length up to `LONGEST_H`.

    Raises:
        mmer.runtime.graph.ModelError: there is no such model.
    """
    recognizer = Recognizer.load(model)
    limits = recognizer.info.media
    longer = LONGEST_H * 3600 / limits.max_duration_s
    return recognizer.with_media(max_duration_s=LONGEST_H * 3600, timeout_s=limits.timeout_s * longer)


def tell(prediction: Prediction) -> Told:
    """`Prediction.to_json` without the model, and with the label that is shown at each step, `shown`: smoothed, as in a
    live stream.
    """
    info = prediction.model
    told = {key: value for key, value in prediction.to_json().items() if key != "model"}
    smoother = Smoother(info.input.step_s, info.shown)
    for step, row in zip(prediction.steps, told["steps"], strict=True):
        row["shown"] = smoother.push(step.probabilities, seen=step.seen, heard=step.heard)[1]
    return {**told, "step_s": info.input.step_s}


def refuse(path: Path, error: Exception) -> Told:
    """Why a clip could not be recognised: a code for programs, and the reason for people."""
    return {"path": str(path), "error": {"code": getattr(error, "code", "failed"), "message": str(error)}}
