"""Claims about how the model in release/ behaves: what must not matter does not, and where there is nothing to go by it
says so. Real faces and voices are read from where the corpora lie, and nothing of them is kept.
"""

import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from mmer.data.corpora import get
from mmer.data.demo.room import ROOMS, draw_room
from mmer.data.demo.speakers import make_speaker
from mmer.data.samples import Sample, as_pass
from mmer.labels import EMOTIONS, MODALITIES
from mmer.runtime import media
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.resize import shrink
from mmer.runtime.results import Step, pool, softmax
from mmer.runtime.smoothing import Smoother
from mmer.runtime.voice import hear
from tests.conftest import ROOT

Faces = npt.NDArray[np.uint8]
NEUTRAL = EMOTIONS.index("neutral")
CONFIDENT = 0.5
"""A label that is surer than that says something."""


@pytest.fixture(scope="module")
def release() -> Recognizer:
    return Recognizer.load(ROOT / "release")


@pytest.fixture(scope="module")
def faces(release: Recognizer, mirror: Path) -> dict[str, Faces]:
    """Fifty test images of FER2013 for each emotion, drawn by chance, as crops uint8 [50, S, S, 3]."""
    rng, found = np.random.default_rng(0), {}
    with zipfile.ZipFile(mirror / "fer2013" / "archive.zip") as archive:
        for emotion in EMOTIONS:
            names = sorted(n for n in archive.namelist() if f"test/{emotion}/PrivateTest_" in n)
            crops = [
                cv2.cvtColor(cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), 0), cv2.COLOR_GRAY2RGB)
                for n in rng.choice(names, 50, replace=False)
            ]
            found[emotion] = np.stack([shrink(crop, release.info.input.face_size) for crop in crops])
    return found


def look(release: Recognizer, crops: Faces) -> npt.NDArray[np.float32]:
    """Probabilities [n, 7] of so many faces, each seen for one step."""
    given, n = release.info.input, len(crops)
    arrays = {
        "faces": crops[:, None],
        "scenes": np.zeros((n, 1, given.scene_size, given.scene_size, 3), np.uint8),
        "voice": np.zeros((n, 1, round(given.voice_window_s * SAMPLE_RATE)), np.float32),
        "present": np.eye(len(MODALITIES), dtype=np.float32)[[0] * n][:, None],
        "state": np.zeros((n, release.graph.state_size), np.float32),
    }
    return softmax(release.graph(arrays)["logits"][:, 0])


def walk(release: Recognizer, crops: Faces, voice: npt.NDArray[np.int16] | None = None) -> npt.NDArray[np.float32]:
    """Logits [T, 7] of one person's face over time, with a voice beside it or in silence."""
    given, steps = release.info.input, len(crops)
    heard = np.zeros(0, np.int16) if voice is None else voice
    present = np.zeros((steps, len(MODALITIES)), bool)
    present[:, 0] = True
    present[:, 2] = hear(heard, steps, given, release.info.media.silence_dbfs)[1]
    scenes = np.zeros((steps, given.scene_size, given.scene_size, 3), np.uint8)
    arrays = as_pass(Sample(crops, scenes, heard, present), given, release.graph.state_size)
    logits: npt.NDArray[np.float32] = release.graph(arrays)["logits"][0]
    return logits


def moved(crops: Faces, right: float, down: float) -> Faces:
    """Crops that were set a little elsewhere, as a share of their side."""
    side = crops.shape[1]
    matrix = np.array([[1, 0, right * side], [0, 1, down * side]], np.float32)
    return np.stack([cv2.warpAffine(c, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE) for c in crops])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda crops: crops[:, :, ::-1].copy(), id="mirror"),
        pytest.param(lambda crops: (crops * 0.8).astype(np.uint8), id="darker"),
        pytest.param(lambda crops: np.clip(crops * 1.2, 0, 255).astype(np.uint8), id="brighter"),
        pytest.param(lambda crops: moved(crops, 0.04, 0), id="right"),
        pytest.param(lambda crops: moved(crops, -0.04, 0), id="left"),
        pytest.param(lambda crops: moved(crops, 0, 0.04), id="down"),
        pytest.param(lambda crops: moved(crops, 0, -0.04), id="up"),
    ],
)
def test_a_change_that_is_none_of_the_face_leaves_the_label(
    release: Recognizer, faces: dict[str, Faces], change: Callable[[Faces], Faces]
) -> None:
    """Of the labels that it was confident of; nearly all of them, since some faces lie between two."""
    crops = np.concatenate(list(faces.values()))
    before, after = look(release, crops), look(release, change(crops))
    sure = before.max(1) > CONFIDENT
    assert sure.mean() > 0.5, "too few to say anything"
    assert np.mean(before.argmax(1)[sure] == after.argmax(1)[sure]) >= 0.95


def test_the_label_of_a_still_neutral_face_flips_at_most_twice_a_minute(
    release: Recognizer, faces: dict[str, Faces]
) -> None:
    """A minute of each of four faces: a camera's noise, a crop that trembles by a pixel, a light that wavers."""
    minute, rng = round(60 / release.info.input.step_s), np.random.default_rng(1)
    flips = {}
    for number, face in enumerate(faces["neutral"][:4]):
        crops = np.concatenate([moved(face[None], *(rng.integers(-1, 2, 2) / len(face))) for _ in range(minute)])
        light = 1 + 0.03 * np.sin(np.arange(minute) / 7)[:, None, None, None]
        noisy = np.clip(crops * light + rng.normal(0, 3, crops.shape), 0, 255).astype(np.uint8)
        smoother = Smoother(release.info.input.step_s, release.info.shown)
        labels = [smoother.push(p, seen=True, heard=False)[1] for p in softmax(walk(release, noisy))]
        flips[number] = sum(a != b for a, b in pairwise(labels))
    assert max(flips.values()) <= 2, flips


def test_a_neutral_face_with_an_angry_voice_is_not_surely_neutral(
    release: Recognizer, faces: dict[str, Faces], mirror: Path
) -> None:
    """Four faces, and of the loud angry recordings of actors it never met those that it hears as angry, alone."""
    given, heard = release.info.input, []
    loud = [
        c
        for c in get("ravdess").list_clips(mirror / "ravdess")
        if (c.fold, c.label, c.intensity) == (1, "angry", "high") and not c.has_face
    ]
    for clip in loud:
        decoded = media.decode(mirror / "ravdess" / clip.path, release.info.media, given.step_s, lambda *_: None)
        if release.predict(mirror / "ravdess" / clip.path).label == "angry":
            heard.append((decoded.steps, decoded.voice))
    assert heard, "it hears none of them as angry"
    for face in faces["neutral"][:4]:
        for steps, voice in heard:
            logits = walk(release, np.repeat(face[None], steps, axis=0), voice)
            assert pool(logits, np.ones(steps, bool))[NEUTRAL] < 0.99


def test_a_face_that_turns_away_hands_over_to_the_voice(release: Recognizer) -> None:
    """Where no face is seen, all that is said is what the voice says; and it was seen before."""
    demo = ROOT / "data" / "raw" / "demo"
    clips = [c for c in get("demo").list_clips(demo) if c.hidden == "away" and c.has_voice]
    handed = 0
    for clip in clips[:3]:
        steps = release.predict(demo / clip.path).steps
        alone = [s for s in steps if s.present["voice"] and not s.present["face"]]
        for step in alone:
            assert step.unimodal["voice"] is not None
            assert step.label == EMOTIONS[int(step.unimodal["voice"].argmax())]
            assert np.abs(step.probabilities - step.unimodal["voice"]).max() < 0.02
        handed += bool(alone and any(s.present["face"] for s in steps))
    assert handed, "no face was seen and then lost"


def live(release: Recognizer, picture: Faces | None, voice: npt.NDArray[np.int16], seconds: int = 3) -> list[Step]:
    """A camera on one picture and a microphone."""
    stream, steps = release.stream(), []
    stream.push_voice(voice, 0.0)
    for k in range(round(seconds / release.info.input.step_s)):
        stream.push_frame(picture, k * release.info.input.step_s)
        steps.append(stream.step())
    return steps


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_in_an_empty_room_and_silence_it_says_nothing(release: Recognizer, emotion: str) -> None:
    room = draw_room(ROOMS[emotion], make_speaker(0, 1), np.random.default_rng(0))
    steps = live(release, room, np.zeros(3 * SAMPLE_RATE, np.int16))
    assert all(step.label is None for step in steps)
    assert max(float(step.probabilities.max()) for step in steps) < CONFIDENT


def hiss(kind: str, dbfs: float, seconds: int) -> npt.NDArray[np.int16]:
    """What a room sounds like in which nobody speaks: white, or with less power at high frequencies (a fan)."""
    n, rng = seconds * SAMPLE_RATE, np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    if kind == "fan":
        spectrum /= np.maximum(np.arange(len(spectrum)), 200)
    if kind == "hum":
        spectrum *= np.isin(np.arange(len(spectrum)) // seconds, [50, 100, 150])
    noise = np.fft.irfft(spectrum, n)
    return (noise / np.sqrt(np.mean(noise**2)) * 32768 * 10 ** (dbfs / 20)).round().astype(np.int16)


@pytest.mark.parametrize(
    ("kind", "dbfs"),
    [
        ("white", -55),
        ("white", -45),
        ("white", -35),
        ("fan", -55),
        ("fan", -45),
        ("fan", -35),
        ("hum", -55),
        ("hum", -45),
        ("hum", -35),
    ],
)
def test_the_noise_of_an_empty_room_is_no_confident_emotion(release: Recognizer, kind: str, dbfs: float) -> None:
    """Also where it is louder than what counts as silence."""
    steps = live(release, None, hiss(kind, dbfs, 5), seconds=5)
    smoother = Smoother(release.info.input.step_s, release.info.shown)
    said = [float(smoother.push(s.probabilities, seen=s.seen, heard=s.heard)[0].max()) for s in steps]
    assert max(said[5:]) < CONFIDENT, f"{max(said[5:]):.2f}"


def test_a_picture_of_noise_is_no_face(release: Recognizer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    assert all(step.label is None for step in live(release, noise, np.zeros(0, np.int16)))
