"""Claims about a team's data and experiments: DVC on a real S3 server (moto's), between clones of one repository."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml

from mmer.params import load_params
from tests.checkout import copy_checkout
from tests.conftest import ROOT
from tests.team import s3, wait
from tests.tiny import SMALL_NETWORK, tiny_corpus

pytestmark = pytest.mark.slow
WHO = ("-c", "user.name=A team", "-c", "user.email=team@example.org")


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server with the bucket `team`, and keys for it in the environment."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "team",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    with s3(tmp_path / "s3") as url:
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="team")
        yield url


def run(where: Path, command: str, *more: str) -> str:
    """A command of docs/team.md; what it says."""
    done = subprocess.run([*command.split(), *more], cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def commit(where: Path, message: str) -> None:
    run(where, "git add --all")
    subprocess.run(["git", *WHO, "commit", "--quiet", "-m", message], cwd=where, check=True)


def share(first: Path, url: str) -> Path:
    """Make `first` a repository with a DVC remote on S3 and a git remote; the git remote."""
    origin = first.with_name("origin.git")
    run(first.parent, f"git init --quiet --bare --initial-branch main {origin}")
    run(first, f"git remote add origin {origin}")
    run(first, "dvc remote add --default team s3://team/mmer")
    run(first, f"dvc remote modify team endpointurl {url}")
    return origin


def stored(url: str) -> int:
    """Files in the bucket."""
    pages = boto3.client("s3", endpoint_url=url).get_paginator("list_objects_v2").paginate(Bucket="team")
    return sum(page["KeyCount"] for page in pages)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_clones_share_data_and_a_push_that_is_killed_loses_nothing(bucket: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    copy_checkout(first)
    run(first, "git init --quiet --initial-branch main")
    run(first, "dvc pull --quiet data.dvc")  # the demo corpus, from the repository's own folder
    origin = share(first, bucket)
    commit(first, "Data on S3")
    run(first, "git push --quiet origin main")
    pushing = subprocess.Popen(["dvc", "push", "data.dvc"], cwd=first, stdout=subprocess.DEVNULL)
    wait(lambda: stored(bucket) > 50 or pushing.poll() is not None)
    pushing.kill()
    assert pushing.wait() < 0, "in the middle"
    some = stored(bucket)
    began = time.monotonic()
    run(first, "dvc push data.dvc")
    print(f"pushed {stored(bucket) - some} files in {time.monotonic() - began:.1f} s, after {some} before the kill")

    run(tmp_path, f"git clone --quiet {origin} {second}")
    shutil.rmtree(second / "data.store")  # so that it can only come from S3
    began = time.monotonic()
    run(second, "dvc pull --quiet data.dvc")
    print(f"pulled in {time.monotonic() - began:.1f} s")
    demo = Path("data/raw/demo")
    assert contents(second / demo) == contents(first / demo)

    clip = next((second / demo / "clips").iterdir())
    clip.write_bytes(clip.read_bytes() + b"\0")
    before = stored(bucket)
    run(second, "dvc commit --quiet --force data.dvc")
    run(second, "dvc push --quiet data.dvc")
    assert stored(bucket) == before + 2, "what is new: the clip, and the list of all"
    commit(second, "A clip")
    run(second, "git push --quiet origin main")
    run(first, "git pull --quiet origin main")
    run(first, "dvc pull --quiet data.dvc")
    assert contents(first / demo) == contents(second / demo)


PIPELINE = {
    "stages": {
        "train": {
            "cmd": "python -m stages.train --as-written",
            "deps": ["data"],
            "params": ["seed", "input", "model", "train"],
            "outs": ["models/network.safetensors", "reports/train/cost.json"],
            "plots": [{"reports/train/history.csv": {"cache": False}}],
        },
        "evaluate": {
            "cmd": "python -m stages.evaluate",
            "deps": ["data", "models/network.safetensors"],
            "params": ["seed", "evaluate"],
            "metrics": [{"reports/evaluate/metrics.json": {"cache": False}}],
        },
    }
}
"""The end of the project's own, over a corpus that is prepared."""


def test_experiments_are_queued_run_compared_and_shared(bucket: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    changed = {"train.epochs": 4, "train.batch_size": 16, "train.augment": 0.0, "evaluate.bootstrap": 100}
    params = load_params(ROOT / "params.yaml", {**SMALL_NETWORK, **changed, "evaluate.confident_errors": 0})
    tiny_corpus(first / "data/processed", params, speakers=6)
    shutil.move(first / "data/processed/clips.parquet", first / "data")
    for folder in ("reports", "models"):
        (first / folder).mkdir()
    (first / "reports/validation.json").write_text("{}")
    (first / "models/.gitignore").touch()
    (first / "params.yaml").write_text(yaml.safe_dump(params.model_dump(by_alias=True, mode="json")))
    (first / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    (first / ".gitignore").write_text("mlflow.db*\nmlruns\n.mmer\n")
    run(first, "git init --quiet --initial-branch main")
    run(first, "dvc init --quiet")
    run(first, "dvc add --quiet data")
    origin = share(first, bucket)
    commit(first, "A corpus and a pipeline")
    run(first, "git push --quiet origin main")
    run(first, "dvc push --quiet data")

    for name, rate in (("slow", 0.0001), ("fast", 0.01)):
        run(first, f"dvc exp run --queue --name {name} -S train.lr={rate}")
    run(first, "dvc queue start --jobs 1")
    wait(lambda: run(first, "dvc queue status").count("Success") == 2 or "Failed" in run(first, "dvc queue status"))
    assert "Failed" not in run(first, "dvc queue status"), run(first, "dvc queue logs fast")
    table = json.loads(run(first, "dvc exp show --json"))
    found = {one["name"]: one["revs"][0]["data"] for branch in table for one in branch.get("experiments") or []}
    assert found.keys() == {"slow", "fast"}
    rates = {name: data["params"]["params.yaml"]["data"]["train"]["lr"] for name, data in found.items()}
    assert rates == {"slow": 0.0001, "fast": 0.01}
    uar = {name: data["metrics"]["reports/evaluate/metrics.json"]["data"]["uar"] for name, data in found.items()}
    assert uar["fast"] > uar["slow"]
    assert "uar" in run(first, "dvc metrics diff slow fast")

    run(first, "dvc exp push --quiet origin fast")
    run(tmp_path, f"git clone --quiet {origin} {second}")
    run(second, "dvc exp pull --quiet origin fast")
    run(second, "dvc exp apply --quiet fast")
    run(second, "dvc pull --quiet")
    assert json.loads((second / "reports/evaluate/metrics.json").read_text())["uar"] == uar["fast"]
    assert (second / "models/network.safetensors").stat().st_size > 0
    assert load_params(second / "params.yaml").train.lr == 0.01
