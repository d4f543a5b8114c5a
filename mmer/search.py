"""The search: which hyperparameters train best, judged on the validation speakers (Optuna, TPE with median pruning)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmer.clips import Clip
from mmer.config import Params, Train
from mmer.fingerprint import fingerprint
from mmer.training import WORK, Epoch, checkpoint_of, fit

if TYPE_CHECKING:
    import optuna

#: What follows a trial as it runs: it is told each epoch.
Watcher = Callable[[int, Train], AbstractContextManager[Callable[[Epoch], None]]]


def _unwatched(index: int, train: Train) -> AbstractContextManager[Callable[[Epoch], None]]:  # noqa: ARG001
    return nullcontext(lambda _: None)


def search(
    params: Params, clips: Sequence[Clip], processed: Path, data_key: str, *, watch: Watcher = _unwatched
) -> optuna.Study:
    """Run the trials that are still missing, and return the study with all of them.

    The trial of index i (trials that ended before it) is decided by the seed, i and the trials before it. So a trial
    that was cut by a kill is drawn again with the same values and goes on from its checkpoint, and the study ends as
    if nothing had happened. Trial 0 is `train` as it is written.

    Args:
        data_key: fingerprint of everything but the searched values; the study's name.
        watch: opens a context for a trial, to log it.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tune = params.tune
    name = study_name(params, data_key)
    if tune.storage is None:
        (WORK / "studies").mkdir(parents=True, exist_ok=True)
    storage = tune.storage or f"sqlite:///{WORK}/studies/{name}.db"
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
    )
    space = {k: optuna.distributions.FloatDistribution(r.low, r.high, log=r.log) for k, r in tune.space.items()}
    if tune.storage is None:  # nobody else works on this file: what still runs was killed
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    while (index := len(ended(study))) < tune.trials:
        study.sampler = optuna.samplers.TPESampler(seed=params.seed * 1000 + index, n_startup_trials=4)
        if index == 0:
            written = {k: min(max(getattr(params.train, k), r.low), r.high) for k, r in tune.space.items()}
            study.enqueue_trial(written)
        trial = study.ask(space)
        trial.set_user_attr("index", index)
        train = params.train.model_copy(update={"epochs": tune.epochs, **trial.params})
        with watch(index, train) as log:
            value, state = _run(params, train, clips, processed, data_key, trial, index, log)
        study.tell(trial, value, state)
    return study


def _run(
    params: Params,
    train: Train,
    clips: Sequence[Clip],
    processed: Path,
    data_key: str,
    trial: optuna.Trial,
    index: int,
    log: Callable[[Epoch], None],
) -> tuple[float | None, optuna.trial.TrialState]:
    """One trial: highest UAR of its epochs on the validation speakers, and whether it was pruned."""
    import optuna

    def on_epoch(row: Epoch) -> None:
        log(row)
        trial.report(row["val_uar"], int(row["epoch"]))
        if row["epoch"] < train.epochs and trial.should_prune():
            raise optuna.TrialPruned

    seed = params.seed + index
    path = checkpoint_of(data_key, train, seed)
    try:
        done = fit(
            params, train, clips, processed, seed=seed, checkpoint=path, on_epoch=on_epoch, title=f"trial {index}"
        )
    except optuna.TrialPruned:
        return None, optuna.trial.TrialState.PRUNED
    return done.best["val_uar"], optuna.trial.TrialState.COMPLETE


def study_name(params: Params, data_key: str) -> str:
    """Key of the study: everything that decides its trials, but not how many there are."""
    return fingerprint([data_key, params.train, params.tune.model_copy(update={"trials": 1, "storage": None})], [])


def ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that ran to an end, complete or pruned, in their order; what was cut is not among them."""
    import optuna

    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    trials: list[optuna.trial.FrozenTrial] = study.get_trials(deepcopy=False, states=states)
    return trials


def write_report(study: optuna.Study, out: Path, seed: int) -> dict[str, Any]:
    """best.json, history.csv, importance.csv and their figures; returns what best.json holds."""
    trials = ended(study)
    best = {
        "trial": study.best_trial.user_attrs["index"],
        "val_uar": study.best_value,
        "trials": len(trials),
        "train": {k: round(v, 8) for k, v in study.best_params.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "best.json").write_text(json.dumps(best, indent=2) + "\n")

    keys = sorted(trials[0].params)
    rows: list[list[Any]] = [["trial", "state", "value", "best", *keys]]
    top = 0.0
    for trial in trials:
        top = max(top, trial.value or 0.0)
        values = [f"{trial.params[k]:.6g}" for k in keys]
        reached = max(trial.intermediate_values.values())
        rows.append([trial.user_attrs["index"], trial.state.name.lower(), reached, top, *values])
    _write_csv(out / "history.csv", rows)

    importance = _importance(study, seed)
    _write_csv(
        out / "importance.csv", [["parameter", "importance"], *([k, round(v, 4)] for k, v in importance.items())]
    )
    _draw(rows[1:], importance, out / "figures")
    return best


def _importance(study: optuna.Study, seed: int) -> dict[str, float]:
    """Share of each parameter in the variance of the value (fANOVA, Hutter et al. 2014), largest first.

    Empty where fewer than three trials are complete or all reached the same value: there is nothing to explain.
    """
    import optuna

    values = [t.value for t in ended(study) if t.state == optuna.trial.TrialState.COMPLETE]
    if len(values) < 3 or len(set(values)) == 1:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    shares: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return shares


def _draw(trials: list[list[Any]], importance: dict[str, float], folder: Path) -> None:
    """history.png and importance.png."""
    from matplotlib.figure import Figure

    folder.mkdir(exist_ok=True)
    history = Figure(figsize=(6, 3.2), layout="constrained")
    axes = history.subplots()
    for state, colour in (("complete", "tab:blue"), ("pruned", "lightgrey")):
        some = [t for t in trials if t[1] == state]
        axes.plot([t[0] for t in some], [t[2] for t in some], "o", color=colour, label=state)
    axes.step([t[0] for t in trials], [t[3] for t in trials], where="post", color="tab:blue", alpha=0.5, label="best")
    axes.set(xlabel="trial", ylabel="validation UAR", title="The search")
    axes.legend(frameon=False)

    bars = Figure(figsize=(6, 3.2), layout="constrained")
    axes = bars.subplots()
    axes.barh(list(importance), list(importance.values()), color="tab:blue")
    axes.invert_yaxis()
    axes.set(xlabel="share of the variance of the validation UAR", title="What mattered in the search")
    for name, figure in (("history", history), ("importance", bars)):
        figure.savefig(folder / f"{name}.png", dpi=120, metadata={"Software": None})


def _write_csv(path: Path, rows: list[list[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
