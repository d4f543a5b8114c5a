"""Stage `evaluate`: score the network on speakers it has not met, with every set of modalities."""

import argparse
import copy
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tqdm import tqdm

from mmer.data.clips import read_manifest
from mmer.data.splits import speakers_on_two_sides
from mmer.evaluation.confident_errors import explain_confident_errors
from mmer.evaluation.report import summary, write_report
from mmer.evaluation.scores import evaluate, subsets
from mmer.files import sha256
from mmer.labels import DIMENSIONS, ModalityName
from mmer.metrics import Probabilities
from mmer.model.network import EmotionNet
from mmer.params import load_params
from mmer.training import mlflow_runs
from mmer.training.checkpoints import load_network, read_origin
from mmer.training.fit import TrainingError
from mmer.training.inference import Answers, answer
from stages import run_stage

MANIFEST, PROCESSED = Path("data/clips.parquet"), Path("data/processed")
WEIGHTS, OUT = Path("models/network.safetensors"), Path("reports/evaluate")


def main() -> None:
    """Write scores, predictions and figures, and add them to the MLflow run that trained these weights."""
    argparse.ArgumentParser(prog="python -m stages.evaluate", description=__doc__).parse_args()
    params, clips, network = load_params(), read_manifest(MANIFEST), load_network(WEIGHTS)
    if mixed := speakers_on_two_sides(clips):
        raise TrainingError(f"{MANIFEST}: in more than one split, so nothing can be said of unseen speakers: {mixed}")
    test = [c for c in clips if c.split == "test"]

    def answers(of: EmotionNet) -> dict[str, Answers]:
        return {
            name: answer(of, test, PROCESSED, modalities=cast(list[ModalityName], name.split("+")))
            for name in tqdm(subsets(of.modalities), desc="evaluate", unit="subset")
        }

    found, before = answers(network), uncalibrated(network)
    probabilities = chances(found)
    affect = {name: said.affect for name, said in found.items() if said.affect is not None}
    report = evaluate(
        probabilities,
        test,
        resamples=params.evaluate.bootstrap,
        seed=params.seed,
        pairing=read_origin(WEIGHTS).pairing,
        cross_corpus=params.split.test_corpora,
        uncalibrated=None if before is None else chances(answers(before)),
        affect=affect or None,
    )
    everything = subsets(network.modalities)[-1]
    report["mistakes"] = explain_confident_errors(
        network,
        test,
        probabilities[everything],
        PROCESSED,
        params.evaluate.confident_errors,
        OUT / "figures" / "mistakes",
    )
    write_report(report, probabilities, test, OUT, affect.get(everything))

    trained = mlflow_runs.find("weights_sha256", sha256(WEIGHTS))
    with mlflow_runs.resume(trained) if trained else mlflow_runs.run("evaluate", params) as run:
        run.metrics({"test": summary(report)})
        run.figure(OUT, "evaluate")
        run.outcome(f"test UAR {report['uar']}")
    print(report["protocol"])
    for name, key in (("UAR", "uar"), ("accuracy", "war")):
        print(f"{name} {report[key]} (95% {report[f'{key}_low']} to {report[f'{key}_high']})")
    for corpus, scores in report.get("affect", {}).get("by_corpus", {}).items():
        for name in DIMENSIONS:
            told = scores[name]
            print(f"{corpus}: CCC of {name} {told['ccc']} (95% {told['ccc_low']} to {told['ccc_high']})")


def chances(answers: Mapping[str, Answers]) -> dict[str, Probabilities]:
    """The probabilities alone."""
    return {name: said.probabilities for name, said in answers.items()}


def uncalibrated(network: EmotionNet) -> EmotionNet | None:
    """The same network with all temperatures at 1; None where it has none."""
    plain = copy.deepcopy(network)
    fitted = [value for name, value in plain.fusion.named_buffers() if name.startswith(("temperature", "say"))]
    for value in fitted:
        value.fill_(1.0)
    return plain if fitted else None


if __name__ == "__main__":
    run_stage(main)
