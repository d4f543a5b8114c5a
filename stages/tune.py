"""Stage `tune`: search for quality under a budget, on the validation speakers; alone or beside other workers."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.trial import TrialState

from mmer.data.clips import read_manifest
from mmer.params import load_params
from mmer.search.report import tied, write_findings
from mmer.search.search import Candidate, search, study_name
from mmer.training import mlflow_runs
from mmer.training.checkpoints import data_key
from mmer.training.inference import Epoch
from stages import run_stage

MANIFEST, PROCESSED, OUT = Path("data/clips.parquet"), Path("data/processed"), Path("reports/tune")


def main() -> None:
    """Run the trainings that are missing; write the champion, the history, the importances and their figures."""
    argparse.ArgumentParser(prog="python -m stages.tune", description=__doc__).parse_args()
    params, clips = load_params(), read_manifest(MANIFEST)
    key = data_key(params, MANIFEST, clips, PROCESSED)
    study = study_name(params, key)

    with mlflow_runs.reopen("tune", params, key=study) as run:

        @contextmanager
        def watch(given: Candidate) -> Iterator[Callable[[Epoch], None]]:
            with mlflow_runs.reopen(given.title, params, key=f"{study}/{given.title}", parent=run) as trial:
                trial.params({"trial": given.values})
                trial.metrics({"parameters": given.cost.parameters, "macs_per_s": given.cost.macs_per_s})
                yield lambda row: trial.metrics({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

        found = search(params, clips, PROCESSED, key, watch=watch)
        best = write_findings(found, params, OUT)
        run.metrics({k: v for k, v in best.items() if k not in ("trial", "values")})
        run.figure(OUT, "tune")
    if tied([trial for trial in found.trials if trial.state == TrialState.COMPLETE]):
        print(
            "all short trainings that ran to their end reached the same validation UAR: nothing was told apart. Raise "
            "tune.epochs, or validate on more clips"
        )
    print(
        f"trial {best['trial']} of {best['trials']} is the champion: validation UAR {best['val_uar']:.3f}, "
        f"{best['parameters']:,} parameters, {best['macs_per_s'] / 1e6:.0f} million multiply-adds a second"
    )


if __name__ == "__main__":
    run_stage(main)
