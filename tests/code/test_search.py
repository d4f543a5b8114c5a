"""Claims about the search: it keeps within the budget, a kill loses nothing, and workers share the trials."""

import csv
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from mmer.config import Params
from mmer.data.clips import read_manifest
from mmer.model.network import EmotionNet
from mmer.params import load_params, varied
from mmer.search import study as shared
from mmer.search.report import tie, write_findings
from mmer.search.search import Candidate, Found, SearchError, champion, finalists, front, search, study_name
from mmer.training import fit as training
from mmer.training.checkpoints import checkpoint_of
from mmer.training.inference import Epoch
from tests.conftest import ROOT
from tests.tiny import SMALL_NETWORK, tiny_corpus

SMALL = {
    **SMALL_NETWORK,
    "train.epochs": 2,
    "train.batch_size": 7,
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


class Worker:
    """A search in a process of its own, which kills itself after the epoch `cut_at`, if it comes to train it."""

    def __init__(self, corpus: Path, home: Path, given: Params, cut_at: str = "") -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        # Forked, so that torch is not imported again.
        self.process = get_context("fork").Process(target=self._work, args=(corpus, given, cut_at))
        self.process.start()

    def _work(self, corpus: Path, given: Params, cut_at: str) -> None:
        torch.set_num_threads(1)
        os.chdir(self.home)
        shared.HEARTBEAT_S, shared.DEAD_AFTER_S = 1, 4
        title, draw = "", training.sample_epoch

        def logged(*args: Any) -> Any:
            with Path("epochs.txt").open("a") as file:
                file.write(f"{os.getpid()} {title}\n")
            return draw(*args)

        training.sample_epoch = logged  # which is called once for each epoch that is trained

        @contextmanager
        def watch(candidate: Candidate) -> Iterator[Callable[[Epoch], None]]:
            nonlocal title
            title = candidate.title

            def on_epoch(row: Epoch) -> None:
                if cut_at in (f"{title}/{row['epoch']:.0f}", f"any/{row['epoch']:.0f}"):
                    os.kill(os.getpid(), signal.SIGKILL)

            yield on_epoch

        found = search(given, read_manifest(corpus / "clips.parquet"), corpus, "data", watch=watch)
        write_findings(found, given, Path(f"out-{os.getpid()}"), chance=0.5)

    def result(self) -> dict[str, str] | None:
        """The findings that must be the same after the same search; None if it was killed."""
        self.process.join()
        if self.process.exitcode == -signal.SIGKILL:
            return None
        assert self.process.exitcode == 0
        out = self.home / f"out-{self.process.pid}"
        return {name: (out / name).read_text() for name in ("best.json", "history.csv", "importance.csv")}

    def epochs(self) -> list[tuple[str, str]]:
        """The epochs that were trained in this folder: by which process, and of which training."""
        lines = (self.home / "epochs.txt").read_text().splitlines()
        return [(pid, title) for pid, title in (line.split(" ", 1) for line in lines)]

    def counts(self) -> Counter[str]:
        """How many epochs of each training were trained in this folder."""
        return Counter(title for _, title in self.epochs())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_corpus(folder, small(), speakers=4)
    return folder


def small(**tune: Any) -> Params:
    return load_params(ROOT / "params.yaml", SMALL | {f"tune.{key}": value for key, value in tune.items()})


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
        search(small(budget={"macs_per_s": 10}), clips, corpus, "data")


def parameters(given: Params) -> int:
    return sum(p.numel() for p in EmotionNet(given.input, given.model).parameters())


def test_the_training_of_the_champion_is_done_already(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given, clips = small(), read_manifest(corpus / "clips.parquet")
    best = write_findings(search(given, clips, corpus, "data"), given, Path("out"), chance=0.5)
    chosen = varied(given, json.loads(Path("out/best.json").read_text())["values"])
    checkpoint = checkpoint_of("data", chosen, given.seed)
    assert list(Path(".mmer/checkpoints").iterdir()) == [checkpoint], "those of all others are removed"
    before = checkpoint.read_bytes()
    done = training.fit(chosen, chosen.train, clips, corpus, seed=given.seed, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before, "no epoch was left to train"
    assert done.best["val_uar"] == best["val_uar"]
    assert done.network.model.temporal.hidden == best["values"]["model.temporal.hidden"]
    assert parameters(chosen) == best["parameters"]

    finals = list(csv.DictReader(Path("out/finalists.csv").read_text().splitlines()))
    assert [row["champion"] for row in finals].count("1") == 1
    assert all(float(row["cpu_ms_per_s"]) > 0 for row in finals)
    assert {f.name for f in Path("out/figures").iterdir()} == {"front.png", "history.png", "importance.png"}


def trial(index: int, uar: float, macs: float, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=state,
        value=uar,
        intermediate_values={1: uar / 2, 2: uar},
        user_attrs={"index": index, "macs_per_s": macs},
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


def test_trials_that_all_reached_the_same_are_told_as_what_they_are() -> None:
    chance = 1 / 7
    assert tie([trial(0, 0.6, 100), trial(1, 0.7, 100)], chance) is None
    assert tie([trial(0, chance, 100)], chance) is None, "of one there is nothing to tell apart"
    assert "all 2 short trainings reached the same UAR, 0.600" in str(tie([trial(0, 0.6, 1), trial(1, 0.6, 2)], chance))
    assert "at chance (UAR 0.143): none has learnt" in str(tie([trial(k, chance, k) for k in range(8)], chance))


@pytest.mark.parametrize("trials", [8, 12])
def test_what_mattered_is_told_of_enough_trials(trials: int, tmp_path: Path) -> None:
    study = optuna.create_study()
    for index in range(trials):
        values = {"train.lr": index / trials, "model.temporal.hidden": [8, 16, 24][index % 3]}
        distributions = {
            "train.lr": optuna.distributions.FloatDistribution(0, 1),
            "model.temporal.hidden": optuna.distributions.CategoricalDistribution([8, 16, 24]),
        }
        spent = {"index": index, "parameters": 1, "macs_per_s": 1.0, "cpu_ms_per_s": 1.0}
        uar = 0.5 + 0.4 * values["train.lr"]
        study.add_trial(
            optuna.trial.create_trial(
                value=uar,
                params=values,
                distributions=distributions,
                user_attrs=spent,
                intermediate_values={1: uar},
            )
        )
    best = study.trials[-1]
    write_findings(Found(study.trials, [best], best, study), small(), tmp_path, chance=0.5)
    rows = list(csv.DictReader((tmp_path / "importance.csv").read_text().splitlines()))
    assert [row["parameter"] for row in rows] == (["train.lr", "model.temporal.hidden"] if trials == 12 else [])
    assert all(float(row["importance"]) > 0.5 for row in rows[:1])


def test_a_study_is_that_of_its_data_and_space_and_may_grow() -> None:
    given = small()
    assert study_name(given, "a") != study_name(given, "b")
    assert study_name(given, "a") == study_name(small(trials=9, finalists=3, tolerance=0.1), "a")
    for other in ({"epochs": 3}, {"budget": {"parameters": 1000}}, {"space": {"train.lr": [0.1, 0.2]}}):
        assert study_name(given, "a") != study_name(small(**other), "a"), other


def test_a_killed_search_goes_on_and_ends_the_same(corpus: Path, tmp_path: Path) -> None:
    undisturbed = Worker(corpus, tmp_path / "whole", small())
    whole = undisturbed.result()
    assert whole is not None
    final = next(title for title in undisturbed.counts() if title.startswith("final"))
    for cut_at in ("trial 1/1", f"{final}/1"):
        assert Worker(corpus, tmp_path / "cut", small(), cut_at).result() is None
    again = Worker(corpus, tmp_path / "cut", small())
    assert again.result() == whole
    assert again.counts() == undisturbed.counts(), "no epoch was trained twice"


def test_two_workers_share_a_study_and_one_takes_up_what_the_other_dies_over(corpus: Path, tmp_path: Path) -> None:
    given = small(storage=f"sqlite:///{tmp_path / 'shared.db'}")
    dies, lives = (Worker(corpus, tmp_path, given, cut_at) for cut_at in ("any/1", ""))
    assert dies.result() is None
    found = lives.result()
    assert found is not None
    rows = list(csv.DictReader(found["history.csv"].splitlines()))
    assert [int(row["trial"]) for row in rows] == list(range(4))
    # Of each training every epoch was trained once, also of the one whose worker died: it went on from its checkpoint.
    epochs = {"complete": 2, "pruned": 1}
    counts = lives.counts()
    finals = [title for title in counts if title.startswith("final")]
    assert len(finals) == 2
    assert counts == {f"trial {row['trial']}": epochs[row["state"]] for row in rows} | dict.fromkeys(finals, 2)
    begun = [title for pid, title in lives.epochs() if pid == str(dies.process.pid)]
    assert len(begun) == 1
    assert (str(lives.process.pid), begun[0]) in lives.epochs()


def test_what_a_worker_had_only_just_taken_when_it_died_is_run_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first heartbeat, which is what Optuna goes by."""
    ran = []

    def run(trial: optuna.Trial, index: int) -> float:
        ran.append((index, trial.suggest_float("x", 0, 9)))
        return 0.0

    with shared.studies(
        f"sqlite:///{tmp_path / 'shared.db'}", tmp_path / "alone.db", {"s": optuna.pruners.NopPruner()}
    ) as (study,):
        study.enqueue_trial({"x": 7.0}, user_attrs={"index": 0})
        study.ask()  # and that was the last of it
        monkeypatch.setattr(shared, "DEAD_AFTER_S", 0)
        monkeypatch.setattr(shared, "HEARTBEAT_S", 1)
        shared.work(study, [0, 1], lambda index: {"x": float(index)}, run, lambda _: None)
    assert ran == [(0, 7.0), (1, 1.0)], "with the values that it had"
