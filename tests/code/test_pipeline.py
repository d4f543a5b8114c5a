"""Claims about the pipeline as a whole: in a fresh clone it runs to its end, once, and again only where it must."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmer.params import load_params
from tests.checkout import copy_checkout
from tests.conftest import ROOT

STAGES = ["detector", "download", "extract", "crop", "validate", "tune", "train", "evaluate", "package", "robustness"]
RELEASE = [*STAGES[:5], "teach", "code", *STAGES[6:], "folds", "eight_classes", "publish"]
LIGHT = ["detector", "train", "evaluate", "package", "publish"]
PIPELINES = [(ROOT, STAGES), (ROOT / "release", RELEASE), (ROOT / "release/light", LIGHT)]


@pytest.mark.parametrize(("folder", "stages"), PIPELINES)
def test_the_pipeline_has_the_stages_and_names_real_files_and_parameters(folder: Path, stages: list[str]) -> None:
    pipeline = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    assert list(pipeline) == stages
    shown = load_params(folder / "params.yaml").model_dump(by_alias=True)
    written = yaml.safe_load((folder / "params.yaml").read_text())
    for name, stage in pipeline.items():
        stage = stage.get("do", stage)
        for path in stage["deps"]:
            if path.startswith(("mmer", "stages", "../")) and "${" not in path and "/data/" not in path:
                assert (folder / path).exists(), f"{name} depends on {path}"
        for dotted in stage.get("params", []):
            assert dotted.split(".")[0] in written, f"DVC watches {dotted} of {name}, which params.yaml does not hold"
            value: Any = shown
            for key in dotted.split("."):
                assert key in value, f"{name} reads {dotted}, which params.yaml has not"
                value = value[key]


@pytest.mark.parametrize("folder", [folder for folder, _ in PIPELINES])
def test_a_clone_holds_the_few_metrics_that_versions_are_compared_by(folder: Path) -> None:
    """`dvc metrics show` and `diff` read each file that is a metric, and one is not there that a cache alone holds."""
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].values()
    assert [metric for stage in stages for metric in stage.get("metrics", [])] == [{"summary.json": {"cache": False}}]
    ignored = subprocess.run(["git", "check-ignore", "summary.json"], cwd=folder, capture_output=True, text=True)
    assert ignored.stdout == ""


@pytest.mark.parametrize("stage", [*STAGES, "summary", "publish", "folds", "teach", "code"])
def test_every_stage_explains_itself(stage: str) -> None:
    command = [sys.executable, "-m", f"stages.{stage}", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"stages.{stage}" in told
    assert len(told) > 80


def test_the_extra_light_profile_learns_from_what_the_release_profile_prepares() -> None:
    light, release = (load_params(ROOT / folder / "params.yaml") for folder in ("release/light", "release"))
    for block in ("seed", "corpora", "licences", "split", "input", "media", "faces", "download"):
        assert getattr(light, block) == getattr(release, block), block
    assert (ROOT / "release/light/data").readlink() == Path("../data")


def test_a_typo_in_the_parameters_stops_a_stage_with_the_right_name(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("  lr: 0.002", "  learning_rat: 0.002")
    (tmp_path / "params.yaml").write_text(text)
    command = [sys.executable, "-m", "stages.extract", "demo"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "unknown key 'train.learning_rat'" in done.stderr
    assert "Traceback" not in done.stderr


def clone(to: Path) -> None:
    """What somebody gets who clones the project as it stands in this folder, committed or not."""
    copy_checkout(to)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        subprocess.run(["git", *command], cwd=to, check=True)


def dvc(home: Path, *arguments: str) -> str:
    """Run dvc with this environment's Python; what it printed."""
    folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(home)}
    done = subprocess.run(["dvc", *arguments], cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def changed(home: Path) -> set[str]:
    """Stages here that `dvc repro` would certainly run, by their own code, parameters and raw data."""
    status = json.loads(dvc(home, "status", "--json"))
    here = {stage: reasons for stage, reasons in status.items() if not stage.startswith("release/")}
    return {stage for stage, reasons in here.items() if any("changed deps" in r for r in reasons)}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert re.search(old, text), f"{path} has no {old}"
    path.write_text(re.sub(old, new, text, count=1))


@pytest.mark.slow
def test_a_fresh_clone_runs_to_its_end_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    home = tmp_path / "clone"
    home.mkdir()
    clone(home)
    edit(home / "params.yaml", r"  epochs: \d+\n  batch_size", "  epochs: 1\n  batch_size")
    edit(home / "params.yaml", r"  trials: \d+\n  epochs: \d+", "  trials: 2\n  epochs: 1")
    dvc(home, "pull", "--quiet", "data.dvc")
    dvc(home, "repro")

    metrics = json.loads((home / "reports/evaluate/metrics.json").read_text())
    assert metrics["uar_low"] <= metrics["uar"] <= metrics["uar_high"]
    packaged = json.loads((home / "reports/package.json").read_text())
    assert packaged["parity"]["agreement"] == 1
    assert packaged["quantised"]["graph_bytes"] < 0.5 * packaged["graph_bytes"]
    for made in ("models/mmer.onnx", "models/detector/onet.onnx", "mlflow.db", "reports/evaluate/figures"):
        assert (home / made).exists(), made
    told = dvc(home, "metrics", "show").splitlines()
    assert max(map(len, told)) <= 160
    assert any(line.startswith("summary.json ") and f"{metrics['uar']:g}" in line for line in told)

    assert "up to date" in dvc(home, "repro")
    lock = (home / "dvc.lock").read_text()
    assert changed(home) == set()
    edit(home / "params.yaml", r"  lr: [\d.]+", "  lr: 0.003")
    assert changed(home) == {"tune", "train"}
    edit(home / "params.yaml", r"  lr: [\d.]+", "  lr: 0.002")
    edit(home / "mmer/data/corpora/demo.py", r"Corpus\(", "Corpus(  ")
    assert changed(home) == {"extract@demo"}
    edit(home / "mmer/data/corpora/demo.py", r"Corpus\(  ", "Corpus(")
    edit(home / "params.yaml", r"  margin: [\d.]+", "  margin: 0.2")
    assert changed(home) == {"crop@demo", "package"}
    edit(home / "params.yaml", r"  margin: [\d.]+", "  margin: 0.1")
    assert "up to date" in dvc(home, "repro")
    assert (home / "dvc.lock").read_text() == lock
