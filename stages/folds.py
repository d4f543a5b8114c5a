"""Stage `folds`: k-fold cross-validation by speaker, over the corpora's own folds."""

import argparse
from pathlib import Path

from mmer.evaluation.cross_validation import cross_validate, in_words
from mmer.params import load_params
from stages import run_stage

PROCESSED, OUT = Path("data/processed"), Path("reports/folds")


def main() -> None:
    """Train and test each fold, going on where a run was cut; `mmer folds` is the same with options."""
    argparse.ArgumentParser(prog="python -m stages.folds", description=__doc__).parse_args()
    print(in_words(cross_validate(load_params(), PROCESSED, OUT)))


if __name__ == "__main__":
    run_stage(main)
