"""Stage `publish`: put a packaged model where everyone finds it, beside its numbers and its card."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from mmer.packaging.model_card import Evidence, model_card, weights_licence
from mmer.runtime.graph import GRAPH, SMALL_GRAPH
from mmer.runtime.recognizer import Recognizer
from stages import run_stage

MODELS, REPORTS, FIGURES = Path("models"), Path("reports"), Path("figures")
WEIGHTS = "network.safetensors"
#: Cross-validations, by what they tell apart.
FOLDS = {"7 emotions": "folds/metrics.json", "RAVDESS's 8 classes": "eight_classes/metrics.json"}
#: Those of them that were made are shown on the card.
SHOWN = (
    "evaluate/figures/confusion.png",
    "evaluate/figures/calibration.png",
    "evaluate/figures/mistakes",
    "robustness/figures/degradation.png",
    "folds/figures/speakers.png",
)


def main() -> None:
    """Copy mmer.onnx, mmer.int8.onnx where it may ship, network.safetensors (to train on from), detector/ and
    metrics.json into this folder, and write LICENSE-WEIGHTS and MODEL_CARD.md with its figures/.
    """
    argparse.ArgumentParser(prog="python -m stages.publish", description=__doc__).parse_args()
    info = Recognizer.load(MODELS).info
    evidence = Evidence(
        details=read("evaluate/details.json"),
        package=read("package.json"),
        cost=read("train/cost.json"),
        # A profile need not have these stages; where it has them, DVC has run them first.
        curves=read("robustness/curves.json") if made("robustness/curves.json") else None,
        folds={name: read(path) for name, path in FOLDS.items() if made(path)},
    )
    shutil.copyfile(MODELS / GRAPH, GRAPH)
    Path(SMALL_GRAPH).unlink(missing_ok=True)
    if evidence.package["quantised"]["ships"]:
        shutil.copyfile(MODELS / SMALL_GRAPH, SMALL_GRAPH)
    shutil.copyfile(MODELS / WEIGHTS, WEIGHTS)
    shutil.copytree(MODELS / "detector", "detector", dirs_exist_ok=True)
    shutil.copyfile(REPORTS / "evaluate" / "metrics.json", "metrics.json")
    shutil.rmtree(FIGURES, ignore_errors=True)
    for name in filter(made, SHOWN):
        copy(REPORTS / name, FIGURES / Path(name).name)
    Path("LICENSE-WEIGHTS").write_text(weights_licence(info), encoding="utf-8")
    Path("MODEL_CARD.md").write_text(model_card(info, evidence), encoding="utf-8")
    print(f"published: {', '.join(info.modalities)} of {', '.join(info.corpora)}, {info.status}; see MODEL_CARD.md")


def made(name: str) -> bool:
    """Whether there is this report."""
    return (REPORTS / name).exists()


def read(name: str) -> dict[str, Any]:
    """A report."""
    found: dict[str, Any] = json.loads((REPORTS / name).read_text())
    return found


def copy(source: Path, target: Path) -> None:
    """A file or a folder."""
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    run_stage(main)
