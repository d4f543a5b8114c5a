"""Stage `folds`: k-fold cross-validation by speaker, over the corpora's own folds."""

import argparse
from pathlib import Path

from mmer.config import Classes
from mmer.evaluation.cross_validation import cross_validate, in_words
from mmer.params import load_params
from stages import run_stage

PROCESSED, REPORTS = Path("data/processed"), Path("reports")
#: Where each goes: the one corpus whose reader knows more than the seven emotions, RAVDESS, has eight.
OUT: dict[Classes, Path] = {"emotions": REPORTS / "folds", "published": REPORTS / "eight_classes"}


def main() -> None:
    """Train and test each fold, going on where a run was cut; `mmer folds` is the same with options."""
    parser = argparse.ArgumentParser(prog="python -m stages.folds", description=__doc__)
    parser.add_argument("classes", choices=OUT, nargs="?", help="instead of folds.classes")
    classes = parser.parse_args().classes
    params = load_params(overrides={"folds.classes": classes} if classes else {})
    print(in_words(cross_validate(params, PROCESSED, OUT[params.folds.classes])))


if __name__ == "__main__":
    run_stage(main)
