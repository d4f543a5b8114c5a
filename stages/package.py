"""Stage `package`: export the network as one graph, check it against the network, register it in MLflow."""

import argparse
import json
from pathlib import Path

from mmer import tracking
from mmer.clips import read_manifest
from mmer.config import load_params
from mmer.export import ExportError, compare, export
from mmer.training import load_network, read_origin
from stages import run_stage

MANIFEST, PROCESSED = Path("data/clips.parquet"), Path("data/processed")
WEIGHTS, DETECTOR, GRAPH = Path("models/network.safetensors"), Path("models/detector"), Path("models/mmer.onnx")
REPORT, METRICS = Path("reports/package.json"), Path("reports/evaluate/metrics.json")


def main() -> None:
    """Write models/mmer.onnx; fail where it differs from the network by more than `package.max_difference`."""
    argparse.ArgumentParser(prog="python -m stages.package", description=__doc__).parse_args()
    params, network = load_params(), load_network(WEIGHTS)
    export(
        network,
        GRAPH,
        media=params.media,
        faces=params.faces,
        origin=read_origin(WEIGHTS),
        revision=tracking.revision(),
        status=params.package.status,
    )
    test = [c for c in read_manifest(MANIFEST) if c.split == "test"]
    parity = compare(network, GRAPH, test, PROCESSED)
    parameters, size = sum(p.numel() for p in network.parameters()), GRAPH.stat().st_size
    report = {
        "parameters": parameters,
        "graph_bytes": size,
        "detector_bytes": sum(f.stat().st_size for f in DETECTOR.glob("*.onnx")),
        "parity": {
            "clips": parity.clips,
            "agreement": parity.agreement,
            "max_difference": float(f"{parity.max_difference:.1g}"),
        },
    }
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    if parity.max_difference > params.package.max_difference:
        GRAPH.unlink()
        raise ExportError(
            f"the graph's probabilities differ from the network's by {parity.max_difference:.2g}, more than "
            f"package.max_difference = {params.package.max_difference:g}: it is not packaged"
        )
    run = tracking.find("weights_sha256", tracking.sha256(WEIGHTS))
    if run is not None:
        score = json.loads(METRICS.read_text())
        version = tracking.register(GRAPH, DETECTOR, run, description=f"UAR {score['uar']} on {score['tested']}")
        print(f"registered as version {version}, alias champion")
    print(f"{GRAPH}: {size / 1e6:.2f} MB, {parameters:,} parameters")


if __name__ == "__main__":
    run_stage(main)
