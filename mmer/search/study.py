"""Studies that any number of workers share: each trial is run once, and that of a worker that dies by another one.

Optuna keeps the studies and tells who is alive; what is added here is the list of things to do.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import optuna
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from mmer.config import Value

Values = Mapping[str, Value]

#: A worker tells this often that it lives, and is taken for dead after that long a silence, seconds.
HEARTBEAT_S, DEAD_AFTER_S = 20, 120
BEGUN = "begun"
"""A trial says so once its worker is at it, with a heart that beats."""
PATIENCE_S = 60
"""How long a worker waits for a SQLite file that another one writes to, or for a server that is started anew."""


class _TakenError(Exception):
    """Another worker has this trial."""


@contextmanager
def studies(
    url: str | None, own: Path, pruners: Mapping[str, optuna.pruners.BasePruner]
) -> Iterator[list[optuna.Study]]:
    """Studies that maximise, made or found by name.

    Args:
        url: of the database that workers share; None for a file that one worker has at a time.
        own: that file.
        pruners: of each study, by its name.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    own.parent.mkdir(parents=True, exist_ok=True)
    where = url or f"sqlite:///{own}"
    with warnings.catch_warnings(), FileLock(f"{own}.lock") if url is None else nullcontext():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of heartbeats
        storage = _storage(where, shared=url is not None)
        made = [
            optuna.create_study(
                storage=storage,
                study_name=name,
                direction="maximize",
                sampler=optuna.samplers.RandomSampler(),  # never asked: trials are queued with their values
                pruner=pruner,
                load_if_exists=True,
            )
            for name, pruner in pruners.items()
        ]
        if url is None:  # nobody else works on this file: what still runs was killed
            for study in made:
                for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                    study.tell(trial.number, state=TrialState.FAIL)
        yield made


class _Patient(optuna.storages.RDBStorage):  # type: ignore[misc]
    """A database that may be away for a moment: what could not be asked is asked again, for `PATIENCE_S`."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return partial(_asked, found) if isinstance(found, MethodType) else found


def _asked(method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return method(*arguments, **named)
        except (StorageInternalError, DBAPIError) as error:
            away = isinstance(error.__cause__ or error, OperationalError | InterfaceError)
            if not away or time.monotonic() > until:
                raise
            time.sleep(1)


def _storage(url: str, *, shared: bool) -> optuna.storages.RDBStorage:
    """The database at that URL. Workers that find it empty at the same moment all make its tables, and all but one
    fail: a moment later the tables are there.
    """

    def opened() -> optuna.storages.RDBStorage:
        return _Patient(
            url,
            engine_kwargs={"connect_args": {"timeout": PATIENCE_S}} if url.startswith("sqlite:") else {},
            heartbeat_interval=HEARTBEAT_S if shared else None,
            grace_period=DEAD_AFTER_S if shared else None,
        )

    for _ in range(5):
        try:
            return opened()
        except SQLAlchemyError:
            time.sleep(1)
    return opened()


def work(
    study: optuna.Study,
    indices: Collection[int],
    propose: Callable[[int], Values],
    run: Callable[[Trial, int], float],
    after: Callable[[FrozenTrial], None],
) -> None:
    """Run what nobody has run yet, until each index has ended, here or at another worker.

    A trial is queued together with its index and its values. Who runs an index is the trial of the lowest number among
    those that have not failed, so that of what two workers queue at once the second is dropped. When a worker dies its
    trial fails, and is queued again with the same values.

    Args:
        propose: the values of the trial of an index.
        run: the trial and its index to what is maximised; may raise `optuna.TrialPruned`.
        after: told each trial that ended here, once that is stored.
    """

    def claimed(trial: Trial) -> float:
        trial.set_user_attr(BEGUN, True)
        index = trial.user_attrs.get("index")
        before = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number and t.state != TrialState.FAIL]
        if index is None or any(t.user_attrs.get("index") == index for t in before):
            raise _TakenError
        return run(trial, index)

    def told(_: optuna.Study, trial: FrozenTrial) -> None:
        if trial.state != TrialState.FAIL:
            after(trial)

    while True:
        optuna.storages.fail_stale_trials(study)
        _fail_claimed_by_the_dead(study)
        trials = study.get_trials(deepcopy=False)
        alive = {t.user_attrs.get("index"): t for t in trials if t.state != TrialState.FAIL}
        missing = next((i for i in indices if i not in alive), None)
        if missing is not None:
            failed = [t for t in trials if t.user_attrs.get("index") == missing]
            values = failed[0].system_attrs["fixed_params"] if failed else propose(missing)
            study.enqueue_trial(values, user_attrs={"index": missing})
        elif all(alive[i].state.is_finished() for i in indices):
            return
        elif not any(t.state == TrialState.WAITING for t in trials):
            time.sleep(HEARTBEAT_S / 4)  # the others are at work
            continue
        study.optimize(claimed, n_trials=1, catch=_TakenError, callbacks=[told])


def _fail_claimed_by_the_dead(study: optuna.Study) -> None:
    """Fail what was taken from the queue by a worker that died before its first heartbeat: Optuna would wait for it."""
    long_ago = datetime.now() - timedelta(seconds=DEAD_AFTER_S)  # as Optuna has it, in local time
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if BEGUN not in trial.user_attrs and trial.datetime_start is not None and trial.datetime_start < long_ago:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def ended(study: optuna.Study, indices: Collection[int]) -> list[FrozenTrial]:
    """The trials of these indices that ran to an end, complete or pruned, by index; what was cut is not among them."""
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False, states=states)
    return sorted((t for t in trials if t.user_attrs["index"] in indices), key=lambda t: t.user_attrs["index"])
