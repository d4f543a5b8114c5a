"""Stage `train`: train the network that the search found, with the hyperparameters that it found."""

import argparse
import csv
import json
from functools import partial
from pathlib import Path

from mmer.data.clips import read_manifest
from mmer.files import sha256
from mmer.params import load_params, varied
from mmer.training import mlflow_runs
from mmer.training.checkpoints import checkpoint_of, data_key, forget, save_network
from mmer.training.fit import fit
from stages import run_stage

MANIFEST, PROCESSED, BEST = Path("data/clips.parquet"), Path("data/processed"), Path("reports/tune/best.json")
WEIGHTS, HISTORY = Path("models/network.safetensors"), Path("reports/train/history.csv")
COST = HISTORY.with_name("cost.json")
VALIDATION = Path("reports/validation.json")
"""In the folder whose pipeline prepared the data: `data` may be a link to that one's."""


def main() -> None:
    """Train, going on from a checkpoint of the same inputs if a run was cut; write the weights, the history and what
    it cost.
    """
    import torch

    from mmer.training.devices import launch

    parser = argparse.ArgumentParser(prog="python -m stages.train", description=__doc__)
    parser.add_argument("--as-written", action="store_true", help="without a search: as params.yaml is written")
    searched = not parser.parse_args().as_written
    written, clips = load_params(), read_manifest(MANIFEST)
    params = varied(written, json.loads(BEST.read_text())["values"]) if searched else written
    # The search may have done this very training: then it goes on from that one's checkpoint.
    checkpoint = checkpoint_of(data_key(written, MANIFEST, clips, PROCESSED), params, params.seed)
    fabric = launch(params.train)
    training = partial(
        fit, params, params.train, clips, PROCESSED, seed=params.seed, checkpoint=checkpoint, fabric=fabric
    )
    if not fabric.is_global_zero:  # of several devices, the first writes and logs
        training()
        return

    with mlflow_runs.reopen("train", params, key=checkpoint.stem) as run:
        run.params({"chosen": {"model": params.model.model_dump(), "train": params.train.model_dump()}})
        run.log_validation(MANIFEST.parent.resolve().parent / VALIDATION, MANIFEST)

        def on_epoch(row: dict[str, float]) -> None:
            run.metrics({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

        done = training(on_epoch=on_epoch)
        save_network(done.network, WEIGHTS, done.origin)
        HISTORY.parent.mkdir(parents=True, exist_ok=True)
        with HISTORY.open("w", newline="") as file:
            columns = list(done.history[0]) if done.history else []  # the first has all; with epochs: 0 there is none
            rows = csv.DictWriter(file, columns, lineterminator="\n")
            rows.writeheader()
            rows.writerows(done.history)
        parameters = sum(p.numel() for p in done.network.parameters())
        spent = {"seconds": round(done.seconds), "threads": torch.get_num_threads()}
        COST.write_text(json.dumps(spent) + "\n")
        run.metrics({"best_val_uar": done.best["val_uar"], "parameters": parameters, **spent})
        run.tags({"weights_sha256": sha256(WEIGHTS)})
        run.outcome(f"validation UAR {done.best['val_uar']:.3f}")
    forget(checkpoint)  # done: `dvc repro --force` means to train again
    print(f"validation UAR {done.best['val_uar']:.3f}; {parameters:,} parameters")


if __name__ == "__main__":
    run_stage(main)
