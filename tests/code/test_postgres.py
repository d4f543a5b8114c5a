"""Claims about a team's search: four workers share a real PostgreSQL, one is killed, the server fails once, and every
trial is run once; MLflow keeps its runs on the same server.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import FrozenTrial, TrialState

from mmer.config import Params
from mmer.params import load_params
from tests.code.test_search import SMALL
from tests.conftest import ROOT
from tests.team import mlflow_server, postgres, wait
from tests.tiny import tiny_corpus

TRIALS, EPOCHS, WORKERS = 12, 4, 4
#: As it is started by hand, but that a dead one is missed sooner.
WORKER = """
from mmer.search import study
study.HEARTBEAT_S, study.DEAD_AFTER_S = 1, 15
from stages.tune import main
main()
"""


@dataclass(frozen=True)
class Worker:
    """`python -m stages.tune` in a folder of its own, on the data and beside the checkpoints that all share."""

    home: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, home: Path, shared: Path, params: Params, tracking: str) -> "Worker":
        home.mkdir()
        for name in ("data", ".mmer"):
            (home / name).symlink_to(shared / name)
        (home / "params.yaml").write_text(yaml.safe_dump(params.model_dump(by_alias=True, mode="json")))
        variables = {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": tracking, "OMP_NUM_THREADS": "1"}
        with (home / "log").open("wb") as log:
            command = [sys.executable, "-c", WORKER]
            return cls(home, subprocess.Popen(command, cwd=home, env=os.environ | variables, stdout=log, stderr=log))

    def told(self) -> str:
        """What it has printed."""
        return (self.home / "log").read_text()

    def trains(self) -> bool:
        """Whether it is, or was, at a trial."""
        assert self.process.poll() is None, self.told()[-3000:]
        return "trial " in self.told()


@pytest.mark.slow
def test_four_workers_on_postgresql_lose_nothing_to_a_kill_and_a_crash_of_the_server(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / ".mmer").mkdir(parents=True)
    processed = shared / "data" / "processed"
    tiny_corpus(processed, load_params(ROOT / "params.yaml", SMALL), speakers=8)
    shutil.move(processed / "clips.parquet", shared / "data" / "clips.parquet")
    with postgres() as server, mlflow_server(server.create("mlflow"), tmp_path / "mlflow") as tracking:
        url = server.create("optuna")
        changed = {"tune.trials": TRIALS, "tune.epochs": EPOCHS, "train.epochs": EPOCHS, "tune.storage": url}
        params = load_params(ROOT / "params.yaml", SMALL | changed)
        workers = [Worker.start(tmp_path / f"worker{k}", shared, params, tracking) for k in range(WORKERS)]
        try:
            wait(workers[0].trains)
            workers[0].process.kill()
            wait(lambda: all(worker.trains() for worker in workers[1:]))
            server.control("restart", "-m", "immediate")  # as if its power had failed
            for worker in workers[1:]:
                assert worker.process.wait(900) == 0, worker.told()[-3000:]
        finally:
            for worker in workers:
                worker.process.kill()
        assert workers[0].process.wait() == -signal.SIGKILL

        (name,) = [name for name in optuna.get_all_study_names(url) if not name.endswith("-finals")]
        begun = [t for t in optuna.load_study(study_name=name, storage=url).trials if "begun" in t.user_attrs]
        ended = [t for t in begun if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        assert Counter(map(index, ended)) == dict.fromkeys(range(TRIALS), 1)
        (cut,) = [t for t in begun if t.state == TrialState.FAIL and t.params]  # without: dropped, another had it
        assert any(index(t) == index(cut) and t.params == cut.params for t in ended), "tried again, with its values"
        found = {(worker.home / "reports/tune/best.json").read_text() for worker in workers[1:]}
        assert len(found) == 1, "all write the same"
        logged = runs(tracking)
        assert {title: logged[title] for title in logged if title.startswith("trial")} == {
            f"trial {k}": ["FINISHED"] for k in range(TRIALS)
        }, "each is one run in MLflow, also the one that was cut"


def index(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["index"])


def runs(tracking: str) -> dict[str, list[str]]:
    """The states of MLflow's runs, by their names without what came of them."""
    import mlflow

    found: dict[str, list[str]] = {}
    client: Any = mlflow.MlflowClient(tracking)
    experiment = client.get_experiment_by_name("mmer")
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        found.setdefault(run.info.run_name.partition(" ·")[0], []).append(run.info.status)
    return found
