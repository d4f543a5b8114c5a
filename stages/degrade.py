"""Stage `degrade`: score the packaged graph under noise, blur, darkness, small faces and lost frames."""

import argparse
from pathlib import Path

from mmer import tracking
from mmer.clips import read_manifest
from mmer.config import load_params
from mmer.degradation import measure, write_report
from mmer.evaluation import Draws
from mmer.recognizer import Graph
from stages import run_stage

MANIFEST, PROCESSED = Path("data/clips.parquet"), Path("data/processed")
WEIGHTS, GRAPH, OUT = Path("models/network.safetensors"), Path("models/mmer.onnx"), Path("reports/degrade")


def main() -> None:
    """Write the curves, and add them to the MLflow run that trained these weights."""
    argparse.ArgumentParser(prog="python -m stages.degrade", description=__doc__).parse_args()
    params, graph = load_params(), Graph(GRAPH)
    report = measure(
        graph,
        [c for c in read_manifest(MANIFEST) if c.split == "test"],
        PROCESSED,
        draws=Draws(params.evaluate.bootstrap, params.seed),
        most=params.degrade.clips,
        seed=params.seed,
        pairing=graph.info.pairing,
    )
    write_report(report, OUT)
    found = tracking.find("weights_sha256", tracking.sha256(WEIGHTS))
    with tracking.resume(found) if found else tracking.run("degrade", params) as run:
        run.figure(OUT, "degrade")
    print(report["protocol"])


if __name__ == "__main__":
    run_stage(main)
