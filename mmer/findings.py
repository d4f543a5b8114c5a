"""What a search found, written down: the champion, every trial, what mattered, and quality against cost."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from mmer.config import Params
from mmer.search import Found, front, reached

Rows = list[list[Any]]
TELLING = 10
"""With fewer trials than that a forest over them tells chance: of eight it called six keys about equally important."""


def write_findings(found: Found, params: Params, out: Path) -> dict[str, Any]:
    """Write `best.json` (the champion), `history.csv` (a row for each trial), `finalists.csv` (one for each training in
    full), `importance.csv`, and `figures/`. Only `finalists.csv` holds a measured time: everything else is the same
    after the same search.

    Returns:
        What best.json holds: `trial`, `val_uar`, `trials`, `parameters`, `madds_per_s`, and `values`, the searched keys
        of params.yaml by dotted name.
    """
    best = {
        "trial": found.champion.user_attrs["index"],
        "val_uar": reached(found.champion),
        "trials": len(found.trials),
        **{key: found.champion.user_attrs[key] for key in ("parameters", "madds_per_s")},
        "values": found.champion.params,
    }
    (out / "figures").mkdir(parents=True, exist_ok=True)
    (out / "best.json").write_text(json.dumps(best, indent=2) + "\n")

    complete = [t for t in found.trials if t.state == TrialState.COMPLETE]
    keys = list(params.tune.space)
    rows: Rows = []
    top = 0.0
    for trial in found.trials:
        top = max(top, reached(trial))
        spent = [trial.user_attrs[c] for c in ("parameters", "madds_per_s")]
        told = [trial.user_attrs["index"], trial.state.name.lower(), reached(trial), top, *spent]
        rows.append([*told, int(trial in front(complete)), *(trial.params[k] for k in keys)])
    columns = ["trial", "state", "value", "best", "parameters", "madds_per_s", "front", *keys]
    _write_csv(out / "history.csv", columns, rows)
    _draw_history(rows, out / "figures" / "history.png")

    columns = ["parameters", "madds_per_s", "cpu_ms_per_s"]
    finals = [
        [t.user_attrs["index"], reached(t), *(t.user_attrs[c] for c in columns), int(t is found.champion)]
        for t in found.finals
    ]
    _write_csv(out / "finalists.csv", ["trial", "val_uar", *columns, "champion"], finals)
    _draw_front(found, complete, params, out / "figures" / "front.png")

    shares = _importance(complete, found.study, params.seed)
    _write_csv(out / "importance.csv", ["parameter", "importance"], [[k, round(v, 4)] for k, v in shares.items()])
    _draw_importance(shares, out / "figures" / "importance.png")
    return best


def tied(trials: Sequence[FrozenTrial]) -> bool:
    """Whether there are several and all reached the same value, so that nothing was told apart."""
    return len(trials) > 1 and len({t.value for t in trials}) == 1


def _importance(complete: Sequence[FrozenTrial], study: optuna.Study, seed: int) -> dict[str, float]:
    """Share of each key in the variance of the value (fANOVA, Hutter et al. 2014), largest first.

    Empty where fewer than `TELLING` trials are complete, or all reached the same value: nothing tells what mattered.
    """
    if len(complete) < TELLING or tied(complete):
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    shares: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return shares


def _draw_history(trials: Rows, path: Path) -> None:
    figure, axes = _figure()
    for state, colour in (("complete", "tab:blue"), ("pruned", "lightgrey")):
        some = [t for t in trials if t[1] == state]
        axes.plot([t[0] for t in some], [t[2] for t in some], "o", color=colour, label=state)
    axes.step([t[0] for t in trials], [t[3] for t in trials], where="post", color="tab:blue", alpha=0.5, label="best")
    axes.set(xlabel="trial", ylabel="validation UAR", title="The search")
    axes.legend(frameon=False)
    _save(figure, path)


def _draw_importance(shares: dict[str, float], path: Path) -> None:
    figure, axes = _figure()
    if shares:
        axes.barh(list(shares), list(shares.values()), color="tab:blue")
        axes.invert_yaxis()
        axes.set(xlabel="share of the variance of the validation UAR", title="What mattered in the search")
    else:
        axes.set_axis_off()
        axes.text(
            0.5,
            0.5,
            f"fewer than {TELLING} whole trials, or all alike:\nnothing tells what mattered",
            ha="center",
            va="center",
        )
    _save(figure, path)


def _draw_front(found: Found, complete: Sequence[FrozenTrial], params: Params, path: Path) -> None:
    """UAR against multiply-adds: all trials and their front, the trainings in full, the champion and the budget."""

    def points(trials: Iterable[FrozenTrial]) -> tuple[list[float], list[float]]:
        listed = list(trials)
        return [t.user_attrs["madds_per_s"] / 1e6 for t in listed], [reached(t) for t in listed]

    figure, axes = _figure()
    axes.plot(*points(t for t in found.trials if t.state == TrialState.PRUNED), "o", color="lightgrey", label="pruned")
    axes.plot(*points(complete), "o", color="tab:blue", label=f"{params.tune.epochs} epochs")
    axes.step(*points(front(complete)), where="post", color="tab:blue", alpha=0.5, label="their front")
    axes.plot(*points(found.finals), "s", color="tab:orange", label=f"{params.train.epochs} epochs")
    axes.plot(*points([found.champion]), "o", ms=14, mfc="none", color="tab:red", label="champion")
    if params.tune.budget.madds_per_s is not None:
        axes.axvline(params.tune.budget.madds_per_s / 1e6, color="grey", ls=":", label="budget")
    axes.set(xlabel="million multiply-adds for a second of live input", ylabel="validation UAR")
    axes.set_title("Quality against cost")
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    _save(figure, path)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    return figure, figure.subplots()


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _write_csv(path: Path, columns: Sequence[str], rows: Rows) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
