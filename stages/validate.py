"""Stage `validate`: check the prepared corpora, split them by speaker, write the one manifest of all."""

import argparse
import sys
from pathlib import Path

from mmer.data.validation import validate
from mmer.params import load_params
from stages import run_stage

RAW, PROCESSED, MANIFEST = Path("data/raw"), Path("data/processed"), Path("data/clips.parquet")
REPORT, DOCS = Path("reports/validation.json"), Path("reports/data_docs")


def main() -> None:
    """Print what was found; fail on an error, go on with warnings."""
    argparse.ArgumentParser(prog="python -m stages.validate", description=__doc__).parse_args()
    report = validate(load_params(), PROCESSED, MANIFEST, REPORT, DOCS, RAW)
    print(f"{report}\nThe report is {REPORT}; as pages, {DOCS}/index.html")
    if not report.success:
        sys.exit(1)


if __name__ == "__main__":
    run_stage(main)
