"""fit(): one training, from samples to a network; load_network() and predict() for what comes after.

Everything random in epoch e depends on (seed, e) alone and the state is saved after each epoch, so that a training
that was killed goes on and ends with the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmer import metrics
from mmer.augment import augment, hide
from mmer.clips import Clip
from mmer.config import Input, Model, Params, Train
from mmer.errors import MmerError
from mmer.fingerprint import fingerprint
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.samples import Sample, load_sample, voice_windows

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mmer.model.network import Batch, EmotionNet, Output

Epoch = dict[str, float]
#: Where checkpoints and studies lie: outside the stages' outputs, which DVC deletes before a run.
WORK = Path(".mmer")


class TrainingError(MmerError):
    """The data cannot be trained on; the message says why."""


@dataclass(frozen=True)
class Fit:
    """A finished training."""

    network: EmotionNet
    """With the weights of its best epoch."""
    history: list[Epoch]
    """One row per epoch: epoch, train_loss, val_loss, val_uar."""
    best: Epoch
    """The row of the best epoch: highest UAR on the validation speakers, then lowest loss."""


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
) -> Fit:
    """Train a network on the clips of split `train`, and keep the epoch that does best on those of split `val`.

    Args:
        train: the hyperparameters, which the search varies.
        processed: the folder of prepared samples.
        checkpoint: a file to go on from, and to write after each epoch.
        on_epoch: told each epoch's figures, also those of epochs done before a cut; may raise to stop.

    Raises:
        TrainingError: a split is empty.
    """
    import torch
    from lightning_fabric import Fabric
    from tqdm import tqdm

    from mmer.model.network import EmotionNet

    learn, held_out = ([c for c in clips if c.split == split] for split in ("train", "val"))
    if not learn or not held_out:
        raise TrainingError(
            f"{len(learn)} clips to train and {len(held_out)} to validate: look at split in params.yaml"
        )
    fabric = Fabric(accelerator="auto", devices=1)
    torch.manual_seed(seed)
    network = EmotionNet(params.input, params.model, held_modalities(learn), train.dropout)
    optimizer = torch.optim.AdamW(network.parameters(), train.lr, weight_decay=train.weight_decay)
    updates = -(-len(learn) // train.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, train.lr, train.epochs * updates, pct_start=0.2)
    module, optimizer = fabric.setup(network, optimizer)
    module.mark_forward_method("decide")
    weights = class_weights(learn).to(fabric.device)

    history: list[Epoch] = []
    best: dict[str, Any] = {"row": None, "weights": {}}
    if checkpoint is not None and checkpoint.exists():
        saved = fabric.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        history, best = saved["history"], saved["best"]
        for row in history:
            on_epoch(row)

    for epoch in range(len(history), train.epochs):
        torch.manual_seed(seed * 1000 + epoch)
        module.train()
        losses = []
        before: Tensor | None = None
        with tqdm(total=len(learn), desc=f"{title} {epoch + 1}/{train.epochs}", unit="clip", leave=False) as bar:
            for batch in batches(learn, processed, params.input, train, seed=(seed, epoch)):
                batch = _to(batch, fabric.device)
                loss, before = _loss(module, batch, before, weights, train)
                optimizer.zero_grad()
                fabric.backward(loss)
                fabric.clip_gradients(module, optimizer, max_norm=5.0)
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
                bar.update(len(batch.target))
        row = {"epoch": epoch + 1, "train_loss": float(np.mean(losses)), **score(network, held_out, processed)}
        row = {k: round(v, 6) for k, v in row.items()}
        history.append(row)
        if best["row"] is None or (row["val_uar"], -row["val_loss"]) > (
            best["row"]["val_uar"],
            -best["row"]["val_loss"],
        ):
            best = {"row": row, "weights": {k: v.detach().clone() for k, v in network.state_dict().items()}}
        if checkpoint is not None:
            state = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "history": history}
            part = checkpoint.with_suffix(".part")
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            fabric.save(part, {"network": network.state_dict(), "best": best, **state})
            part.replace(checkpoint)
        on_epoch(row)
    network.load_state_dict(best["weights"])
    return Fit(network.cpu().eval(), history, best["row"])


def _loss(module: Any, batch: Batch, before: Tensor | None, weights: Tensor, train: Train) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and the states its clips ended in.

    Besides each clip from silence, its recurrent part is run once more from a state in which an earlier batch ended:
    in a live stream every moment has a past, and the answer must not depend on whose it was. The state is handed on
    from batch to batch, so that the past grows as long as an epoch at the cost of one LSTM pass.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from mmer.model.network import clip_logits

    def against(logits: Tensor, valid: Tensor) -> Tensor:
        pooled = clip_logits(logits, batch.present, valid)
        known = valid.sum(1) > 0
        losses = cross_entropy(
            pooled[known], batch.target[known], weights, reduction="none", label_smoothing=train.label_smoothing
        )
        return losses.sum() / len(batch.target)

    size = len(batch.target)
    begin = module.start(size).to(weights.device)
    output: Output = module(batch.faces, batch.scenes, batch.voice, batch.present, begin)
    past = output.state.detach() if before is None else before
    past = past[torch.randint(len(past), (size,), device=past.device)]
    later, ended = module.decide(output.joined, past)
    loss = (against(output.logits, batch.valid) + against(later, batch.valid)) / 2
    for name, logits in output.branches.items():
        here = batch.valid * batch.present[..., MODALITIES.index(name)]
        loss = loss + train.auxiliary * against(logits, here) / len(output.branches)
    return loss, ended.detach()


def held_modalities(clips: Sequence[Clip]) -> tuple[ModalityName, ...]:
    """The modalities of which these clips hold anything: the others are off in a network trained on them."""
    held = {
        "face": any(c.has_face for c in clips),
        "scene": any(c.has_scene for c in clips),
        "voice": any(c.has_voice for c in clips),
    }
    return tuple(m for m in MODALITIES if held[m])


def class_weights(clips: Sequence[Clip]) -> torch.Tensor:
    """Weights [7] that give each emotion that occurs the same share of the loss; their mean over clips is 1."""
    import torch

    counts = np.bincount([c.target for c in clips], minlength=len(EMOTIONS))
    weights = np.where(counts > 0, len(clips) / np.maximum(counts, 1) / max(1, (counts > 0).sum()), 0)
    return torch.tensor(weights, dtype=torch.float32)


def batches(
    clips: Sequence[Clip], processed: Path, input: Input, train: Train, *, seed: tuple[int, int]
) -> Iterator[Batch]:
    """One epoch of training: shuffled, augmented, with modality dropout; all of it decided by the seed."""
    order = np.random.default_rng(seed).permutation(len(clips))
    for start in range(0, len(order), train.batch_size):
        chosen = order[start : start + train.batch_size]
        samples = []
        for index in chosen:
            rng = np.random.default_rng((*seed, int(index)))
            sample = augment(load_sample(processed / clips[index].sample), train.augment, rng)
            samples.append(replace(sample, present=hide(sample.present, train.modality_dropout, rng)))
        yield collate(samples, [clips[i].target for i in chosen], input)


def collate(samples: Sequence[Sample], targets: Sequence[int], input: Input) -> Batch:
    """Pad samples to one length and stack them."""
    import torch

    from mmer.model.network import Batch

    steps = [len(s.present) for s in samples]

    def stack(arrays: Sequence[npt.NDArray[Any]]) -> Tensor:
        out = np.zeros((len(arrays), max(steps), *arrays[0].shape[1:]), arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(out)

    windows = [
        voice_windows(s.voice, n, input.step_s, input.voice_window_s) for s, n in zip(samples, steps, strict=True)
    ]
    return Batch(
        faces=stack([s.faces for s in samples]),
        scenes=stack([s.scenes for s in samples]),
        voice=stack(windows),
        present=stack([s.present.astype(np.float32) for s in samples]),
        valid=stack([np.ones(n, np.float32) for n in steps]),
        target=torch.tensor(targets, dtype=torch.int64),
    )


def clip_probabilities(
    forward: Callable[[Batch], Tensor],
    clips: Sequence[Clip],
    processed: Path,
    input: Input,
    modalities: Sequence[ModalityName] = MODALITIES,
    batch_size: int = 16,
) -> npt.NDArray[np.float32]:
    """Clip probabilities float32 [n, 7] of whatever turns a batch into logits [B, T, 7].

    Args:
        modalities: all others are taken away.
    """
    import torch

    from mmer.model.network import clip_logits

    keep = torch.tensor([float(m in modalities) for m in MODALITIES])
    order = np.argsort([c.steps for c in clips], kind="stable")  # clips of one length waste no padding
    out = np.empty((len(clips), len(EMOTIONS)), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            samples = [load_sample(processed / clips[i].sample) for i in chosen]
            batch = collate(samples, [clips[i].target for i in chosen], input)
            batch = replace(batch, present=batch.present * keep)
            logits = clip_logits(forward(batch), batch.present, batch.valid)
            out[chosen] = logits.softmax(-1).numpy()
    return out


def predict(
    network: EmotionNet,
    clips: Sequence[Clip],
    processed: Path,
    *,
    modalities: Sequence[ModalityName] = MODALITIES,
) -> npt.NDArray[np.float32]:
    """Clip probabilities float32 [n, 7] of a network in evaluation mode, with all other modalities taken away."""
    network.eval()
    device = next(network.parameters()).device

    def forward(batch: Batch) -> Tensor:
        given = _to(batch, device)
        begin = network.start(len(given.target)).to(device)
        output: Output = network(given.faces, given.scenes, given.voice, given.present, begin)
        return output.logits.cpu()

    return clip_probabilities(forward, clips, processed, network.input, modalities)


def score(network: EmotionNet, clips: Sequence[Clip], processed: Path) -> Epoch:
    """val_loss (mean negative log-likelihood) and val_uar of these clips."""
    probabilities = predict(network, clips, processed)
    truth = np.array([c.target for c in clips])
    return {
        "val_loss": metrics.negative_log_likelihood(probabilities, truth),
        "val_uar": float(metrics.uar(metrics.confusion(truth, probabilities.argmax(1)))),
    }


def save_network(network: EmotionNet, path: Path, *, corpora: Sequence[str]) -> None:
    """Write weights and, in the file's metadata, all that is needed to build the network again."""
    from safetensors.torch import save_file

    about = {
        "input": network.input.model_dump_json(),
        "model": network.model.model_dump_json(),
        "modalities": json.dumps(network.modalities),
        "corpora": json.dumps(list(corpora)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path, about)


def load_network(path: Path) -> EmotionNet:
    """The network of a file that `save_network` wrote, in evaluation mode."""
    from safetensors import safe_open

    from mmer.model.network import EmotionNet

    with safe_open(path, "pt") as file:
        about = file.metadata()
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
    input, model = Input.model_validate_json(about["input"]), Model.model_validate_json(about["model"])
    network = EmotionNet(input, model, json.loads(about["modalities"]))
    network.load_state_dict(weights)
    return network.eval()


def data_key(params: Params, manifest: Path, clips: Sequence[Clip], processed: Path) -> str:
    """Key of everything that decides a training but its hyperparameters: data, sizes of the network, code."""
    here = Path(__file__).parent
    code = [here / "training.py", here / "augment.py", here / "samples.py", *sorted((here / "model").glob("*.py"))]
    samples = [processed / c.sample for c in clips if c.split in ("train", "val")]
    return fingerprint([params.seed, params.input, params.model], [manifest, *code, *samples])


def checkpoint_of(key: str, train: Train, seed: int) -> Path:
    """Where the training with these hyperparameters keeps its checkpoint."""
    return WORK / "checkpoints" / f"{fingerprint([key, train, seed], [])}.ckpt"


def _to(batch: Batch, device: torch.device) -> Batch:
    return replace(batch, **{name: tensor.to(device) for name, tensor in vars(batch).items()})
