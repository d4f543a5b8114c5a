"""Stage extract: a corpus's files to pictures on the grid of steps and voice at 16 kHz, one file per clip."""

import argparse
from pathlib import Path

from mmer.config import ConfigError, load_params
from mmer.prepare import PrepareError, extract_corpus


def main() -> None:
    """Decode data/raw/NAME into data/interim/NAME."""
    parser = argparse.ArgumentParser(prog="python -m stages.extract", description=main.__doc__)
    parser.add_argument("name", help="the corpus, as in params.yaml")
    name = parser.parse_args().name
    try:
        extract_corpus(name, Path("data/raw") / name, Path("data/interim") / name, load_params())
    except (ConfigError, PrepareError) as error:
        raise SystemExit(f"extract: {error}") from None


if __name__ == "__main__":
    main()
