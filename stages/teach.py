"""Stage `teach`: what a teacher makes of the voices that are trained on, for `train.taught`."""

import argparse
import os
from pathlib import Path

from mmer.data.clips import read_manifest
from mmer.params import load_params
from mmer.training.fit import TEACHER
from mmer.training.teacher import Encoder, answers_of, write_answers
from stages import run_stage

MANIFEST, PROCESSED = Path("data/clips.parquet"), Path("data/processed")
WEIGHTS = "whisper/base_encoder.safetensors"
"""Below MMER_MIRROR: the audio encoder of OpenAI's whisper-base, with OpenAI's own key names."""


def main() -> None:
    """Write data/teacher.npz: an answer about each training voice, of a head that did not hear its speaker."""
    argparse.ArgumentParser(prog="python -m stages.teach", description=__doc__).parse_args()
    params = load_params()
    clips = [clip for clip in read_manifest(MANIFEST) if clip.split == "train" and clip.has_voice]
    encoder = Encoder(Path(os.environ.get("MMER_MIRROR", "")) / WEIGHTS)
    write_answers(PROCESSED.with_name(TEACHER), clips, answers_of(clips, PROCESSED, encoder, params.seed))


if __name__ == "__main__":
    run_stage(main)
