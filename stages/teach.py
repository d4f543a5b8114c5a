"""Stage `teach`: what a teacher hears in the voices, for `train.taught`."""

import argparse
import os
from pathlib import Path

from mmer.data.clips import read_manifest
from mmer.training.batches import TEACHER
from mmer.training.teacher import Encoder, write_features
from stages import run_stage

MANIFEST, PROCESSED = Path("data/clips.parquet"), Path("data/processed")
WEIGHTS = "whisper/base_encoder.safetensors"
"""Below MMER_MIRROR: the audio encoder of OpenAI's whisper-base, with OpenAI's own key names."""


def main() -> None:
    """Write data/teacher.npz: features of each voice; heads are fitted on them where a training begins."""
    argparse.ArgumentParser(prog="python -m stages.teach", description=__doc__).parse_args()
    clips = [clip for clip in read_manifest(MANIFEST) if clip.has_voice]
    encoder = Encoder(Path(os.environ.get("MMER_MIRROR", "")) / WEIGHTS)
    write_features(PROCESSED.with_name(TEACHER), clips, PROCESSED, encoder)


if __name__ == "__main__":
    run_stage(main)
