"""fit(): one training, from samples to a network; load_network() and predict() for what comes after.

Everything random in epoch e depends on (seed, e) alone and the state is saved after each epoch, so that a training
that was killed goes on and ends with the same weights.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from mmer import metrics
from mmer.augment import augment, hide, pair
from mmer.clips import Clip
from mmer.config import Balance, Input, Model, Params, Train
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
PAIRED = 0.5
"""Chance that a voice gets a face where `train.pairing` is on."""


class TrainingError(MmerError):
    """The data cannot be trained on; the message says why."""


class Origin(BaseModel):
    """Where a network's weights come from; lies in their file and in the graph."""

    corpora: tuple[str, ...]
    """Trained on."""
    pairing: str = "none"
    """Whether voices and faces of different people were joined into artificial clips."""
    face_weights: str | None = None
    """The face-recognition weights that the face network started from: name and sha256."""


@dataclass(frozen=True)
class Fit:
    """A finished training."""

    network: EmotionNet
    """With the weights of its best epoch."""
    origin: Origin
    history: list[Epoch]
    """One row per epoch: epoch, train_loss, val_loss, val_uar; of several corpora also each one's val_uar."""
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
    network = EmotionNet(params.input, params.model, held_modalities(learn), train.dropout, train.voice_mask)
    origin = Origin(
        corpora=tuple(sorted({c.corpus for c in learn})),
        pairing=train.pairing,
        face_weights=start_face(network, train.face_weights) if train.face_weights else None,
    )
    optimizer = torch.optim.AdamW(network.parameters(), train.lr, weight_decay=train.weight_decay)
    updates = -(-len(learn) // train.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, train.lr, train.epochs * updates, pct_start=0.2)
    module, optimizer = fabric.setup(network, optimizer)
    module.mark_forward_method("decide")

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
        drawn = draw(learn, train.balance, np.random.default_rng((seed, epoch)))
        with tqdm(total=len(drawn), desc=f"{title} {epoch + 1}/{train.epochs}", unit="clip", leave=False) as bar:
            for batch in batches(learn, drawn, processed, params.input, train, seed=(seed, epoch)):
                batch = _to(batch, fabric.device)
                loss, before = _loss(module, batch, before, train)
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
    calibrate(network, held_out, processed)
    return Fit(network.cpu().eval(), origin, history, best["row"])


def _loss(module: Any, batch: Batch, before: Tensor | None, train: Train) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and the states its clips ended in.

    Besides each clip from silence, its recurrent part is run once more from a state in which an earlier batch ended:
    in a live stream every moment has a past, and the answer must not depend on whose it was. The state is handed on
    from batch to batch, so that the past grows as long as an epoch at the cost of one LSTM pass. There a still picture
    is also held for a random number of steps: in a stream a face stays.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from mmer.model.network import clip_logits

    def against(logits: Tensor, present: Tensor, valid: Tensor) -> Tensor:
        pooled = clip_logits(logits, present, valid)
        known = valid.sum(1) > 0
        losses = cross_entropy(
            pooled[known], batch.target[known], reduction="none", label_smoothing=train.label_smoothing
        )
        return losses.sum() / len(batch.target)

    size = len(batch.target)
    begin = module.start(size).to(batch.target.device)
    output: Output = module(batch.faces, batch.scenes, batch.voice, batch.present, begin)
    past = output.state.detach() if before is None else before
    past = past[torch.randint(len(past), (size,), device=past.device)]
    joined, valid = _held(output.joined, batch.valid, train.hold)
    later = module.decide(joined, past)
    seen = joined[..., -len(MODALITIES) :]
    loss = (against(output.logits, batch.present, batch.valid) + against(later.logits, seen, valid)) / 2
    for name, logits in output.branches.items():
        here = batch.valid * batch.present[..., MODALITIES.index(name)]
        loss = loss + train.auxiliary * against(logits, batch.present, here) / len(output.branches)
    return loss, later.state.detach()


def _held(joined: Tensor, valid: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """Clips of one step, where the padding of the batch has room for it, last up to `longest` steps."""
    import torch

    still = valid.sum(1) == 1
    room = min(longest, valid.shape[1])
    steps = torch.where(still, torch.randint(1, room + 1, still.shape, device=valid.device), valid.sum(1))
    longer = (torch.arange(valid.shape[1], device=valid.device) < steps.unsqueeze(1)).to(valid.dtype)
    return torch.where(still[:, None, None], joined[:, :1] * longer.unsqueeze(-1), joined), longer


def calibrate(network: EmotionNet, clips: Sequence[Clip], processed: Path) -> None:
    """Fit the temperature of each modality of a network with late fusion on validation clips (Guo et al. 2017): the one
    under which the clips that hold this modality are likeliest when the network is given nothing else. A network with
    early fusion has none, and is left as it is.
    """
    from scipy.optimize import minimize_scalar

    from mmer.model.fusion import LateFusion

    if not isinstance(network.fusion, LateFusion):
        return
    network.fusion.temperature.fill_(1.0)
    for name in network.modalities:
        having = [c for c in clips if getattr(c, f"has_{name}")]
        if not having:
            continue
        chances = np.log(np.clip(predict(network, having, processed, modalities=[name]), 1e-7, 1))
        truth = np.array([c.target for c in having])

        def loss(log_temperature: float, chances: Any = chances, truth: Any = truth) -> float:
            scaled = chances / np.exp(log_temperature)
            return float((np.logaddexp.reduce(scaled, 1) - scaled[np.arange(len(truth)), truth]).mean())

        best = minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded")
        network.fusion.temperature[MODALITIES.index(name)] = float(np.exp(best.x))


def start_face(network: EmotionNet, name: str) -> str | None:
    """Start the face network from the weights `name` below MMER_MIRROR, if they are there; returns their name and
    sha256, None where the network has no face or starts from nothing.
    """
    from mmer.model.pretrained import start_from

    if "face" not in network.modalities:
        return None
    path = face_weights(name)
    if path is None:
        print(f"train.face_weights: there is no {name} below MMER_MIRROR; the face network starts from nothing")
        return None
    start_from(network.branch["face"], path)
    return f"{name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def face_weights(name: str) -> Path | None:
    """Where the weights lie that a face network may start from; None where they are not."""
    path = Path(os.environ.get("MMER_MIRROR", "")) / name
    return path if path.is_file() else None


def held_modalities(clips: Sequence[Clip]) -> tuple[ModalityName, ...]:
    """The modalities of which these clips hold anything: the others are off in a network trained on them."""
    held = {
        "face": any(c.has_face for c in clips),
        "scene": any(c.has_scene for c in clips),
        "voice": any(c.has_voice for c in clips),
    }
    return tuple(m for m in MODALITIES if held[m])


def draw(clips: Sequence[Clip], balance: Balance, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Which clips one epoch sees, shuffled: as many as there are.

    A clip is drawn as often as its rate says, rounded up or down by chance (systematic sampling). Rates follow
    `balance`; where all are 1 each clip comes exactly once.
    """
    rates = _evened([c.corpus for c in clips], [""] * len(clips), balance.corpora)
    rates *= _evened([c.label for c in clips], [c.corpus for c in clips], balance.emotions)
    order = rng.permutation(len(clips))
    ends = np.cumsum(rates[order])
    places = (rng.random() + np.arange(len(clips))) * (ends[-1] / len(clips))
    return rng.permutation(order[np.minimum(np.searchsorted(ends, places, side="right"), len(clips) - 1)])


def _evened(kinds: Sequence[str], groups: Sequence[str], strength: float) -> npt.NDArray[np.float64]:
    """For each clip the factor that makes kinds equally frequent inside their group (1), or leaves them be (0)."""
    pairs = list(zip(groups, kinds, strict=True))
    size, whole = Counter(pairs), Counter(groups)
    kinds_of = Counter(group for group, _ in size)
    even = [whole[group] / kinds_of[group] / size[group, kind] for group, kind in pairs]
    factors: npt.NDArray[np.float64] = np.power(even, strength)
    return factors


def batches(
    clips: Sequence[Clip],
    drawn: npt.NDArray[np.intp],
    processed: Path,
    input: Input,
    train: Train,
    *,
    seed: tuple[int, int],
) -> Iterator[Batch]:
    """One epoch of training: the drawn clips, augmented, with modality dropout; all of it decided by the seed."""
    faces = _faces_alone(clips) if train.pairing == "label" else {}
    for start in range(0, len(drawn), train.batch_size):
        chosen = drawn[start : start + train.batch_size]
        samples = []
        for place, index in enumerate(chosen, start):
            rng = np.random.default_rng((*seed, place))
            clip = clips[index]
            sample = augment(held(clip, processed), train.augment, rng)
            if faces.get(clip.label) and clip.has_voice and not clip.has_face and rng.random() < PAIRED:
                face = faces[clip.label][rng.integers(len(faces[clip.label]))]
                sample = pair(sample, augment(held(face, processed), train.augment, rng), rng)
            samples.append(replace(sample, present=hide(sample.present, train.modality_dropout, rng)))
        yield collate(samples, [target(clips[i], train.targets) for i in chosen], input)


def held(clip: Clip, processed: Path) -> Sample:
    """A clip's sample, without what the clip is said not to hold: a modality that was taken away is absent."""
    sample = load_sample(processed / clip.sample)
    return replace(sample, present=sample.present & [clip.has_face, clip.has_scene, clip.has_voice])


def _faces_alone(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """For each emotion the clips that show a face and hold no voice."""
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.has_face and not clip.has_voice:
            found.setdefault(clip.label, []).append(clip)
    return found


def target(clip: Clip, kind: str) -> npt.NDArray[np.float32]:
    """What is learnt of a clip, float32 [7]: the intended emotion; or (`votes`, `both`) where people voted, their
    distribution or its mean with the intended emotion.
    """
    intended: npt.NDArray[np.float32] = np.eye(len(EMOTIONS), dtype=np.float32)[clip.target]
    if kind == "intended" or clip.votes is None:
        return intended
    votes = np.array(clip.votes, np.float32)
    return votes if kind == "votes" else np.float32(0.5) * (intended + votes)


def collate(samples: Sequence[Sample], targets: Sequence[npt.NDArray[np.float32]], input: Input) -> Batch:
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
        target=torch.from_numpy(np.stack(targets)),
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
            samples = [held(clips[i], processed) for i in chosen]
            batch = collate(samples, [target(clips[i], "intended") for i in chosen], input)
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
    """val_loss (mean negative log-likelihood) and val_uar of these clips, each the mean over the corpora: that of a
    corpus of 200 voices weighs as much as that of one of 3,000 faces. Where there are several, each one's val_uar too.
    """
    probabilities = predict(network, clips, processed)
    truth, corpus = np.array([c.target for c in clips]), np.array([c.corpus for c in clips])
    losses, uars = {}, {}
    for name in sorted(set(corpus.tolist())):
        own = corpus == name
        losses[name] = metrics.negative_log_likelihood(probabilities[own], truth[own])
        uars[name] = float(metrics.uar(metrics.confusion(truth[own], probabilities[own].argmax(1))))
    each = {f"val_uar_{name}": value for name, value in uars.items()} if len(uars) > 1 else {}
    return {"val_loss": float(np.mean(list(losses.values()))), "val_uar": float(np.mean(list(uars.values()))), **each}


def save_network(network: EmotionNet, path: Path, origin: Origin) -> None:
    """Write weights and, in the file's metadata, all that is needed to build the network again."""
    from safetensors.torch import save_file

    about = {
        "input": network.input.model_dump_json(),
        "model": network.model.model_dump_json(),
        "modalities": json.dumps(network.modalities),
        "origin": origin.model_dump_json(),
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


def read_origin(path: Path) -> Origin:
    """Where the weights in a file that `save_network` wrote come from."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return Origin.model_validate_json(file.metadata()["origin"])


def data_key(params: Params, manifest: Path, clips: Sequence[Clip], processed: Path) -> str:
    """Key of everything that decides a training but its hyperparameters: data, sizes of the network, code."""
    here = Path(__file__).parent
    code = [here / "training.py", here / "augment.py", here / "samples.py", *sorted((here / "model").glob("*.py"))]
    samples = [processed / c.sample for c in clips if c.split in ("train", "val")]
    weights = face_weights(params.train.face_weights) if params.train.face_weights else None
    files = [manifest, *code, *samples, *([weights] if weights else [])]
    return fingerprint([params.seed, params.input, params.model], files)


def checkpoint_of(key: str, params: Params, seed: int) -> Path:
    """Where the training with this `model` and `train` keeps its checkpoint."""
    return WORK / "checkpoints" / f"{fingerprint([key, params.model, params.train, seed], [])}.ckpt"


def _to(batch: Batch, device: torch.device) -> Batch:
    return replace(batch, **{name: tensor.to(device) for name, tensor in vars(batch).items()})
