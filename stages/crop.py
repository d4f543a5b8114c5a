"""Stage crop: faces found, followed and cropped; scenes made small; which modality is present when."""

import argparse
from pathlib import Path

from mmer.data.crop import crop_corpus
from mmer.params import load_params
from stages import run_stage


def main() -> None:
    """Crop data/interim/NAME into data/processed/NAME, with the detector in models/detector."""
    parser = argparse.ArgumentParser(prog="python -m stages.crop", description=main.__doc__)
    parser.add_argument("name", help="the corpus, as in params.yaml")
    name = parser.parse_args().name
    interim, processed = Path("data/interim") / name, Path("data/processed") / name
    crop_corpus(name, interim, processed, Path("models/detector"), load_params())


if __name__ == "__main__":
    run_stage(main)
