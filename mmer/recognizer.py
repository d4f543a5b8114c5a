"""The runtime: a clip or a live stream in, emotions out. onnxruntime and numpy, no torch.

`Recognizer.predict` and `Stream.step` both walk through the same `_Walk`, so a clip fed as a stream gives what the
clip gives whole (to 1e-4): faces are found by the one tracker, voice windows are cut by the one rule, the state
is carried from step to step. The passes through the graph are apart from all that (`Run`), so that a server may
gather those of many clips and streams into batches.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
from pydantic import BaseModel, ConfigDict, ValidationError

from mmer import faces, media, samples
from mmer.config import Faces, Input, Media
from mmer.errors import MmerError
from mmer.labels import EMOTIONS, MODALITIES, ModalityName

CHUNK = 32
"""Steps that go through the graph at once: bounds memory, whatever a clip's length."""
STALE_S = 1.0
"""A stream's picture older than this no longer shows what is there: the camera has stopped."""
JITTER_S = 0.05
"""Voice that arrives with a time stamp off by less simply continues what came before."""
AHEAD_S = 10.0
"""A stream takes nothing from further ahead of its next step: what waits there is kept in memory."""
GRAPH = "mmer.onnx"
SMALL_GRAPH = "mmer.int8.onnx"
HOW_TO_GET = "Make one with `make repro`, then name it: `--model models`, or MMER_MODEL=models."

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Arrays = Mapping[str, npt.NDArray[Any]]
"""What goes into the graph or comes out of it, by name."""
Run = Callable[[Arrays], Arrays]
"""One pass: `faces`, `scenes`, `voice`, `present`, `state` to `logits`, `state_out`, `alone` (DESIGN's contract)."""


class ModelError(MmerError):
    """There is no model, or what is there cannot be used; the message says which file, what is wrong, what to do."""


class ModelInfo(BaseModel):
    """What a model says of itself, from the metadata in its graph."""

    model_config = ConfigDict(frozen=True)

    labels: tuple[str, ...]
    input: Input
    media: Media
    faces: Faces
    modalities: tuple[ModalityName, ...]
    """Those it was trained on; the others are never shown to it."""
    version: str
    git: str
    status: Literal["experiment", "candidate", "release"]
    corpora: tuple[str, ...]
    drawings: bool
    """Trained on drawn people only: no evidence about real ones."""
    partly_drawn: bool
    """Trained on drawn people among others."""
    pairing: str
    """`label`: also trained on artificial clips, the voice of one person with the face of another."""
    face_weights: str | None
    """Face-recognition weights that the face network started from."""
    start: str | None = None
    """The weights of an earlier training that this one went on from."""
    licence: str
    weights: Literal["float32", "int8"] = "float32"
    """How the graph stores what was learnt; it computes in float32."""

    def to_json(self) -> dict[str, Any]:
        """What a reader of results needs to know."""
        info = self.model_dump(mode="json", exclude={"input", "media", "faces"})
        return {**info, "step_s": self.input.step_s}


@dataclass(frozen=True)
class Step:
    """One moment of the timeline."""

    t: float
    """Seconds since the start."""
    probabilities: Floats
    """[7], in the order of `EMOTIONS`."""
    label: str | None
    """The likeliest emotion; None where nothing was seen or heard at this step."""
    alone: dict[ModalityName, Floats | None]
    """[7], what each modality that the model was trained on says by itself; None where it is absent."""
    box: tuple[float, float, float, float] | None
    """The face: x1, y1, x2, y2 as shares of the picture's width and height."""
    present: dict[ModalityName, bool]
    """Which of face, scene and voice this step rests on."""
    voice_dbfs: float
    """Level of the sound since the step before, dB of full scale; -100 or more."""
    ms: float
    """Milliseconds of work spent on it."""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and names."""
        return {
            "t": round(self.t, 3),
            "label": self.label,
            "probabilities": named(self.probabilities),
            "alone": {name: None if said is None else named(said) for name, said in self.alone.items()},
            "box": None if self.box is None else [round(v, 4) for v in self.box],
            "present": self.present,
            "voice_dbfs": round(self.voice_dbfs, 1),
            "ms": round(self.ms, 2),
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
    crops: list[Picture | None] = field(default_factory=list, repr=False)
    """The face [S, S, 3] RGB at each step, where it was asked for."""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and names, for `json.dumps`."""
        return {
            "path": self.path,
            "label": self.label,
            "probabilities": named(self.probabilities),
            "missing": self.missing,
            "steps": [step.to_json() for step in self.steps],
            "model": self.model.to_json(),
        }


class Graph:
    """`mmer.onnx`, open: call it to make a pass. Safe to share between threads."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Open the file and make sure that it is what its metadata says.

        Raises:
            ModelError: it is no graph of this project.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # int8 weights are multiplied out once, here, and not in each pass.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise ModelError(f"{path} is no graph that onnxruntime opens: {error}") from None
        self.info = _read_info(self.session, path)
        ports = {port.name: port for port in self.session.get_inputs()}
        self.inputs = frozenset(ports)
        """A graph of a model that was not trained on a modality may lack that input."""
        self.state_size = int(ports["state"].shape[1])

    def __call__(self, arrays: Arrays) -> Arrays:
        """One pass: see `Run`."""
        names = ["logits", "state_out", "alone"]
        found = self.session.run(names, {name: array for name, array in arrays.items() if name in self.inputs})
        return dict(zip(names, found, strict=True))


class Recognizer:
    """A model, ready. Safe to share between threads: each clip and each stream has its own state.

    Args:
        graph: what the model is.
        detector: of faces.
        run: where passes are made; by default in the graph itself.
    """

    def __init__(self, graph: Graph, detector: faces.Detector, run: Run | None = None) -> None:
        self.graph, self.detector, self.run = graph, detector, run or graph

        self.info = graph.info
        """What the model says of itself."""

    def with_media(self, **limits: float) -> Recognizer:
        """The same with other limits of decoding (fields of `mmer.config.Media`)."""
        other = copy.copy(self)
        other.info = self.info.model_copy(update={"media": self.info.media.model_copy(update=limits)})
        return other

    @classmethod
    def load(cls, path: Path | str | None = None, *, threads: int = 1, run: Run | None = None) -> Recognizer:
        """Open a model.

        Args:
            path: a folder that holds `mmer.onnx` and `detector/`, or another graph beside that `detector/`
                (`mmer.int8.onnx`); by default `$MMER_MODEL`, else `release/`.
            threads: of one pass through the graph. One is best where several clips are served at once.
            run: where passes are made, if not here.

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
            detector = faces.Detector.load(folder / "detector", graph.info.faces)
        except ValueError as error:
            raise ModelError(str(error)) from None
        return cls(graph, detector, run)

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
            mmer.media.MediaError: the file is empty, no media, cut off, too long, …; `code` says which.
        """
        walk = _Walk(self)
        looks: dict[int, _Look] = {}

        def on_picture(step: int, at: float, rgb: Picture) -> None:
            looks[step] = walk.look(rgb, at)

        decoded = media.decode(
            Path(path), self.info.media, self.info.input.step_s, on_picture, start_s=start_s, end_s=end_s
        )
        walk.voice.put(decoded.voice, 0)
        logits, steps = [], []
        for first in range(0, decoded.steps, CHUNK):
            chunk = [looks.get(k) for k in range(first, min(first + CHUNK, decoded.steps))]
            more_logits, more_steps = walk.run(chunk)
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
            crops=[looks[k].face if k in looks else None for k in range(len(steps))] if keep_crops else [],
        )

    def stream(self) -> Stream:
        """A live session of its own, at time zero."""
        return Stream(self)


class Stream:
    """A live session: push what the camera and the microphone give, take a `Step` each `step_s` seconds.

    Causal: a step sees the newest picture that is not later than it, and the voice window that ends at it. A step costs
    the same at the first minute and at the hundredth.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._walk, self._run = _Walk(recognizer), recognizer.run
        self._media = recognizer.info.media
        self._step_s = recognizer.info.input.step_s
        self._coming: dict[int, tuple[float, Picture | None]] = {}  # by the step that will see it
        self._frame: tuple[float, Picture | None] = (-math.inf, None)

    @property
    def next_time(self) -> float:
        """Seconds since the start at which the next step stands."""
        return (self._walk.done + 1) * self._step_s

    def push_frame(self, rgb: Picture | None, t: float) -> None:
        """A picture taken at `t` seconds, uint8 [H, W, 3] RGB; None where the camera was turned off at `t`.

        Of the pictures of one step only the newest is kept. A picture older than the one in use is ignored.

        Raises:
            ValueError: the picture has another shape or dtype, or `t` is below 0 or too far ahead.
        """
        self._check_time(t)
        if rgb is not None:
            if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
                raise ValueError(f"a picture must be uint8 [H, W, 3], not {rgb.dtype} {list(rgb.shape)}")
            rgb = _shrink(rgb, self._media.frame_side)
        step = max(self._walk.done, math.ceil(t / self._step_s - 1e-3) - 1)
        if t >= max(self._frame[0], self._coming.get(step, self._frame)[0]):
            self._coming[step] = (t, rgb)

    def push_voice(self, pcm: npt.NDArray[np.int16] | Floats, t: float) -> None:
        """Sound whose first sample is at `t` seconds: 16 kHz mono, int16, or float32 in -1..1.

        Voice missing between two pushes is silence; late voice is heard by those windows to come that reach it.

        Raises:
            ValueError: the array has another shape or dtype, or `t` is below 0 or too far ahead.
        """
        self._check_time(t)
        if pcm.ndim != 1 or pcm.dtype not in (np.int16, np.float32):
            raise ValueError(f"voice must be int16 or float32 [N], not {pcm.dtype} {list(pcm.shape)}")
        if pcm.dtype == np.float32:
            pcm = np.clip(np.nan_to_num(pcm) * 32768, -32768, 32767).astype(np.int16)
        voice, at = self._walk.voice, round(t * samples.SAMPLE_RATE)
        if abs(at - voice.end) < JITTER_S * samples.SAMPLE_RATE:
            at = voice.end
        voice.put(pcm.astype(np.int16, copy=False), at)

    def step(self) -> Step:
        """What is seen and heard at the next step. The caller keeps the time: nothing is waited for."""
        begun = self.begin()
        return self.end(begun, self._run(begun.arrays))

    def begin(self) -> Pass:
        """The first half of a step, for a caller that makes the pass through the graph itself."""
        now = self.next_time
        self._frame = self._coming.pop(self._walk.done, self._frame)
        at, rgb = self._frame
        fresh = rgb is not None and now - at <= STALE_S
        return self._walk.begin([self._walk.look(rgb, at) if rgb is not None and fresh else None])

    def end(self, begun: Pass, found: Arrays) -> Step:
        """The second half.

        Args:
            found: what the graph gives for `begun.arrays`.
        """
        _, (step,) = self._walk.end(begun, found)
        self._walk.voice.forget(self._walk.done)
        return step

    def skip(self, steps: int) -> None:
        """Leave out the next steps, as if nothing were seen or heard in them; the state stays as it is."""
        self._walk.done += steps
        self._coming = {step: coming for step, coming in self._coming.items() if step >= self._walk.done}
        self._walk.voice.forget(self._walk.done)

    def _check_time(self, t: float) -> None:
        if not 0 <= t <= self.next_time + AHEAD_S:
            raise ValueError(
                f"time {t} s is not between 0 and {AHEAD_S:g} s after the next step ({self.next_time:g} s)"
            )


@dataclass(frozen=True)
class _Look:
    """One picture, looked at."""

    face: Picture | None
    scene: Picture | None
    """Where the model was trained on scenes."""
    box: tuple[float, float, float, float] | None
    ms: float


@dataclass(frozen=True)
class Pass:
    """A pass through the graph that is about to be made."""

    arrays: Arrays
    """What the graph takes, B = 1."""
    looks: tuple[_Look | None, ...]
    """Behind each step."""
    start: float
    """When it was begun, by `time.perf_counter`."""


class _Voice:
    """The voice on the grid of steps; of a stream only what later windows can still reach."""

    def __init__(self, given: Input) -> None:
        self._step_s, self._window_s = given.step_s, given.voice_window_s
        self._hop = round(given.step_s * samples.SAMPLE_RATE)
        self._context = math.ceil(given.voice_window_s / given.step_s)
        self._start = 0  # of the line, samples since the beginning
        self._line = np.zeros(0, np.int16)

    @property
    def end(self) -> int:
        """Samples since the beginning up to which there is voice."""
        return self._start + len(self._line)

    def put(self, pcm: npt.NDArray[np.int16], at: int) -> None:
        """Lay voice down, its first sample at `at`."""
        pcm = pcm[max(0, self._start - at) :]
        at = max(at, self._start)
        if at + len(pcm) > self.end:
            self._line = np.concatenate([self._line, np.zeros(at + len(pcm) - self.end, np.int16)])
        self._line[at - self._start : at - self._start + len(pcm)] = pcm

    def windows(self, first: int, count: int) -> Floats:
        """The windows of steps `first` to `first + count`, float32 [count, W]."""
        before = min(first, self._context)
        begin = (first - before) * self._hop - self._start
        line = self._line[begin : begin + (before + count) * self._hop]
        return samples.voice_windows(line, before + count, self._step_s, self._window_s)[before:]

    def forget(self, step: int) -> None:
        """Drop what the windows of `step` and later cannot reach."""
        begin = max(0, (step - self._context) * self._hop)
        if begin > self._start:
            self._line = self._line[begin - self._start :].copy()
            self._start = begin


class _Walk:
    """One clip's or one stream's way through the model: a tracker, the voice, the network's state."""

    def __init__(self, recognizer: Recognizer) -> None:
        info = self._info = recognizer.info
        self._run = recognizer.run
        self._tracker = faces.Tracker(recognizer.detector, info.faces, info.input)
        self._trained = np.array([name in info.modalities for name in MODALITIES])
        self._state = np.zeros((1, recognizer.graph.state_size), np.float32)
        self.voice = _Voice(info.input)
        self.done = 0
        """Steps walked."""

    def look(self, rgb: Picture, at: float) -> _Look:
        """Find the face in the picture of `at` seconds. Pictures come in order."""
        start = time.perf_counter()
        view = self._tracker.look(rgb, at)
        height, width = rgb.shape[:2]
        box = None
        if view.box is not None:
            x1, y1, x2, y2 = view.box
            box = (x1 / width, y1 / height, x2 / width, y2 / height)
        scene = faces.shrink(rgb, self._info.input.scene_size) if "scene" in self._info.modalities else None
        return _Look(view.face, scene, box, 1000 * (time.perf_counter() - start))

    def run(self, looks: Sequence[_Look | None]) -> tuple[Floats, list[Step]]:
        """Walk the next steps: their logits [n, 7], and each as a `Step`. None is a step without a picture."""
        begun = self.begin(looks)
        return self.end(begun, self._run(begun.arrays))

    def begin(self, looks: Sequence[_Look | None]) -> Pass:
        """What the graph must see of the next steps."""
        start = time.perf_counter()
        given, count = self._info.input, len(looks)
        face = np.zeros((1, count, given.face_size, given.face_size, 3), np.uint8)
        scene = np.zeros((1, count, given.scene_size, given.scene_size, 3), np.uint8)
        present = np.zeros((count, len(MODALITIES)), bool)
        for k, look in enumerate(looks):
            if look is not None:
                present[k, :2] = look.face is not None, look.scene is not None
                if look.face is not None:
                    face[0, k] = look.face
                if look.scene is not None:
                    scene[0, k] = look.scene
        windows = self.voice.windows(self.done, count)
        present[:, 2] = samples.voice_present(windows, self._info.media.silence_dbfs)
        present &= self._trained
        arrays: Arrays = {
            "faces": face,
            "scenes": scene,
            "voice": windows[None],
            "present": present[None].astype(np.float32),
            "state": self._state,
        }
        return Pass(arrays, tuple(looks), start)

    def end(self, begun: Pass, found: Arrays) -> tuple[Floats, list[Step]]:
        """What the graph gave, as logits [n, 7] and steps."""
        looks, given, count = begun.looks, self._info.input, len(begun.looks)
        logits, self._state = found["logits"][0], found["state_out"]
        present, windows = begun.arrays["present"][0] > 0, begun.arrays["voice"][0]
        chances, alone = softmax(logits), np.exp(found["alone"][0])
        power = np.mean(np.square(windows[:, -round(given.step_s * samples.SAMPLE_RATE) :]), axis=1)
        levels = 10 * np.log10(np.maximum(power, 1e-10))
        ms = 1000 * (time.perf_counter() - begun.start) / count
        steps = [
            Step(
                t=(self.done + k + 1) * given.step_s,
                probabilities=chances[k],
                label=EMOTIONS[int(chances[k].argmax())] if present[k].any() else None,
                alone={
                    name: alone[k, m] if present[k, m] else None
                    for m, name in enumerate(MODALITIES)
                    if self._trained[m]
                },
                box=look.box if look is not None else None,
                present={name: bool(there) for name, there in zip(MODALITIES, present[k], strict=True)},
                voice_dbfs=float(levels[k]),
                ms=ms + (look.ms if look is not None else 0),
            )
            for k, look in enumerate(looks)
        ]
        self.done += count
        return logits, steps


def find_model(path: Path | str | None = None) -> Path:
    """The model's graph: the one named or that of the folder named, else of `$MMER_MODEL`, else of `release/` here or
    in the repository. The folder it lies in is the model's.

    Raises:
        ModelError: there is none.
    """
    named = path or os.environ.get("MMER_MODEL")
    if named:
        if Path(named).is_dir():
            return Path(named) / GRAPH
        if Path(named).is_file():
            return Path(named)
        raise ModelError(f"{named} is no folder and no graph, so no model. {HOW_TO_GET}")
    for home in (Path(), Path(__file__).resolve().parent.parent):
        if (home / "release" / GRAPH).is_file():
            return home / "release" / GRAPH
    raise ModelError(f"no model is named and there is no release/{GRAPH}. {HOW_TO_GET}")


def _read_info(graph: onnxruntime.InferenceSession, path: Path) -> ModelInfo:
    """The metadata of a graph, once it is sure that the graph is what the metadata says."""
    text = graph.get_modelmeta().custom_metadata_map.get("mmer")
    if text is None:
        raise ModelError(f"{path} has no metadata under the key 'mmer': it is no graph of this project. {HOW_TO_GET}")
    try:
        info = ModelInfo.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
        raise ModelError(
            f"the metadata in {path} is of another version of mmer: {wrong}. Package the model anew"
        ) from None
    if info.labels != EMOTIONS:
        raise ModelError(f"{path} tells apart {', '.join(info.labels)}; this version knows {', '.join(EMOTIONS)}")
    face, scene = info.input.face_size, info.input.scene_size
    wanted = {
        "faces": ("tensor(uint8)", (None, None, face, face, 3)),
        "scenes": ("tensor(uint8)", (None, None, scene, scene, 3)),
        "voice": ("tensor(float)", (None, None, round(info.input.voice_window_s * samples.SAMPLE_RATE))),
        "present": ("tensor(float)", (None, None, len(MODALITIES))),
        "state": ("tensor(float)", (None, ...)),
    }
    ports = {port.name: port for port in graph.get_inputs()}
    of = {"face": "faces", "scene": "scenes", "voice": "voice"}
    unused = {of[name] for name in MODALITIES if name not in info.modalities}
    for name, (kind, shape) in wanted.items():
        port = ports.get(name)
        if port is None and name in unused:
            continue
        if port is None or port.type != kind or not _fits(port.shape, shape):
            found = "is missing" if port is None else f"is {port.type} {port.shape}"
            raise ModelError(f"{path} is no graph of this project: its input {name!r} {found}. {HOW_TO_GET}")
    missing = {"logits", "state_out", "alone"} - {port.name for port in graph.get_outputs()}
    if missing:
        raise ModelError(
            f"{path} is no graph of this project: it gives no {' and no '.join(sorted(missing))}. {HOW_TO_GET}"
        )
    return info


def _fits(found: Sequence[int | str | None], wanted: Sequence[Any]) -> bool:
    """Whether a shape is as wanted: a number is that number, None is free (a clip of any length), `...` is fixed."""
    return len(found) == len(wanted) and all(
        isinstance(f, int) if w is ... else not isinstance(f, int) if w is None else f == w
        for f, w in zip(found, wanted, strict=True)
    )


def _shrink(rgb: Picture, side: int) -> Picture:
    """Make a live picture no larger than decoding makes a clip's."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: Picture = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return small


def pool(logits: Floats, evidence: npt.NDArray[np.bool_]) -> Floats:
    """A clip's probabilities [7] from the logits [T, 7] of its steps: of their mean over those with evidence [T], over
    all where there is none.
    """
    return softmax(logits[evidence if evidence.any() else slice(None)].mean(axis=0))


def softmax(logits: Floats) -> Floats:
    """Logits [..., 7] to probabilities."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
    return result


def named(probabilities: Floats) -> dict[str, float]:
    """Probabilities [7] by their emotion."""
    return {name: round(float(p), 5) for name, p in zip(EMOTIONS, probabilities, strict=True)}
