"""`POST /predict`: what may be asked of a file, and how many files are worked on at once."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from mmer.labels import EMOTIONS
from mmer.runtime.calibration import Calibration, CalibrationError
from mmer.runtime.memory import give_back
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Prediction
from mmer.runtime.smoothing import Smoothers
from mmer.serving.models import Models
from mmer.serving.protocol import Refusal
from mmer.serving.settings import Settings
from mmer.serving.watch import Watch


@dataclass(frozen=True)
class Query:
    """What stood behind the question mark."""

    start: float = 0.0
    end: float | None = None
    smooth: bool = False
    top: int | None = None
    steps: bool = True


def read_query(given: Mapping[str, str]) -> Query:
    """A query.

    Raises:
        Refusal: `bad_query`, which names the parameter.
    """
    unknown = set(given) - set(Query.__dataclass_fields__)
    if unknown:
        raise Refusal(
            "bad_query", f"{sorted(unknown)[0][:80]!r} is unknown: there are start, end, smooth, top and steps"
        )
    start, end = _seconds(given, "start"), _seconds(given, "end")
    if end is not None and end <= (start or 0):
        raise Refusal("bad_query", "end must be later than start")
    top = given.get("top")
    if top is not None and not (top.isdecimal() and top.isascii() and 1 <= int(top) <= len(EMOTIONS)):
        raise Refusal("bad_query", f"top must be 1 to {len(EMOTIONS)}")
    return Query(
        start or 0.0, end, _flag(given, "smooth", False), int(top) if top else None, _flag(given, "steps", True)
    )


def read_calibration(text: str | None) -> Calibration | None:
    """What the form has in its field `calibration`; None where there is none, or null, or nothing (as /docs sends it).

    Raises:
        Refusal: `bad_calibration`.
    """
    if not text:
        return None
    try:
        found = json.loads(text)
        return None if found is None else Calibration.read(found)
    except (ValueError, RecursionError):
        raise Refusal("bad_calibration", "it is no calibration: the field is no JSON") from None
    except CalibrationError as error:
        raise Refusal("bad_calibration", str(error)) from None


def _seconds(given: Mapping[str, str], name: str) -> float | None:
    if name not in given:
        return None
    try:
        value = float(given[name])
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e6:
        raise Refusal("bad_query", f"{name} must be seconds, 0 or more")
    return value


def _flag(given: Mapping[str, str], name: str, default: bool) -> bool:
    value = given.get(name, str(default)).lower()
    if value not in ("true", "false", "1", "0"):
        raise Refusal("bad_query", f"{name} must be true or false")
    return value in ("true", "1")


class Predictions:
    """Works on a few files at once; a few more wait; the rest are told to come back."""

    def __init__(self, models: Models, settings: Settings, watch: Watch) -> None:
        self._models, self._watch = models, watch
        self._most_s, self._places = settings.upload_duration_s, settings.predictions
        self._working = anyio.CapacityLimiter(settings.predictions)
        self._here = 0

    async def __call__(self, file: Path, query: Query, calibration: Calibration | None = None) -> dict[str, Any]:
        """The answer's JSON.

        Raises:
            Refusal: `busy`; `bad_calibration`: it is of another model.
            mmer.runtime.media.MediaError: the file cannot be used.
        """
        if self._here >= 2 * self._places:
            raise Refusal("busy", f"{self._places} files are worked on and as many wait")
        self._here += 1
        model, start = self._models.production, time.perf_counter()
        try:
            prediction = await anyio.to_thread.run_sync(
                self._predict, model.recognizer, file, query, calibration, limiter=self._working
            )
        finally:
            self._here -= 1
            seconds = time.perf_counter() - start
            self._watch.phase("file", model.version, "whole", seconds)
        for step in prediction.steps:
            self._watch.step("file", model.version, step)
        self._watch.log("prediction", seconds=round(seconds, 3), steps=len(prediction.steps))
        return await asyncio.to_thread(self._told, prediction, query, file.name)

    def _predict(self, recognizer: Recognizer, file: Path, query: Query, calibration: Calibration | None) -> Prediction:
        limited = recognizer.with_media(max_duration_s=min(self._most_s, recognizer.info.media.max_duration_s))
        try:
            return limited.predict(file, start_s=query.start, end_s=query.end, calibration=calibration)
        except CalibrationError as error:
            raise Refusal("bad_calibration", str(error)) from None
        finally:
            give_back()

    def _told(self, prediction: Prediction, query: Query, name: str) -> dict[str, Any]:
        told = prediction.to_json() | {"path": name}
        if query.smooth:
            smoothers = Smoothers(prediction.model.input.step_s)
            told["steps"] = [smoothers.push(step).to_json() for step in prediction.steps]
        if query.top:
            best = sorted(told["probabilities"].items(), key=lambda item: -item[1])[: query.top]
            told["top"] = [{"label": label, "probability": probability} for label, probability in best]
        if not query.steps:
            del told["steps"]
        return told
