"""Claims about the search: it keeps within the budget, a kill loses nothing, and workers share the trials."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from mmer.clips import read_manifest
from mmer.config import Params, load_params, varied
from mmer.findings import write_findings
from mmer.model.network import EmotionNet
from mmer.search import SearchError, champion, finalists, front, search, study_name
from mmer.training import checkpoint_of, fit
from tests.conftest import ROOT
from tests.tiny import tiny_corpus

SMALL = {
    "model.face.width": 0.125,
    "model.face.embedding": 16,
    "model.scene": {"channels": 4, "embedding": 8},
    "model.voice": {"channels": 4, "embedding": 16},
    "model.temporal.hidden": 16,
    "input.face_size": 32,
    "input.scene_size": 32,
    "train.epochs": 3,
    "train.batch_size": 14,
    "tune": {
        "trials": 4,
        "epochs": 2,
        "finalists": 2,
        "space": {
            "train.lr": {"low": 0.001, "high": 0.01, "log": True},
            "model.temporal.hidden": [8, 16, 24],
        },
    },
}

WORKER = """
import json, os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from mmer import training, workers
from mmer.clips import read_manifest
from mmer.config import load_params
from mmer.findings import write_findings
from mmer.search import search

workers.HEARTBEAT_S, workers.DEAD_AFTER_S = 1, 4
corpus, overrides, cut_at, log = Path(sys.argv[1]), json.loads(sys.argv[3]), sys.argv[4], Path(sys.argv[5])
params = load_params(sys.argv[2], overrides)
clips = read_manifest(corpus / "clips.parquet")
title = ""

def draw(*given, of=training.draw):  # is called once for each epoch that is trained
    with log.open("a") as file:
        file.write(f"{os.getpid()} {title}\\n")
    return of(*given)

training.draw = draw

@contextmanager
def watch(given):
    global title
    title = given.title.replace(" ", "-")

    def on_epoch(row):
        if cut_at in (f"{title}/{row['epoch']:.0f}", f"any/{row['epoch']:.0f}"):
            os.kill(os.getpid(), signal.SIGKILL)

    yield on_epoch

found = search(params, clips, corpus, "data", watch=watch)
best = write_findings(found, params, Path("out"))
print(json.dumps({"best": best, "history": Path("out/history.csv").read_text()}))
"""


class Worker:
    """A search in a process of its own, which kills itself after the epoch `cut_at`, if it comes to train it."""

    def __init__(self, corpus: Path, home: Path, overrides: dict[str, Any], cut_at: str = "") -> None:
        home.mkdir(exist_ok=True)
        self.log = home / "epochs.txt"
        given = [str(corpus), str(ROOT / "params.yaml"), json.dumps(overrides), cut_at, str(self.log)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *given],
            cwd=home,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def result(self) -> dict[str, Any] | None:
        """What it found; None if it was killed."""
        out, err = self.process.communicate(timeout=3600)
        if self.process.returncode == -signal.SIGKILL:
            return None
        assert self.process.returncode == 0, err
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def trained(self) -> list[str]:
        """The trainings whose epochs were trained in this folder, once for each epoch."""
        return sorted(line.split()[1] for line in self.log.read_text().splitlines())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_corpus(folder, small())
    return folder


def small(**tune: Any) -> Params:
    return load_params(ROOT / "params.yaml", SMALL | {f"tune.{key}": value for key, value in tune.items()})


def test_a_killed_search_goes_on_and_ends_the_same(corpus: Path, tmp_path: Path) -> None:
    undisturbed = Worker(corpus, tmp_path / "whole", SMALL)
    whole = undisturbed.result()
    assert whole is not None
    trained = undisturbed.trained()
    final = next(title for title in trained if title.startswith("final"))
    for cut_at in ("trial-1/1", f"{final}/2"):
        assert Worker(corpus, tmp_path / "cut", SMALL, cut_at).result() is None
    again = Worker(corpus, tmp_path / "cut", SMALL)
    assert again.result() == whole
    assert again.trained() == trained, "no epoch was trained twice"


def test_two_workers_share_a_study_and_one_takes_up_what_the_other_dies_over(corpus: Path, tmp_path: Path) -> None:
    overrides = SMALL | {"tune.storage": f"sqlite:///{tmp_path / 'shared.db'}"}
    dies, lives = (Worker(corpus, tmp_path, overrides, cut_at) for cut_at in ("any/1", ""))
    assert dies.result() is None
    found = lives.result()
    assert found is not None
    rows = list(csv.DictReader(found["history"].splitlines()))
    assert [int(row["trial"]) for row in rows] == list(range(4))
    # Of each training every epoch was trained once, also of the one whose worker died: it went on from its checkpoint.
    epochs = {"complete": 2, "pruned": 1}
    trained = lives.trained()
    counts = {title: trained.count(title) for title in trained}
    finals = [title for title in counts if title.startswith("final")]
    assert len(finals) == 2
    assert counts == {f"trial-{row['trial']}": epochs[row["state"]] for row in rows} | dict.fromkeys(finals, 3)
    began = set(lives.log.read_text().splitlines())
    assert len(began) == len(counts) + 1, "one training was begun by one worker and ended by the other"


def test_nothing_over_the_budget_is_trained(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clips = read_manifest(corpus / "clips.parquet")
    sizes = {n: parameters(varied(small(), {"model.temporal.hidden": n})) for n in (8, 16, 24)}
    limit = (sizes[8] + sizes[16]) // 2
    given = small(trials=3, budget={"parameters": limit})
    found = search(given, clips, corpus, "data")
    assert len(found.trials) == 3
    assert [t.params["model.temporal.hidden"] for t in found.trials] == [8, 8, 8], "16, as written, is over it"
    assert all(t.user_attrs["parameters"] == sizes[8] for t in found.trials)
    told = capsys.readouterr().out
    assert "params.yaml's own values are outside of tune.space or over tune.budget" in told
    with pytest.raises(SearchError, match="cost more than"):
        search(small(budget={"madds_per_s": 10}), clips, corpus, "data")


def parameters(given: Params) -> int:
    return sum(p.numel() for p in EmotionNet(given.input, given.model).parameters())


def test_the_training_of_the_champion_is_done_already(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given, clips = small(), read_manifest(corpus / "clips.parquet")
    best = write_findings(search(given, clips, corpus, "data"), given, Path("out"))
    chosen = varied(given, json.loads(Path("out/best.json").read_text())["values"])
    checkpoint = checkpoint_of("data", chosen, given.seed)
    assert list(Path(".mmer/checkpoints").iterdir()) == [checkpoint], "those of all others are removed"
    before = checkpoint.read_bytes()
    done = fit(chosen, chosen.train, clips, corpus, seed=given.seed, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before, "no epoch was left to train"
    assert done.best["val_uar"] == best["val_uar"]
    assert done.network.model.temporal.hidden == best["values"]["model.temporal.hidden"]
    assert parameters(chosen) == best["parameters"]

    finals = list(csv.DictReader(Path("out/finalists.csv").read_text().splitlines()))
    assert [row["champion"] for row in finals].count("1") == 1
    assert all(float(row["cpu_ms_per_s"]) > 0 for row in finals)
    assert {f.name for f in Path("out/figures").iterdir()} == {"front.png", "history.png", "importance.png"}


def trial(index: int, uar: float, madds: float, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=state,
        value=uar,
        intermediate_values={1: uar / 2, 2: uar},
        user_attrs={"index": index, "madds_per_s": madds},
    )


def test_the_rules_of_choice() -> None:
    trials = [trial(0, 0.6, 100), trial(1, 0.7, 200), trial(2, 0.65, 300), trial(3, 0.5, 100), trial(4, 0.8, 400)]
    trials.append(trial(5, 0.9, 50, TrialState.PRUNED))
    of = lambda some: [t.user_attrs["index"] for t in some]  # noqa: E731
    assert of(front(trials[:5])) == [0, 1, 4]
    assert of(finalists(trials, 2)) == [4, 1]
    assert of(finalists(trials, 4)) == [4, 1, 0, 2], "after the front the best of the others; none that was cut"
    in_full = [trial(4, 0.905, 400), trial(1, 0.9, 200), trial(0, 0.8, 100)]
    assert champion(in_full, 0.0).user_attrs["index"] == 4
    assert champion(in_full, 0.005).user_attrs["index"] == 1
    assert champion(in_full, 0.2).user_attrs["index"] == 0


def test_a_study_is_that_of_its_data_and_space_and_may_grow() -> None:
    given = small()
    assert study_name(given, "a") != study_name(given, "b")
    assert study_name(given, "a") == study_name(small(trials=9, finalists=3, tolerance=0.1), "a")
    for other in ({"epochs": 3}, {"budget": {"parameters": 1000}}, {"space": {"train.lr": [0.1, 0.2]}}):
        assert study_name(given, "a") != study_name(small(**other), "a"), other
