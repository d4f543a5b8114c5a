"""From clips to the batches of one epoch: which clips, augmented how, padded and stacked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmer.config import Balance, Channels, Params, Train
from mmer.data.clips import Clip, with_modalities
from mmer.data.samples import Read, Sample, load_clip, load_sample
from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES
from mmer.runtime.config import Input
from mmer.runtime.voice import hear
from mmer.training import cameras
from mmer.training.augment import augment, beside, hide, outlier, pair
from mmer.training.channels import shifted, through
from mmer.training.codecs import load_coded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mmer.model.network import Batch


TEACHER = "teacher.npz"
"""Beside the folder of samples: what a teacher hears in each voice (stages/teach.py)."""
CROWD = 6
"""Most voices that babble in the background."""
PAIRED = 0.5
"""Chance that a voice gets a face where `train.pairing` is on."""
UNTOLD = (np.nan,) * len(DIMENSIONS)
"""Valence and arousal that nobody judged."""


def sample_epoch(
    clips: Sequence[Clip],
    balance: Balance,
    rng: np.random.Generator,
    kind: str = "intended",
    classes: Sequence[str] = EMOTIONS,
) -> npt.NDArray[np.intp]:
    """Which clips one epoch sees, shuffled: as many as there are.

    A clip is drawn as often as its rate says, rounded up or down by chance (systematic sampling). Rates follow
    `balance`; where all are 1 each clip comes exactly once.

    Args:
        kind: `train.targets`: emotions are balanced by what is learnt of a clip.
        classes: what is told apart.
    """
    rates = _balance_factors([c.corpus for c in clips], [""] * len(clips), balance.corpora)
    learnt = [c.label if kind == "intended" else classes[int(target_of(c, kind, classes).argmax())] for c in clips]
    rates *= _balance_factors(learnt, [c.corpus for c in clips], balance.emotions)
    order = rng.permutation(len(clips))
    ends = np.cumsum(rates[order])
    places = (rng.random() + np.arange(len(clips))) * (ends[-1] / len(clips))
    return rng.permutation(order[np.minimum(np.searchsorted(ends, places, side="right"), len(clips) - 1)])


def _balance_factors(kinds: Sequence[str], groups: Sequence[str], strength: float) -> npt.NDArray[np.float64]:
    """For each clip the factor that makes kinds equally frequent inside their group (1), or leaves them be (0)."""
    pairs = list(zip(groups, kinds, strict=True))
    size, whole = Counter(pairs), Counter(groups)
    kinds_of = Counter(group for group, _ in size)
    even = [whole[group] / kinds_of[group] / size[group, kind] for group, kind in pairs]
    factors: npt.NDArray[np.float64] = np.power(even, strength)
    return factors


def batches(
    clips: Sequence[Clip],
    sampled: npt.NDArray[np.intp],
    processed: Path,
    params: Params,
    train: Train,
    *,
    seed: tuple[int, int],
    read: Read = load_sample,
    classes: Sequence[str] = EMOTIONS,
    answers: Mapping[str, npt.NDArray[np.float32]] | None = None,
    part: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """One epoch of training: the sampled clips, augmented, with modality dropout; all of it decided by the seed.

    Args:
        part: of each batch, which of how many equal ones; a batch that would give one clip or none to any is left out.
    """
    voices = [clip for clip in clips if clip.has_voice]
    partners = partners_of(clips, train.pairing)
    even = np.full(len(classes), 1 / len(classes), np.float32)
    for start in range(0, len(sampled), train.batch_size):
        places = range(start, min(start + train.batch_size, len(sampled)))
        if part[1] > 1 and len(places) < 2 * part[1]:
            continue
        samples, targets, affects = [], [], []
        for place in places[part[0] :: part[1]]:
            index = sampled[place]
            rng = np.random.default_rng((*seed, place))
            clip = clips[index]
            sample, wanted = load_clip(clip, processed, read), target_of(clip, train.targets, classes)
            affect = clip.affect or UNTOLD
            if answers and clip.sample in answers:
                wanted = (1 - train.taught) * wanted + train.taught * answers[clip.sample]
            if train.channels is not None and clip.has_voice and rng.random() < train.channels.codec:
                sample = replace(sample, voice=load_coded(clip, processed))
            if rng.random() < train.outlier_exposure:
                sample, wanted, affect = outlier(sample, rng), even, UNTOLD
            sample = augment(sample, train.augment, rng)
            if train.cameras is not None and clip.has_face:
                sample = replace(sample, faces=cameras.through(sample.faces, train.cameras, rng))
            if train.channels is not None and clip.has_voice:
                sample = _through_channels(sample, voices, train.channels, params.input.step_s, rng, processed, read)
            sample = _update_voice_activity(sample, params)
            if (faces := partners.get(clip.trial)) and rng.random() < PAIRED:
                face = load_clip(faces[rng.integers(len(faces))], processed, read)
                face = augment(face, train.augment, rng)
                sample = pair(sample, face, rng) if train.pairing == "label" else beside(sample, face)
                affect = UNTOLD  # the two agree on an emotion, and nobody judged them together
            samples.append(replace(sample, present=hide(sample.present, train.modality_dropout, rng)))
            targets.append(wanted)
            affects.append(affect)
        yield collate(samples, targets, params.input, affects)


def _through_channels(
    sample: Sample,
    voices: Sequence[Clip],
    channels: Channels,
    step_s: float,
    rng: np.random.Generator,
    processed: Path,
    read: Read,
) -> Sample:
    """A voice as it comes out of a chain of channels; beside pictures, which stay on the grid, it is not shifted."""
    voice = sample.voice
    if rng.random() < channels.shift and not sample.present[:, :2].any():
        voice = shifted(voice, step_s, rng)
    others = [
        load_clip(voices[k], processed, read).voice
        for k in rng.integers(len(voices), size=rng.integers(1, CROWD + 1) if rng.random() < channels.babble else 0)
    ]
    return replace(sample, voice=through(voice, channels, others, rng))


def _update_voice_activity(sample: Sample, params: Params) -> Sample:
    """A voice that was made louder, softer or noisier is present where a recogniser would now hear it; one that is no
    longer heard anywhere is left as it was.
    """
    there = sample.present[:, MODALITIES.index("voice")]
    if not there.any():
        return sample
    _, heard = hear(sample.voice, len(there), params.input, params.media.silence_dbfs)
    if not heard.any():
        return sample
    present = sample.present.copy()
    present[:, MODALITIES.index("voice")] = heard
    return replace(sample, present=present)


def partners_of(clips: Sequence[Clip], pairing: str) -> dict[str, list[Clip]]:
    """For each voice without a face, by `Clip.trial`, the clips whose face may be joined to it: of its emotion, and
    alone (`label`) or of its speaker (`speaker`). Voices without any are left out.
    """
    if pairing == "none":
        return {}

    def kind(clip: Clip) -> tuple[str, str]:
        return clip.label, clip.person if pairing == "speaker" else ""

    faces: dict[tuple[str, str], list[Clip]] = {}
    for clip in with_modalities([c for c in clips if pairing == "speaker" or not c.has_voice], ["face"]):
        faces.setdefault(kind(clip), []).append(clip)
    alone = [clip for clip in clips if clip.has_voice and not clip.has_face]
    return {clip.trial: faces[kind(clip)] for clip in alone if kind(clip) in faces}


def target_of(clip: Clip, kind: str, classes: Sequence[str] = EMOTIONS) -> npt.NDArray[np.float32]:
    """What is learnt of a clip, float32 [C]: the intended emotion; or (`votes`, `both`) where people who were given the
    same voted, their distribution or its mean with the intended emotion.
    """
    intended: npt.NDArray[np.float32] = np.eye(len(classes), dtype=np.float32)[classes.index(clip.label)]
    if kind == "intended" or clip.judged is None:
        return intended
    votes = np.array(clip.judged, np.float32)
    return votes if kind == "votes" else np.float32(0.5) * (intended + votes)


def collate(
    samples: Sequence[Sample],
    targets: Sequence[npt.NDArray[np.float32]],
    input: Input,
    affects: Sequence[tuple[float, ...]] | None = None,
) -> Batch:
    """Pad samples to one length and stack them.

    Args:
        targets: float32 [C] of each.
        affects: valence and arousal of each, where they are asked for.
    """
    import torch

    from mmer.model.network import Batch

    steps = [len(s.present) for s in samples]

    def stack(arrays: Sequence[npt.NDArray[Any]], modality: int | None = None) -> Tensor:
        shape = (len(arrays), max(steps), *arrays[0].shape[1:])
        if modality is not None and not any(s.present[:, modality].any() for s in samples):
            return torch.from_numpy(np.zeros((), arrays[0].dtype)).expand(shape)  # takes no memory
        out = np.zeros(shape, arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(out)

    return Batch(
        faces=stack([s.faces for s in samples], 0),
        scenes=stack([s.scenes for s in samples], 1),
        voice=stack([s.windows(input) for s in samples], 2),
        present=stack([s.present.astype(np.float32) for s in samples]),
        valid=stack([np.ones(n, np.float32) for n in steps]),
        target=torch.from_numpy(np.stack(targets)),
        affect=torch.tensor(affects or [UNTOLD] * len(samples), dtype=torch.float32),
    )


def to_device(batch: Batch, device: torch.device) -> Batch:
    return replace(batch, **{name: tensor.to(device) for name, tensor in vars(batch).items()})
