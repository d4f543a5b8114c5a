"""Stage `tune`: search for quality under a budget, on the validation speakers; alone or beside other workers."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmer.data.clips import read_manifest
from mmer.params import load_params
from mmer.search.report import write_findings
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
                uars: list[float] = []

                def on_epoch(row: Epoch) -> None:
                    uars.append(row["val_uar"])
                    trial.metrics({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

                yield on_epoch
                if uars:
                    cut = f" when cut, {len(uars)} epochs in" if len(uars) < given.params.train.epochs else ""
                    trial.outcome(f"validation UAR {max(uars):.3f}{cut}")

        found = search(params, clips, PROCESSED, key, watch=watch)
        best = write_findings(found, params, OUT, chance=1 / len({c.label for c in clips if c.split == "val"}))
        run.metrics({k: v for k, v in best.items() if k not in ("trial", "values")})
        run.figure(OUT, "tune")
        run.outcome(best.get("tie") or f"validation UAR {best['val_uar']:.3f}")
    if "tie" in best:
        learnt = "chance" not in best["tie"]
        start = "Raise tune.epochs, or go on from weights that have learnt (train.init_from: docs/tutorial.md)"
        print(f"{best['tie']}. {'Validate on more clips' if learnt else start}")
    print(
        f"trial {best['trial']} of {best['trials']} is the champion: validation UAR {best['val_uar']:.3f}, "
        f"{best['parameters']:,} parameters, {best['macs_per_s'] / 1e6:.0f} million multiply-adds a second"
    )


if __name__ == "__main__":
    run_stage(main)
