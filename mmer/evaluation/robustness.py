"""How a model fares when pictures and sound get worse: UAR over noise, blur, darkness, size and lost frames.

Prepared test clips are spoilt, each in the same way at all levels, and go through the network. The detector is not
asked again: what is told is what the network makes of a worse crop, where a camera in the dark may give none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mmer import metrics
from mmer.data.clips import Clip
from mmer.data.samples import Sample, as_pass, load_clip
from mmer.evaluation.protocol import about, n_speakers, resampled
from mmer.evaluation.scores import Bootstrap, score
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.metrics import one_hot
from mmer.plots.evaluation import plot_robustness
from mmer.reporting import Report, plain, write_csv, write_json
from mmer.runtime.config import Input
from mmer.runtime.results import pool
from mmer.runtime.types import Floats, Forward, Picture
from mmer.runtime.voice import hear

Corrupt = Callable[[Sample, float, np.random.Generator], Sample]


class Subject(NamedTuple):
    """A model, packaged or not, as it is asked here."""

    forward: Forward
    input: Input
    modalities: Sequence[ModalityName]
    """Those that it was trained on."""
    state_size: int
    silence_dbfs: float
    """Below which a voice window counts as silence (`mmer.runtime.config.Media`)."""


@dataclass(frozen=True)
class Corruption:
    """One way in which what is seen or heard gets worse."""

    modality: ModalityName
    axis: str
    """What its levels are, with the unit."""
    levels: tuple[float, ...]
    """From mild to bad."""
    corrupt: Corrupt
    moving: bool = False
    """Only of use on clips of more than one step."""


def white_noise(sample: Sample, snr_db: float, rng: np.random.Generator) -> Sample:
    """Noise of equal power at all frequencies, over the level of the voice where it is heard."""
    return _noisy(sample, rng.standard_normal(len(sample.voice)), snr_db)


def pink_noise(sample: Sample, snr_db: float, rng: np.random.Generator) -> Sample:
    """Noise whose power falls with the frequency, as that of many voices at once does."""
    spectrum = np.fft.rfft(rng.standard_normal(len(sample.voice)))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return _noisy(sample, np.fft.irfft(spectrum, len(sample.voice)), snr_db)


def blur(sample: Sample, sigma: float, rng: np.random.Generator) -> Sample:  # noqa: ARG001 (chance has no part in it)
    """A Gaussian over the crop."""
    return _faces(sample, lambda face: cv2.GaussianBlur(face, (0, 0), sigma))


def darkness(sample: Sample, gain: float, rng: np.random.Generator) -> Sample:  # noqa: ARG001
    """Every value times `gain`, rounded: what is lost to the steps of 8 bits is lost."""
    return _faces(sample, lambda face: np.round(face * gain).astype(np.uint8))


def size(sample: Sample, side: float, rng: np.random.Generator) -> Sample:  # noqa: ARG001
    """The crop of a face that is so many pixels wide: made small and large again."""

    def change(face: Picture) -> Picture:
        small = cv2.resize(face, (int(side), int(side)), interpolation=cv2.INTER_AREA)
        large: Picture = cv2.resize(small, face.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return large

    return _faces(sample, change)


def dropped(sample: Sample, share: float, rng: np.random.Generator) -> Sample:
    """The face is gone in that share of the steps, drawn by chance; a step that lacks it keeps lacking it as the share
    grows.
    """
    present = sample.present.copy()
    lost = rng.permutation(len(present))[: round(share * len(present))]
    present[lost, MODALITIES.index("face")] = False
    return replace(sample, present=present)


STEPS = 512
"""In a pass, at most: bounds the memory."""
SNR = "signal to noise, dB"
CORRUPTIONS: dict[str, Corruption] = {
    "white noise": Corruption("voice", SNR, (30, 20, 10, 5, 0, -5), white_noise),
    "pink noise": Corruption("voice", SNR, (30, 20, 10, 5, 0, -5), pink_noise),
    "blur": Corruption("face", "sigma, pixels of the crop", (0.5, 1, 1.5, 2, 3, 4), blur),
    "darkness": Corruption("face", "gain", (0.5, 0.25, 0.12, 0.06, 0.03), darkness),
    "face size": Corruption("face", "pixels", (48, 32, 24, 16, 12, 8), size),
    "dropped frames": Corruption("face", "share of the steps", (0.25, 0.5, 0.75, 0.9), dropped, moving=True),
}


def choose(clips: Sequence[Clip], most: int, seed: int) -> list[Clip]:
    """At most so many clips, drawn by the seed, in the order given: of each emotion as many as there are, or equally
    many where that is too many.
    """
    if len(clips) <= most:
        return list(clips)
    rng = np.random.default_rng(seed)
    places: list[tuple[int, int]] = []
    for emotion in EMOTIONS:
        own = [i for i, clip in enumerate(clips) if clip.label == emotion]
        places += enumerate(rng.permutation(own).tolist())
    return [clips[i] for i in sorted(i for _, i in sorted(places)[:most])]


def measure(
    model: Subject,
    clips: Sequence[Clip],
    processed: Path,
    *,
    bootstrap: Bootstrap,
    most: int,
    seed: int,
    pairing: str = "none",
) -> Report:
    """Score a model on spoilt test clips.

    Args:
        clips: of the test split.
        processed: the folder of prepared samples.
        bootstrap: behind each interval.
        most: clips of each corpus that are looked at (`choose`).
        seed: of that choice, of noise and of which frames are lost.

    Returns:
        Fit for JSON. `curves` holds one for each corpus and kind whose modality it has, of two speakers (images) or
        more. `together`: everything that the clips hold is given; `alone`: only the modality that is spoilt; `without`:
        all but that (None where the clips hold nothing else). Each has `uar`, `uar_low`, `uar_high`, and stands under
        `clean` and, with its `level`, in `points`.
    """
    used: dict[str, Clip] = {}
    curves = []
    for corpus in sorted({c.corpus for c in clips}):
        for name, kind in CORRUPTIONS.items():
            able = [c for c in clips if c.corpus == corpus and kind.modality in _holds(c, model)]
            chosen = choose([c for c in able if c.steps > 1 or not kind.moving], most, seed)
            if len({c.person for c in chosen}) > 1:
                used |= {f"{c.corpus}/{c.clip_id}": c for c in chosen}
                curves.append(
                    {"corpus": corpus, "kind": name, **_curve(model, kind, chosen, processed, bootstrap, seed)}
                )
    chosen = list(used.values())
    told: Report = {
        "protocol": f"At most {most:,} test clips of each corpus, drawn by seed {seed}, of each emotion equally many "
        "where there are enough. Prepared crops and voices are spoilt; the detector is not asked again. Intervals: "
        f"95%, {bootstrap.resamples} resamples of {resampled(chosen)}.",
        **about(chosen, pairing),
        "curves": curves,
    }
    return {key: plain(value) for key, value in told.items()}


def write_report(told: Report, out: Path) -> None:
    """Write `metrics.json` (of each curve the mean UAR over its levels), `curves.json` (everything), `curves/`, a table
    for each curve, and `figures/degradation.png`.
    """
    for folder in (out / "curves", out / "figures"):
        folder.mkdir(parents=True, exist_ok=True)
    means: Report = {}
    for curve in told["curves"]:
        uars = [point["together"]["uar"] for point in curve["points"]]
        means.setdefault(curve["corpus"], {})[curve["kind"]] = plain(float(np.mean(uars)))
        keys = ("uar", "uar_low", "uar_high")
        write_csv(
            out / "curves" / f"{curve['corpus']}-{curve['kind'].replace(' ', '-')}.csv",
            ["level", "n", "together", "together_low", "together_high", "alone", "alone_low", "alone_high"],
            (
                [point["level"], curve["n"], *(point[given][key] for given in ("together", "alone") for key in keys)]
                for point in curve["points"]
            ),
        )
    write_json(out / "metrics.json", {"mean_uar_over_levels": means})
    write_json(out / "curves.json", told)
    plot_robustness(told, out / "figures" / "degradation.png")


def _curve(
    model: Subject, kind: Corruption, clips: Sequence[Clip], processed: Path, bootstrap: Bootstrap, seed: int
) -> Report:
    """One kind on clips of one corpus."""
    truth = np.array([c.target for c in clips])
    ways: dict[str, Sequence[ModalityName]] = {"together": MODALITIES}
    if others := any(len(_holds(c, model)) > 1 for c in clips):
        ways["alone"] = (kind.modality,)

    def answers(clip: Clip) -> Floats:
        """[1 + levels, ways, 7]."""
        asked = [
            only(sample, given) for sample in _levels(model, kind, clip, processed, seed) for given in ways.values()
        ]
        return ask(model, asked).reshape(-1, len(ways), len(EMOTIONS))

    about = f"{clips[0].corpus}: {kind.axis}"
    said = np.stack([answers(clip) for clip in tqdm(clips, desc=about, unit="clip", leave=False)])

    def uar(probabilities: Floats) -> Report:
        return score(truth, one_hot(probabilities), clips, bootstrap, metrics.uar)

    def scores(level: int) -> Report:
        found = {name: uar(said[:, level, way]) for way, name in enumerate(ways)}
        return {"alone": found["together"], **found}

    rest = [m for m in MODALITIES if m != kind.modality]
    without = np.concatenate([ask(model, [only(load_clip(c, processed), rest)]) for c in clips]) if others else None
    return {
        "modality": kind.modality,
        "axis": kind.axis,
        "n": len(clips),
        "n_speakers": n_speakers(clips),
        "n_classes": len(set(truth.tolist())),
        "clean": scores(0),
        "without": None if without is None else uar(without),
        "points": [{"level": level, **scores(place)} for place, level in enumerate(kind.levels, 1)],
    }


def _levels(model: Subject, kind: Corruption, clip: Clip, processed: Path, seed: int) -> Iterator[Sample]:
    """A clip's sample as it is, then spoilt at each level, with the same noise at all of them."""
    sample = load_clip(clip, processed)
    yield sample
    for level in kind.levels:
        rng = np.random.default_rng((seed, zlib.crc32(clip.sample.encode())))
        spoilt = kind.corrupt(sample, level, rng)
        # In noise what was silence may count as voice: the level decides, as everywhere.
        yield _heard(spoilt, model) if kind.modality == "voice" else spoilt


def only(sample: Sample, given: Sequence[ModalityName]) -> Sample:
    """The same, of which only these modalities are given."""
    return replace(sample, present=sample.present & [m in given for m in MODALITIES])


def ask(model: Subject, samples: Sequence[Sample]) -> Floats:
    """Probabilities [n, 7] of n states of one clip, several in a pass."""
    size = max(1, STEPS // len(samples[0].present))
    found: list[Floats] = []
    for first in range(0, len(samples), size):
        some = [only(sample, model.modalities) for sample in samples[first : first + size]]
        passes = [as_pass(s, model.input, model.state_size) for s in some]
        logits = model.forward({name: np.concatenate([one[name] for one in passes]) for name in passes[0]})["logits"]
        found += [pool(row, np.asarray(s.present.any(axis=-1))) for row, s in zip(logits, some, strict=True)]
    return np.stack(found)


def _heard(sample: Sample, model: Subject) -> Sample:
    """The same, with the presence of the voice decided anew."""
    present = sample.present.copy()
    _, present[:, MODALITIES.index("voice")] = hear(sample.voice, len(present), model.input, model.silence_dbfs)
    return replace(sample, present=present)


def _holds(clip: Clip, model: Subject) -> list[ModalityName]:
    """What a clip has that the model was trained on."""
    return [m for m in model.modalities if getattr(clip, f"has_{m}")]


def _faces(sample: Sample, change: Callable[[Picture], Picture]) -> Sample:
    """The same, each crop changed."""
    return replace(sample, faces=np.stack([change(face) for face in sample.faces]))


def _noisy(sample: Sample, noise: npt.NDArray[np.float64], snr_db: float) -> Sample:
    """The same with noise [N] of any power, made so strong that the voice, over the steps in which it is present, has
    `snr_db` more.
    """
    voice, present = sample.voice.astype(np.float64), sample.present[:, MODALITIES.index("voice")]
    hops = np.array_split(voice, len(present))
    power = np.mean(np.square(np.concatenate([hop for hop, there in zip(hops, present, strict=True) if there])))
    noise = noise * np.sqrt(power / np.mean(np.square(noise)) / 10 ** (snr_db / 10))
    loud: npt.NDArray[np.int16] = np.clip(np.round(voice + noise), -32768, 32767).astype(np.int16)
    return replace(sample, voice=loud)
