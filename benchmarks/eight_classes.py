"""RAVDESS's voices in its own eight classes, calm apart from neutral, as most published figures have them.

`python benchmarks/eight_classes.py release` cross-validates the voice branch of the profile in that folder as `make
folds` does (same folds, same training, same code), and writes `reports/eight_classes/` there, which the next
`make folds` shows on the card. mmer itself knows seven emotions (mmer/labels.py says why).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from mmer.data.clips import MANIFEST, Clip, read_manifest, write_manifest
from mmer.evaluation.cross_validation import cross_validate, in_words
from mmer.labels import EMOTIONS
from mmer.params import load_params

EMOTIONS = (*EMOTIONS, "calm")  # type: ignore[assignment]  # before all that reads it


OUT = Path("reports/eight_classes")


def with_calm(clip: Clip) -> Clip:
    """The clip under RAVDESS's own label: in its id, channel-emotion-intensity-..., 02 is calm."""
    return clip.model_copy(update={"label": "calm"}) if clip.clip_id.split("-")[1] == "02" else clip


def main() -> None:
    """Train and test each fold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a profile whose ravdess is prepared")
    parser.add_argument("--epochs", type=int, help="instead of those of the profile: to try it")
    given = parser.parse_args()
    os.environ.setdefault(
        "MLFLOW_TRACKING_URI", f"sqlite:///{Path('mlflow.db').resolve()}"
    )  # the project's, as in make
    os.chdir(given.folder)
    # One fold after the other in this process: others would not know calm.
    params = load_params(overrides={"corpora": ["ravdess"], "folds.epochs": given.epochs, "folds.jobs": 1})
    samples = Path("data/processed/ravdess").resolve()
    with tempfile.TemporaryDirectory() as folder:
        processed = Path(folder)
        (processed / "ravdess").mkdir()
        for sample in samples.glob("*.npz"):
            (processed / "ravdess" / sample.name).symlink_to(sample)
        clips = [with_calm(clip) for clip in read_manifest(samples / MANIFEST)]
        write_manifest(processed / "ravdess" / MANIFEST, clips)
        print(in_words(cross_validate(params, processed, OUT)))


if __name__ == "__main__":
    main()
