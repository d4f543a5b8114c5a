"""What a network says of prepared clips: probabilities, validation scores, temperatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmer import metrics
from mmer.data.clips import Clip, with_modalities
from mmer.data.samples import Read, load_clip, load_sample
from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES, ModalityName
from mmer.runtime.config import Input
from mmer.runtime.spec import INPUTS, outputs
from mmer.runtime.types import Arrays
from mmer.training.batches import UNTOLD, collate, target_of, to_device

if TYPE_CHECKING:
    from torch import Tensor

    from mmer.model.network import Batch, EmotionNet, Output


Epoch = dict[str, float]
"""One epoch's figures: epoch, train_loss, val_loss, val_uar, and val_ccc_valence and the like where these are learnt;
of a branch trained apart with its name before each."""
Said = tuple["Tensor", "Tensor | None"]
"""What is said of a batch: logits [B, T, C], and where they are said valence and arousal [B, T, 2]."""

TOGETHER = 40
"""Validation clips that hold all modalities from which on these are calibrated together."""
ENOUGH = 100
"""Clips of a corpus from which on it weighs as much as any other in choosing an epoch."""


class Answers(NamedTuple):
    """What is said of n clips."""

    probabilities: npt.NDArray[np.float32]
    """[n, C]."""
    affect: npt.NDArray[np.float32] | None
    """[n, 2] in -1..1: valence and arousal, NaN of a clip that does not hold what these are told from; None of a
    network that does not say them."""


def as_forward(network: EmotionNet) -> Any:
    """What makes a pass through a network that is not packaged (`mmer.runtime.types.Forward`)."""
    import torch

    names = outputs(affect=bool(network.affect))

    def forward(arrays: Arrays) -> Arrays:
        with torch.inference_mode():
            given = (torch.tensor(arrays[name]) for name in INPUTS)
            output = network(*given)
            said = [output.logits, output.state, network.unimodal(output)]
            said += [] if output.affect is None else [output.affect]
        return {name: tensor.numpy() for name, tensor in zip(names, said, strict=True)}

    return forward


def soft_targets(clips: Sequence[Clip], kind: str, classes: Sequence[str] = EMOTIONS) -> npt.NDArray[np.float32]:
    """What is learnt of each clip, [n, C] (`target_of`)."""
    return np.array([target_of(clip, kind, classes) for clip in clips], np.float32).reshape(-1, len(classes))


def truths(clips: Sequence[Clip], kind: str, classes: Sequence[str] = EMOTIONS) -> npt.NDArray[np.int64]:
    """What counts as right of each clip, [n]: the likeliest class of its target."""
    return np.asarray(soft_targets(clips, kind, classes).argmax(1), np.int64)


def calibrate(network: EmotionNet, clips: Sequence[Clip], processed: Path, kind: str = "intended") -> None:
    """Fit the temperatures of a network on validation clips (Guo et al. 2017): with late fusion that of each modality,
    on the clips that hold it and with nothing else given; with early fusion the one of the answer.
    """
    from mmer.model.fusion import LateFusion

    network.fusion.temperature.fill_(1.0)
    if not isinstance(network.fusion, LateFusion):
        network.fusion.temperature.fill_(
            fit_temperature(predict(network, clips, processed), soft_targets(clips, kind, network.classes))
        )
        return
    for name in network.modalities:
        if having := [c for c in clips if getattr(c, f"has_{name}")]:
            said = predict(network, having, processed, modalities=[name])
            wanted = soft_targets(with_modalities(having, [name]), kind, network.classes)
            network.fusion.temperature[MODALITIES.index(name)] = fit_temperature(said, wanted)


def calibrate_together(network: EmotionNet, clips: Sequence[Clip], processed: Path, kind: str = "intended") -> None:
    """With late fusion, give each modality the say in their sum that makes what they say together likeliest, on the
    validation clips that hold them all; with fewer than `TOGETHER` of these nothing changes. What joint fusion says of
    several has a temperature of its own.

    Each modality alone is calibrated mostly on other clips (a face on photographs), and may be surer of real films than
    it is right: then it overrules the others.
    """
    from mmer.model.fusion import JointFusion, LateFusion

    names = network.modalities
    several = [c for c in clips if all(getattr(c, f"has_{name}") for name in names)]
    if not isinstance(network.fusion, LateFusion) or len(names) < 2 or len(several) < TOGETHER:
        return
    if isinstance(network.fusion, JointFusion):
        network.fusion.temperature_together.fill_(1.0)
        wanted = soft_targets(several, kind, network.classes)
        network.fusion.temperature_together.fill_(fit_temperature(predict(network, several, processed), wanted))
        return
    said = np.stack([predict(network, several, processed, modalities=[name]) for name in names])
    scales = joint_scales(said, truths(several, kind, network.classes))
    for name, scale in zip(names, scales, strict=True):
        network.fusion.say[MODALITIES.index(name)] = float(scale)


def joint_scales(probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """By what the log-probabilities of M modalities [M, n, C] are to be multiplied, [M], for their sum to make the
    truth [n] likeliest; few clips move them little (their logarithms are drawn to 0).
    """
    from scipy.optimize import minimize

    log_probabilities = np.log(np.clip(probabilities, 1e-7, 1)).astype(np.float64)

    def loss(log_scales: npt.NDArray[np.float64]) -> float:
        scaled = np.tensordot(np.exp(log_scales), log_probabilities, 1)
        fit = np.logaddexp.reduce(scaled, 1) - scaled[np.arange(len(truth)), truth]
        return float(fit.mean() + 0.01 * np.square(log_scales).sum())

    scales: npt.NDArray[np.float64] = np.exp(minimize(loss, np.zeros(len(probabilities))).x)
    return scales


def fit_temperature(probabilities: npt.NDArray[np.float32], target: npt.NDArray[np.float32]) -> float:
    """That under which these answers [n, C] are as sure as the targets [n, C] allow: their cross-entropy is least.

    Of a target that people's votes share in the likeliest class alone would not do: it is whatever label and votes do
    not both speak against, and who is calibrated on it is surer than either bears out.
    """
    from scipy.optimize import minimize_scalar

    log_probabilities = np.log(np.clip(probabilities, 1e-7, 1))

    def loss(log_temperature: float) -> float:
        scaled = log_probabilities / np.exp(log_temperature)
        return float((np.logaddexp.reduce(scaled, 1) - (target * scaled).sum(1)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


def clip_answers(
    forward: Callable[[Batch], Said],
    clips: Sequence[Clip],
    processed: Path,
    input: Input,
    modalities: Sequence[ModalityName] = MODALITIES,
    batch_size: int = 16,
    read: Read = load_sample,
    classes: Sequence[str] = EMOTIONS,
    affect: Sequence[ModalityName] = (),
) -> Answers:
    """What is said of clips by whatever answers a batch.

    Args:
        modalities: all others are taken away.
        affect: with which of them valence and arousal are said.
    """
    import torch

    from mmer.model.network import clip_logits

    keep = torch.tensor([float(m in modalities) for m in MODALITIES])
    columns = [MODALITIES.index(m) for m in affect]
    order = np.argsort([c.steps for c in clips], kind="stable")  # clips of one length waste no padding
    out = np.empty((len(clips), len(classes)), np.float32)
    felt = np.full((len(clips), len(DIMENSIONS)), np.nan, np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            samples = [load_clip(clips[i], processed, read) for i in chosen]
            batch = collate(samples, [target_of(clips[i], "intended", classes) for i in chosen], input)
            batch = replace(batch, present=batch.present * keep)
            logits, dimensions = forward(batch)
            out[chosen] = clip_logits(logits, batch.present, batch.valid).softmax(-1).numpy()
            if dimensions is not None:
                here = batch.present[..., columns]
                pooled = clip_logits(dimensions, here, batch.valid)
                felt[chosen] = pooled.masked_fill(~here.any(-1).any(-1, keepdim=True), torch.nan).numpy()
    return Answers(out, felt if affect else None)


def answer(
    network: EmotionNet,
    clips: Sequence[Clip],
    processed: Path,
    *,
    modalities: Sequence[ModalityName] = MODALITIES,
    read: Read = load_sample,
) -> Answers:
    """What a network in evaluation mode says of clips, with all other modalities taken away."""
    network.eval()
    device = next(network.parameters()).device

    def forward(batch: Batch) -> Said:
        given = to_device(batch, device)
        begin = network.start(len(given.target)).to(device)
        output: Output = network(given.faces, given.scenes, given.voice, given.present, begin)
        return output.logits.cpu(), None if output.affect is None else output.affect.float().cpu()

    return clip_answers(
        forward,
        clips,
        processed,
        network.input,
        modalities,
        read=read,
        classes=network.classes,
        affect=network.affect,
    )


def predict(
    network: EmotionNet,
    clips: Sequence[Clip],
    processed: Path,
    *,
    modalities: Sequence[ModalityName] = MODALITIES,
    read: Read = load_sample,
) -> npt.NDArray[np.float32]:
    """Clip probabilities float32 [n, C]: those of `answer`."""
    return answer(network, clips, processed, modalities=modalities, read=read).probabilities


def told_affect(clips: Sequence[Clip]) -> npt.NDArray[np.float32]:
    """Valence and arousal as the corpora tell them, [n, 2]; NaN where they do not."""
    return np.array([clip.affect or UNTOLD for clip in clips], np.float32).reshape(len(clips), len(DIMENSIONS))


def score(
    network: EmotionNet,
    clips: Sequence[Clip],
    processed: Path,
    read: Read = load_sample,
    kind: str = "intended",
) -> Epoch:
    """val_loss (mean negative log-likelihood) and val_uar of these clips, each the mean over the corpora: one of 200
    voices weighs as much as one of 3,000 faces, and one of less than `ENOUGH` clips by how many it has. Where there are
    several, each one's val_uar too. Of valence and arousal, where they are learnt and told, val_ccc_valence,
    val_rmse_valence and so on, over the clips of all corpora that tell them.

    Args:
        kind: `train.targets`: what was learnt is also what chooses the epoch.
    """
    probabilities, affect = answer(network, clips, processed, read=read)
    truth, corpus = truths(clips, kind, network.classes), np.array([c.corpus for c in clips])
    losses, uars, weights = {}, {}, []
    for name in sorted(set(corpus.tolist())):
        own = corpus == name
        weights.append(min(int(own.sum()), ENOUGH))
        losses[name] = metrics.negative_log_likelihood(probabilities[own], truth[own])
        counts = metrics.confusion(truth[own], probabilities[own].argmax(1), len(network.classes))
        uars[name] = float(metrics.uar(counts))
    each = {f"val_uar_{name}": value for name, value in uars.items()} if len(uars) > 1 else {}
    loss, uar = (float(np.average(list(of.values()), weights=weights)) for of in (losses, uars))
    return {"val_loss": loss, "val_uar": uar, **each, **_affect_scores(affect, clips)}


def _affect_scores(said: npt.NDArray[np.float32] | None, clips: Sequence[Clip]) -> Epoch:
    if said is None:
        return {}
    told = told_affect(clips)
    known = np.isfinite(said).all(1) & np.isfinite(told).all(1)
    if not known.any():
        return {}
    sums = metrics.sums(told[known], said[known]).sum(0)
    return {
        f"val_{of.__name__}_{name}": float(value)
        for of in (metrics.ccc, metrics.rmse)
        for name, value in zip(DIMENSIONS, of(sums), strict=True)
    }
