"""MLflow, for real: a store of its own in a temporary folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmer.config import Params
from mmer.data.clips import Clip, write_manifest
from mmer.files import sha256
from mmer.params import load_params
from mmer.training import mlflow_runs

ROOT = Path(__file__).parents[2]


WORKER = """
import sys
from mmer.params import load_params
from mmer.training import mlflow_runs

for i in range(2):
    with mlflow_runs.run(f"worker {i}", load_params(sys.argv[1]), tags={"stage": "concurrent"}) as run:
        for step in range(5):
            run.metrics({"val_uar": step}, step=step)
"""


@pytest.fixture(scope="module")
def workers(tmp_path_factory) -> tuple[Path, list[tuple[int, str]]]:
    """A folder in which two processes logged at once, into a store that neither found there: exit codes and stderr."""
    folder = tmp_path_factory.mktemp("tracking")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    at_once = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(ROOT / "params.yaml")],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    complaints = [process.communicate()[1] for process in at_once]
    return folder, [(p.returncode, c) for p, c in zip(at_once, complaints, strict=True)]


@pytest.fixture(scope="module")
def store(workers) -> Iterator[Path]:
    """The folder to work in, with its store; one for all tests, since making one takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(workers[0])
        yield workers[0]


@pytest.fixture(scope="module")
def settings(store) -> Params:  # noqa: ARG001 (the store comes first)
    return load_params(ROOT / "params.yaml")


def _stored(run: mlflow_runs.Run):
    import mlflow

    return mlflow.get_run(run.id)


def test_several_processes_may_log_at_once_and_mlflow_is_quiet(workers, store):
    import mlflow

    assert workers[1] == [(0, ""), (0, "")]
    assert mlflow_runs.find("stage", "concurrent") is not None
    runs = mlflow.search_runs(
        experiment_names=["mmer"], filter_string="tags.stage = 'concurrent'", output_format="list"
    )
    assert [(r.info.status, r.data.metrics) for r in runs] == [("FINISHED", {"val_uar": 4})] * 4
    assert (store / "mlflow.db").exists(), "where plain MLflow looks"


def test_files_lie_below_mlruns(store, settings):
    with mlflow_runs.run("train", settings) as run:
        run.figure(ROOT / "params.yaml")
    assert list((store / "mlruns").rglob("params.yaml"))


def test_a_run_says_where_it_comes_from(store, settings):
    (store / "dvc.lock").write_text("schema: '2.0'\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    with mlflow_runs.run("train", settings, tags={"why": "test"}) as run:
        pass
    tags = _stored(run).data.tags
    assert tags["git"] == f"{head} dirty", "the store's own files are not committed here"
    assert tags["dvc_lock_sha256"] == sha256(store / "dvc.lock")
    assert (tags["stage"], tags["corpora"], tags["why"]) == ("train", "demo", "test")


def test_a_run_is_named_after_its_profile_its_corpora_and_what_came_of_it(
    store: Path, settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
    (store / "release").mkdir()
    monkeypatch.chdir(store / "release")
    many = settings.model_copy(update={"corpora": ("ravdess", "nemo", "emovo", "fer2013")})
    with mlflow_runs.run("train", settings) as one, mlflow_runs.run("train", many) as other:
        for told in ("validation UAR 0.612", "test UAR 0.583"):
            one.outcome(told)
    assert _stored(one).info.run_name == "train · release: demo · test UAR 0.583"
    assert (_stored(one).data.tags["profile"], _stored(one).data.tags["outcome"]) == ("release", "test UAR 0.583")
    assert _stored(other).info.run_name == "train · release: ravdess and 3 more"


def test_a_rewritten_dvc_lock_does_not_make_the_revision_dirty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert mlflow_runs.revision() == "", "no repository here"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (tmp_path / "dvc.lock").write_text("a")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "dvc.lock").write_text("b")
    assert "dirty" not in mlflow_runs.revision()
    (tmp_path / "code.py").write_text("")
    assert mlflow_runs.revision().endswith(" dirty")


def test_all_parameters_are_logged_under_dotted_names_but_no_password(settings):
    secret = settings.model_copy(
        update={"tune": settings.tune.model_copy(update={"storage": "postgresql://a:secret@host/db"})}
    )
    with mlflow_runs.run("train", secret) as run:
        run.params({"chosen": {"lr": 0.003}})
    params = _stored(run).data.params
    assert params["train.lr"] == str(settings.train.lr)
    assert params["faces.thresholds"] == "0.6, 0.7, 0.7"
    assert params["validate.min_speakers"] == str(settings.validate_.min_speakers)
    assert params["tune.space.train.lr.log"] == "True"
    assert params["chosen.lr"] == "0.003"
    assert not any("secret" in value for value in params.values())


def test_metrics_have_steps_and_names_that_mlflow_takes(settings):
    import mlflow

    with mlflow_runs.run("train", settings) as run:
        for epoch in range(3):
            run.metrics({"val_uar": epoch / 10, "note": "no number", "none": None}, step=epoch)
        run.metrics({"test": {"uar_by_modality": {"face+voice": 0.5}, "drawings": True}})
    assert _stored(run).data.metrics == {"val_uar": 0.2, "test.uar_by_modality.face-voice": 0.5, "test.drawings": 1}
    assert [m.value for m in mlflow.MlflowClient().get_metric_history(run.id, "val_uar")] == [0, 0.1, 0.2]


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_that_breaks_off_says_so(settings, error, status):
    with pytest.raises(error), mlflow_runs.run("train", settings) as run:
        raise error
    assert _stored(run).info.status == status


def test_trials_lie_below_their_search(settings):
    import mlflow

    with mlflow_runs.run("tune", settings) as search:
        for i in range(2):
            with mlflow_runs.run(f"trial {i}", settings, tags={"stage": "tune"}, parent=search):
                pass
    below = mlflow.search_runs(
        experiment_names=["mmer"], filter_string=f"tags.mlflow.parentRunId = '{search.id}'", output_format="list"
    )
    assert sorted(r.info.run_name for r in below) == ["trial 0", "trial 1"]
    assert {r.info.status for r in below} == {"FINISHED"}


def test_a_later_stage_finds_the_run_that_made_the_weights_and_adds_to_it(settings):
    for _ in range(2):
        with mlflow_runs.run("train", settings) as newest:
            newest.tags({"weights_sha256": "abc"})
    ended = _stored(newest).info.end_time
    found = mlflow_runs.find("weights_sha256", "abc")
    assert found == newest
    with mlflow_runs.resume(found) as run:
        run.metrics({"test.uar": 0.8})
        assert _stored(run).info.status == "RUNNING"
    after = _stored(newest)
    assert (after.info.status, after.info.end_time) == ("FINISHED", ended)
    assert after.data.metrics["test.uar"] == 0.8
    assert mlflow_runs.find("weights_sha256", "another") is None


def test_a_later_stage_that_fails_does_not_make_the_training_failed(settings):
    with mlflow_runs.run("train", settings) as trained:
        pass
    with pytest.raises(RuntimeError), mlflow_runs.resume(trained):
        raise RuntimeError
    assert _stored(trained).info.status == "FINISHED"


def test_a_cut_work_goes_on_in_its_run_and_a_finished_one_gets_a_new_run(settings):
    with pytest.raises(KeyboardInterrupt), mlflow_runs.reopen("train", settings, key="k1") as cut:
        raise KeyboardInterrupt
    with mlflow_runs.reopen("train", settings, key="k1") as again:
        again.metrics({"val_uar": 0.2}, step=2)
    assert again == cut
    assert _stored(cut).info.status == "FINISHED"
    with mlflow_runs.reopen("train", settings, key="k1") as new:
        assert new != cut
    with mlflow_runs.reopen("train", settings, key="k2") as other:
        assert other not in (cut, new)


def test_a_folder_of_figures_keeps_its_layout(store, settings):
    import mlflow

    (store / "figures" / "deep").mkdir(parents=True)
    (store / "figures" / "deep" / "a.png").write_bytes(b"png")
    with mlflow_runs.run("evaluate", settings) as run:
        run.figure(store / "figures", "evaluate")
    files = mlflow.artifacts.list_artifacts(run_id=run.id, artifact_path="evaluate/deep")
    assert [f.path for f in files] == ["evaluate/deep/a.png"]


def test_a_run_knows_the_data_and_what_the_checks_said(store, settings):
    manifest, report = store / "clips.parquet", store / "validation.json"
    write_manifest(
        manifest,
        [Clip(clip_id=f"c{i}", corpus="demo", speaker=f"s{i}", label="sad", split="train", path="x") for i in range(5)],
    )
    report.write_text(json.dumps({"passed": True}))
    with mlflow_runs.run("train", settings) as run:
        run.log_validation(report, manifest)
    (used,) = _stored(run).inputs.dataset_inputs
    assert used.dataset.name == "clips"
    assert sha256(manifest).startswith(used.dataset.digest)
    assert json.loads(used.dataset.profile)["num_rows"] == 5
    assert "speaker" in used.dataset.schema


def test_a_registered_model_comes_back_by_its_alias_and_computes_the_same(store, settings):
    import mlflow
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    node = helper.make_node("Mul", ["x", "x"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 3]) for name in "xy"]
    model = helper.make_model(
        helper.make_graph([node], "square", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    model.metadata_props.add(key="mmer", value="{}")
    graph, detector = store / "mmer.onnx", store / "detector"
    onnx.save(model, graph)
    detector.mkdir()
    (detector / "pnet.onnx").write_bytes(graph.read_bytes())
    with mlflow_runs.run("train", settings) as run:
        pass
    assert mlflow_runs.register(graph, detector, run, description="first") == "1"
    assert mlflow_runs.register(graph, detector, run, description="second") == "2"

    version = mlflow.MlflowClient().get_model_version_by_alias("mmer", "champion")
    assert (str(version.version), version.description, version.run_id) == ("2", "second", run.id)
    back = mlflow.onnx.load_model("models:/mmer@champion")
    assert back.metadata_props[0].key == "mmer"
    x = np.float32([[1, 2, 3]])
    (y,) = onnxruntime.InferenceSession(back.SerializeToString()).run(None, {"x": x})
    assert (y == x * x).all()
    folder = Path(mlflow.artifacts.download_artifacts("models:/mmer@champion"))
    assert (folder / "extra_files" / "pnet.onnx").exists()
    assert mlflow.models.get_model_info("models:/mmer@champion").signature.inputs.input_names() == ["x"]
