"""Stage `robustness`: score the network under noise, blur, darkness, small faces and lost frames."""

import argparse
from pathlib import Path

from mmer.data.clips import read_manifest
from mmer.evaluation.robustness import Subject, measure, write_report
from mmer.evaluation.scores import Bootstrap
from mmer.files import sha256
from mmer.params import load_params
from mmer.training import mlflow_runs
from mmer.training.checkpoints import load_network, read_origin
from mmer.training.inference import as_forward
from stages import run_stage

MANIFEST, PROCESSED = Path("data/clips.parquet"), Path("data/processed")
WEIGHTS, OUT = Path("models/network.safetensors"), Path("reports/robustness")


def main() -> None:
    """Write the curves, and add them to the MLflow run that trained these weights."""
    argparse.ArgumentParser(prog="python -m stages.robustness", description=__doc__).parse_args()
    params, network = load_params(), load_network(WEIGHTS)
    model = Subject(
        as_forward(network), network.input, network.modalities, network.state_size, params.media.silence_dbfs
    )
    report = measure(
        model,
        [c for c in read_manifest(MANIFEST) if c.split == "test"],
        PROCESSED,
        bootstrap=Bootstrap(params.evaluate.bootstrap, params.seed),
        most=params.robustness.clips,
        seed=params.seed,
        pairing=read_origin(WEIGHTS).pairing,
    )
    write_report(report, OUT)
    found = mlflow_runs.find("weights_sha256", sha256(WEIGHTS))
    with mlflow_runs.resume(found) if found else mlflow_runs.run("robustness", params) as run:
        run.figure(OUT, "robustness")
    print(report["protocol"])


if __name__ == "__main__":
    run_stage(main)
