"""What makes a voice leave its studio: the release's voice branch, and the same without one thing at a time.

    python -m studies.ablation --data release/data --whole emovo

Each row is trained with several seeds on the training speakers of the profile's corpora and, apart from what it lacks,
as the release is; test speakers (fold 1 of the first corpus, and all of those that are named with --whole, which
nobody trains on) are heard as recorded and, of the first corpus, through channels. UAR is over the emotions that a
corpus has, the mean over seeds; 95% over speakers. A table goes to standard output, a row as it is done.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmer import metrics
from mmer.config import Params
from mmer.data.clips import Clip, with_modalities
from mmer.data.samples import Read, Sample, load_sample
from mmer.data.splits import assign_splits
from mmer.evaluation.cross_validation import prepared
from mmer.labels import MODALITIES, ModalityName
from mmer.params import load_params
from mmer.runtime.voice import hear
from mmer.training.fit import fit
from mmer.training.inference import predict
from studies.channels import Pcm, channels
from studies.scores import mean_uar, resampled

Test = tuple[list[Clip], Mapping[Path, Pcm]]
"""Clips, and their voices by the sample's path."""
HEARD = ("as recorded", "-20 dB", "+24 dB", "telephone at -20 dBFS", "babble, 10 dB")
"""Of `studies.channels`."""


def rows(params: Params) -> dict[str, Params]:
    """What is trained, by name."""
    voice = params.train.branches["voice"]

    def without(**changed: object) -> Params:
        train = params.train.model_copy(update={"branches": {"voice": voice | changed}})
        return params.model_copy(update={"train": train})

    silent = params.input.model_copy(update={"level": None})
    return {
        "as the release": without(),
        "without the level's follower": without().model_copy(update={"input": silent}),
        "without channels": without(channels=None),
        "without a teacher": without(taught=0.0),
        "of one corpus": without().model_copy(update={"corpora": params.corpora[:1]}),
    }


def reader(heard: Mapping[Path, Pcm], params: Params) -> Read:
    """Samples of these voices alone, by path, each present where a recogniser would hear it."""

    def read(path: Path, _wanted: Sequence[ModalityName]) -> Sample:
        sample = load_sample(path, ["voice"])
        steps, voice = len(sample.present), heard[path]
        present = np.zeros((steps, len(MODALITIES)), bool)
        active = hear(voice, steps, params.input, params.media.silence_dbfs)[1]
        present[:, MODALITIES.index("voice")] = active
        return replace(sample, voice=voice, present=present)

    return read


def tests(of: Sequence[Clip], whole: Sequence[Clip], processed: Path) -> dict[str, Test]:
    """What each network is tested on, by the name of its column."""

    def test(clips: Sequence[Clip], channel: str) -> Test:
        paths = [processed / clip.sample for clip in clips]
        voices = [load_sample(path, ["voice"]).voice for path in paths]
        return list(clips), dict(zip(paths, channels(voices)[channel](voices), strict=True))

    found = {f"{of[0].corpus}, {name}": test(of, name) for name in HEARD}
    for corpus in sorted({clip.corpus for clip in whole}):
        found[corpus] = test([clip for clip in whole if clip.corpus == corpus], "as recorded")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m studies.ablation", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("release/data"), help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path("release/params.yaml"), help="default: %(default)s")
    parser.add_argument("--corpora", nargs="+", default=["ravdess", "javanese", "banglaser", "nemo"], metavar="NAME",
                        help="that are trained on, the tested one first; default: %(default)s")  # fmt: skip
    parser.add_argument("--whole", nargs="*", default=[], metavar="NAME", help="corpora of which all is test")
    parser.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=4, help="default: %(default)s")
    given = parser.parse_args()
    params = load_params(given.params, {"corpora": given.corpora})
    voice = {**params.train.branches["voice"], "epochs": given.epochs}
    params = params.model_copy(update={"train": params.train.model_copy(update={"branches": {"voice": voice}})})
    processed = given.data / "processed"
    clips = with_modalities(assign_splits(prepared(processed, given.corpora), params.split), ["voice"])
    own = [clip for clip in clips if clip.corpus == given.corpora[0] and clip.split == "test"]
    whole = with_modalities(prepared(processed, given.whole), ["voice"])
    tested = tests(own, whole, processed)
    print(
        f"seeds: {given.seeds}, epochs: {given.epochs}; "
        + ", ".join(f"{k}: n {len(c)}" for k, (c, _) in tested.items())
    )
    print("\n| trained | " + " | ".join(tested) + " |\n| --- |" + " ---: |" * len(tested), flush=True)
    for name, changed in rows(params).items():
        learnt = [clip for clip in clips if clip.corpus in changed.corpora]
        fits = [fit(changed, changed.train, learnt, processed, seed=seed, title=name) for seed in range(given.seeds)]
        cells = []
        for judged, heard in tested.values():
            read = reader(heard, changed)
            runs = [predict(each.network, judged, processed, modalities=["voice"], read=read) for each in fits]
            truth = np.array([clip.target for clip in judged])
            low, high = metrics.percentile_interval(resampled(truth, runs, [clip.person for clip in judged]))
            cells.append(f"{mean_uar(truth, runs):.3f} ({low:.3f}–{high:.3f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
