"""What calibration on a person's resting face and voice is worth: UAR by person, with and without, and where it harms.

    python -m studies.calibration --data DATA ravdess ravdess_crops javanese

DATA/processed holds the corpora's samples. Of each person each neutral clip calibrates in turn and is not scored: all
other clips are, with it and without. The UAR of a person is the mean over those turns; intervals are over people. How
much is taken off (`MOST_OFF`, `HALF_S` of mmer/runtime/calibration.py) was chosen on validation speakers alone. A table
goes to standard output.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mmer import metrics
from mmer.data.clips import MANIFEST, Clip, read_manifest
from mmer.data.samples import load_clip
from mmer.evaluation.as_shown import KINDS
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.runtime.calibration import Calibration, CalibrationError, Calibrator
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Step, pool, softmax
from mmer.runtime.spec import GraphSpec
from mmer.runtime.types import Floats
from mmer.runtime.voice import hear
from studies.scores import uar

NEUTRAL = EMOTIONS.index("neutral")
DRAWS = 1000
"""Of people, with a seed, for an interval."""
Told = tuple[list[Step], Floats]
"""The steps of a clip and their logits [T, 7], as the network gives them."""


def say(recognizer: Recognizer, clip: Clip, processed: Path, given: Sequence[ModalityName]) -> Told:
    """What the network says of a clip of which it is given some modalities alone."""
    info, sample = recognizer.info, load_clip(clip, processed)
    count = len(sample.present)
    arrays = GraphSpec.of(info.input).zeros(B=1, T=count, K=recognizer.graph.state_size)
    arrays["voice"][0], heard = hear(sample.voice, count, info.input, info.media.silence_dbfs)
    there = sample.present & np.stack([np.ones(count, bool), np.ones(count, bool), heard], 1)
    there &= np.array([name in given for name in MODALITIES])
    arrays |= {"faces": sample.faces[None], "present": there[None].astype(np.float32)}
    found = recognizer.graph(arrays)
    steps = [
        Step(
            t=info.input.step_s * (k + 1),
            probabilities=softmax(found["logits"][0, k]),
            label=None,
            unimodal={
                name: np.exp(found["alone"][0, k, m]) if there[k, m] else None
                for m, name in enumerate(MODALITIES)
                if name in given
            },
            box=None,
            present={name: bool(there[k, m]) for m, name in enumerate(MODALITIES)},
            voice_dbfs=0.0,
            ms=0.0,
            people=[],
            followed=None,
            more_people=0,
        )
        for k in range(count)
    ]
    return steps, found["logits"][0]


def answer(told: Told, calibration: Calibration | None, step_s: float) -> int:
    """The emotion that a clip is taken for."""
    calibrator = Calibrator("" if calibration is None else calibration.model, step_s)
    calibrator.use(calibration)
    pushed = [calibrator.push(step, logits) for step, logits in zip(*told, strict=True)]
    evidence = np.array([any(step.present.values()) for step, _ in pushed])
    return int(pool(np.stack([logits for _, logits in pushed]), evidence).argmax())


def turns(
    clips: Sequence[Clip], told: Mapping[str, Told], info_id: str, step_s: float
) -> Iterator[tuple[float, float]]:
    """UAR of one person's clips, without and with each neutral clip that may calibrate."""
    truth = np.array([clip.target for clip in clips])
    plain = np.array([answer(told[clip.clip_id], None, step_s) for clip in clips])
    for place in np.flatnonzero(truth == NEUTRAL).tolist():
        others = np.arange(len(clips)) != place
        try:
            calibration, _ = Calibration.of(told[clips[place].clip_id][0], step_s, info_id)
        except CalibrationError:  # too short
            continue
        after = np.array([answer(told[clip.clip_id], calibration, step_s) for clip in clips])
        yield uar(truth[others], plain[others]), uar(truth[others], after[others])


def interval(values: npt.NDArray[np.float64]) -> str:
    """The mean over people, with its 95% interval."""
    again = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(1)
    low, high = metrics.percentile_interval(again)
    return f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def row(recognizer: Recognizer, clips: Sequence[Clip], processed: Path, given: Sequence[ModalityName]) -> str:
    """A side's people: before, after, what it changes, and whom it harms."""
    step_s, changed, before = recognizer.info.input.step_s, [], []
    for person in tqdm(sorted({clip.person for clip in clips}), unit="person", leave=False):
        own = [clip for clip in clips if clip.person == person]
        told = {clip.clip_id: say(recognizer, clip, processed, given) for clip in own}
        found = np.array(list(turns(own, told, recognizer.info.id, step_s)))
        if len(found):
            before.append(found[:, 0].mean())
            changed.append((found[:, 1] - found[:, 0]).mean())
    gains = np.array(changed)
    harmed = f"{(gains < 0).sum()} of {len(gains)}, worst {gains.min():+.3f}"
    return f"{len(clips)} of {len(gains)} | {np.mean(before):.3f} | {interval(gains)} | {harmed} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m studies.calibration", description=__doc__.split("\n")[0])
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("data"), help="default: %(default)s")
    parser.add_argument("--model", type=Path, default=Path("release"), help="folder (default: %(default)s)")
    given = parser.parse_args()
    recognizer, processed = Recognizer.load(given.model), given.data / "processed"
    print("| corpus, speakers | given | clips of people | UAR without | change with it (95% over people) | harmed |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    for corpus in given.corpora:
        clips = read_manifest(processed / corpus / MANIFEST)
        for side in ("test", "val", None):
            for kind, names in KINDS.items():
                own = [c for c in clips if c.split == side and all(getattr(c, f"has_{name}") for name in names)]
                if len(own) > len(EMOTIONS) and set(names) <= set(recognizer.info.modalities):
                    print(
                        f"| {corpus}, {side or 'all'} | {kind} | {row(recognizer, own, processed, names)}", flush=True
                    )


if __name__ == "__main__":
    main()
