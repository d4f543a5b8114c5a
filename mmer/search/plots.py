"""The figures of a search: its history, what mattered, quality against cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from mmer.config import Params
from mmer.search.search import Found, front, reached

Rows = list[list[Any]]
TELLING = 10
"""With fewer trials than that a forest over them tells chance: of eight it called six keys about equally important."""


def plot_history(trials: Rows, path: Path) -> None:
    figure, axes = _figure()
    for state, colour in (("complete", "tab:blue"), ("pruned", "lightgrey")):
        some = [t for t in trials if t[1] == state]
        axes.plot([t[0] for t in some], [t[2] for t in some], "o", color=colour, label=state)
    axes.step([t[0] for t in trials], [t[3] for t in trials], where="post", color="tab:blue", alpha=0.5, label="best")
    axes.set(xlabel="trial", ylabel="validation UAR", title="The search")
    axes.legend(frameon=False)
    _save(figure, path)


def plot_importance(shares: dict[str, float], path: Path) -> None:
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


def plot_front(found: Found, complete: Sequence[FrozenTrial], params: Params, path: Path) -> None:
    """UAR against multiply-adds: all trials and their front, the trainings in full, the champion and the budget."""

    def points(trials: Iterable[FrozenTrial]) -> tuple[list[float], list[float]]:
        listed = list(trials)
        return [t.user_attrs["macs_per_s"] / 1e6 for t in listed], [reached(t) for t in listed]

    figure, axes = _figure()
    axes.plot(*points(t for t in found.trials if t.state == TrialState.PRUNED), "o", color="lightgrey", label="pruned")
    axes.plot(*points(complete), "o", color="tab:blue", label=f"{params.tune.epochs} epochs")
    axes.step(*points(front(complete)), where="post", color="tab:blue", alpha=0.5, label="their front")
    axes.plot(*points(found.finals), "s", color="tab:orange", label=f"{params.train.epochs} epochs")
    axes.plot(*points([found.champion]), "o", ms=14, mfc="none", color="tab:red", label="champion")
    if params.tune.budget.macs_per_s is not None:
        axes.axvline(params.tune.budget.macs_per_s / 1e6, color="grey", ls=":", label="budget")
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
