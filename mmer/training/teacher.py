"""A teacher for voices: what a large network, trained on something else, makes of the same recordings.

The encoder is Whisper-base's (Radford et al. 2022, arXiv:2212.04356; MIT): 20.6 M parameters, not causal, never
shipped. A linear head on its frozen features answers for each clip, and a small causal network learns from these
answers beside the labels (distillation, Hinton et al. 2015, arXiv:1503.02531). Features are kept for every voice, and
heads are fitted where a training begins, on its own training side: whatever split, fold or left-out corpus that is, no
head saw a speaker of the validation or test side. Heads are cross-fitted: no answer about a clip comes from a head that
saw its speaker.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as fn

from mmer.data.clips import Clip, targets
from mmer.data.samples import load_sample
from mmer.errors import MmerError
from mmer.files import write_whole
from mmer.labels import EMOTIONS
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.types import Floats

LAYERS = (1, 2, 3)
"""Of the encoder, from 0, whose means over time are the features: the ones that hear emotion best."""
LONGEST_S = 12
"""Of a clip, no more is heard."""
HEADS = 8
"""Of the encoder's attention."""
FITS = 5
"""Groups of speakers between which heads are cross-fitted."""


class TeacherError(MmerError):
    """There is no teacher, or nothing for it to do."""


class Encoder:
    """Whisper's audio encoder up to the last layer that is asked, from a safetensors file with OpenAI's key names."""

    def __init__(self, path: Path) -> None:
        from safetensors.torch import load_file
        from torchaudio.functional import melscale_fbanks

        if not path.is_file():
            raise TeacherError(f"there is no {path}: train.teacher names the encoder's weights below MMER_MIRROR")
        weights = load_file(path)
        self._weights = {key.removeprefix("encoder."): value.float() for key, value in weights.items()}
        self._width = self._weights["ln_post.weight"].shape[0]
        self._mel = melscale_fbanks(201, 0.0, SAMPLE_RATE / 2, 80, SAMPLE_RATE, norm="slaney", mel_scale="slaney")

    @torch.inference_mode()
    def features(self, voice: npt.NDArray[np.int16]) -> Floats:
        """A voice, int16 [N] at 16 kHz, as the means over time of `LAYERS`: float32 [len(LAYERS) * width]."""
        x = torch.from_numpy(voice[: LONGEST_S * SAMPLE_RATE].astype(np.float32))
        frames = max(1, len(x) // 320)
        y = self._log_mel(0.5 * x / x.abs().max().clamp(min=1)).unsqueeze(0)
        y = fn.gelu(fn.conv1d(y, self._weights["conv1.weight"], self._weights["conv1.bias"], padding=1))
        y = fn.gelu(fn.conv1d(y, self._weights["conv2.weight"], self._weights["conv2.bias"], stride=2, padding=1))
        y = y.transpose(1, 2) + self._weights["positional_embedding"][: y.shape[2]]
        found = []
        for layer in range(max(LAYERS) + 1):
            y = self._block(y, f"blocks.{layer}.")
            if layer in LAYERS:
                found.append(y[0, :frames].mean(0))
        heard: Floats = torch.cat(found).numpy()
        return heard

    def _log_mel(self, x: Tensor) -> Tensor:
        """[80, frames], as Whisper was trained with, half a second of silence behind it."""
        x = fn.pad(x, (0, SAMPLE_RATE // 2))
        spectrum = torch.stft(x, 400, 160, window=torch.hann_window(400), return_complex=True)[..., :-1].abs().square()
        energy = (spectrum.T @ self._mel).T.clamp(min=1e-10).log10()
        return (torch.maximum(energy, energy.max() - 8) + 4) / 4

    def _block(self, x: Tensor, at: str) -> Tensor:
        w = self._weights

        def norm(y: Tensor, name: str) -> Tensor:
            return fn.layer_norm(y, (self._width,), w[f"{at}{name}.weight"], w[f"{at}{name}.bias"])

        def linear(y: Tensor, name: str) -> Tensor:
            return fn.linear(y, w[f"{at}{name}.weight"], w.get(f"{at}{name}.bias"))

        y = norm(x, "attn_ln")
        q, k, v = (
            torch.unflatten(linear(y, f"attn.{n}"), -1, (HEADS, -1)).transpose(1, 2) for n in ("query", "key", "value")
        )
        x = x + linear(fn.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2), "attn.out")
        return x + linear(fn.gelu(linear(norm(x, "mlp_ln"), "mlp.0")), "mlp.2")


def taught(clips: Sequence[Clip], features: Floats, seed: int = 0, classes: Sequence[str] = EMOTIONS) -> Floats:
    """The teacher's answers about training clips, each of a head that did not see its speaker: float32 [n, C].

    Args:
        clips: [n], all of split `train`.
        features: [n, F]; they are standardised within each corpus, which takes out studio and channel.
        classes: [C] that the clips' labels are of.

    Raises:
        TeacherError: a clip is not of the training side, or there are too few speakers.
    """
    from sklearn.linear_model import LogisticRegression

    if wrong := [clip.clip_id for clip in clips if clip.split != "train"]:
        raise TeacherError(f"only training clips may be taught from; {len(wrong)} are not: {', '.join(wrong[:3])}")
    people = sorted({clip.person for clip in clips})
    if len(people) < FITS:
        raise TeacherError(
            f"heads are cross-fitted over {FITS} groups of speakers, and there are {len(people)} speakers"
        )
    order = np.random.default_rng(seed).permutation(len(people))
    group = {people[index]: place % FITS for place, index in enumerate(order)}
    groups = np.array([group[clip.person] for clip in clips])
    corpus, truth = np.array([clip.corpus for clip in clips]), targets(clips, classes)
    x = features.astype(np.float32).copy()
    for name in sorted(set(corpus.tolist())):
        own = corpus == name
        x[own] = (x[own] - x[own].mean(0)) / (x[own].std(0) + 1e-3)
    answers = np.zeros((len(clips), len(classes)), np.float32)
    for out in range(FITS):
        held = groups == out
        head = LogisticRegression(C=0.003, max_iter=300, class_weight="balanced").fit(x[~held], truth[~held])
        answers[np.ix_(held, head.classes_)] = head.predict_proba(x[held])
    return answers


def answers_of(clips: Sequence[Clip], path: Path, seed: int, classes: Sequence[str] = EMOTIONS) -> dict[str, Floats]:
    """What heads that are fitted on these clips say of those that hold a voice, by `Clip.sample`: float32 [C] each.

    Args:
        clips: all of split `train`.
        path: of a file that `write_features` wrote.
        classes: [C] that the clips' labels are of.

    Raises:
        TeacherError: there is no such file, it lacks a clip, or the heads cannot be fitted.
    """
    having = [clip for clip in clips if clip.has_voice]
    if not path.is_file():
        raise TeacherError(f"train.taught asks for a teacher, and there is no {path}: run `python -m stages.teach`")
    with np.load(path, allow_pickle=False) as file:
        place = {name: number for number, name in enumerate(file["clips"].tolist())}
        features = file["features"]
    if missing := [clip.clip_id for clip in having if clip.sample not in place]:
        raise TeacherError(
            f"{path} knows nothing of {len(missing)} training voices ({', '.join(missing[:3])}): "
            "run `python -m stages.teach` again"
        )
    answers = taught(having, features[[place[clip.sample] for clip in having]], seed, classes)
    return {clip.sample: answer for clip, answer in zip(having, answers, strict=True)}


def write_features(path: Path, clips: Sequence[Clip], processed: Path, encoder: Encoder) -> None:
    """Keep what the encoder hears in each clip's sample, as float16: [n, F]."""
    from tqdm import tqdm

    heard = [
        encoder.features(load_sample(processed / clip.sample, ["voice"]).voice).astype(np.float16)
        for clip in tqdm(clips, desc="teach", unit="clip")
    ]

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, clips=np.array([clip.sample for clip in clips]), features=np.stack(heard))

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, write)
