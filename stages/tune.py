"""Stage `tune`: search the training's hyperparameters on the validation speakers."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmer import search, tracking
from mmer.clips import read_manifest
from mmer.config import Train, load_params
from mmer.training import Epoch, data_key
from stages import run_stage

MANIFEST, PROCESSED, OUT = Path("data/clips.parquet"), Path("data/processed"), Path("reports/tune")


def main() -> None:
    """Run the trials that are missing; write best.json, the history, the importances and their figures."""
    argparse.ArgumentParser(prog="python -m stages.tune", description=__doc__).parse_args()
    params, clips = load_params(), read_manifest(MANIFEST)
    key = data_key(params, MANIFEST, clips, PROCESSED)
    study_name = search.study_name(params, key)

    with tracking.reopen("tune", params, key=study_name) as run:

        @contextmanager
        def watch(index: int, train: Train) -> Iterator[Callable[[Epoch], None]]:
            with tracking.reopen(f"trial {index}", params, key=f"{study_name}/{index}", parent=run) as trial:
                trial.params({f"trial.{k}": getattr(train, k) for k in params.tune.space})
                yield lambda row: trial.metrics({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

        study = search.search(params, clips, PROCESSED, key, watch=watch)
        best = search.write_report(study, OUT, params.seed)
        run.metrics({"best_val_uar": best["val_uar"], "trials": best["trials"]})
        run.figure(OUT, "tune")
    print(f"best of {best['trials']} trials: validation UAR {best['val_uar']:.3f} with {best['train']}")


if __name__ == "__main__":
    run_stage(main)
