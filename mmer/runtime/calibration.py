"""A person's resting face and voice: what a model says of them is taken off what it says of the same person later.

Faces at rest look sad or angry to every model. The mean log-probabilities of some seconds at rest, of each modality by
itself, are taken off in part: rest has something in common in everybody, which must stay, and few seconds tell little.
How much is best was asked of validation speakers (`python -m studies.calibration`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mmer.errors import MmerError
from mmer.labels import EMOTIONS, ModalityName
from mmer.runtime.results import Step, softmax
from mmer.runtime.smoothing import LEAST, centred
from mmer.runtime.types import Floats

MOST_OFF = 0.3
"""Share of the mean that is taken off, at most …"""
HALF_S = 1.0
"""… and half of that after so many seconds of a modality."""
LEAST_REST_S = 1.0
"""A modality that was there for less tells nothing of a person."""
MOST_REST_S = 30.0
"""For so long somebody may be asked to be at rest."""
LARGEST = 20
"""Log-probabilities, less their mean, are smaller."""


class CalibrationError(MmerError):
    """Somebody cannot be calibrated so; the message says why. Nothing has changed."""


class Rest(BaseModel):
    """What a modality says of a person at rest."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seconds: float = Field(ge=0, le=MOST_REST_S)
    """For how long it was there."""
    logits: dict[str, float]
    """Of each emotion: its mean log-probabilities, less their mean."""

    @field_validator("logits")
    @classmethod
    def _one_for_each(cls, logits: dict[str, float]) -> dict[str, float]:
        if logits.keys() != set(EMOTIONS) or not all(abs(value) < LARGEST for value in logits.values()):
            raise ValueError(f"a number within ±{LARGEST} for each of {', '.join(EMOTIONS)} is wanted")
        return logits


class Calibration(BaseModel):
    """Of one person, by one model: a small JSON, which a client keeps and may send again."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    type: Literal["calibration"] = "calibration"
    model: str
    """`ModelInfo.id` of the one that it is of."""
    rest: dict[ModalityName, Rest] = Field(min_length=1)
    """By modality; those that were not there are left out."""

    @classmethod
    def read(cls, given: object) -> Calibration:
        """From JSON, parsed.

        Raises:
            CalibrationError: it is none.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))[:60] or "it"
            raise CalibrationError(f"it is no calibration: {where}: {first['msg']}") from None

    @classmethod
    def of(cls, steps: Sequence[Step], step_s: float, model: str) -> tuple[Calibration, int | None]:
        """From some seconds at rest, uncalibrated; and of whom it is: who was followed most of the time.

        Args:
            steps: not none.
            step_s: between two of them.
            model: `ModelInfo.id`.

        Raises:
            CalibrationError: there was neither face nor voice, or for too short a time.
        """
        ((whose, _),) = Counter(step.followed for step in steps).most_common(1)
        own = [step for step in steps if step.followed == whose]
        rest: dict[ModalityName, Rest] = {}
        for name in own[0].unimodal:
            said = [centred(one) for step in own if (one := step.unimodal[name]) is not None]
            if len(said) * step_s > LEAST_REST_S - 1e-6:
                mean = np.mean(said, axis=0).tolist()
                seconds = min(round(len(said) * step_s, 3), MOST_REST_S)
                logits = {emotion: round(value, 4) for emotion, value in zip(EMOTIONS, mean, strict=True)}
                rest[name] = Rest(seconds=seconds, logits=logits)
        if not rest:
            raise CalibrationError(
                f"in {len(steps) * step_s:g} s neither a face nor a voice was there for {LEAST_REST_S:g} s"
            )
        return cls(model=model, rest=rest), whose

    def off(self) -> Mapping[ModalityName, Floats]:
        """What is taken off the log-probabilities [7] of each modality."""
        return {
            name: np.array(
                [MOST_OFF * rest.seconds / (rest.seconds + HALF_S) * rest.logits[e] for e in EMOTIONS], np.float32
            )
            for name, rest in self.rest.items()
        }


class Calibrator:
    """The calibration of one clip or stream. It is of the person who is followed when it is first used: answers on
    others stay as they are.
    """

    def __init__(self, model: str, step_s: float) -> None:
        self._model, self._step_s = model, step_s
        self.use(None)
        self._found: Calibration | CalibrationError | None = None

    def use(self, calibration: Calibration | None) -> None:
        """From the next step on; None: none. What is being measured is given up.

        Raises:
            CalibrationError: it is of another model.
        """
        if calibration is not None and calibration.model != self._model:
            raise CalibrationError(f"it is of another model, {calibration.model[:40]}; this one is {self._model}")
        self._off = {} if calibration is None else calibration.off()
        self._whose: int | None = None
        self._left = 0  # steps that are still to be measured
        self._steps: list[Step] = []

    def measure(self, seconds: float) -> None:
        """Look at the next seconds; what was in use stays in use until then."""
        self._left, self._steps = max(1, round(seconds / self._step_s)), []

    def found(self, *, over: bool = False) -> Calibration | None:
        """What was measured, once, and in use since; None while there is nothing to be told.

        Args:
            over: nothing more comes.

        Raises:
            CalibrationError: it came to nothing; what was in use before still is.
        """
        if over and self._left:
            seconds = len(self._steps) * self._step_s
            self._left, self._found = 0, CalibrationError(f"the stream ended after {seconds:g} s of it")
        found, self._found = self._found, None
        if isinstance(found, CalibrationError):
            raise found
        return found

    def skip(self, steps: int) -> None:
        """Let so many steps pass."""
        self._left -= min(steps, max(0, self._left - 1))

    def push(self, step: Step, logits: Floats) -> tuple[Step, Floats]:
        """The next step, as the network gives it, and its logits [7]; both as they are answered."""
        answered = self._answer(step, logits)
        if self._left:
            self._measure(step)
        return answered

    def _answer(self, step: Step, logits: Floats) -> tuple[Step, Floats]:
        if not self._off or self._whose not in (None, step.followed):
            return step, logits
        self._whose = step.followed
        here = [name for name, said in step.unimodal.items() if said is not None]
        nothing = np.zeros(len(EMOTIONS), np.float32)
        if here:  # a model that joins modalities gives each its say: about as much as the others
            logits = logits - np.mean([self._off.get(name, nothing) for name in here], axis=0, dtype=np.float32)
        alone = {
            name: said if said is None else softmax(np.log(np.maximum(said, LEAST)) - self._off.get(name, nothing))
            for name, said in step.unimodal.items()
        }
        probabilities = softmax(logits)
        label = EMOTIONS[int(probabilities.argmax())] if here else None
        people = [
            replace(one, probabilities=probabilities, label=label) if one.id == step.followed else one
            for one in step.people
        ]
        answered = replace(
            step, probabilities=probabilities, label=label, unimodal=alone, people=people, calibrated=True
        )
        return answered, logits

    def _measure(self, step: Step) -> None:
        self._steps.append(step)
        self._left -= 1
        if self._left:
            return
        try:
            self._found, whose = Calibration.of(self._steps, self._step_s, self._model)
        except CalibrationError as error:
            self._found = error
        else:
            self.use(self._found)
            self._whose = whose
