"""Stage `code`: the voices through real codecs, for `train.channels.codec`."""

import argparse
from pathlib import Path

from mmer.data.clips import read_manifest
from mmer.params import load_params
from mmer.training.codecs import code_voices
from stages import run_stage

MANIFEST, PROCESSED = Path("data/clips.parquet"), Path("data/processed")


def main() -> None:
    """Write data/coded: each voice as one codec, drawn from the seed, leaves it. Those that are not trained on are for
    the folds, which train on them too; they come last, so that the others do not hang on them.
    """
    argparse.ArgumentParser(prog="python -m stages.code", description=__doc__).parse_args()
    voices = [clip for clip in read_manifest(MANIFEST) if clip.has_voice]
    code_voices(sorted(voices, key=lambda clip: clip.split != "train"), PROCESSED, load_params().seed)


if __name__ == "__main__":
    run_stage(main)
