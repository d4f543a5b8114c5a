"""Stage `publish`: put a packaged model where everyone finds it, beside its numbers and its card."""

import argparse
import json
import shutil
from pathlib import Path

from mmer.card import model_card
from mmer.recognizer import GRAPH, SMALL_GRAPH, Recognizer
from stages import run_stage

MODELS, DETAILS, METRICS = Path("models"), Path("reports/evaluate/details.json"), Path("reports/evaluate/metrics.json")
PACKAGE = Path("reports/package.json")
WEIGHTS = "network.safetensors"


def main() -> None:
    """Copy mmer.onnx, mmer.int8.onnx where it may ship, network.safetensors (to train on from), detector/ and
    metrics.json into this folder, and write MODEL_CARD.md.
    """
    argparse.ArgumentParser(prog="python -m stages.publish", description=__doc__).parse_args()
    info = Recognizer.load(MODELS).info
    package = json.loads(PACKAGE.read_text())
    card = model_card(info, json.loads(DETAILS.read_text()), package)
    shutil.copyfile(MODELS / GRAPH, GRAPH)
    Path(SMALL_GRAPH).unlink(missing_ok=True)
    if package["quantised"]["ships"]:
        shutil.copyfile(MODELS / SMALL_GRAPH, SMALL_GRAPH)
    shutil.copyfile(MODELS / WEIGHTS, WEIGHTS)
    shutil.copytree(MODELS / "detector", "detector", dirs_exist_ok=True)
    shutil.copyfile(METRICS, "metrics.json")
    Path("MODEL_CARD.md").write_text(card, encoding="utf-8")
    print(f"published: {', '.join(info.modalities)} of {', '.join(info.corpora)}, {info.status}; see MODEL_CARD.md")


if __name__ == "__main__":
    run_stage(main)
