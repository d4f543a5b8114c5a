"""What a training minimises: cross-entropy against a distribution over the emotions, plain or weighted in two ways, of
clips that may be mixed, come one after the other, and be seen twice; and where clips tell valence and arousal, how far
what is said of these is from concordance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmer.config import Train
from mmer.data.clips import Clip
from mmer.labels import EMOTIONS, MODALITIES

if TYPE_CHECKING:
    from torch import Tensor

    from mmer.model.fusion import Decision
    from mmer.model.network import Batch, EmotionNet, Mixture


FOCUS = 2.0
"""Of the focal loss: the paper's gamma."""
LATER = 1 / 3
"""Chance that a clip is learnt as coming after another one, instead of from silence."""
MOVED = 0.05
"""Share of a face crop's side by which `train.consistency` moves it: a box trembles by less."""


def batch_loss(
    module: Any, batch: Batch, before: Tensor | None, train: Train, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and the states [B, K] its clips ended in.

    Most clips begin in silence; for the others what gathers evidence over time begins in a state in which a clip of an
    earlier batch ended: in a live stream every moment has a past, and the answer must not depend on whose it was. The
    state is handed on from batch to batch, so that the past grows as long as an epoch. There a still picture is also
    held for a random number of steps: in a stream a face stays.

    With `mixup`, each clip is a mixture of two voices, and to be answered as a mixture of two emotions. Of valence and
    arousal, what counts is the share of the batch that tells them.

    Args:
        module: an `EmotionNet`, or what stands for it in training.
        before: states [B', K] in which clips of an earlier batch ended; None at the beginning of an epoch.
        weights: [C], see `emotion_weights`.
    """
    import torch

    from mmer.model.network import clip_logits

    size, valid, wanted, affect = len(batch.target), batch.valid, batch.target, batch.affect
    mixture = _mixture(batch, train.mixup) if train.mixup else None
    if mixture is not None:
        valid, wanted, affect = (
            torch.maximum(valid, valid[mixture.other]),
            mixture.of(wanted),
            mixture.of(affect),
        )
    later = torch.rand(size, device=valid.device) < (0 if before is None else LATER)
    begin = module.start(size).to(valid.device)
    if before is not None:
        begin = torch.where(later[:, None], before[torch.randint(len(before), (size,), device=valid.device)], begin)
    steps = _steps(valid, later, train.still_steps)

    def answer(faces: Tensor) -> tuple[Decision, Tensor, Tensor]:
        """What is said of each step, what is present there, and where the clips last."""
        embedded = module.embed(faces, batch.scenes, batch.voice, batch.present, mixture)
        joined, lasts = _held(embedded, valid, steps)
        return module.decide(joined, begin), joined[..., -len(MODALITIES) :], lasts

    said, present, lasts = answer(batch.faces)

    def against(logits: Tensor, here: Tensor) -> Tensor:
        pooled = clip_logits(logits, present, here)
        known = here.sum(1) > 0
        losses = clip_losses(
            pooled[known], wanted[known], kind=train.loss, smoothing=train.label_smoothing, weights=weights
        )
        return losses.sum() / size

    loss = against(said.logits, lasts)
    if train.consistency and "face" in said.branches:
        again, _, _ = answer(seen_otherwise(batch.faces))
        answers = (clip_logits(each.logits, present, lasts) for each in (said, again))
        loss = loss + train.consistency * disagreement(*answers).mean()
    for name, logits in said.branches.items():
        here = lasts * present[..., MODALITIES.index(name)]
        loss = loss + train.auxiliary * against(logits, here) / len(said.branches)
    if said.affect is not None:
        here = present[..., [MODALITIES.index(m) for m in module.affect]]
        told = affect.isfinite().all(1) & ((here.amax(-1) * lasts).sum(1) > 0)
        if (several := int(told.sum())) > 1:
            pooled = clip_logits(said.affect, here, lasts)
            loss = loss + train.affect * several / size * discordance(pooled[told], affect[told])
    return loss, said.state.detach()


def taught_batch(batch: Batch, teacher: EmotionNet | None, share: float) -> Batch:
    """The batch whose targets are, to this `share`, what a teacher says of these very clips."""
    import torch

    from mmer.model.network import clip_logits

    if teacher is None:
        return batch
    with torch.inference_mode():
        begin = teacher.start(len(batch.target)).to(batch.target.device)
        said = teacher(batch.faces, batch.scenes, batch.voice, batch.present, begin)
        answer = clip_logits(said.logits, batch.present, batch.valid).softmax(-1)
    return replace(batch, target=(1 - share) * batch.target + share * answer.clone())


def clip_losses(logits: Tensor, target: Tensor, *, kind: str, smoothing: float, weights: Tensor) -> Tensor:
    """The loss of each clip: [n, C], [n, C] → [n].

    Args:
        target: distributions over the classes.
        kind: `cross_entropy`; `balanced`, in which an emotion counts by `weights`; or `focal`, in which it counts the
            less the surer the network is of it already (Lin et al. 2017, arXiv:1708.02002).
        smoothing: share of each target that is spread evenly over the emotions (Szegedy et al. 2016, arXiv:1512.00567).
        weights: [C], see `emotion_weights`.
    """
    log_probabilities = logits.log_softmax(-1)
    wanted = target * (1 - smoothing) + smoothing / target.shape[-1]
    if kind == "balanced":
        wanted = wanted * weights
    elif kind == "focal":
        wanted = wanted * (1 - log_probabilities.exp()) ** FOCUS
    return -(wanted * log_probabilities).sum(-1)


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """How much two answers to the same clips differ, [n, C], [n, C] → [n]: the mean of the Kullback-Leibler divergences
    in both directions (as in R-Drop, Liang et al. 2021, arXiv:2106.14448).
    """
    a, b = one.log_softmax(-1), other.log_softmax(-1)
    return ((a.exp() - b.exp()) * (a - b)).sum(-1) / 2


def discordance(said: Tensor, told: Tensor) -> Tensor:
    """1 less the concordance correlation coefficient (Lin 1989), the mean over the dimensions: [n, D], [n, D] → [], as
    Karas et al. 2022 (arXiv:2203.13285) minimise it. Where all that is told is alike there is no correlation: 1.
    """
    said = said.float()
    one, other = said - said.mean(0), told - told.mean(0)
    apart = (one.square() + other.square()).mean(0) + (said.mean(0) - told.mean(0)).square()
    return 1 - (2 * (one * other).mean(0) / apart.clamp(min=1e-6)).mean()


def emotion_weights(clips: Sequence[Clip], classes: Sequence[str] = EMOTIONS) -> Tensor:
    """For each emotion [C] the weight that makes all that there are count alike, 1 on average over the clips; 0 for one
    that is not there.
    """
    import torch

    counts = Counter(clip.label for clip in clips)
    even = len(clips) / len(counts)
    return torch.tensor([even / counts[e] if e in counts else 0.0 for e in classes])


def seen_otherwise(faces: Tensor) -> Tensor:
    """Faces [B, T, S, S, 3], each clip's mirrored or not and moved by up to `MOVED` of the side, the edge repeated."""
    import torch

    size, side = faces.shape[0], faces.shape[2]
    most = round(MOVED * side)
    places = torch.arange(side).expand(size, side)
    rows, columns = ((places + torch.randint(-most, most + 1, (size, 1))).clamp(0, side - 1) for _ in range(2))
    columns = torch.where(torch.rand(size, 1) < 0.5, side - 1 - columns, columns)
    of = torch.arange(size)[:, None, None]
    moved: Tensor = faces.transpose(1, 3)[of, columns[:, None], rows[:, :, None]]  # [B, rows, columns, T, 3]
    return moved.permute(0, 3, 1, 2, 4)


def _mixture(batch: Batch, evenness: float) -> Mixture:
    """Each clip with another one of the batch; of itself at least half is left.

    Args:
        evenness: how evenly two are mixed: both parameters of the beta distribution of their shares.
    """
    import torch

    from mmer.model.network import Mixture

    size, device = len(batch.target), batch.target.device
    share = torch.distributions.Beta(evenness, evenness).sample((size,)).to(device)
    return Mixture(torch.randperm(size, device=device), torch.maximum(share, 1 - share))


def _steps(valid: Tensor, later: Tensor, longest: int) -> Tensor:
    """How many steps each clip is to last, int64 [B]: as many as it has, but of a still picture that comes `later` than
    another clip anything up to `longest`.
    """
    import torch

    own = valid.sum(1).long()
    return torch.where((own == 1) & later, torch.randint(1, longest + 1, own.shape, device=own.device), own)


def _held(joined: Tensor, valid: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Clips [B, T, D] made to last so many `steps` [B], a still picture by being held; and where they last."""
    import torch
    from torch.nn.functional import pad

    still = valid.sum(1) == 1
    if (room := int(steps.max()) - valid.shape[1]) > 0:
        joined = pad(joined, (0, 0, 0, room))
    longer = (torch.arange(joined.shape[1], device=valid.device) < steps.unsqueeze(1)).to(valid.dtype)
    return torch.where(still[:, None, None], joined[:, :1] * longer.unsqueeze(-1), joined), longer
