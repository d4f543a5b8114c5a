"""Leave one corpus out: each is tested whole, by a network that never heard it, also after a cut."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mmer.cli import main
from mmer.config import Params
from mmer.data import corpora
from mmer.data.clips import Clip, read_manifest, write_manifest
from mmer.data.splits import speakers_on_two_sides
from mmer.evaluation.cross_corpus import in_words, leave_out, plan
from mmer.evaluation.cross_validation import FoldsError, Round, refuse_met
from mmer.evaluation.protocol import learnt_from
from mmer.labels import EMOTIONS
from mmer.model.network import EmotionNet
from mmer.packaging.export import ExportError, export
from mmer.params import load_params
from mmer.runtime.graph import Graph
from mmer.runtime.lineage import Ancestor
from mmer.training import mlflow_runs
from mmer.training.checkpoints import Origin, save_network
from tests.conftest import ROOT
from tests.tiny import tiny_corpus

SMALL = {
    "model.face.width": 0.125, "model.scene.channels": 4, "model.voice.channels": 4, "model.temporal.hidden": 8,
    "train.epochs": 1, "train.batch_size": 14, "input.face_size": 32, "input.scene_size": 32, "folds.jobs": 1,
    "folds.modalities": ["voice"], "corpora": ["demo", "savee", "banglaser"],
}  # fmt: skip
FIVE = [emotion for emotion in EMOTIONS if emotion not in ("fear", "disgust")]
"""The classes of one of the corpora here."""
PROCESSED = Path("data/processed")


def _params(**given: object) -> Params:
    return load_params(ROOT / "params.yaml", SMALL | given)


def _clips(corpus: str, speakers: Sequence[int] = range(1, 7), **given: object) -> list[Clip]:
    """A voice of each speaker, who is of a fold of his or her own, in each emotion."""
    of = given.get("derived_from", corpus)
    return [
        Clip.model_validate({
            "clip_id": f"{of}-{speaker}-{emotion}", "corpus": corpus, "speaker": f"s{speaker}", "fold": speaker,
            "path": "x", "label": emotion, "has_voice": True, **given,
        })
        for speaker in speakers for emotion in EMOTIONS
    ]  # fmt: skip


def _corpus(processed: Path, name: str, emotions: Sequence[str] = EMOTIONS, seed: int = 0) -> None:
    """A prepared corpus of six speakers, each of a fold of its own."""
    drawn = processed.parent / f"drawn-{name}"
    clips = [c for c in tiny_corpus(drawn, _params(), seed=seed) if c.label in emotions]
    shutil.copytree(drawn / "demo", processed / name)
    shutil.rmtree(drawn)
    moved = [c.model_copy(update={"corpus": name, "split": None}) for c in clips]
    write_manifest(processed / name / "clips.parquet", moved)


def _corpora(processed: Path) -> None:
    """Three that are trained on, one of them without two of the emotions, and one that is not."""
    for seed, name in enumerate(("demo", "savee", "banglaser", "emovo")):
        _corpus(processed, name, FIVE if name == "banglaser" else EMOTIONS, seed)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with these corpora prepared."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _corpora(PROCESSED)
    return tmp_path


def _planned(params: Params, clips: Sequence[Clip], *names: str) -> dict[tuple[str, ...], Round]:
    keys = {c.corpus: c.corpus for c in clips}
    return {one.params.split.test_corpora: one for one in plan(params, clips, names, keys)}


def test_what_is_left_out_neither_trains_nor_validates_nor_do_test_speakers_of_the_others() -> None:
    params = _params()
    clips = [c for name in (*params.corpora, "emovo", "tess") for c in _clips(name)]
    rounds = _planned(params, clips, "savee", "demo", "emovo", "tess")
    assert set(rounds) == {("savee",), ("demo",), ("emovo", "tess")}, "what is not trained on shares a training"
    for tested, one in rounds.items():
        assert sorted(c.clip_id for c in one.clips if c.split == "test") == sorted(
            c.clip_id for c in clips if c.corpus in tested
        )
        others = [c for c in one.clips if c.corpus not in tested]
        assert {c.corpus for c in others} == set(params.corpora) - set(tested)
        assert {(c.split, c.fold) for c in others} == {("unused", 1), ("val", 2), *(("train", k) for k in range(3, 7))}
        assert speakers_on_two_sides(one.clips) == []
    assert len({one.work for one in rounds.values()}) == 3


def test_the_same_recordings_in_another_form_train_nowhere_either() -> None:
    trained = ["ravdess", "ravdess_crops", "savee"]
    params = _params(corpora=trained, **{"download.corpora": ["ravdess"]})
    crops = _clips("ravdess_crops", [3, 5, 6], derived_from="ravdess", has_face=True)
    clips = [*_clips("ravdess"), *crops, *_clips("savee")]
    for name in ("ravdess", "ravdess_crops"):
        (one,) = _planned(params, clips, name).values()
        assert {c.corpus for c in one.clips if c.split in ("train", "val")} == {"savee"}
        assert {c.corpus for c in one.clips if c.split == "test"} == {name}
    untrained = _planned(_params(corpora=["ravdess", "savee"], **{"download.corpora": ["ravdess"]}),
                         [*clips, *_clips("emovo")], "ravdess_crops", "emovo")  # fmt: skip
    learnt = {tested: {c.corpus for c in one.clips if c.split == "train"} for tested, one in untrained.items()}
    assert learnt == {("ravdess_crops",): {"savee"}, ("emovo",): {"ravdess", "savee"}}


def test_corpora_that_the_training_knows_to_be_test_corpora_are_not_trained_on() -> None:
    params = _params(corpora=["demo", "savee", "emovo"], **{"split.test_corpora": ["emovo"]})
    clips = [c for name in params.corpora for c in _clips(name)]
    rounds = _planned(params, clips, *params.corpora)
    assert {tested: {c.corpus for c in one.clips if c.split == "train"} for tested, one in rounds.items()} == {
        ("demo",): {"savee"}, ("savee",): {"demo"}, ("emovo",): {"demo", "savee"},
    }  # fmt: skip


def test_what_cannot_be_tested_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    params, keys = _params(), dict.fromkeys(("demo", "savee", "banglaser", "emovo"), "")
    with pytest.raises(FoldsError, match="demo: nothing is left to train on"):
        plan(params, _clips("demo"), ["demo"], keys)
    with pytest.raises(FoldsError, match=r"demo: no speaker .* fold 2 \(split.val_fold\)"):
        plan(params, [*_clips("demo"), *_clips("savee", [1, 3, 4])], ["demo"], keys)
    few = [*_clips("demo"), *_clips("savee"), *_clips("emovo")[:15]]
    with pytest.raises(FoldsError, match="emovo: 15 clips of 3 speakers are too few for a score"):
        plan(params, few, ["emovo"], keys)
    (one, _) = plan(params, few, ["demo", "savee", "emovo"], keys, strict=False)
    assert one.params.split.test_corpora == ("demo",)
    assert "emovo: 15 clips" in capsys.readouterr().out
    faces = _clips("emovo", has_voice=False, has_face=True)
    with pytest.raises(FoldsError, match="emovo: 0 clips"):  # no network here has learnt a face
        plan(params, [*_clips("demo"), *_clips("savee"), *faces], ["emovo"], keys)


def test_weights_that_learnt_from_what_is_tested_are_not_gone_on_from(tmp_path: Path) -> None:
    plain = _params()
    network = EmotionNet(plain.input, plain.model, ["voice"])
    first = Ancestor(branches=("voice",), weights="0" * 12, corpora=("emovo",))
    later = Origin(corpora=("demo",), start=(first,))
    assert learnt_from(later) == {"demo", "emovo"}
    save_network(network, tmp_path / "weights.safetensors", later)
    for key in ("init_from", "taught_by"):
        params = _params(**{f"train.{key}": str(tmp_path / "weights.safetensors"), "train.taught": 0.5})
        clips = [c for name in (*params.corpora, "emovo") for c in _clips(name)]
        for name in ("emovo", "demo"):
            with pytest.raises(FoldsError, match=rf"learnt from {name}.*{key}: null"):
                _planned(params, clips, name)
        assert list(_planned(params, clips, "savee")) == [("savee",)]
        with pytest.raises(FoldsError, match=rf"learnt from demo.*{key}: null"):
            refuse_met(params, {"demo"})
    for met, tested in (("ravdess", "ravdess_crops"), ("ravdess_crops", "ravdess")):  # the same people, filmed once
        save_network(network, tmp_path / "weights.safetensors", Origin(corpora=(met,)))
        with pytest.raises(FoldsError, match=rf"learnt from {met}: "):
            refuse_met(params, {tested})


def test_the_report_says_of_each_corpus_how_it_fares_over_its_own_classes(workplace: Path) -> None:
    folds, out = workplace / "folds.json", workplace / "reports" / "cross_corpus"
    folds.write_text(
        json.dumps({"modalities": ["voice"], "by_corpus": {"demo": {"uar": 0.75}, "savee": {"uar": None}}})
    )
    params = _params(**{"train.epochs": 3, "train.lr": 0.01})
    told = leave_out(params, ["banglaser", "demo", "emovo"], PROCESSED, out, folds)
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert files == {"metrics.json", "corpora.csv", "predictions.csv", "figures/cross_corpus.png"}
    assert json.loads((out / "metrics.json").read_text()) == told

    answers = list(csv.DictReader((out / "predictions.csv").open()))
    for name, classes in (("banglaser", FIVE), ("demo", list(EMOTIONS)), ("emovo", list(EMOTIONS))):
        own, scores = [row for row in answers if row["corpus"] == name], told["by_corpus"][name]
        recalls = {
            emotion: np.mean([row["predicted"] == emotion for row in own if row["label"] == emotion])
            for emotion in classes
        }
        assert {emotion: row["recall"] for emotion, row in scores["per_class"].items()} == pytest.approx(
            recalls, abs=1e-3
        )
        assert scores["uar"] == pytest.approx(np.mean(list(recalls.values())), abs=1e-3)
        assert scores["uar_low"] <= scores["uar"] <= scores["uar_high"]
        assert scores["war"] == pytest.approx(np.mean([row["predicted"] == row["label"] for row in own]), abs=1e-3)
        assert (scores["n"], scores["n_speakers"], scores["n_classes"]) == (len(own), 6, len(classes))
        assert scores["chance"] == pytest.approx(1 / len(classes), abs=1e-3)
        assert np.sum(scores["confusion"]["counts"]) == len(own) == 6 * len(classes)
        assert scores["trained_on"] == sorted(set(params.corpora) - {name})
    assert told["uar"] == pytest.approx(np.mean([scores["uar"] for scores in told["by_corpus"].values()]), abs=1e-3)
    assert {name: scores["within"] for name, scores in told["by_corpus"].items()} == {
        "banglaser": None, "demo": 0.75, "emovo": None,
    }  # fmt: skip
    assert told["by_corpus"]["emovo"]["language"] == "Italian"
    rows = {row["corpus"]: row for row in csv.DictReader((out / "corpora.csv").open())}
    assert rows["banglaser"]["recall_fear"] == ""
    assert float(rows["demo"]["within"]) == 0.75
    assert "mean UAR over 3 corpora" in in_words(told)
    for words in ("banglaser, 30 clips of 6 unseen speakers", "the best of 3 epochs", "Given: voice"):
        assert words in told["protocol"]

    parent = mlflow_runs.find("stage", "cross_corpus")
    assert parent is not None
    for child in ("without banglaser", "without demo", "without emovo"):
        assert mlflow_runs.find("stage", child) is not None
    assert mlflow_runs.find("mlflow.parentRunId", parent.id) is not None


def test_what_a_corpus_is_labelled_never_changes_the_answers_about_it(workplace: Path) -> None:
    manifest = PROCESSED / "savee" / "clips.parquet"

    def answers(out: str) -> dict[tuple[str, str], list[str]]:
        leave_out(_params(), ["savee", "emovo"], PROCESSED, workplace / out)
        rows = csv.DictReader((workplace / out / "predictions.csv").open())
        return {(row["corpus"], row["clip_id"]): [row[f"p_{e}"] for e in EMOTIONS] for row in rows}

    one = answers("one")
    wrong = [c.model_copy(update={"label": EMOTIONS[c.target - 1]}) for c in read_manifest(manifest)]
    write_manifest(manifest, wrong)
    two = answers("two")
    assert len(one) == 84
    same = {name: {one[key] == two[key] for key in one if key[0] == name} for name in ("savee", "emovo")}
    assert same["savee"] == {True}
    assert False in same["emovo"], "whose network learnt from it"


def test_a_round_that_is_done_is_not_trained_again_whatever_else_is_asked(workplace: Path) -> None:
    first = leave_out(_params(), ["savee"], PROCESSED, workplace / "one")
    (done,) = (workplace / ".mmer").rglob("answers.npz")
    stamp = done.stat().st_mtime_ns
    both = leave_out(_params(), ["savee", "emovo"], PROCESSED, workplace / "two")
    assert done.stat().st_mtime_ns == stamp
    assert len(list((workplace / ".mmer").rglob("answers.npz"))) == 2
    assert both["by_corpus"]["savee"] == first["by_corpus"]["savee"]
    assert list((workplace / ".mmer").rglob("*.ckpt")) == []


def _start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mmer.cli", "folds", "--leave-out", "--modalities", "voice", *options]
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
        _corpora(folder / PROCESSED)
        (folder / "params.yaml").write_text(yaml.safe_dump(_params().model_dump(mode="json", by_alias=True)))

    first = _start(killed, "--epochs", "3", "--jobs", "1")
    deadline = time.monotonic() + 600
    while not (done := sorted((killed / ".mmer").rglob("*.npz"))) or not list((killed / ".mmer").rglob("*.ckpt")):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    stamps = {path: path.stat().st_mtime_ns for path in done}
    assert len(stamps) < 3
    assert not (killed / "reports").exists()

    second = _start(killed, "--epochs", "3", "--jobs", "1")
    unbroken = _start(whole, "--epochs", "3", "--jobs", "2")
    for run in (second, unbroken):
        out, err = run.communicate(timeout=900)
        assert run.returncode == 0, err
        assert "mean UAR over 3 corpora" in out
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps, "a finished round is not trained again"
    for name in ("metrics.json", "corpora.csv", "predictions.csv"):
        one, two = ((folder / "reports" / "cross_corpus" / name).read_bytes() for folder in (killed, whole))
        assert one == two, name


def test_the_command_line_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _corpus(PROCESSED, "demo")
    command = ["folds", "--params", str(ROOT / "params.yaml"), "--modalities", "voice", "--leave-out"]

    def complaint(*more: str) -> str:
        assert main([*command, *more]) == 1
        return capsys.readouterr().err

    assert "no corpus is called 'emov'" in (said := complaint("emov"))
    assert "Did you mean 'emovo'?" in said
    assert "python -m stages.crop emovo" in complaint("emovo")
    assert "demo: nothing is left to train on" in complaint()
    assert "dvc repro crop@savee" in complaint("--corpora", "demo", "savee")
    assert "--leave-out or --classes published" in complaint("--classes", "published")


@pytest.mark.parametrize("name", [name for name in corpora.names() if corpora.get(name).test_only])
def test_a_corpus_that_is_kept_to_test_on_is_listed_as_such_and_trains_no_profile(name: str) -> None:
    (row,) = (line for line in (ROOT / "docs/corpora.md").read_text().splitlines() if line.startswith(f"| `{name}` |"))
    assert "**to test on**" in row
    for profile in (ROOT / "params.yaml", *ROOT.glob("release/**/params.yaml")):
        params = load_params(profile)
        assert name not in set(params.corpora) - set(params.split.test_corpora), profile


def test_a_release_may_not_have_learnt_from_a_corpus_that_is_kept_to_test_on(tmp_path: Path) -> None:
    params = _params()
    network, path = EmotionNet(params.input, params.model, ["voice"]), tmp_path / "mmer.onnx"

    def pack(status: str, origin: Origin) -> None:
        export(network.eval(), path, media=params.media, faces=params.faces, origin=origin, revision="", status=status)

    earlier = Origin(corpora=("demo", "emovo"))
    on = Origin(corpora=("demo",), start=f"voice of w.safetensors sha256:0, {earlier.model_dump_json()}")
    for origin in (earlier, on):
        with pytest.raises(ExportError, match=r"learnt from emovo, which is kept to test on.*split.test_corpora"):
            pack("release", origin)
        assert not path.exists()
    pack("candidate", earlier)
    pack("release", Origin(corpora=("demo", "ased")))
    assert path.exists()


def test_a_model_has_the_licences_of_all_that_its_weights_learnt_from(tmp_path: Path) -> None:
    params, path = _params(), tmp_path / "mmer.onnx"
    network = EmotionNet(params.input, params.model, ["voice"]).eval()
    start = (Ancestor(branches=("voice",), weights="0" * 12, corpora=("nemo", "folder")),)
    origin = Origin(corpora=("folder",), start=start)
    export(network, path, media=params.media, faces=params.faces, origin=origin, revision="")
    info = Graph(path).info
    assert info.corpora == ("folder",)
    assert [licence.partition(":")[0] for licence in info.licence.split("; ")] == [
        corpora.get(name).title for name in ("folder", "nemo")
    ]
