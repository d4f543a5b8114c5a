"""fit(): one training, from samples to a network.

Everything random in epoch e depends on (seed, e) alone and the state is saved after each epoch, so that a training
that was killed goes on and ends with the same weights.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mmer.config import Params, Train
from mmer.data.clips import Clip, modalities_of, modalities_with_affect, with_modalities
from mmer.data.samples import Memory
from mmer.errors import MmerError
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.runtime.types import Floats
from mmer.training.batches import TEACHER, batches, sample_epoch, to_device
from mmer.training.checkpoints import Origin, affect_of, init_face, init_from, init_voice, keys_of_branch, teacher
from mmer.training.inference import Epoch, calibrate, calibrate_together, score
from mmer.training.losses import emotion_weights, taught_batch
from mmer.training.votes import VOTES, meant_by_votes

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor

    from mmer.model.network import EmotionNet


class TrainingError(MmerError):
    """The data cannot be trained on; the message says why."""


@dataclass(frozen=True)
class Fit:
    """A finished training."""

    network: EmotionNet
    """With the weights of its best epoch (of each branch, where they are trained apart)."""
    origin: Origin
    history: list[Epoch]
    """One row per epoch; of several corpora also each one's val_uar."""
    best: Epoch
    """The row of the best epoch: highest UAR on the validation speakers, then lowest loss. Of branches trained apart
    each one's row with its name before, `epoch` being the latest, and the whole network's val_loss and val_uar."""
    seconds: float
    """Of all epochs, with their validation, also of those done before a cut."""


def fit(
    params: Params,
    train: Train,
    clips: Sequence[Clip],
    processed: Path,
    *,
    seed: int,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    title: str = "train",
    classes: Sequence[str] = EMOTIONS,
    fabric: Fabric | None = None,
) -> Fit:
    """Train a network on the clips of split `train`, and keep the epoch that does best on those of split `val`.

    Args:
        train: the hyperparameters, which the search varies. With `branches`, the network is put together from branches
            that are each trained apart: with late fusion they share nothing.
        processed: the folder of prepared samples.
        checkpoint: a file to go on from, and to write after each epoch (one for each branch that is trained apart).
        on_epoch: told each epoch's figures, also those of epochs done before a cut; may raise to stop.
        classes: what the network tells apart; each clip's label is one of them.
        fabric: several devices (`mmer.training.devices.launch`), in whose processes this is called with the same data;
            by default one.

    Raises:
        TrainingError: a split is empty.
    """
    training, validation = ([c for c in clips if c.split == split] for split in ("train", "val"))
    if not training or not validation:
        raise TrainingError(
            f"{len(training)} clips to train and {len(validation)} to validate: look at split in params.yaml"
        )
    from mmer.training import devices  # which imports torch

    devices.keep_memory()
    fabric = fabric or devices.one(train)
    job = _Job(params, train, training, validation, processed, seed, checkpoint, on_epoch, title, classes, fabric)
    return _fit_apart(job) if train.branches else _fit(job)


@dataclass(frozen=True)
class _Job:
    """What `fit` was asked for."""

    params: Params
    train: Train
    training: list[Clip]
    validation: list[Clip]
    processed: Path
    seed: int
    checkpoint: Path | None
    on_epoch: Callable[[Epoch], None]
    title: str
    classes: Sequence[str]
    fabric: Fabric


def _fit_apart(job: _Job) -> Fit:
    """Train the branch of each modality on the clips that hold it, put the network together from them, and (`fusion:
    joint`) train what joins them on the clips that hold several.
    """
    import torch

    torch.manual_seed(job.seed)
    affect = [m for m in MODALITIES if m in _affect(job.train.of_branch(m), with_modalities(job.training, [m]))]
    whole = _network(job.params, job.train, modalities_of(job.training), job.classes, affect)
    modalities = whole.modalities
    weights, history, best, origins, seconds = whole.state_dict(), dict[float, Epoch](), Epoch(epoch=0), [], 0.0
    for name in modalities:
        told = partial(_of_branch, name)
        done = _fit(
            replace(
                job,
                train=job.train.of_branch(name),
                training=with_modalities(job.training, [name]),
                validation=with_modalities(job.validation, [name]),
                checkpoint=job.checkpoint and job.checkpoint.with_stem(f"{job.checkpoint.stem}-{name}"),
                on_epoch=partial(lambda told, row: job.on_epoch(told(row)), told),
                title=f"{job.title} {name}",
            )
        )
        learnt = done.network.state_dict()
        weights |= {key: learnt[key] for key in keys_of_branch(name, learnt)}
        weights["fusion.temperature"][MODALITIES.index(name)] = learnt["fusion.temperature"][MODALITIES.index(name)]
        for row in done.history:
            history.setdefault(row["epoch"], {}).update(told(row))
        latest = max(best["epoch"], done.best["epoch"])
        best |= {**told(done.best), f"{name}_epoch": done.best["epoch"], "epoch": latest}
        origins.append(done.origin)
        seconds += done.seconds
    whole.load_state_dict(weights)
    calibrate_together(whole, job.validation, job.processed, job.train.targets)
    origin = Origin(
        corpora=tuple(sorted({c for origin in origins for c in origin.corpora})),
        face_weights=next((o.face_weights for o in origins if o.face_weights), None),
        voice_weights=next((o.voice_weights for o in origins if o.voice_weights), None),
        start=tuple(dict.fromkeys(ancestor for origin in origins for ancestor in origin.start)),
    )
    told = partial(_of_branch, "together")
    if joined := _fit_together(job, whole, told):
        whole = joined.network
        for row in joined.history:
            history.setdefault(row["epoch"], {}).update(told(row))
        best |= {**told(joined.best), "together_epoch": joined.best["epoch"]}
        seconds += joined.seconds
    best |= score(whole, job.validation, job.processed, kind=job.train.targets)
    return Fit(whole.cpu().eval(), origin, [history[epoch] for epoch in sorted(history)], best, seconds)


def _fit_together(job: _Job, whole: EmotionNet, told: Callable[[Epoch], Epoch]) -> Fit | None:
    """Go on from the branches with the clips that hold several modalities, where the fusion has anything to learn of
    them; None where it has not.
    """
    from mmer.model.fusion import JointFusion

    if not isinstance(whole.fusion, JointFusion):
        return None
    known = [with_modalities(clips, whole.modalities) for clips in (job.training, job.validation)]
    several = [[c for c in clips if len(modalities_of([c])) > 1] for clips in known]
    if not all(several):
        print("model.fusion: joint: no clips to train and to validate on hold several modalities; it stays late fusion")
        return None
    alone = job.train.model_copy(
        update={"branches": {}, "init_from": None, "face_weights": None, "voice_weights": None}
    )
    return _fit(
        replace(
            job,
            train=alone,
            training=several[0],
            validation=several[1],
            checkpoint=job.checkpoint and job.checkpoint.with_stem(f"{job.checkpoint.stem}-together"),
            on_epoch=lambda row: job.on_epoch(told(row)),
            title=f"{job.title} together",
        ),
        begun=whole,
    )


def _of_branch(name: str, row: Epoch) -> Epoch:
    return {key if key == "epoch" else f"{name}_{key}": value for key, value in row.items()}


def _network(
    params: Params,
    train: Train,
    modalities: Sequence[ModalityName],
    classes: Sequence[str] = EMOTIONS,
    affect: Sequence[ModalityName] = (),
) -> EmotionNet:
    from mmer.model.network import EmotionNet

    return EmotionNet(params.input, params.model, modalities, train.dropout, train.voice_mask, classes, affect)


def _affect(train: Train, training: Sequence[Clip]) -> tuple[ModalityName, ...]:
    """The modalities with which valence and arousal are learnt; where nothing is, those with which they were."""
    if not train.epochs:
        return affect_of(Path(train.init_from or ""))
    return modalities_with_affect(training) if train.affect else ()


def _check_kept(network: EmotionNet, origin: Origin, train: Train, params: Params) -> None:
    """Where nothing is trained, all must have been there.

    Raises:
        TrainingError: what is missing, since it would be left as it was drawn.
    """
    from mmer.model.fusion import LateFusion

    if lacking := [name for name in network.modalities if name not in _started(origin)]:
        raise TrainingError(
            f"train.init_from: {train.init_from} holds no {' and no '.join(lacking)} like that of `model`, "
            "and with epochs: 0 none is trained; name other weights, or train for an epoch or more"
        )
    if not isinstance(network.fusion, LateFusion):
        raise TrainingError(
            f"train.epochs: 0 keeps branches alone, and model.fusion: {params.model.fusion} has more to learn; set "
            "model.fusion: late, or train for an epoch or more"
        )


def _answers(job: _Job, training: Sequence[Clip]) -> dict[str, Floats]:
    """The teacher's about the training clips, where one is asked for that is no network."""
    if job.train.taught_by == VOTES:
        return meant_by_votes(training, job.classes)
    if not job.train.taught or job.train.taught_by:
        return {}
    from mmer.training.teacher import answers_of  # which imports torch

    return answers_of(training, job.processed.with_name(TEACHER), job.seed, job.classes)


def _fit(job: _Job, begun: EmotionNet | None = None) -> Fit:
    """One training of one network.

    Args:
        begun: whose branches are trained already; they go on at `train.begun_rate`.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    from tqdm import tqdm

    from mmer.training.devices import Update

    train, training, fabric = job.train, job.training, job.fabric
    if train.mixup and modalities_of(training) != ("voice",):
        raise TrainingError("train.mixup mixes voices alone: set it in train.branches.voice, with model.fusion: late")
    torch.manual_seed(job.seed)
    network = begun or _network(job.params, train, modalities_of(training), job.classes, _affect(train, training))
    who = None if train.taught_by == VOTES or not train.epochs else train.taught_by
    teaches, learnt_from = teacher(Path(who), job.params.input) if who else (None, ())
    if teaches is not None and teaches.classes != tuple(job.classes):
        raise TrainingError(f"{train.taught_by} (train.taught_by) tells others apart: {', '.join(teaches.classes)}")
    origin = Origin(
        corpora=tuple(sorted({c.corpus for c in training})),
        pairing=train.pairing,
        face_weights=init_face(network, train.face_weights) if train.face_weights else None,
        voice_weights=init_voice(network, train.voice_weights) if train.voice_weights else None,
        start=(*(init_from(network, Path(train.init_from)) if train.init_from else ()), *learnt_from),
    )
    if not train.epochs:
        _check_kept(network, origin, train, job.params)
        row = {"epoch": 0.0, **score(network, job.validation, job.processed, kind=train.targets)}
        calibrate(network, job.validation, job.processed, train.targets)
        return Fit(network.eval(), origin, [], row, 0.0)
    start = _start(network, origin) if train.start_share else {}
    groups = _groups(network, train, _begun(network, train, whole=begun is not None))
    optimizer = torch.optim.AdamW(groups, train.lr, weight_decay=train.weight_decay, fused=True)
    updates = -(-len(training) // train.batch_size)
    # Of exactly 5 updates the warm-up would be 0 long, and OneCycleLR divides by its length.
    steps = max(train.epochs * updates, 6)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [g["lr"] for g in groups], steps, pct_start=0.2)
    weights = emotion_weights(training, job.classes).to(fabric.device)
    module, optimizer = fabric.setup(Update(network, train, weights), optimizer)
    # Validated and kept is the moving average of the weights (all of the last update where `ema` is 0).
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(train.ema), use_buffers=True)  # type: ignore[no-untyped-call]
    if teaches is not None:
        teaches.to(fabric.device)
    read = Memory(train.memory_mb << 20)
    answers = _answers(job, training)

    history: list[Epoch] = []
    best: dict[str, Any] = {"row": None, "weights": {}}
    seconds = 0.0
    if job.checkpoint is not None and job.checkpoint.exists():
        saved = fabric.load(job.checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        history, best, seconds = saved["history"], saved["best"], saved["seconds"]
        for row in history:
            job.on_epoch(row)

    for epoch in range(len(history), train.epochs):
        if train.patience is not None and epoch - (best["row"] or {"epoch": epoch})["epoch"] >= train.patience:
            break
        began = time.perf_counter()
        torch.manual_seed(job.seed * 1000 + epoch + fabric.global_rank * 10**9)  # other masks for other clips
        module.train()
        _rest(network)
        losses = []
        before: Tensor | None = None
        rng = np.random.default_rng((job.seed, epoch))
        sampled = sample_epoch(training, train.balance, rng, train.targets, job.classes)
        with tqdm(
            total=len(sampled),
            desc=f"{job.title} {epoch + 1}/{train.epochs}",
            unit="clip",
            leave=False,
            disable=not fabric.is_global_zero,
        ) as bar:
            for batch in batches(
                training,
                sampled,
                job.processed,
                job.params,
                train,
                seed=(job.seed, epoch),
                read=read,
                answers=answers,
                classes=job.classes,
                part=(fabric.global_rank, fabric.world_size),
            ):
                batch = to_device(batch, fabric.device)
                batch = taught_batch(batch, teaches, train.taught)
                loss, before = module(before, **vars(batch))
                optimizer.zero_grad()
                fabric.backward(loss)
                fabric.clip_gradients(module, optimizer, max_norm=5.0)
                optimizer.step()
                schedule.step()
                average.update_parameters(network)
                losses.append(loss.item())
                bar.update(len(batch.target) * fabric.world_size)
        found, kept = Epoch(), _towards(start, cast("EmotionNet", average.module), train.start_share)
        if fabric.is_global_zero:
            found = score(kept, job.validation, job.processed, read, train.targets)
        found = fabric.broadcast(found)  # all are to judge alike which epoch is the best, and when to end
        row = {"epoch": epoch + 1, "train_loss": float(np.mean(losses)), **found}
        row = {k: round(v, 6) for k, v in row.items()}
        history.append(row)
        if best["row"] is None or (row["val_uar"], -row["val_loss"]) > (
            best["row"]["val_uar"],
            -best["row"]["val_loss"],
        ):
            best = {"row": row, "weights": {k: v.detach().clone() for k, v in kept.state_dict().items()}}
        seconds += time.perf_counter() - began
        if job.checkpoint is not None:
            state = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "history": history}
            part = job.checkpoint.with_suffix(".part")
            job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            nets = {"network": network.state_dict(), "average": average.state_dict()}
            fabric.save(part, {**nets, "best": best, "seconds": seconds, **state})
            if fabric.is_global_zero:
                part.replace(job.checkpoint)
        job.on_epoch(row)
    network.load_state_dict(best["weights"])
    if begun is None:
        calibrate(network, job.validation, job.processed, train.targets)
    calibrate_together(network, job.validation, job.processed, train.targets)
    return Fit(network.cpu().eval(), origin, history, best["row"], seconds)


def _started(origin: Origin) -> tuple[str, ...]:
    """The branches that `init_from` started."""
    return origin.start[0].branches if origin.start else ()


def _start(network: EmotionNet, origin: Origin) -> dict[str, Tensor]:
    """The weights of the branches that `init_from` started."""
    weights = network.state_dict()
    names = [name for name in network.modalities if name in _started(origin)]
    return {key: weights[key].detach().clone() for name in names for key in keys_of_branch(name, weights)}


def _towards(start: dict[str, Tensor], network: EmotionNet, share: float) -> EmotionNet:
    """The network, by a share on the way back to where it started; itself where it started from nothing."""
    if not start:
        return network
    weights = network.state_dict()
    back = {k: weights[k].lerp(v.to(weights[k]), share) for k, v in start.items() if v.is_floating_point()}
    moved = copy.deepcopy(network)
    moved.load_state_dict(weights | back)
    return moved


def _begun(network: EmotionNet, train: Train, *, whole: bool) -> set[str]:
    """The names of what began from other weights: whole branches, or the voice's LSTMs."""
    names = {key for m in network.modalities for key in keys_of_branch(m, network.state_dict())}
    if whole:
        return names
    return {name for name in names if ".lstm." in name and "voice" in name.split(".")} if train.voice_weights else set()


def _groups(network: EmotionNet, train: Train, begun: set[str]) -> list[dict[str, Any]]:
    """What is learnt, and at which rate."""
    named = list(network.named_parameters())
    for name, parameter in named:
        parameter.requires_grad_(name not in begun or train.begun_rate > 0)
    fresh = {"params": [p for name, p in named if name not in begun], "lr": train.lr}
    slow = {"params": [p for name, p in named if name in begun and p.requires_grad], "lr": train.lr * train.begun_rate}
    return [group for group in (fresh, slow) if group["params"]]


def _rest(network: EmotionNet) -> None:
    """What is not learnt is as it will be used: no dropout, no new statistics."""
    for part in network.modules():
        if (own := list(part.parameters())) and not any(p.requires_grad for p in own):
            part.eval()
