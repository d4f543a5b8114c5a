"""Stage `detector`: write MTCNN's three networks as ONNX graphs, so that faces are found without torch."""

import argparse
from pathlib import Path

from mmer.packaging.detector import export_detector
from stages import run_stage

OUT = Path("models/detector")


def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(prog="python -m stages.detector", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to (default: %(default)s)")
    export_detector(parser.parse_args().out)


if __name__ == "__main__":
    run_stage(main)
