"""Stage `download`: fetch a corpus into data/raw/NAME, from a mirror (MMER_MIRROR/NAME) or from its owner."""

import argparse
import os
from pathlib import Path

from mmer.config import ConfigError
from mmer.data import corpora
from mmer.data.fetch.corpus import fetch
from mmer.params import load_params
from stages import run_stage


def main() -> None:
    """Fetch it, or what is still missing of it."""
    parser = argparse.ArgumentParser(prog="python -m stages.download", description=__doc__)
    parser.add_argument("name", help="corpus, one of download.corpora in params.yaml")
    name = parser.parse_args().name
    params = load_params()
    if name not in params.download.corpora:
        raise ConfigError(
            f"{name!r} is not in download.corpora of params.yaml ({', '.join(params.download.corpora) or 'empty'}): "
            "add it there"
        )
    fetch(
        corpora.get(name),
        Path("data/raw") / name,
        mirror=os.environ.get("MMER_MIRROR"),
        licences=params.licences,
        parallel=params.download.parallel,
    )


if __name__ == "__main__":
    run_stage(main)
