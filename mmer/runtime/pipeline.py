"""The way of one clip or stream through the model, which `Recognizer.predict` and `Stream.step` share.

Faces are found by the one tracker, voice windows are cut by the one rule, the state is carried from step to step: so a
clip fed as a stream gives what the clip gives whole (to 1e-4). The forward passes are apart from all that (`Forward`),
so that a server may gather those of many clips and streams into batches.

One pass goes through the graph for all who are seen: a row of the batch is a person, with a state of its own. The voice
is that of the one who is followed (`mmer.runtime.speaker`); the others are known by their faces, and the surroundings,
alone. Where nobody is seen, the voice goes to who was followed last; who is seen first takes on the state of the voice
before.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES, Dimension
from mmer.runtime.calibration import Calibrator
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.people import REMEMBERED, People, Sighting
from mmer.runtime.resize import shrink
from mmer.runtime.results import Person, Step, Summary, softmax
from mmer.runtime.speaker import Speaker
from mmer.runtime.spec import GraphSpec
from mmer.runtime.types import Arrays, Box, Floats, Picture
from mmer.runtime.utterances import Utterances, UtteranceStart
from mmer.runtime.voice import Hearing, VoiceBuffer

if TYPE_CHECKING:
    from mmer.runtime.recognizer import Recognizer

MOST_TOLD = 256
"""Of what is told of utterances so much is kept until it is asked for."""


@dataclass(frozen=True)
class FrameFeatures:
    """What one picture shows."""

    people: tuple[Sighting, ...]
    """By id; of the shares of `boxes` each has one."""
    boxes: tuple[Box, ...]
    """Of the people, shares of the picture's width and height."""
    more_people: int
    """Faces beyond the limit."""
    scene: Picture | None
    """Where the model was trained on scenes."""
    ms: float

    def face(self, person: int | None) -> Picture | None:
        """The crop of a person's face."""
        return next((one.view.face for one in self.people if one.id == person), None)


@dataclass(frozen=True)
class ForwardPass:
    """A pass through the graph that is about to be made."""

    arrays: Arrays
    """What the graph takes: B people, T steps."""
    people: tuple[int | None, ...]
    """Of each row; None is whoever is heard before anybody is seen."""
    moments: tuple[Moment, ...]
    """Behind each step."""
    start: float
    """When it was begun, by `time.perf_counter`."""

    @property
    def seen(self) -> FrameFeatures | None:
        """What the first step's picture shows."""
        return self.moments[0].seen


class Moment(NamedTuple):
    """What is seen and heard at a step, and who of those seen is followed."""

    seen: FrameFeatures | None
    followed: int | None
    row: int
    """Of who is followed."""
    voice: Floats
    """[W], as a network is to hear it."""
    heard: bool
    voice_dbfs: float
    """Level of the sound since the step before, as it came, dB of full scale."""


class Pipeline:
    """One clip's or one stream's way through the model: the people, the voice, the network's states."""

    def __init__(self, recognizer: Recognizer) -> None:
        info = self._info = recognizer.info
        self._forward = recognizer.forward
        self._people = People(recognizer.detector, info.faces, info.input)
        self._speaker = Speaker(info.input.step_s, info.faces.max_gap_s)
        self._trained = np.array([name in info.modalities for name in MODALITIES])
        self._told_from = [MODALITIES.index(name) for name in info.affect]
        self._spec = GraphSpec.of(info.input)
        self._start = np.zeros(recognizer.graph.state_size, np.float32)
        self._states: dict[int | None, Floats] = {}  # by person; who was seen last comes last
        self.voice = VoiceBuffer(info.input)
        self._hearing = Hearing(info.input, info.media.silence_dbfs)
        self._utterances = Utterances(info.input, info.media.silence_dbfs, info.shown)
        self._told: deque[UtteranceStart | Summary] = deque(maxlen=MOST_TOLD)
        self.calibrator = Calibrator(info.id, info.input.step_s)
        self._hop = round(info.input.step_s * SAMPLE_RATE)
        self.done = 0
        """Steps done."""

    def features(self, rgb: Picture, at: float) -> FrameFeatures:
        """Find the people in the picture of `at` seconds. Pictures come in order."""
        start = time.perf_counter()
        crowd = self._people.track(rgb, at)
        height, width = rgb.shape[:2]
        boxes = [one.view.box for one in crowd.people if one.view.box is not None]
        shares = tuple((x1 / width, y1 / height, x2 / width, y2 / height) for x1, y1, x2, y2 in boxes)
        scene = shrink(rgb, self._info.input.scene_size) if "scene" in self._info.modalities else None
        return FrameFeatures(crowd.people, shares, crowd.more, scene, 1000 * (time.perf_counter() - start))

    def advance(self, features: Sequence[FrameFeatures | None]) -> tuple[Floats, list[Step]]:
        """Go on by the next steps: their logits [n, 7], of who is followed, and each as a `Step`. None is a step
        without a picture.
        """
        start, logits, steps = time.perf_counter(), [], []
        for people, moments in itertools.groupby(self._plan(features), key=lambda planned: planned[0]):
            begun, start = self._begin(people, tuple(moment for _, moment in moments), start), time.perf_counter()
            said, told = self.end(begun, self._forward(begun.arrays))
            logits.append(said)
            steps += told
        return np.concatenate(logits), steps

    def skip(self, steps: int) -> None:
        """Leave out the next steps, as if nothing were seen or heard in them; the network's states stay as they are."""
        self.done += steps
        self._hearing.skip(steps)
        self._speaker.skip(steps)
        self.calibrator.skip(steps)
        self._told += self._utterances.skip(self.done * self._hop)
        self.voice.forget(self.done)

    def begin(self, seen: FrameFeatures | None) -> ForwardPass:
        """What the graph must see of the next step."""
        start = time.perf_counter()
        ((people, moment),) = self._plan([seen])
        return self._begin(people, (moment,), start)

    def _plan(self, features: Sequence[FrameFeatures | None]) -> list[tuple[tuple[int | None, ...], Moment]]:
        """The next steps, and for whom a pass must be made at each."""
        windows = self.voice.windows(self.done, len(features))
        voice, heard = self._hearing(windows)
        power = np.mean(np.square(windows[:, -self._hop :]), axis=1)
        levels = (10 * np.log10(np.maximum(power, 1e-10))).tolist()
        planned: list[tuple[tuple[int | None, ...], Moment]] = []
        for k, seen in enumerate(features):
            here = () if seen is None else seen.people
            followed = self._speaker.push(here, bool(heard[k]))
            people: tuple[int | None, ...] = tuple(one.id for one in here)
            if followed not in people:
                people = (*people, followed)
            moment = Moment(seen, followed, people.index(followed), voice[k], bool(heard[k]), levels[k])
            planned.append((people, moment))
        first = next((people for people, _ in planned if people != (None,)), ())
        if len(first) == 1:  # the same state: one pass will do
            planned = [(first if people == (None,) else people, moment) for people, moment in planned]
        return planned

    def _begin(self, people: tuple[int | None, ...], moments: tuple[Moment, ...], start: float) -> ForwardPass:
        """What the graph must see of steps that show the same people."""
        count = len(moments)
        if None in self._states and None not in people:
            self._states[people[moments[0].row]] = self._states.pop(None)
        arrays = self._spec.zeros(B=len(people), T=count, K=len(self._start))
        present = np.zeros((len(people), count, len(MODALITIES)), bool)
        for row, person in enumerate(people):
            arrays["state"][row] = self._states.get(person, self._start)
            for k, (seen, _, followed, voice, heard, _) in enumerate(moments):
                face = None if seen is None else seen.face(person)
                scene = None if seen is None else seen.scene
                present[row, k] = face is not None, scene is not None, heard and row == followed
                if face is not None:
                    arrays["faces"][row, k] = face
                if scene is not None:
                    arrays["scenes"][row, k] = scene
                if row == followed:
                    arrays["voice"][row, k] = voice
        present &= self._trained
        arrays["present"] = present.astype(np.float32)
        return ForwardPass(arrays, people, moments, start)

    def end(self, begun: ForwardPass, found: Arrays) -> tuple[Floats, list[Step]]:
        """What the graph gave, as logits [n, 7] of who is followed, and steps."""
        for row, person in enumerate(begun.people):
            self._states.pop(person, None)
            self._states[person] = found["state_out"][row]
        while len(self._states) > REMEMBERED + 1:
            del self._states[next(iter(self._states))]
        present = begun.arrays["present"] > 0
        probabilities, unimodal = softmax(found["logits"]), np.exp(found["alone"])
        ms = 1000 * (time.perf_counter() - begun.start) / len(begun.moments)
        logits, steps = [], []
        for k, moment in enumerate(begun.moments):
            affect = found["affect"][moment.row, k] if self._told_from else None
            step = self._step(k, begun, present[:, k], probabilities[:, k], unimodal[moment.row, k], affect, ms)
            step, said = self.calibrator.push(step, found["logits"][moment.row, k])
            logits.append(said)
            steps.append(step)
        for step in steps:
            self.done += 1
            self._told += self._utterances.listen(self.voice, self.done * self._hop - 1)
            self._utterances.push(step)
        return np.stack(logits), steps

    def utterances(self, *, over: bool = False) -> list[UtteranceStart | Summary]:
        """What utterances began and ended since this was asked last, as far as there is voice.

        Args:
            over: nothing more comes: an utterance that goes on ends here.
        """
        self._told += self._utterances.listen(self.voice, min(self.voice.end, (self.done + 1) * self._hop - 1))
        told = [*self._told, *(self._utterances.finish() if over else ())]
        self._told.clear()
        return told

    def _step(
        self,
        k: int,
        begun: ForwardPass,
        present: npt.NDArray[np.bool_],
        probabilities: Floats,
        unimodal: Floats,
        affect: Floats | None,
        ms: float,
    ) -> Step:
        """A step of a pass.

        Args:
            k: its place in the pass.
            present: [B, 3].
            probabilities: [B, 7].
            unimodal: [3, 7] of who is followed.
            affect: [2] of the same; None of a model that does not say it.
            ms: of work, without finding the faces.
        """
        moment, rows = begun.moments[k], {person: row for row, person in enumerate(begun.people)}
        labels = [
            EMOTIONS[int(said.argmax())] if there.any() else None
            for said, there in zip(probabilities, present, strict=True)
        ]
        row, seen = moment.row, moment.seen
        people = [
            Person(one.id, box, labels[rows[one.id]], probabilities[rows[one.id]], one.view.score)
            for one, box in (() if seen is None else zip(seen.people, seen.boxes, strict=True))
        ]
        return Step(
            t=(self.done + k + 1) * self._info.input.step_s,
            probabilities=probabilities[row],
            label=labels[row],
            unimodal={
                name: unimodal[m] if present[row, m] else None for m, name in enumerate(MODALITIES) if self._trained[m]
            },
            box=next((one.box for one in people if one.id == moment.followed), None),
            present={name: bool(there) for name, there in zip(MODALITIES, present[row], strict=True)},
            voice_dbfs=moment.voice_dbfs,
            ms=ms + (0.0 if seen is None else seen.ms),
            people=people,
            followed=moment.followed,
            more_people=0 if seen is None else seen.more_people,
            affect={} if affect is None else self._affect(affect, present[row]),
        )

    def _affect(self, said: Floats, present: npt.NDArray[np.bool_]) -> dict[Dimension, float | None]:
        """Valence and arousal [2], where something is present [3] that they are told from."""
        known = present[self._told_from].any()
        return {name: float(value) if known else None for name, value in zip(DIMENSIONS, said, strict=True)}
