"""What is brought and what is looked at, on made-up networks whose reasons are known, and on real graphs."""

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmer.cli import main
from mmer.labels import EMOTIONS, MODALITIES
from mmer.plots.explanation import plot_explanation
from mmer.runtime.explain import GRID, explain
from mmer.runtime.recognizer import Recognizer, explain_clip
from mmer.runtime.types import Arrays
from tests.graphs import drawn_clips, write_model

HAPPY = EMOTIONS.index("happy")


def clip(steps: int = 5, side: int = 32) -> list[Arrays]:
    """Two passes; a bright spot in the lower right of the face, from step 2 on."""
    faces = np.full((1, steps, side, side, 3), 100, np.uint8)
    faces[:, 2:, 24:28, 24:28] = 255
    present = np.ones((1, steps, 3), np.float32)
    present[:, 0, 0] = 0
    whole = {"faces": faces, "present": present}
    state = {"state": np.zeros((1, 1), np.float32)}
    return [{k: v[:, :3] for k, v in whole.items()} | state, {k: v[:, 3:] for k, v in whole.items()} | state]


def looks_at_the_spot(arrays: Arrays) -> Arrays:
    """Happy as the spot is bright, and a nat less so where a voice is there; the state counts the steps."""
    spot = arrays["faces"][:, :, 24:28, 24:28].mean(axis=(2, 3, 4)) / 100 * arrays["present"][..., 0]
    logits = np.zeros((*spot.shape, len(EMOTIONS)), np.float32)
    logits[..., HAPPY] = spot - arrays["present"][..., 2] + 0.001 * arrays["state"]
    alone = np.zeros((*spot.shape, len(MODALITIES), len(EMOTIONS)), np.float32)
    alone[..., 0, HAPPY] = spot
    return {"logits": logits, "state_out": arrays["state"] + spot.shape[1], "alone": alone}


def test_each_modality_is_told_by_what_is_missing_without_it() -> None:
    found = explain(looks_at_the_spot, clip(), "happy")
    assert list(found.contributions) == list(MODALITIES)
    assert found.contributions["face"][0] == 0, "it was not there"
    assert np.all(found.contributions["face"][1:] > 0)
    assert np.all(found.contributions["face"][2:] > found.contributions["face"][1])
    assert np.all(found.contributions["voice"] < 0)
    assert np.all(found.contributions["scene"] == 0)


def test_the_parts_that_count_are_found() -> None:
    found = explain(looks_at_the_spot, clip(), "happy")
    assert found.step is not None
    assert found.step >= 2
    assert found.saliency is not None
    assert found.saliency.shape == (GRID, GRID)
    assert np.unravel_index(found.saliency.argmax(), (GRID, GRID)) >= (GRID - 3, GRID - 3)
    assert found.saliency[0, 0] == 0


def test_a_face_that_may_not_be_shown_leaves_no_trace_in_the_picture(tmp_path: Path) -> None:
    """The same explanation of two faces is the same picture to the byte."""
    found = explain(looks_at_the_spot, clip(), "happy")
    assert found.face is not None
    other = replace(found, face=255 - found.face)
    for name, one in (("a", found), ("b", other)):
        plot_explanation(one, tmp_path / f"{name}.png", step_s=0.2, show_face=False)
        plot_explanation(one, tmp_path / f"{name}-shown.png", step_s=0.2)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a-shown.png").read_bytes() != (tmp_path / "b-shown.png").read_bytes()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


def test_a_clip_is_explained_step_by_step(model: Path) -> None:
    prediction, found = explain_clip(Recognizer.load(model), drawn_clips()["happy"])
    assert found is not None
    assert found.emotion == prediction.label
    assert {len(contributions) for contributions in found.contributions.values()} == {len(prediction.steps)}
    assert prediction.steps[found.step].present["face"]


def test_what_a_modality_brings_is_what_the_model_loses_without_it(model: Path) -> None:
    """The same as recognising the clip with that modality hidden from the graph."""
    recognizer = Recognizer.load(model)
    prediction, found = explain_clip(recognizer, drawn_clips()["happy"], "sad")

    def deaf(arrays: Arrays) -> Arrays:
        return recognizer.graph({**arrays, "present": arrays["present"] * np.array([1, 1, 0], np.float32)})

    without = Recognizer(recognizer.graph, recognizer.detector, deaf).predict(drawn_clips()["happy"])
    sad = EMOTIONS.index("sad")
    lost = [
        np.log(a.probabilities[sad] / b.probabilities[sad])
        for a, b in zip(prediction.steps, without.steps, strict=True)
    ]
    assert found is not None
    assert found.contributions["voice"] == pytest.approx(lost, abs=1e-3)
    assert max(map(abs, lost)) > 0.01


def test_the_command_draws_it(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "why.png"
    assert main(["explain", "--model", str(model), str(drawn_clips()["happy"]), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "face" in capsys.readouterr().out


def test_of_nothing_there_is_nothing_to_explain(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silence = tmp_path / "silence.wav"
    with wave.open(str(silence), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(32_000))
    assert main(["explain", "--model", str(model), str(silence), "--out", str(tmp_path / "why.png")]) == 1
    assert "silence.wav shows no face and no voice" in capsys.readouterr().err
    assert not (tmp_path / "why.png").exists()
