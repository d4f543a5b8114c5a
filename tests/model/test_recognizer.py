"""The runtime: a clip and a stream are the same computation, nothing absent is made up, and it is light."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from mmer.config import Model
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.runtime import media
from mmer.runtime.config import Faces, Input, Media
from mmer.runtime.graph import ModelError
from mmer.runtime.media import MediaError
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Prediction, Step
from mmer.runtime.stream import AHEAD_S, Stream
from mmer.runtime.walk import CHUNK
from mmer.serving import protocol
from mmer.serving.live import Session
from mmer.serving.openapi import document
from mmer.serving.settings import Settings
from tests.graphs import drawn_clips, write_graph, write_model

Pictures = list[tuple[float, np.ndarray]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def recognizer(model: Path) -> Recognizer:
    return Recognizer.load(model)


@pytest.fixture(scope="module")
def prediction(recognizer: Recognizer) -> Prediction:
    return recognizer.predict(drawn_clips()["happy"], keep_crops=True)


def ffmpeg(*args: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *args], check=True)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Longer than one chunk; the voice comes and goes; nobody is in the picture."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc=size=96x64:rate=10:duration=8"]
    sound = ["-f", "lavfi", "-i", "sine=440:duration=8,volume='between(mod(t,3),1,2)':eval=frame"]
    ffmpeg(*picture, *sound, "-pix_fmt", "yuv420p", str(path))
    return path


def taken_apart(recognizer: Recognizer, path: Path) -> tuple[Pictures, media.Decoded]:
    """What a camera and a microphone would have given."""
    info, pictures = recognizer.info, []
    decoded = media.decode(path, info.media, info.input.step_s, lambda _, t, rgb: pictures.append((t, rgb)))
    return pictures, decoded


def streamed(recognizer: Recognizer, path: Path, *, piece: int = 1234, as_float: bool = False) -> list[Step]:
    """A clip as a live stream: small pieces of sound, each picture at its time."""
    pictures, decoded = taken_apart(recognizer, path)
    voice = decoded.voice.astype(np.float32) / 32768 if as_float else decoded.voice
    stream, steps, sent = recognizer.stream(), [], 0
    for _ in range(decoded.steps):
        while pictures and pictures[0][0] <= stream.next_time + 1e-6:
            t, rgb = pictures.pop(0)
            stream.push_frame(rgb, t)
        while sent < len(voice) and sent / 16_000 < stream.next_time:
            stream.push_voice(voice[sent : sent + piece], sent / 16_000)
            sent += piece
        steps.append(stream.step())
    return steps


def assert_same(one: list[Step], other: list[Step]) -> None:
    assert [(s.t, s.label, s.present, s.box) for s in one] == [(s.t, s.label, s.present, s.box) for s in other]
    a, b = (np.array([s.probabilities for s in steps]) for steps in (one, other))
    np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("emotion", ["happy", "neutral", "angry"])  # a face, one that is hidden, no voice
def test_a_clip_streamed_gives_what_the_clip_gives_whole(recognizer: Recognizer, emotion: str) -> None:
    path = drawn_clips()[emotion]
    assert_same(streamed(recognizer, path), recognizer.predict(path).steps)


@pytest.mark.parametrize("modalities", [MODALITIES, ("voice",)])
def test_so_does_the_real_network_even_where_its_graph_lacks_the_inputs_it_was_not_trained_on(
    model: Path, tmp_path: Path, modalities: tuple[ModalityName, ...]
) -> None:
    import torch

    from mmer.model.network import EmotionNet
    from mmer.packaging.export import export
    from mmer.training.checkpoints import Origin

    torch.manual_seed(0)
    network, origin = EmotionNet(Input(), Model(), modalities).eval(), Origin(corpora=["demo"])
    (tmp_path / "detector").symlink_to(model / "detector")
    export(network, tmp_path / "mmer.onnx", media=Media(), faces=Faces(), origin=origin, revision="none")
    recognizer = Recognizer.load(tmp_path)
    whole = recognizer.predict(drawn_clips()["happy"])
    assert whole.missing == [name for name in MODALITIES if name not in modalities]
    assert_same(streamed(recognizer, drawn_clips()["happy"]), whole.steps)


def test_valence_and_arousal_are_told_where_there_is_what_they_were_learnt_from(model: Path, tmp_path: Path) -> None:
    import torch

    from mmer.model.network import EmotionNet
    from mmer.packaging.export import export
    from mmer.training.checkpoints import Origin

    torch.manual_seed(0)
    network, origin = EmotionNet(Input(), Model(), affect=["voice"]).eval(), Origin(corpora=["demo"])
    (tmp_path / "detector").symlink_to(model / "detector")
    export(network, tmp_path / "mmer.onnx", media=Media(), faces=Faces(), origin=origin, revision="none")
    recognizer = Recognizer.load(tmp_path)
    whole, steps = recognizer.predict(drawn_clips()["happy"]), streamed(recognizer, drawn_clips()["happy"])
    told = whole.to_json()
    for step, other in zip(whole.steps, steps, strict=True):
        known = step.present["voice"]
        assert [value is not None for value in step.affect.values()] == [known, known]
        assert step.affect == pytest.approx(other.affect, abs=1e-4)
    heard = [row["valence"] for row in told["steps"] if row["valence"] is not None]
    assert 0 < len(heard) < len(steps)
    assert told["valence"] == pytest.approx(np.mean(heard), abs=1e-3)
    silent = recognizer.predict(drawn_clips()["angry"]).to_json()
    assert silent["valence"] is silent["arousal"] is None, "a face alone tells nothing here"

    schemas = document(recognizer.info, Settings())["components"]["schemas"]
    for name, row in (("Step", told["steps"][0]), ("Prediction", told)):
        assert {"valence", "arousal"} <= set(schemas[name]["required"]) <= set(row)
    session = Session(recognizer, protocol.Hello(type="hello", protocol=protocol.VERSION, video=False), 10**6)
    session.receive(protocol.Media(protocol.VOICE, 0.0, np.zeros(4800, np.int16).tobytes()))
    begun, _ = session.look(session.take())
    step, (message,) = session.tell(begun, recognizer.forward(begun.arrays))
    assert (message["valence"], message["arousal"]) == (None, None)


def test_where_a_model_does_not_say_valence_nobody_hears_of_it(recognizer: Recognizer, prediction: Prediction) -> None:
    assert prediction.affect == prediction.steps[0].affect == {}
    assert not re.search("valence|affect", json.dumps([prediction.to_json(), document(recognizer.info, Settings())]))


def test_state_is_carried_over_chunks_as_over_single_steps(recognizer: Recognizer, long_clip: Path) -> None:
    whole = recognizer.predict(long_clip)
    assert len(whole.steps) > CHUNK
    assert {s.present["voice"] for s in whole.steps} == {True, False}
    assert_same(streamed(recognizer, long_clip), whole.steps)


def test_float_voice_is_the_same_as_int16_voice(recognizer: Recognizer, long_clip: Path) -> None:
    assert_same(streamed(recognizer, long_clip, as_float=True), streamed(recognizer, long_clip))


def test_the_same_clip_gives_the_same_numbers(recognizer: Recognizer, prediction: Prediction) -> None:
    assert_same(recognizer.predict(drawn_clips()["happy"]).steps, prediction.steps)


def test_a_prediction_tells_the_face_the_time_and_the_odds(prediction: Prediction) -> None:
    assert prediction.label in EMOTIONS
    assert prediction.label == EMOTIONS[int(prediction.probabilities.argmax())]
    assert prediction.probabilities.shape == (7,)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert [round(s.t, 6) for s in prediction.steps] == [round(0.2 * (k + 1), 6) for k in range(len(prediction.steps))]
    assert prediction.missing == []
    boxes = [s.box for s in prediction.steps if s.box]
    assert boxes
    for x1, y1, x2, y2 in boxes:
        assert -0.2 < x1 < x2 < 1.2
        assert -0.2 < y1 < y2 < 1.2
    for step, crop in zip(prediction.steps, prediction.crops, strict=True):
        assert (crop is not None) == step.present["face"]


def test_a_prediction_is_json(prediction: Prediction) -> None:
    told = json.loads(json.dumps(prediction.to_json()))
    assert list(told["probabilities"]) == list(EMOTIONS)
    assert set(told["steps"][0]["present"]) == set(MODALITIES)
    assert told["model"]["drawings"] is True
    assert told["label"] == prediction.label


def test_a_hidden_face_is_absent_and_a_silent_clip_has_no_voice(recognizer: Recognizer) -> None:
    hidden, silent = (recognizer.predict(drawn_clips()[emotion]) for emotion in ("neutral", "angry"))
    assert not all(s.present["face"] for s in hidden.steps)
    assert silent.missing == ["voice"]


def test_sound_alone_has_no_picture_and_an_image_is_one_step(recognizer: Recognizer, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=300:duration=1", str(tmp_path / "tone.wav"))
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((80, 120, 3), 128, np.uint8))
    tone, grey = recognizer.predict(tmp_path / "tone.wav"), recognizer.predict(tmp_path / "grey.png")
    assert tone.missing == ["face", "scene"]
    assert tone.label is not None
    assert grey.missing == ["face", "voice"]
    assert len(grey.steps) == 1


def test_a_clip_without_any_evidence_gets_no_label(recognizer: Recognizer, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "1", str(tmp_path / "silence.wav"))
    nothing = recognizer.predict(tmp_path / "silence.wav")
    assert nothing.label is None
    assert nothing.missing == ["face", "scene", "voice"]
    assert all(s.label is None for s in nothing.steps)


def test_a_modality_that_was_not_trained_is_never_shown_to_the_network(model: Path, tmp_path: Path) -> None:
    (tmp_path / "detector").symlink_to(model / "detector")
    voice_only = Recognizer.load(write_graph(tmp_path, modalities=["voice"]))
    seen = voice_only.predict(drawn_clips()["happy"])
    assert seen.missing == ["face", "scene"]
    assert not any(s.present["face"] or s.present["scene"] for s in seen.steps)


def test_only_evidence_counts_in_the_clips_answer(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "half.wav"
    ffmpeg("-f", "lavfi", "-i", "sine=300:duration=4,volume='lt(t,2)':eval=frame", str(path))
    seen = recognizer.predict(path)
    logits = np.log([s.probabilities for s in seen.steps if s.present["voice"]])
    logits -= logits.mean(axis=1, keepdims=True)  # what the graph gave, up to a constant per step
    expected = np.exp(logits.mean(axis=0)) / np.exp(logits.mean(axis=0)).sum()
    assert 0 < len(logits) < len(seen.steps)
    np.testing.assert_allclose(seen.probabilities, expected, atol=1e-5)


def test_a_stream_sees_nothing_of_the_future(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    stream.push_frame(np.full((64, 64, 3), 200, np.uint8), 0.5)
    stream.push_voice(np.full(1600, 9000, np.int16), 0.6)
    assert [any(stream.step().present.values()) for _ in range(4)] == [False, False, True, True]


def test_a_camera_that_is_off_or_has_stopped_shows_nothing(recognizer: Recognizer) -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    off, stopped = recognizer.stream(), recognizer.stream()
    for stream in (off, stopped):
        stream.push_frame(grey, 0.0)
    off.push_frame(None, 0.4)
    assert [off.step().present["scene"] for _ in range(4)] == [True, False, False, False]
    assert [stopped.step().present["scene"] for _ in range(8)] == [True] * 5 + [False] * 3


def test_lost_voice_is_silence_and_jitter_is_none(recognizer: Recognizer) -> None:
    loud, lossy, jittery = np.full(3200, 9000, np.int16), recognizer.stream(), recognizer.stream()
    for t in (0.0, 0.6):
        lossy.push_voice(loud, t)
    assert [lossy.step().voice_dbfs > -50 for _ in range(5)] == [True, False, False, True, False]
    for t in (0.0, 0.21, 0.39):
        jittery.push_voice(loud, t)
    levels = [jittery.step().voice_dbfs for _ in range(3)]
    assert levels == pytest.approx([levels[0]] * 3)


def test_late_voice_is_still_heard_by_the_windows_that_reach_it(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    before = [stream.step().present["voice"] for _ in range(2)]
    stream.push_voice(np.full(3200, 9000, np.int16), 0.2)
    after = [stream.step().present["voice"] for _ in range(3)]
    assert (before, after) == ([False, False], [True, True, False])


def test_a_long_stream_keeps_no_past(recognizer: Recognizer) -> None:
    stream, hop = recognizer.stream(), np.full(3200, 5000, np.int16)
    for k in range(200):
        stream.push_voice(hop, 0.2 * k)
        stream.step()
    assert len(stream._pipeline.voice._line) <= 4 * 3200
    assert not stream._coming


@pytest.mark.parametrize(
    "push",
    [
        lambda s: s.push_frame(np.zeros((4, 4), np.uint8), 0.0),
        lambda s: s.push_frame(np.zeros((4, 4, 3), np.float32), 0.0),
        lambda s: s.push_frame(np.zeros((4, 4, 3), np.uint8), float("nan")),
        lambda s: s.push_voice(np.zeros((4, 2), np.int16), 0.0),
        lambda s: s.push_voice(np.zeros(4, np.int64), 0.0),
        lambda s: s.push_voice(np.zeros(4, np.int16), -1.0),
        lambda s: s.push_voice(np.zeros(4, np.int16), 2 * AHEAD_S),
    ],
)
def test_what_is_no_picture_no_voice_or_no_time_is_refused(recognizer: Recognizer, push: object) -> None:
    stream: Stream = recognizer.stream()
    with pytest.raises(ValueError, match=r"must be|not between"):
        push(stream)  # type: ignore[operator]
    assert not any(stream.step().present.values())


def test_large_live_pictures_are_shrunk_like_a_clips(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    stream.push_frame(np.zeros((900, 1600, 3), np.uint8), 0.0)
    ((_, rgb),) = stream._coming.values()
    assert rgb is not None
    assert rgb.shape == (360, 640, 3)


def test_a_bad_file_is_named(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear all, …")
    with pytest.raises(MediaError, match=r"letter\.mp4"):
        recognizer.predict(tmp_path / "letter.mp4")


def test_without_a_model_the_reader_learns_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MMER_MODEL", raising=False)
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelError, match=r"(?s)make repro.*MMER_MODEL"):
            Recognizer.load(path)
    monkeypatch.setenv("MMER_MODEL", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match="gone"):
        Recognizer.load()


def test_a_model_named_by_the_environment_or_lying_in_release_is_found(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMER_MODEL", str(model))
    assert Recognizer.load().info.corpora == ("demo",)
    monkeypatch.delenv("MMER_MODEL")
    (tmp_path / "release").symlink_to(model)
    monkeypatch.chdir(tmp_path)
    assert Recognizer.load().info.corpora == ("demo",)


def test_the_small_graph_of_the_default_model_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Recognizer.load("mmer.int8.onnx").info.weights == "int8"
    monkeypatch.setenv("MMER_MODEL", "mmer.int8.onnx")
    assert Recognizer.load().info.weights == "int8"


def break_graph(model: Path, folder: Path, how: str) -> None:
    (folder / "detector").symlink_to(model / "detector")
    write_graph(folder)
    graph = onnx.load(folder / "mmer.onnx")
    if how == "bare":
        del graph.metadata_props[:]
    elif how == "renamed":
        graph.graph.input[3].name = "presence"
        for node in graph.graph.node:
            node.input[:] = ["presence" if name == "present" else name for name in node.input]
    elif how == "other size":
        entry = graph.metadata_props[0]
        entry.value = entry.value.replace('"face_size": 64', '"face_size": 96')
    elif how == "old":
        entry = graph.metadata_props[0]
        entry.value = json.dumps({k: v for k, v in json.loads(entry.value).items() if k != "faces"})
    elif how == "other labels":
        entry = graph.metadata_props[0]
        entry.value = entry.value.replace("surprise", "contempt")
    onnx.save(graph, folder / "mmer.onnx")
    if how == "cut off":
        data = (folder / "mmer.onnx").read_bytes()
        (folder / "mmer.onnx").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("bare", "metadata"),
        ("renamed", "present"),
        ("other size", "faces"),
        ("old", "faces: Field required"),
        ("other labels", "contempt"),
        ("cut off", "no graph"),
    ],
)
def test_a_graph_that_is_not_ours_is_refused_with_the_reason(model: Path, tmp_path: Path, how: str, told: str) -> None:
    break_graph(model, tmp_path, how)
    with pytest.raises(ModelError, match=told) as caught:
        Recognizer.load(tmp_path)
    assert "mmer.onnx" in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process's peak memory from Linux's /proc")
def test_a_fresh_process_needs_no_torch_and_at_most_250_mb(model: Path) -> None:
    code = """
import re, sys
from mmer import Recognizer
Recognizer.load(sys.argv[1]).predict(sys.argv[2])
heavy = {"torch", "pandas", "matplotlib", "scipy", "sklearn", "mlflow", "joblib"} & set(sys.modules)
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], *sorted(heavy))
"""
    command = [sys.executable, "-c", code, str(model), str(drawn_clips()["happy"])]
    kilobytes, *heavy = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert heavy == []
    assert int(kilobytes) < 250 * 1024
