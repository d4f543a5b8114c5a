"""The search for quality under a budget: many short trainings, judged on validation speakers; then the best in full.

First rung: `tune.trials` trainings of `tune.epochs` each. TPE (Bergstra et al. 2011) proposes the configurations; one
that costs more than `tune.budget` is never trained, and one that stays behind the median is cut. Second rung: the
`tune.finalists` best of them are trained for `train.epochs`, and their graphs are timed. `finalists` and `champion`
are the rules by which they are chosen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from mmer.config import Dimension, Model, Params, Value
from mmer.data.clips import Clip, modalities_of, modalities_with_affect
from mmer.errors import MmerError
from mmer.labels import ModalityName
from mmer.model.cost import Cost, cost
from mmer.model.network import EmotionNet
from mmer.packaging.export import export
from mmer.packaging.parity import speed
from mmer.params import varied
from mmer.runtime.config import Input
from mmer.search.study import Values, ended, studies, work
from mmer.training.checkpoints import WORK, checkpoint_of, fingerprint, forget
from mmer.training.fit import Fit, fit
from mmer.training.inference import Epoch

STARTUP = 4
"""Trials that TPE must see before it proposes anything: the first ones are drawn evenly."""
PROPOSALS = 1000
"""Tries for a configuration within the budget before the search gives up."""


class SearchError(MmerError):
    """There is nothing to search; the message says why."""


@dataclass(frozen=True)
class Candidate:
    """A configuration that is about to be trained."""

    title: str
    """`trial 3` in the first rung, `final 3` when the same is trained in full."""
    values: Values
    """The searched keys, by dotted name."""
    params: Params
    """All of params.yaml with these values, and with the epochs of this rung."""
    cost: Cost


#: What follows a training as it runs: it is told each epoch.
Watcher = Callable[[Candidate], AbstractContextManager[Callable[[Epoch], None]]]


@dataclass(frozen=True)
class Found:
    """What a search found; each trial has its `index`, `parameters` and `macs_per_s` among its `user_attrs`."""

    trials: list[FrozenTrial]
    """The first rung, by index."""
    finals: list[FrozenTrial]
    """The second, by index of the trial in the first; also with `cpu_ms_per_s`."""
    champion: FrozenTrial
    """One of the second."""
    study: optuna.Study
    """Of the first rung."""


def search(
    params: Params,
    clips: Sequence[Clip],
    processed: Path,
    data_key: str,
    *,
    watch: Watcher = lambda _: nullcontext(lambda _: None),
) -> Found:
    """Do what is missing of the search, alone or beside other workers (`tune.storage`), and return it whole.

    Of one worker, the trial of index i is decided by the seed, i and the trials that ended before it: a search that was
    killed goes on, from the checkpoint of the training that was cut, and ends as if nothing had happened. All trainings
    have the seed `params.seed`, so that the champion's is the very one that the stage `train` does: its checkpoint
    stays for that stage, all others are removed.

    Args:
        data_key: fingerprint of everything but the searched values.
        watch: opens a context for a training, to log it.

    Raises:
        SearchError: nothing in `tune.space` keeps within `tune.budget`, or `train.branches` is set.
    """
    if params.train.branches:
        raise SearchError("the search trains whole networks: leave train.branches empty")
    tune, name = params.tune, study_name(params, data_key)
    job = _Search(params, clips, processed, data_key, watch)
    pruners = {
        name: optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        f"{name}-finals": optuna.pruners.NopPruner(),
    }
    with studies(tune.storage, WORK / "studies" / f"{name}.db", pruners) as (first, second):
        indices = range(tune.trials)
        work(first, indices, lambda i: job.propose(first, i), job.short, lambda t: job.forget(t, tune.epochs))
        trials = ended(first, indices)
        best = {t.user_attrs["index"]: t for t in finalists(trials, tune.finalists)}
        work(second, best, lambda i: best[i].params, job.in_full, lambda _: None)
        finals = ended(second, best)
    found = Found(trials, finals, champion(finals, tune.tolerance), first)
    for trial in finals:
        if trial is not found.champion:
            job.forget(trial, params.train.epochs)
    return found


def study_name(params: Params, data_key: str) -> str:
    """Key of the study: everything that decides its trials, but not how many there are or what is made of them."""
    free = {"trials": 1, "finalists": 1, "tolerance": 0.0, "storage": None}
    counter = Path(__file__).parents[1] / "model" / "cost.py"  # what a trial costs decides whether it is trained
    return fingerprint([data_key, params.train, params.tune.model_copy(update=free)], [counter])


def finalists(trials: Iterable[FrozenTrial], count: int) -> list[FrozenTrial]:
    """Which trials are trained in full: of those that were not cut, first the ones on the front, then the others; among
    either the ones with the highest UAR.
    """
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    ahead = front(complete)
    return sorted(complete, key=lambda t: (t not in ahead, -reached(t), t.user_attrs["index"]))[:count]


def front(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials to which no other is at least equal both in UAR and in multiply-adds, the cheapest first."""
    ahead: list[FrozenTrial] = []
    for trial in sorted(trials, key=_cheapest):
        if not ahead or reached(trial) > reached(ahead[-1]):
            ahead.append(trial)
    return ahead


def champion(finals: Sequence[FrozenTrial], tolerance: float) -> FrozenTrial:
    """Of the trainings in full, the one with the fewest multiply-adds among those whose UAR is at most `tolerance`
    below the best one's.
    """
    least = max(reached(t) for t in finals) - tolerance - 1e-9
    return min((t for t in finals if reached(t) >= least), key=_cheapest)


def reached(trial: FrozenTrial) -> float:
    """The highest validation UAR of a trial's epochs."""
    return float(max(trial.intermediate_values.values()))


def _cheapest(trial: FrozenTrial) -> tuple[float, float, int]:
    return trial.user_attrs["macs_per_s"], -reached(trial), trial.user_attrs["index"]


@dataclass(frozen=True)
class _Search:
    """What all trials share."""

    params: Params
    clips: Sequence[Clip]
    processed: Path
    data_key: str
    watch: Watcher

    @cached_property
    def modalities(self) -> tuple[ModalityName, ...]:
        return modalities_of([c for c in self.clips if c.split == "train"])

    @cached_property
    def affect(self) -> tuple[ModalityName, ...]:
        return modalities_with_affect([c for c in self.clips if c.split == "train"])

    def propose(self, study: optuna.Study, index: int) -> Values:
        """The values of the next trial: the first is `train` and `model` as they are written, the others are TPE's best
        guesses within the budget.
        """
        space = self.params.tune.space
        if index == 0:
            written = {key: _at(self.params, key) for key in space}
            if all(d.contains(written[key]) for key, d in space.items()) and self.affordable(written):
                return written
            print("params.yaml's own values are outside of tune.space or over tune.budget: they are not tried")
        sampler = optuna.samplers.TPESampler(
            seed=self.params.seed * 1000 + index, n_startup_trials=STARTUP, constant_liar=False
        )
        distributions = {key: _distribution(d) for key, d in space.items()}
        asking = optuna.trial.create_trial(state=TrialState.RUNNING)
        for refused in range(PROPOSALS):
            drawn = sampler.sample_relative(study, asking, distributions) or {
                key: sampler.sample_independent(study, asking, key, d) for key, d in distributions.items()
            }
            values = {key: _rounded(value, space[key]) for key, value in drawn.items()}
            if self.affordable(values):
                if refused:
                    print(f"trial {index}: {refused} configurations before it were over tune.budget, and not trained")
                return values
        raise SearchError(f"{PROPOSALS} configurations of tune.space in a row cost more than tune.budget allows")

    def affordable(self, values: Values) -> bool:
        """Whether the network with these values keeps within `tune.budget`."""
        spent, budget = self.candidate("", values, 1).cost, self.params.tune.budget
        return (budget.parameters is None or spent.parameters <= budget.parameters) and (
            budget.macs_per_s is None or spent.macs_per_s <= budget.macs_per_s
        )

    def candidate(self, title: str, values: Values, epochs: int) -> Candidate:
        given = varied(self.params, {**values, "train.epochs": epochs})
        affect = self.affect if given.train.affect else ()
        return Candidate(title, values, given, _cost(given.input, given.model, self.modalities, affect))

    def short(self, trial: Trial, index: int) -> float:
        """A training of the first rung."""
        done = self.train(trial, self.candidate(f"trial {index}", self.values(trial), self.params.tune.epochs))
        return done.best["val_uar"]

    def in_full(self, trial: Trial, index: int) -> float:
        """A training of the second rung."""
        given = self.candidate(f"final {index}", self.values(trial), self.params.train.epochs)
        done = self.train(trial, given)
        trial.set_user_attr("cpu_ms_per_s", _timed(done, given.params))
        return done.best["val_uar"]

    def train(self, trial: Trial, given: Candidate) -> Fit:
        """Train, report each epoch, and stop where the pruner says so."""
        trial.set_user_attr("parameters", given.cost.parameters)
        trial.set_user_attr("macs_per_s", given.cost.macs_per_s)
        train, pruned = given.params.train, None
        with self.watch(given) as log:

            def on_epoch(row: Epoch) -> None:
                log(row)
                trial.report(row["val_uar"], int(row["epoch"]))
                if row["epoch"] < train.epochs and trial.should_prune():
                    raise optuna.TrialPruned

            try:
                return fit(
                    given.params,
                    train,
                    self.clips,
                    self.processed,
                    seed=self.params.seed,
                    checkpoint=self.checkpoint(given.params),
                    on_epoch=on_epoch,
                    title=given.title,
                )
            except optuna.TrialPruned as cut:
                pruned = cut  # for the watcher it is no failure
        raise pruned

    def values(self, trial: Trial) -> Values:
        """Those with which a trial was queued."""
        return {
            key: trial.suggest_categorical(key, d.choices)
            if d.choices
            else trial.suggest_float(key, d.low, d.high, log=d.log)
            for key, d in self.params.tune.space.items()
        }

    def checkpoint(self, given: Params) -> Path:
        return checkpoint_of(self.data_key, given, self.params.seed)

    def forget(self, trial: FrozenTrial, epochs: int) -> None:
        """Remove the checkpoint of a trial that ended."""
        forget(self.checkpoint(self.candidate("", trial.params, epochs).params))


def _at(params: Params, dotted: str) -> Value:
    value: Any = params
    for key in dotted.split("."):
        value = getattr(value, key)
    found: Value = value
    return found


def _rounded(value: Value, dimension: Dimension) -> Value:
    """A drawn number with four digits, which is enough to write down."""
    if dimension.low is None or dimension.high is None or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.4g}"), dimension.low), dimension.high)


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    if dimension.choices:
        return optuna.distributions.CategoricalDistribution(dimension.choices)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


@lru_cache(maxsize=1024)
def _cost(input: Input, model: Model, modalities: tuple[ModalityName, ...], affect: tuple[ModalityName, ...]) -> Cost:
    return cost(EmotionNet(input, model, modalities, affect=affect))


def _timed(done: Fit, params: Params) -> float:
    """CPU milliseconds of the exported graph for a second of live input."""
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "mmer.onnx"
        export(done.network, graph, media=params.media, faces=params.faces, origin=done.origin, revision="")
        return round(speed([graph])[0] / params.input.step_s, 3)
