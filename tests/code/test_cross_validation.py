"""Cross-validation by speaker: each is tested once, by a network that never met him or her, also after a cut."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mmer.cli import main
from mmer.config import Params
from mmer.data.clips import Clip, with_modalities, write_manifest
from mmer.data.corpora.ravdess import EMOTION_CODES
from mmer.data.splits import speakers_on_two_sides
from mmer.evaluation.cross_validation import (
    Answers,
    FoldsError,
    assign_fold,
    cross_validate,
    cross_validated,
    fold_numbers,
    in_words,
    prepared,
    published,
    report,
)
from mmer.labels import EMOTIONS
from mmer.params import load_params
from mmer.training import mlflow_runs
from tests.conftest import ROOT
from tests.tiny import tiny_corpus

SMALL = {
    "model.face.width": 0.125, "model.scene.channels": 4, "model.voice.channels": 4, "model.temporal.hidden": 8,
    "train.epochs": 1, "train.batch_size": 14, "input.face_size": 32, "input.scene_size": 32, "folds.jobs": 1,
}  # fmt: skip


def _params(**given: object) -> Params:
    return load_params(ROOT / "params.yaml", SMALL | given)


def _clip(i: int, **given: object) -> Clip:
    values = {
        "clip_id": f"c{i}", "corpus": "ravdess", "speaker": f"s{i % 6}", "fold": i % 6 + 1, "path": "x",
        "label": EMOTIONS[i // 6 % 7], "has_voice": True,
    }  # fmt: skip
    return Clip.model_validate(values | given)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a prepared corpus of six speakers, each of a fold of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _corpus(tmp_path / "data" / "processed")
    return tmp_path


def _corpus(processed: Path) -> list[Clip]:
    clips = [c.model_copy(update={"split": None}) for c in tiny_corpus(processed, _params())]
    (processed / "clips.parquet").unlink()
    write_manifest(processed / "demo" / "clips.parquet", clips)
    return clips


def _ravdess(processed: Path) -> None:
    """The same corpus as RAVDESS's: its ids, and of each speaker a calm clip beside the neutral one."""
    clips = []
    for clip in _corpus(processed):
        for code in (code for code, emotion in EMOTION_CODES.items() if emotion == clip.label):
            own = clip.model_copy(
                update={
                    "corpus": "ravdess",
                    "clip_id": f"01-{code}-01-01-01-{clip.fold:02}",
                    "speaker": f"{clip.fold:02}",
                }
            )
            (processed / own.sample).parent.mkdir(exist_ok=True)
            shutil.copyfile(processed / clip.sample, processed / own.sample)
            clips.append(own)
    write_manifest(processed / "ravdess" / "clips.parquet", clips)


def test_every_speaker_is_tested_once_and_never_on_two_sides() -> None:
    clips = [_clip(i) for i in range(84)]
    tested = []
    for number in fold_numbers(clips):
        sides = assign_fold(clips, number)
        assert speakers_on_two_sides(sides) == []
        assert {c.split for c in sides} == {"train", "val", "test"}
        tested += [c.clip_id for c in sides if c.split == "test"]
    assert sorted(tested) == sorted(c.clip_id for c in clips)


def test_corpora_with_unlike_numbers_of_folds_are_each_tested_once() -> None:
    six = [_clip(i) for i in range(42)]
    five = [_clip(i, corpus="crema_d", fold=i % 5 + 1, speaker=f"t{i % 5}") for i in range(35)]
    tested: list[str] = []
    for number in fold_numbers([*six, *five]):
        sides = assign_fold([*six, *five], number)
        assert speakers_on_two_sides(sides) == []
        assert {c.corpus for c in sides if c.split == "val"} == {"ravdess", "crema_d"}
        tested += [c.person for c in sides if c.split == "test"]
    assert len(tested) == 77
    assert len(set(tested)) == 11


def test_clips_without_a_fold_only_ever_train_and_never_those_of_an_official_test() -> None:
    images = [_clip(i, corpus="fer2013", speaker=f"c{i}", fold=None, split=split)
              for i, split in enumerate(("train", "val", "test", "unused", None))]  # fmt: skip
    clips = [*(_clip(i) for i in range(42)), *images]
    for number in fold_numbers(clips):
        sides = {c.clip_id: c.split for c in assign_fold(clips, number) if c.corpus == "fer2013"}
        assert list(sides.values()) == ["train", "unused", "unused", "unused", "train"]


def test_a_fold_that_a_partial_corpus_lacks_is_passed_over() -> None:
    clips = [_clip(i, fold=(1, 3, 6)[i % 3], speaker=f"s{i % 3}") for i in range(21)]
    assert fold_numbers(clips) == [1, 3, 6]
    following = {n: {c.fold for c in assign_fold(clips, n) if c.split == "val"} for n in (1, 3, 6)}
    assert following == {1: {3}, 3: {6}, 6: {1}}


def test_two_folds_are_too_few_and_said_to_be() -> None:
    with pytest.raises(FoldsError, match=r"ravdess: .*three folds.* there are 2"):
        fold_numbers([_clip(i, fold=i % 2 + 1) for i in range(12)])


def test_what_is_not_given_is_taken_away_and_clips_without_the_rest_are_left_out() -> None:
    clips = [_clip(0, has_face=True), _clip(1, has_face=True, has_voice=False), _clip(2)]
    assert [(c.clip_id, c.has_face, c.has_voice) for c in with_modalities(clips, ["voice"])] == [
        ("c0", False, True),
        ("c2", False, True),
    ]
    assert with_modalities(clips, ["face", "voice"]) == clips


def test_a_corpus_that_is_not_prepared_says_how_to_prepare_it(tmp_path: Path) -> None:
    with pytest.raises(FoldsError, match="dvc repro crop@ravdess"):
        prepared(tmp_path, ["ravdess"])


def test_what_a_speaker_is_labelled_never_changes_the_answers_about_that_speaker(workplace: Path) -> None:
    processed, params = workplace / "data" / "processed", _params(**{"folds.modalities": ["voice"]})
    cross_validate(params, processed, workplace / "one")
    clips = prepared(processed, ["demo"])
    wrong = [c if c.speaker != "s0" else c.model_copy(update={"label": EMOTIONS[c.target - 1]}) for c in clips]
    write_manifest(processed / "demo" / "clips.parquet", wrong)
    cross_validate(params, processed, workplace / "two")

    def answers(out: str) -> dict[str, list[str]]:
        rows = csv.DictReader((workplace / out / "predictions.csv").open())
        return {row["clip_id"]: [row[f"p_{e}"] for e in EMOTIONS] for row in rows}

    one, two = answers("one"), answers("two")
    assert len(one) == 42
    same = {
        speaker: set() for speaker in ("s0", "s1", "s2", "s3", "s4")
    }  # s5's network has s0 to validate, not to train
    for clip in clips:
        same.get(clip.speaker, set()).add(one[clip.clip_id] == two[clip.clip_id])
    assert same.pop("s0") == {True}
    assert all(False in found for found in same.values())


def test_the_report_holds_folds_speakers_and_how_it_came_about(workplace: Path) -> None:
    out = workplace / "reports" / "folds"
    told = cross_validate(
        _params(**{"folds.modalities": ["voice"], "train.pairing": "label", "train.epochs": 3, "train.lr": 0.01}),
        Path("data/processed"),
        out,
    )
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert files == {"metrics.json", "folds.csv", "speakers.csv", "predictions.csv", "figures/speakers.png"}
    metrics = json.loads((out / "metrics.json").read_text())
    for words in (
        "6-fold",
        "42 clips of 6 speakers",
        "Given: voice",
        "the best of 3 epochs",
        "resamples of the speakers",
    ):
        assert words in metrics["protocol"]
    assert metrics["drawings"] is True
    assert "different people" in metrics["note"]
    folds, speakers = (list(csv.DictReader((out / f"{name}.csv").open())) for name in ("folds", "speakers"))
    assert [row["fold"] for row in folds] == list("123456")
    assert [row["speaker"] for row in speakers] == [f"s{k}" for k in range(6)]
    mean = np.mean([float(row["uar"]) for row in folds])
    assert metrics["uar"] == pytest.approx(mean, abs=1e-3)
    assert metrics["uar_low"] <= metrics["uar"] <= metrics["uar_high"]
    assert metrics["per_speaker"]["uar"]["min"] == min(float(row["uar"]) for row in speakers)
    assert "mean over folds" in in_words(told)
    parent = mlflow_runs.find("stage", "folds")
    assert parent is not None
    assert all(mlflow_runs.find("stage", f"fold {k}") is not None for k in range(1, 7))
    child = mlflow_runs.find("stage", "fold 3")
    assert child is not None
    assert mlflow_runs.find("mlflow.parentRunId", parent.id) is not None


def test_only_what_is_missing_is_trained_again_and_comes_out_the_same(workplace: Path) -> None:
    params = _params(**{"folds.modalities": ["voice"]})
    first = cross_validate(params, Path("data/processed"), workplace / "one")
    answers = sorted((workplace / ".mmer" / "folds").rglob("*.npz"))
    stamps = {path: path.stat().st_mtime_ns for path in answers}
    assert len(stamps) == 6
    answers[2].unlink()
    assert cross_validate(params, Path("data/processed"), workplace / "two") == first
    again = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert again == {answers[2]}
    assert (workplace / "one/predictions.csv").read_bytes() == (workplace / "two/predictions.csv").read_bytes()


def test_votes_among_emotions_say_nothing_about_published_classes() -> None:
    votes = dict.fromkeys(("votes", "votes_face", "votes_voice"), (1.0, *[0.0] * 6))
    whole = _clip(0, corpus="ravdess", clip_id="01-02-01-01-01-01", speaker="01")
    (clip,) = published([whole.model_copy(update=votes)])
    for alone in ({"has_face": False}, {"has_voice": False}, {}):
        assert clip.model_copy(update=alone).judged is None


def test_ravdess_is_told_apart_in_the_seven_emotions_or_in_its_own_eight_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _ravdess(tmp_path)
    told, answers = {}, {}
    for classes in ("emotions", "published"):
        params = _params(**{
            "corpora": ["ravdess", "demo"], "download.corpora": ["ravdess"], "folds.modalities": ["voice"],
            "folds.classes": classes, "train.targets": "votes", "train.batch_size": 16,
        })  # fmt: skip
        out = tmp_path / classes
        cross_validate(params, tmp_path, out)
        told[classes] = json.loads((out / "metrics.json").read_text())
        answers[classes] = list(csv.DictReader((out / "predictions.csv").open()))

    seven, eight = told["emotions"], told["published"]
    assert {name: row["n"] for name, row in seven["per_class"].items()} == {
        e: 12 + 6 * (e == "neutral") for e in EMOTIONS
    }
    assert {name: row["n"] for name, row in eight["per_class"].items()} == dict.fromkeys((*EMOTIONS, "calm"), 6)
    assert all(0 <= row["recall"] <= 1 for row in eight["per_class"].values())
    recalls = [row["recall"] for row in eight["per_class"].values()]
    assert eight["pooled"]["uar"] == pytest.approx(np.mean(recalls), abs=1e-3)
    assert eight["corpora"] == ["ravdess"], "what was published in the seven emotions is left out"
    assert "Told apart as published: neutral, happy, sad, angry, fear, disgust, surprise, calm." in eight["protocol"]
    assert "as published" not in seven["protocol"]

    for row in answers["published"]:
        assert (row["label"] == "calm") == row["clip_id"].startswith("01-02-")
        assert sum(float(row[f"p_{name}"]) for name in (*EMOTIONS, "calm")) == pytest.approx(1, abs=1e-3)
    assert not any("p_calm" in row or row["label"] == "calm" for row in answers["emotions"])


def test_classes_beyond_the_emotions_are_asked_of_corpora_that_have_them() -> None:
    with pytest.raises(FoldsError, match=r"crema_d tell apart no more than the seven emotions"):
        published([_clip(i, corpus="crema_d") for i in range(3)])


def test_clips_that_hold_nothing_of_what_is_given_are_counted(workplace: Path) -> None:
    processed = workplace / "data" / "processed"
    clips = prepared(processed, ["demo"])
    quiet = [c.model_copy(update={"has_voice": c.clip_id != "s3-sad"}) for c in clips]
    write_manifest(processed / "demo" / "clips.parquet", quiet)
    told = cross_validate(_params(**{"folds.modalities": ["voice"]}), processed, workplace / "out")
    assert (told["n_clips"], told["n_left_out"]) == (41, 1)
    assert "Left out, since they hold none of that: 1 clip of theirs." in told["protocol"]


def test_the_interval_of_the_mean_is_students() -> None:
    """Four folds with a UAR of 1, 1, 0.5 and 0.5: the mean is 0.75, its half-width 3.182 x 0.2887 / 2."""
    done = []
    for number, right in enumerate((1, 1, 0, 0), 1):
        clips = [
            _clip(i, fold=number, speaker=f"{number}{i % 2}", label=EMOTIONS[i // 2], split="test") for i in range(4)
        ]
        answers = np.eye(7, dtype=np.float32)[[0, 0, right, right]]
        done.append(Answers(f"fold {number}", clips, answers, {"epoch": 1, "val_uar": 0.5}))
    told = report(done, _params())
    assert told["uar"] == 0.75
    assert told["uar_high"] - told["uar"] == pytest.approx(3.1824 * 0.288675 / 2, abs=1e-3)
    assert told["pooled"]["uar"] == 0.75
    assert told["pooled"]["war"] == 0.75
    assert told["per_speaker"]["uar"] == {"min": 0.5, "median": 0.75, "max": 1.0}


def _start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mmer.cli", "folds", "--corpora", "demo", "--modalities", "voice", *options]
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(
        command, cwd=folder, env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_says_what_an_unbroken_one_says(tmp_path: Path) -> None:
    import yaml

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        _corpus(folder / "data" / "processed")
        (folder / "params.yaml").write_text(yaml.safe_dump(_params().model_dump(mode="json", by_alias=True)))

    first = _start(killed, "--epochs", "2", "--jobs", "1")
    deadline = time.monotonic() + 120
    while not (done := sorted((killed / ".mmer").rglob("*.npz"))):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    stamps = {path: path.stat().st_mtime_ns for path in done}
    assert len(stamps) < 6
    assert not (killed / "reports").exists()

    second = _start(killed, "--epochs", "2", "--jobs", "1")
    unbroken = _start(whole, "--epochs", "2", "--jobs", "2")
    for run in (second, unbroken):
        out, err = run.communicate(timeout=240)
        assert run.returncode == 0, err
        assert "mean over folds" in out
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps, "a finished fold is not trained again"
    for name in ("metrics.json", "folds.csv", "speakers.csv", "predictions.csv"):
        one, two = ((folder / "reports" / "folds" / name).read_bytes() for folder in (killed, whole))
        assert one == two, name


def test_the_command_line_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["folds", "--params", str(ROOT / "params.yaml"), "--corpora", "ravdess"]) == 1
    assert "dvc repro crop@ravdess" in capsys.readouterr().err
    assert main(["folds", "--params", str(ROOT / "params.yaml"), "--classes", "eight"]) == 1
    assert "folds.classes: Input should be 'emotions' or 'published'" in capsys.readouterr().err
    assert main(["folds", "--params", str(ROOT / "params.yaml"), "--jobs", "0"]) == 1
    assert "folds.jobs" in capsys.readouterr().err
    assert main(["folds"]) == 1
    assert "params.yaml is missing" in capsys.readouterr().err


def test_a_corpus_with_too_few_folds_is_left_out_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    six = [_clip(i, fold=i % 6 + 1) for i in range(12)]
    faces = [c.model_copy(update={"corpus": "fer2013", "fold": None}) for c in six]
    few = [c.model_copy(update={"corpus": "crema_d", "fold": 1}) for c in six[:3]]
    assert cross_validated([*six, *faces, *few]) == [*six, *faces]
    assert "crema_d" in capsys.readouterr().out
    assert cross_validated(few) == few, "alone, it is told by the error"
