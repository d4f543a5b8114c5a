"""fit(): one training, from samples to a network; load_network() and predict() for what comes after.

Everything random in epoch e depends on (seed, e) alone and the state is saved after each epoch, so that a training
that was killed goes on and ends with the same weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from mmer import metrics
from mmer.augment import augment, hide, nothing, pair
from mmer.clips import Clip
from mmer.config import Balance, Input, Model, Params, Train
from mmer.errors import MmerError
from mmer.fingerprint import fingerprint
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.losses import batch_loss, emotion_weights
from mmer.samples import Memory, Sample, load_sample, voice_present, voice_windows

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mmer.model.network import Batch, EmotionNet, Output

Read = Callable[[Path, Sequence[ModalityName]], Sample]
"""`load_sample`, or one that remembers."""
Epoch = dict[str, float]
"""One epoch's figures: epoch, train_loss, val_loss, val_uar; of a branch trained apart with its name before each."""
#: Where checkpoints and studies lie: outside the stages' outputs, which DVC deletes before a run.
WORK = Path(".mmer")
ENOUGH = 100
"""Clips of a corpus from which on it weighs as much as any other in choosing an epoch."""
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
    start: str | None = None
    """The weights of an earlier training that this one went on from: name, sha256 and where those came from."""


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
) -> Fit:
    """Train a network on the clips of split `train`, and keep the epoch that does best on those of split `val`.

    Args:
        train: the hyperparameters, which the search varies. With `branches`, the network is put together from branches
            that are each trained apart: with late fusion they share nothing.
        processed: the folder of prepared samples.
        checkpoint: a file to go on from, and to write after each epoch (one for each branch that is trained apart).
        on_epoch: told each epoch's figures, also those of epochs done before a cut; may raise to stop.

    Raises:
        TrainingError: a split is empty.
    """
    learn, held_out = ([c for c in clips if c.split == split] for split in ("train", "val"))
    if not learn or not held_out:
        raise TrainingError(
            f"{len(learn)} clips to train and {len(held_out)} to validate: look at split in params.yaml"
        )
    job = _Job(params, train, learn, held_out, processed, seed, checkpoint, on_epoch, title)
    return _fit_apart(job) if train.branches else _fit(job)


@dataclass(frozen=True)
class _Job:
    """What `fit` was asked for."""

    params: Params
    train: Train
    learn: list[Clip]
    held_out: list[Clip]
    processed: Path
    seed: int
    checkpoint: Path | None
    on_epoch: Callable[[Epoch], None]
    title: str


def _fit_apart(job: _Job) -> Fit:
    """Train the branch of each modality on the clips that hold it, and put the network together from them."""
    import torch

    modalities = held_modalities(job.learn)
    torch.manual_seed(job.seed)
    whole = _network(job.params, job.train, modalities)
    weights, history, best, origins, seconds = whole.state_dict(), dict[float, Epoch](), Epoch(epoch=0), [], 0.0
    for name in modalities:
        told = partial(_of_branch, name)
        done = _fit(
            replace(
                job,
                train=job.train.of_branch(name),
                learn=holding(job.learn, [name]),
                held_out=holding(job.held_out, [name]),
                checkpoint=job.checkpoint and job.checkpoint.with_stem(f"{job.checkpoint.stem}-{name}"),
                on_epoch=partial(lambda told, row: job.on_epoch(told(row)), told),
                title=f"{job.title} {name}",
            )
        )
        learnt = done.network.state_dict()
        weights |= {key: learnt[key] for key in _keys_of(name, learnt)}
        for row in done.history:
            history.setdefault(row["epoch"], {}).update(told(row))
        latest = max(best["epoch"], done.best["epoch"])
        best |= {**told(done.best), f"{name}_epoch": done.best["epoch"], "epoch": latest}
        origins.append(done.origin)
        seconds += done.seconds
    whole.load_state_dict(weights)
    calibrate(whole, job.held_out, job.processed)
    origin = Origin(
        corpora=tuple(sorted({c for origin in origins for c in origin.corpora})),
        face_weights=next((o.face_weights for o in origins if o.face_weights), None),
        start=next((o.start for o in origins if o.start), None),
    )
    best |= score(whole, job.held_out, job.processed)
    return Fit(whole.cpu().eval(), origin, [history[epoch] for epoch in sorted(history)], best, seconds)


def _of_branch(name: ModalityName, row: Epoch) -> Epoch:
    return {key if key == "epoch" else f"{name}_{key}": value for key, value in row.items()}


def _keys_of(name: ModalityName, weights: Mapping[str, Tensor]) -> list[str]:
    """The names of the weights that belong to a modality's branch."""
    return [key for key in weights if name in key.split(".")]


def _network(params: Params, train: Train, modalities: Sequence[ModalityName]) -> EmotionNet:
    from mmer.model.network import EmotionNet

    return EmotionNet(params.input, params.model, modalities, train.dropout, train.voice_mask)


def _fit(job: _Job) -> Fit:
    """One training of one network."""
    import torch
    from lightning_fabric import Fabric
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    from tqdm import tqdm

    train, learn = job.train, job.learn
    if train.mixup and held_modalities(learn) != ("voice",):
        raise TrainingError("train.mixup mixes voices alone: set it in train.branches.voice, with model.fusion: late")
    fast = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    fabric = Fabric(accelerator="auto", devices=1, precision="bf16-mixed" if fast else "32-true")
    torch.manual_seed(job.seed)
    network = _network(job.params, train, held_modalities(learn))
    origin = Origin(
        corpora=tuple(sorted({c.corpus for c in learn})),
        pairing=train.pairing,
        face_weights=start_face(network, train.face_weights) if train.face_weights else None,
        start=start_from_earlier(network, Path(train.start)) if train.start else None,
    )
    optimizer = torch.optim.AdamW(network.parameters(), train.lr, weight_decay=train.weight_decay)
    updates = -(-len(learn) // train.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, train.lr, train.epochs * updates, pct_start=0.2)
    module, optimizer = fabric.setup(network, optimizer)
    for method in ("embed", "decide"):
        module.mark_forward_method(method)
    # Validated and kept is the moving average of the weights (all of the last update where `ema` is 0).
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(train.ema), use_buffers=True)  # type: ignore[no-untyped-call]
    weights = emotion_weights(learn).to(fabric.device)
    read = Memory(train.memory_mb << 20)

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
        torch.manual_seed(job.seed * 1000 + epoch)
        module.train()
        losses = []
        before: Tensor | None = None
        drawn = draw(learn, train.balance, np.random.default_rng((job.seed, epoch)))
        with tqdm(total=len(drawn), desc=f"{job.title} {epoch + 1}/{train.epochs}", unit="clip", leave=False) as bar:
            for batch in batches(learn, drawn, job.processed, job.params, train, seed=(job.seed, epoch), read=read):
                batch = _to(batch, fabric.device)
                loss, before = batch_loss(module, batch, before, train, weights)
                optimizer.zero_grad()
                fabric.backward(loss)
                fabric.clip_gradients(module, optimizer, max_norm=5.0)
                optimizer.step()
                schedule.step()
                average.update_parameters(network)
                losses.append(loss.item())
                bar.update(len(batch.target))
        found = score(cast("EmotionNet", average.module), job.held_out, job.processed, read)
        row = {"epoch": epoch + 1, "train_loss": float(np.mean(losses)), **found}
        row = {k: round(v, 6) for k, v in row.items()}
        history.append(row)
        if best["row"] is None or (row["val_uar"], -row["val_loss"]) > (
            best["row"]["val_uar"],
            -best["row"]["val_loss"],
        ):
            best = {"row": row, "weights": {k: v.detach().clone() for k, v in average.module.state_dict().items()}}
        seconds += time.perf_counter() - began
        if job.checkpoint is not None:
            state = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "history": history}
            part = job.checkpoint.with_suffix(".part")
            job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            nets = {"network": network.state_dict(), "average": average.state_dict()}
            fabric.save(part, {**nets, "best": best, "seconds": seconds, **state})
            part.replace(job.checkpoint)
        job.on_epoch(row)
    network.load_state_dict(best["weights"])
    calibrate(network, job.held_out, job.processed)
    return Fit(network.cpu().eval(), origin, history, best["row"], seconds)


def calibrate(network: EmotionNet, clips: Sequence[Clip], processed: Path) -> None:
    """Fit the temperatures of a network on validation clips (Guo et al. 2017): with late fusion that of each modality,
    on the clips that hold it and with nothing else given; with early fusion the one of the answer.
    """
    from mmer.model.fusion import LateFusion

    network.fusion.temperature.fill_(1.0)
    if not isinstance(network.fusion, LateFusion):
        network.fusion.temperature.fill_(_temperature(predict(network, clips, processed), clips))
        return
    for name in network.modalities:
        if having := [c for c in clips if getattr(c, f"has_{name}")]:
            said = predict(network, having, processed, modalities=[name])
            network.fusion.temperature[MODALITIES.index(name)] = _temperature(said, having)


def _temperature(probabilities: npt.NDArray[np.float32], clips: Sequence[Clip]) -> float:
    """That under which these answers [n, 7] make the truth likeliest."""
    from scipy.optimize import minimize_scalar

    chances, truth = np.log(np.clip(probabilities, 1e-7, 1)), np.array([c.target for c in clips])

    def loss(log_temperature: float) -> float:
        scaled = chances / np.exp(log_temperature)
        return float((np.logaddexp.reduce(scaled, 1) - scaled[np.arange(len(truth)), truth]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


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


def start_from_earlier(network: EmotionNet, path: Path) -> str | None:
    """Start the branches that an earlier training has in the same shape from its weights; returns what they are, None
    where there is nothing at `path`.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        print(f"train.start: there is no {path}; the network starts without it")
        return None
    earlier, own = load_file(path), network.state_dict()  # whatever else that network had is not asked
    taken = []
    for name in network.modalities:
        mine = _keys_of(name, own)
        if all(key in earlier and earlier[key].shape == own[key].shape for key in mine):
            own |= {key: earlier[key] for key in mine}
            taken.append(name)
    network.load_state_dict(own)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{', '.join(taken) or 'nothing'} of {path} sha256:{digest}, {read_origin(path).model_dump_json()}"


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
    params: Params,
    train: Train,
    *,
    seed: tuple[int, int],
    read: Read = load_sample,
) -> Iterator[Batch]:
    """One epoch of training: the drawn clips, augmented, with modality dropout; all of it decided by the seed."""
    faces = _faces_alone(clips) if train.pairing == "label" else {}
    even = np.full(len(EMOTIONS), 1 / len(EMOTIONS), np.float32)
    for start in range(0, len(drawn), train.batch_size):
        samples, targets = [], []
        for place, index in enumerate(drawn[start : start + train.batch_size], start):
            rng = np.random.default_rng((*seed, place))
            clip = clips[index]
            sample, wanted = held(clip, processed, read), target(clip, train.targets)
            if rng.random() < train.nothing:
                sample, wanted = nothing(sample, rng), even
            sample = _reheard(augment(sample, train.augment, rng), params)
            if faces.get(clip.label) and clip.has_voice and not clip.has_face and rng.random() < PAIRED:
                face = faces[clip.label][rng.integers(len(faces[clip.label]))]
                sample = pair(sample, augment(held(face, processed, read), train.augment, rng), rng)
            samples.append(replace(sample, present=hide(sample.present, train.modality_dropout, rng)))
            targets.append(wanted)
        yield collate(samples, targets, params.input)


def _reheard(sample: Sample, params: Params) -> Sample:
    """A voice that was made louder, softer or noisier is present where a recogniser would now hear it; one that is no
    longer heard anywhere is left as it was.
    """
    there = sample.present[:, MODALITIES.index("voice")]
    if not there.any():
        return sample
    steps, input = len(there), params.input
    windows = voice_windows(sample.voice, steps, input.step_s, input.voice_window_s)
    heard = voice_present(windows, params.media.silence_dbfs)
    if not heard.any():
        return sample
    present = sample.present.copy()
    present[:, MODALITIES.index("voice")] = heard
    return replace(sample, present=present)


def held(clip: Clip, processed: Path, read: Read = load_sample) -> Sample:
    """A clip's sample, without what the clip is said not to hold: a modality that was taken away is absent."""
    holds = (clip.has_face, clip.has_scene, clip.has_voice)
    sample = read(processed / clip.sample, [m for m, there in zip(MODALITIES, holds, strict=True) if there])
    return replace(sample, present=sample.present & holds)


def holding(clips: Sequence[Clip], modalities: Sequence[ModalityName]) -> list[Clip]:
    """The clips that hold one of these modalities or more, with all others taken away."""
    gone: dict[str, object] = {f"has_{name}": False for name in MODALITIES if name not in modalities}
    return [clip.model_copy(update=gone) for clip in clips if any(getattr(clip, f"has_{name}") for name in modalities)]


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

    def stack(arrays: Sequence[npt.NDArray[Any]], modality: int | None = None) -> Tensor:
        shape = (len(arrays), max(steps), *arrays[0].shape[1:])
        if modality is not None and not any(s.present[:, modality].any() for s in samples):
            return torch.from_numpy(np.zeros((), arrays[0].dtype)).expand(shape)  # takes no memory
        out = np.zeros(shape, arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(out)

    windows = [
        voice_windows(s.voice, n, input.step_s, input.voice_window_s) for s, n in zip(samples, steps, strict=True)
    ]
    return Batch(
        faces=stack([s.faces for s in samples], 0),
        scenes=stack([s.scenes for s in samples], 1),
        voice=stack(windows, 2),
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
    read: Read = load_sample,
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
            samples = [held(clips[i], processed, read) for i in chosen]
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
    read: Read = load_sample,
) -> npt.NDArray[np.float32]:
    """Clip probabilities float32 [n, 7] of a network in evaluation mode, with all other modalities taken away."""
    network.eval()
    device = next(network.parameters()).device

    def forward(batch: Batch) -> Tensor:
        given = _to(batch, device)
        begin = network.start(len(given.target)).to(device)
        output: Output = network(given.faces, given.scenes, given.voice, given.present, begin)
        return output.logits.cpu()

    return clip_probabilities(forward, clips, processed, network.input, modalities, read=read)


def score(network: EmotionNet, clips: Sequence[Clip], processed: Path, read: Read = load_sample) -> Epoch:
    """val_loss (mean negative log-likelihood) and val_uar of these clips, each the mean over the corpora: one of 200
    voices weighs as much as one of 3,000 faces, and one of less than `ENOUGH` clips by how many it has. Where there are
    several, each one's val_uar too.
    """
    probabilities = predict(network, clips, processed, read=read)
    truth, corpus = np.array([c.target for c in clips]), np.array([c.corpus for c in clips])
    losses, uars, weights = {}, {}, []
    for name in sorted(set(corpus.tolist())):
        own = corpus == name
        weights.append(min(int(own.sum()), ENOUGH))
        losses[name] = metrics.negative_log_likelihood(probabilities[own], truth[own])
        uars[name] = float(metrics.uar(metrics.confusion(truth[own], probabilities[own].argmax(1))))
    each = {f"val_uar_{name}": value for name, value in uars.items()} if len(uars) > 1 else {}
    loss, uar = (float(np.average(list(of.values()), weights=weights)) for of in (losses, uars))
    return {"val_loss": loss, "val_uar": uar, **each}


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
    names = ("training.py", "losses.py", "augment.py", "samples.py")
    code = [*(here / name for name in names), *sorted((here / "model").glob("*.py"))]
    samples = [processed / c.sample for c in clips if c.split in ("train", "val")]
    trainings = [params.train, *(params.train.of_branch(name) for name in params.train.branches)]
    given = [face_weights(t.face_weights) for t in trainings if t.face_weights]
    given += [Path(t.start) for t in trainings if t.start and Path(t.start).is_file()]
    files = [manifest, *code, *samples, *(path for path in given if path)]
    return fingerprint([params.seed, params.input, params.model, params.media], files)


def checkpoint_of(key: str, params: Params, seed: int) -> Path:
    """Where the training with this `model` and `train` keeps its checkpoint."""
    return WORK / "checkpoints" / f"{fingerprint([key, params.model, params.train, seed], [])}.ckpt"


def forget(checkpoint: Path) -> None:
    """Remove the checkpoint of a training that is done, also those of branches trained apart."""
    for path in checkpoint.parent.glob(f"{checkpoint.stem}*.ckpt"):
        path.unlink()


def _to(batch: Batch, device: torch.device) -> Batch:
    return replace(batch, **{name: tensor.to(device) for name, tensor in vars(batch).items()})
