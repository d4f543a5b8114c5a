"""The results of recognition: of one step, of a part such as an utterance, and of a whole clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmer.labels import DIMENSIONS, EMOTIONS, Dimension, ModalityName
from mmer.runtime.types import Box, Floats, Note, Picture

if TYPE_CHECKING:
    from mmer.runtime.graph import ModelInfo


@dataclass(frozen=True)
class Person:
    """Somebody who is seen at a step."""

    id: int
    """From 1, in the order in which they came; it stays with the person (`mmer.runtime.people`)."""
    box: Box
    """The face, as in `Step`."""
    label: str | None
    """The likeliest emotion."""
    probabilities: Floats
    """[7]. Those of who is followed, whose voice is heard, are the step's; the others' rest on what is seen alone."""
    quality: float
    """How sure the detector was of the face, 0 to 1, when it was last found: less of one that is covered or turned."""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and names."""
        return {
            "id": self.id,
            "box": [round(v, 4) for v in self.box],
            "label": self.label,
            "probabilities": by_emotion(self.probabilities),
            "quality": round(self.quality, 3),
        }


@dataclass(frozen=True)
class Step:
    """One moment of the timeline. All but `people` speak of the person who is followed."""

    t: float
    """Seconds since the start."""
    probabilities: Floats
    """[7], in the order of `EMOTIONS`."""
    label: str | None
    """The likeliest emotion; None where nothing was seen or heard at this step."""
    unimodal: dict[ModalityName, Floats | None]
    """[7], what each modality that the model was trained on says by itself; None where it is absent."""
    box: tuple[float, float, float, float] | None
    """The face: x1, y1, x2, y2 as shares of the picture's width and height."""
    present: dict[ModalityName, bool]
    """Which of face, scene and voice this step rests on."""
    voice_dbfs: float
    """Level of the sound since the step before, dB of full scale; -100 or more."""
    ms: float
    """Milliseconds of work spent on it."""
    people: list[Person]
    """All who are seen, by id."""
    followed: int | None
    """Whom the step speaks of: who speaks, where that can be told, else the largest; also while nobody is seen. None
    before anybody was."""
    more_people: int
    """Faces beyond `faces.max_people`, when the whole picture was searched last: the largest were kept."""
    affect: dict[Dimension, float | None] = field(default_factory=dict)
    """Valence and arousal, from -1 to 1; None where nothing is present that they are told from. Empty where the model
    does not say them."""
    calibrated: bool = False
    """Whether what this person is like at rest was taken off (`mmer.runtime.calibration`)."""

    @property
    def seen(self) -> bool:
        """Whether it rests on a face or a scene."""
        return self.present["face"] or self.present["scene"]

    @property
    def heard(self) -> bool:
        """Whether it rests on a voice."""
        return self.present["voice"]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and names."""
        return {
            "t": round(self.t, 3),
            "label": self.label,
            "probabilities": by_emotion(self.probabilities),
            "alone": {name: None if said is None else by_emotion(said) for name, said in self.unimodal.items()},
            "box": None if self.box is None else [round(v, 4) for v in self.box],
            "present": self.present,
            "voice_dbfs": round(self.voice_dbfs, 1),
            "ms": round(self.ms, 2),
            "followed": self.followed,
            "people": [person.to_json() for person in self.people],
            "more_people": self.more_people,
            "calibrated": self.calibrated,
            **rounded(self.affect),
        }


@dataclass(frozen=True)
class Summary:
    """What was recognised over a part of a clip or stream: of an utterance, say."""

    start: float
    """Seconds since the start of the clip or stream."""
    end: float
    """Seconds; of an utterance, where the voice ends."""
    label: str | None
    """The likeliest emotion; None where there was nothing to go by."""
    probabilities: Floats
    """[7], in the order of `EMOTIONS`: of face and voice together, no surer than so short a time allows."""
    unimodal: dict[ModalityName, Floats | None]
    """[7], what each modality says by itself; None where it was absent all the time."""
    seen: float
    """Share of the steps in which the face was seen, 0 to 1."""
    heard: float
    """Share of the steps in which a voice was heard, 0 to 1."""
    voice_dbfs: float
    """Level of the sound, dB of full scale; -100 or more."""
    followed: int | None
    """Of whom it speaks: the person who was followed at most of the steps."""
    affect: dict[Dimension, float | None]
    """Means of valence and arousal, as `Step.affect` has them."""
    calibrated: bool
    """Whether all that it is made of was calibrated, as `Step.calibrated` has it."""

    @property
    def confidence(self) -> float:
        """The label's probability; 0 where there is no label."""
        return 0.0 if self.label is None else float(self.probabilities.max())

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and names."""
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "label": self.label,
            "confidence": round(self.confidence, 5),
            "probabilities": by_emotion(self.probabilities),
            "alone": {name: None if said is None else by_emotion(said) for name, said in self.unimodal.items()},
            "seen": round(self.seen, 3),
            "heard": round(self.heard, 3),
            "voice_dbfs": round(self.voice_dbfs, 1),
            "followed": self.followed,
            "calibrated": self.calibrated,
            **rounded(self.affect),
        }


@dataclass(frozen=True)
class Prediction:
    """What was recognised in a clip."""

    path: str
    label: str | None
    """The likeliest emotion of the whole clip; None where no step held any evidence."""
    probabilities: Floats
    """[7], in the order of `EMOTIONS`: of the mean of the logits over the steps with evidence."""
    steps: list[Step]
    missing: list[ModalityName]
    """Modalities that the clip never showed, or that the model was not trained on."""
    model: ModelInfo
    utterances: list[Summary] = field(default_factory=list)
    """Whenever somebody spoke, in order: where the voice begins and ends, and what it was recognised as."""
    turned: int = 0
    """Degrees clockwise by which the pictures were turned, since no face was found in them as they were: 90, 180, 270.
    Boxes are those of the pictures as they were."""
    notes: list[Note] = field(default_factory=list)
    """What whoever sent the clip should know."""
    crops: list[Picture | None] = field(default_factory=list, repr=False)
    """The face [S, S, 3] RGB at each step, where it was asked for."""

    @property
    def calibrated(self) -> bool:
        """Whether any step is (`Step.calibrated`)."""
        return any(step.calibrated for step in self.steps)

    @property
    def affect(self) -> dict[Dimension, float | None]:
        """Valence and arousal: their means over the steps at which they are said; empty where the model does not."""
        return mean_affect(self.steps)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and names, for `json.dumps`."""
        return {
            "path": self.path,
            "label": self.label,
            "probabilities": by_emotion(self.probabilities),
            "missing": self.missing,
            "turned": self.turned,
            "calibrated": self.calibrated,
            "notes": [{"code": note.code, "message": f"The file {note.text}."} for note in self.notes],
            **rounded(self.affect),
            "utterances": [utterance.to_json() for utterance in self.utterances],
            "steps": [step.to_json() for step in self.steps],
            "model": self.model.to_json(),
        }


def pool(logits: Floats, evidence: npt.NDArray[np.bool_]) -> Floats:
    """A clip's probabilities [7] from the logits [T, 7] of its steps: of their mean over those with evidence [T], over
    all where there is none.
    """
    return softmax(logits[evidence if evidence.any() else slice(None)].mean(axis=0))


def mean_affect(steps: Sequence[Step]) -> dict[Dimension, float | None]:
    """Valence and arousal: their means over the steps at which they are said; empty where the model does not."""
    said = {name: [step.affect[name] for step in steps if step.affect] for name in DIMENSIONS}
    known = {name: [value for value in values if value is not None] for name, values in said.items()}
    return {name: float(np.mean(known[name])) if known[name] else None for name in DIMENSIONS if said[name]}


def softmax(logits: Floats) -> Floats:
    """Logits [..., 7] to probabilities."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
    return result


def by_emotion(probabilities: Floats) -> dict[str, float]:
    """Probabilities [7] by their emotion."""
    return {name: round(float(p), 5) for name, p in zip(EMOTIONS, probabilities, strict=True)}


def rounded(affect: Mapping[Dimension, float | None]) -> dict[str, float | None]:
    """Valence and arousal, where they are said, as they are told."""
    return {name: None if value is None else round(value, 4) for name, value in affect.items()}
