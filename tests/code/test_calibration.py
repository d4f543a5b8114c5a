"""Calibration: a person's rest is taken off later answers, in part, on that person alone, or not at all."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mmer.cli import main
from mmer.labels import EMOTIONS
from mmer.runtime.calibration import HALF_S, LARGEST, MOST_OFF, Calibration, CalibrationError, Calibrator
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Person, Step
from tests.graphs import drawn_clips, write_model

MODEL = "abc"
SAD = np.array([0.3, 0.02, 0.5, 0.1, 0.04, 0.02, 0.02], np.float32)
EVEN = np.full(len(EMOTIONS), 1 / 7, np.float32)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(write_model(tmp_path_factory.mktemp("model") / "m"))


def step(
    face: npt.NDArray[np.float32] | None = SAD, voice: npt.NDArray[np.float32] | None = None, who: int = 1
) -> Step:
    said = [one for one in (face, voice) if one is not None]
    probabilities = np.asarray(said[0] if said else EVEN, np.float32)
    return Step(
        t=0.2, probabilities=probabilities, label=None, unimodal={"face": face, "voice": voice}, box=None,
        present={"face": face is not None, "scene": False, "voice": voice is not None}, voice_dbfs=-30.0, ms=0.0,
        people=[Person(k, (0, 0, 1, 1), None, probabilities, 0.9) for k in (1, 2)], followed=who, more_people=0,
    )  # fmt: skip


def push(calibrator: Calibrator, given: Step) -> Step:
    return calibrator.push(given, np.log(given.probabilities))[0]


def of(*steps: Step) -> Calibration:
    return Calibration.of(steps, 0.2, MODEL)[0]


def test_what_a_face_says_at_rest_is_taken_off_in_part() -> None:
    calibrator = Calibrator(MODEL, 0.2)
    calibrator.use(of(*[step()] * 25))
    logits, rest = np.log(SAD), np.log(SAD) - np.log(SAD).mean()
    answered, after = calibrator.push(step(), logits)
    np.testing.assert_allclose(after, logits - MOST_OFF * 5 / (5 + HALF_S) * rest, atol=1e-3)
    assert answered.calibrated
    assert answered.label == "sad"
    sad = EMOTIONS.index("sad")
    assert answered.probabilities[sad] < SAD[sad]
    np.testing.assert_allclose(answered.probabilities, answered.unimodal["face"], atol=1e-5)
    np.testing.assert_array_equal(answered.people[0].probabilities, answered.probabilities)
    np.testing.assert_array_equal(answered.people[1].probabilities, SAD, err_msg="another person")


def test_the_less_was_seen_the_less_is_taken_off() -> None:
    changed = []
    for count in (5, 10, 100):
        calibrator = Calibrator(MODEL, 0.2)
        calibrator.use(of(*[step()] * count))
        changed.append(float(np.abs(push(calibrator, step()).probabilities - SAD).sum()))
    assert changed == sorted(changed)
    assert changed[0] < 0.7 * changed[-1]


def test_a_modality_that_was_not_there_is_left_as_it_is() -> None:
    calibrator = Calibrator(MODEL, 0.2)
    calibrator.use(of(*[step()] * 20))
    voice = push(calibrator, step(face=None, voice=SAD))
    np.testing.assert_allclose(voice.probabilities, SAD, atol=1e-6)
    together = push(calibrator, step(voice=EVEN))
    np.testing.assert_allclose(together.unimodal["voice"], EVEN, atol=1e-6)
    assert np.abs(together.probabilities - SAD).max() > 0.01


def test_it_is_of_the_person_who_was_followed_then() -> None:
    calibrator = Calibrator(MODEL, 0.2)
    calibrator.measure(2)
    told = [push(calibrator, step(who=2 if k < 8 else 1)) for k in range(10)]
    assert not any(one.calibrated for one in told), "not before it is known"
    found = calibrator.found()
    assert found is not None
    assert found.rest["face"].seconds == pytest.approx(1.6)
    assert calibrator.found() is None, "it is told once"
    assert [push(calibrator, step(who=who)).calibrated for who in (1, 2, 1, 2)] == [False, True, False, True]
    calibrator.use(None)
    assert not push(calibrator, step(who=2)).calibrated


def test_where_nothing_was_there_it_is_said_and_nothing_changes() -> None:
    calibrator = Calibrator(MODEL, 0.2)
    before = of(*[step()] * 20)
    calibrator.use(before)
    expected = push(calibrator, step()).probabilities
    calibrator.measure(1.4)
    for _ in range(3):
        push(calibrator, step())
    calibrator.skip(50)
    push(calibrator, step(face=None))
    with pytest.raises(CalibrationError, match="neither a face nor a voice was there for 1 s"):
        calibrator.found()
    np.testing.assert_array_equal(push(calibrator, step()).probabilities, expected)
    calibrator.measure(5)
    push(calibrator, step())
    with pytest.raises(CalibrationError, match=r"the stream ended after 0\.2 s of it"):
        calibrator.found(over=True)
    with pytest.raises(CalibrationError, match="it is of another model, abc; this one is xyz"):
        Calibrator("xyz", 0.2).use(before)


def test_it_goes_through_json_and_nothing_else_comes_in() -> None:
    good = of(*[step()] * 20)
    told = json.loads(good.model_dump_json())
    assert Calibration.read(told) == good
    rest = told["rest"]["face"]
    for bad in (
        None, [], {}, told | {"rest": {}}, told | {"rest": {"smell": rest}}, told | {"model": 7}, told | {"more": 1},
        told | {"rest": {"face": rest | {"seconds": 1e9}}}, told | {"rest": {"face": rest | {"seconds": float("nan")}}},
        told | {"rest": {"face": rest | {"logits": {}}}},
        told | {"rest": {"face": rest | {"logits": rest["logits"] | {"sad": float("nan")}}}},
        told | {"rest": {"face": rest | {"logits": rest["logits"] | {"sad": LARGEST + 1}}}},
        told | {"rest": {"face": rest | {"logits": rest["logits"] | {"x" * 100_000: 0.0}}}},
        told | {"x" * 100_000: 0.0},
    ):  # fmt: skip
        with pytest.raises(CalibrationError, match="it is no calibration") as error:
            Calibration.read(bad)
        assert len(str(error.value)) < 300


def test_a_clip_calibrates_the_others_of_the_same_person(
    recognizer: Recognizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips, model = drawn_clips(), tmp_path / "m"
    calibration = recognizer.calibrate(clips["sad"])
    assert set(calibration.rest) == {"face", "scene", "voice"}
    plain, after = recognizer.predict(clips["happy"]), recognizer.predict(clips["happy"], calibration=calibration)
    assert (plain.calibrated, after.calibrated) == (False, True)
    assert after.utterances[0].calibrated
    assert not np.allclose(plain.probabilities, after.probabilities, atol=1e-3)
    write_model(model)
    command = ["predict", str(clips["happy"]), "--model", str(model)]
    assert main([*command, "--json", "--neutral", str(clips["sad"])]) == 0
    assert json.loads(capsys.readouterr().out)["probabilities"] == after.to_json()["probabilities"]
    tables = [*command, "--jobs", "1", "--csv", str(tmp_path / "clips.csv")]
    assert main([*tables, "--neutral", str(clips["sad"])]) == 0
    first = (tmp_path / "clips.csv").read_text()
    assert main(tables) == 0
    assert (tmp_path / "clips.csv").read_text() != first, "without it, it is another job"
    image = tmp_path / "face.png"
    image.write_bytes(b"")
    capsys.readouterr()
    assert main([*command, "--neutral", str(image)]) == 1
    assert "face.png" in capsys.readouterr().err


def test_the_id_of_a_model_is_that_of_the_network_alone(recognizer: Recognizer) -> None:
    info = recognizer.info
    assert recognizer.with_media(max_duration_s=7.0).following(1).info.id == info.id
    assert info.model_copy(update={"weights": "int8"}).id == info.id
    assert info.model_copy(update={"git": "other"}).id != info.id
