"""Stage `package`: export the network as one graph and as a small one, check both against the network, register."""

import argparse
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

from mmer.config import Train
from mmer.data.clips import Clip, read_manifest
from mmer.evaluation import as_shown
from mmer.evaluation.report import headline
from mmer.evaluation.robustness import Subject
from mmer.files import sha256
from mmer.packaging.export import ExportError, export
from mmer.packaging.parity import Parity, answer_graph, compare, speed
from mmer.packaging.quantise import quantise
from mmer.params import load_params
from mmer.reporting import write_json
from mmer.runtime.types import Floats
from mmer.training import mlflow_runs
from mmer.training.batches import target_of
from mmer.training.checkpoints import load_network, read_origin
from mmer.training.inference import answer, as_forward
from stages import run_stage

MANIFEST, PROCESSED = Path("data/clips.parquet"), Path("data/processed")
WEIGHTS, DETECTOR = Path("models/network.safetensors"), Path("models/detector")
GRAPH, SMALL = Path("models/mmer.onnx"), Path("models/mmer.int8.onnx")
REPORT, METRICS = Path("reports/package.json"), Path("reports/evaluate/metrics.json")
SUMMARY = Path("summary.json")
"""Committed, beside dvc.lock."""


def main() -> None:
    """Write models/mmer.onnx, models/mmer.int8.onnx and summary.json; fail where the first differs from the network by
    more than `package.max_difference`, and report whether the second may ship."""
    argparse.ArgumentParser(prog="python -m stages.package", description=__doc__).parse_args()
    params, network, clips = load_params(), load_network(WEIGHTS), read_manifest(MANIFEST)
    test, validation = ([c for c in clips if c.split == split] for split in ("test", "val"))
    subject = Subject(
        as_forward(network), network.input, network.modalities, network.state_size, params.media.silence_dbfs
    )
    watched = as_shown.watch(subject, validation, PROCESSED, target_of=partial(wanted, params.train), seed=params.seed)
    shown = as_shown.fit(watched)
    export(
        network,
        GRAPH,
        media=params.media,
        faces=params.faces,
        origin=read_origin(WEIGHTS),
        revision=mlflow_runs.revision(),
        status=params.package.status,
        shown=shown,
    )
    quantise(GRAPH, SMALL)
    ours = answer(network, test, PROCESSED)
    bootstrap = {"resamples": params.evaluate.bootstrap, "seed": params.seed}
    parity, small = (compare(ours, answer_graph(path, test, PROCESSED), test, **bootstrap) for path in (GRAPH, SMALL))
    ms, small_ms = speed([GRAPH, SMALL])
    limit = params.package.quantised.max_loss
    parameters, size = sum(p.numel() for p in network.parameters()), GRAPH.stat().st_size
    before, after = (
        as_shown.measure(as_shown.watch(subject, test, PROCESSED, temperatures, seed=params.seed))
        for temperatures in (None, shown)
    )
    report = {
        "parameters": parameters,
        "graph_bytes": size,
        "graph_ms": round(ms, 2),
        "detector_bytes": sum(f.stat().st_size for f in DETECTOR.glob("*.onnx")),
        "parity": _told(parity),
        "shown": {"before": before, "after": after},
        "quantised": {
            "graph_bytes": SMALL.stat().st_size,
            "graph_ms": round(small_ms, 2),
            "parity": _told(small),
            "max_loss": limit,
            "ships": small.uar_loss <= limit,
        },
    }
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    score = json.loads(METRICS.read_text())
    write_json(SUMMARY, headline(score, report))
    differs = {"probabilities": parity.max_difference, "valence and arousal": parity.affect_difference or 0.0}
    for what, by in differs.items():
        if by > params.package.max_difference:
            GRAPH.unlink()
            raise ExportError(
                f"the graph's {what} differ from the network's by {by:.2g}, more than "
                f"package.max_difference = {params.package.max_difference:g}: it is not packaged"
            )
    run = mlflow_runs.find("weights_sha256", sha256(WEIGHTS))
    if run is not None:
        version = mlflow_runs.register(GRAPH, DETECTOR, run, description=f"UAR {score['uar']} on {score['tested']}")
        print(f"registered as version {version}, alias champion")
    print(f"{GRAPH}: {size / 1e6:.2f} MB, {parameters:,} parameters")
    verdict = "" if small.uar_loss <= limit else f", more than package.quantised.max_loss = {limit:g}: it does not ship"
    print(f"{SMALL}: {SMALL.stat().st_size / 1e6:.2f} MB, loses {small.uar_loss:.4f} of UAR{verdict}")


def wanted(train: Train, clip: Clip) -> Floats:
    """What is right of a validation clip, [7]: what was to be learnt of it."""
    voice_alone = clip.has_voice and not clip.has_face
    return target_of(clip, train.of_branch("voice" if voice_alone else "face").targets)


def _told(parity: Parity) -> dict[str, float | None]:
    """For the report."""
    told = asdict(parity)
    apart = {
        key: float(f"{by:.1g}") for key in ("max_difference", "affect_difference") if (by := told.pop(key)) is not None
    }
    return apart | {key: None if value is None else round(value, 4) for key, value in told.items()}


if __name__ == "__main__":
    run_stage(main)
