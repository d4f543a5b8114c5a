"""What a search found, written down: the champion, every trial, what mattered, and quality against cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from mmer.config import Params
from mmer.reporting import write_csv
from mmer.search.plots import TELLING, Rows, plot_front, plot_history, plot_importance
from mmer.search.search import Found, front, reached


def write_findings(found: Found, params: Params, out: Path, *, chance: float) -> dict[str, Any]:
    """Write `best.json` (the champion), `history.csv` (a row for each trial), `finalists.csv` (one for each training in
    full), `importance.csv`, and `figures/`. Only `finalists.csv` holds a measured time: everything else is the same
    after the same search.

    Args:
        found: by the search.
        params: that it was made with.
        out: the folder to write to.
        chance: the UAR of whoever always gives the same answer.

    Returns:
        What best.json holds: `trial`, `val_uar`, `trials`, `parameters`, `macs_per_s`, `values`, the searched keys of
        params.yaml by dotted name, and, where nothing was told apart, `tie`, which says so.
    """
    complete = [t for t in found.trials if t.state == TrialState.COMPLETE]
    best = {
        "trial": found.champion.user_attrs["index"],
        "val_uar": reached(found.champion),
        "trials": len(found.trials),
        **{key: found.champion.user_attrs[key] for key in ("parameters", "macs_per_s")},
        "values": found.champion.params,
        **({"tie": equal} if (equal := tie(complete, chance)) else {}),
    }
    (out / "figures").mkdir(parents=True, exist_ok=True)
    (out / "best.json").write_text(json.dumps(best, indent=2) + "\n")

    keys = list(params.tune.space)
    rows: Rows = []
    top = 0.0
    for trial in found.trials:
        top = max(top, reached(trial))
        spent = [trial.user_attrs[c] for c in ("parameters", "macs_per_s")]
        told = [trial.user_attrs["index"], trial.state.name.lower(), reached(trial), top, *spent]
        rows.append([*told, int(trial in front(complete)), *(trial.params[k] for k in keys)])
    columns = ["trial", "state", "value", "best", "parameters", "macs_per_s", "front", *keys]
    write_csv(out / "history.csv", columns, rows)
    plot_history(rows, out / "figures" / "history.png")

    columns = ["parameters", "macs_per_s", "cpu_ms_per_s"]
    finals = [
        [t.user_attrs["index"], reached(t), *(t.user_attrs[c] for c in columns), int(t is found.champion)]
        for t in found.finals
    ]
    write_csv(out / "finalists.csv", ["trial", "val_uar", *columns, "champion"], finals)
    plot_front(found, complete, params, out / "figures" / "front.png")

    shares = _importance(complete, found.study, params.seed)
    write_csv(out / "importance.csv", ["parameter", "importance"], [[k, round(v, 4)] for k, v in shares.items()])
    plot_importance(shares, out / "figures" / "importance.png")
    return best


def tie(trials: Sequence[FrozenTrial], chance: float) -> str | None:
    """What it means that several trials all reached the same value; None where they did not."""
    values = {t.value for t in trials if t.value is not None}
    if len(trials) < 2 or len(values) > 1:
        return None
    (value,) = values
    if value <= chance + 1e-6:
        return f"all {len(trials)} short trainings are at chance (UAR {chance:.3f}): none has learnt anything yet"
    return f"all {len(trials)} short trainings reached the same UAR, {value:.3f}: nothing was told apart"


def _importance(complete: Sequence[FrozenTrial], study: optuna.Study, seed: int) -> dict[str, float]:
    """Share of each key in the variance of the value (fANOVA, Hutter et al. 2014), largest first.

    Empty where fewer than `TELLING` trials are complete, or all reached the same value: nothing tells what mattered.
    """
    if len(complete) < TELLING or len({t.value for t in complete}) == 1:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    shares: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return shares
