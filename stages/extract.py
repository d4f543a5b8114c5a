"""Stage extract: a corpus's files to pictures on the grid of steps and voice at 16 kHz, one file per clip."""

import argparse
from pathlib import Path

from mmer.data import corpora
from mmer.data.corpora import require_licence
from mmer.data.extract import extract_corpus
from mmer.params import load_params
from stages import run_stage


def main() -> None:
    """Decode data/raw/NAME into data/interim/NAME."""
    parser = argparse.ArgumentParser(prog="python -m stages.extract", description=main.__doc__)
    parser.add_argument("name", help="the corpus, as in params.yaml")
    name = parser.parse_args().name
    params = load_params()
    require_licence(corpora.get(name), params.licences)
    extract_corpus(name, Path("data/raw") / name, Path("data/interim") / name, params)


if __name__ == "__main__":
    run_stage(main)
