"""Where the time of a training's epoch goes, and what the floor is: one thread, processor time per clip.

    python -m benchmarks.epoch [--params params.yaml] [--data data] [--clips 96] [--compile] [--device cuda]

For each branch of a late fusion that is trained apart, or for the whole network: reading, augmenting and padding of the
clips, one way and back through the network, and the update. The floor is the network's multiply-adds, three times over
(once forth, twice back), at the rate at which this processor multiplies large matrices. Of a face also what each of the
`VARIANTS` is worth, by turns, and with `--compile` torch.compile. With `--device cuda` the network is on the GPU, as a
training has it there (bfloat16), and its times are by the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mmer.config import Params, Train
from mmer.data.clips import Clip, modalities_of, read_manifest, with_modalities
from mmer.data.samples import Memory, Sample, load_clip
from mmer.labels import ModalityName
from mmer.model.cost import cost
from mmer.model.network import Batch, EmotionNet
from mmer.model.prelu import PReLU
from mmer.params import load_params
from mmer.training import cameras
from mmer.training.augment import augment
from mmer.training.batches import collate, target_of, to_device
from mmer.training.devices import keep_memory

CPU = torch.device("cpu")
TURNS = 5


@dataclass(frozen=True)
class Variant:
    """How the face network goes forth and back; by default as in a training."""

    batch_size: int | None = None
    layout: torch.memory_format = torch.channels_last
    prelu: type[nn.Module] = PReLU
    dtype: torch.dtype = torch.float32


VARIANTS = {
    "as it is": Variant(),
    "torch's PReLU": Variant(prelu=nn.PReLU),
    "channels first": Variant(layout=torch.contiguous_format),
    "bfloat16, torch's PReLU": Variant(dtype=torch.bfloat16),  # ours is for what is of one kind
    **{f"batches of {size}": Variant(batch_size=size) for size in (16, 32, 128, 256)},
}


def main() -> None:
    """Print a table for each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--gives-back", action="store_true", help="memory at once, as glibc does, and trainings do not")
    parser.add_argument("--device", type=torch.device, default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.gives_back:
        keep_memory()
    params = load_params(given.params)
    clips = [c for c in read_manifest(given.data / "clips.parquet") if c.split == "train"]
    device = torch.device(given.device)
    side = 1024 if device.type == "cpu" else 8192
    rate = multiply_rate(device, side)
    print(f"matrix product of {side:,} x {side:,}: {rate / 1e9:,.0f} G multiply-adds a second, {device}, one thread")
    names: list[list[ModalityName]] = (
        [[m] for m in modalities_of(clips) if m in params.model.modalities] if params.train.branches else []
    )
    for modalities in names or [list(modalities_of(clips))]:
        train = params.train.of_branch(modalities[0]) if params.train.branches else params.train
        own = with_modalities(clips, modalities)
        some = [own[i] for i in np.random.default_rng(0).choice(len(own), min(given.clips, len(own)), replace=False)]
        report(params, train, some, modalities, given.data / "processed", rate, given.compile, device)


def multiply_rate(device: torch.device, side: int) -> float:
    """Multiply-adds a second of a large matrix product, least time of ten."""
    a = torch.randn(side, side, device=device, dtype=torch.float32 if device.type == "cpu" else torch.bfloat16)
    return side**3 / min(timed(lambda: a @ a, device) for _ in range(10))


def timed(do: Callable[[], object], device: torch.device = CPU) -> float:
    """Seconds of the processor; on a GPU, of the clock, to its end."""
    if device == CPU:
        began = time.process_time()
        do()
        return time.process_time() - began
    torch.cuda.synchronize(device)
    began = time.perf_counter()
    do()
    torch.cuda.synchronize(device)
    return time.perf_counter() - began


def report(
    params: Params,
    train: Train,
    clips: list[Clip],
    modalities: list[ModalityName],
    processed: Path,
    rate: float,
    compiled: bool,
    device: torch.device,
) -> None:
    """The table of one training, milliseconds of processor time per clip: the lower of two runs, the first warms up."""
    print(f"\n{' + '.join(modalities)}: {len(clips)} clips, batches of {train.batch_size}")
    network = EmotionNet(params.input, params.model, modalities, train.dropout, train.voice_mask).train().to(device)
    updates = updating(network, train)
    size = train.batch_size
    read = Memory(train.memory_mb << 20)
    first = timed(lambda: [load_clip(c, processed, read) for c in clips]) / len(clips) * 1e3
    samples = [load_clip(c, processed, read) for c in clips]
    changed = [varied(s, train, np.random.default_rng(i)) for i, s in enumerate(samples)]
    targets = [target_of(c, train.targets) for c in clips]
    groups = [(changed[k : k + size], targets[k : k + size]) for k in range(0, len(clips), size)]
    batches = [collate(*group, params.input) for group in groups]

    def through(net: torch.nn.Module) -> None:
        for batch in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=device != CPU):
                value = loss(net, network, to_device(batch, device))
            value.backward()

    ways: dict[str, Callable[[], object]] = {
        "read again": lambda: [load_clip(c, processed, read) for c in clips],
        "augment": lambda: [varied(s, train, np.random.default_rng(i)) for i, s in enumerate(samples)],
        "pad, cut into windows": lambda: [collate(*group, params.input) for group in groups],
        "forth and back": lambda: through(network),
        **{name: lambda do=do: [do() for _ in batches] for name, do in updates.items()},
    }
    on = dict.fromkeys(("forth and back", *updates), device)
    times = {name: median(do, on.get(name, CPU)) / len(clips) for name, do in ways.items()}
    whole = sum(times.values())
    print(f"  {'read the first time':24}{first:8.2f} ms, not in the whole")
    for name, each in times.items():
        print(f"  {name:24}{each:8.2f} ms{each / whole:8.0%}")
    steps = sum(float(b.present.amax(-1).sum()) for b in batches) / len(clips)
    floor = 3 * cost(network.cpu().eval()).macs_per_s * params.input.step_s * steps / rate * 1e3
    network.to(device).train()
    print(
        f"  {'whole':24}{whole:8.2f} ms; floor of forth and back {floor:.2f} ms, {steps:.1f} steps with evidence a clip"
    )
    if "face" in modalities and device == CPU:
        print("\n".join(variants(params, modalities, size)))
    if compiled:
        faster = torch.compile(network)
        began = time.process_time()
        through(faster)
        took = time.process_time() - began
        print(f"  {'compiled':24}{median(lambda: through(faster), device) / len(clips):8.2f} ms,", end=" ")
        print(f"after {took:.0f} s of compiling")


def median(do: Callable[[], object], device: torch.device) -> float:
    """Milliseconds: the median of `TURNS`, after one that warms up."""
    return float(np.median([timed(do, device) for _ in range(TURNS + 1)][1:])) * 1e3


def varied(sample: Sample, train: Train, rng: np.random.Generator) -> Sample:
    """A clip as a training augments it, but for channels, which need others' voices."""
    sample = augment(sample, train.augment, rng)
    if train.cameras is None or not sample.present[:, 0].any():
        return sample
    return replace(sample, faces=cameras.through(sample.faces, train.cameras, rng))


def updating(network: EmotionNet, train: Train) -> dict[str, Callable[[], object]]:
    """What there is to do once gradients are there (mmer/training/fit.py), by name."""
    optimizer = torch.optim.AdamW(network.parameters(), train.lr, fused=True)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(train.ema), use_buffers=True)
    return {
        "update": optimizer.step,
        "clip gradients, average": lambda: (
            nn.utils.clip_grad_norm_(network.parameters(), 5.0),
            average.update_parameters(network),
        ),
    }


def variants(params: Params, modalities: list[ModalityName], size: int) -> list[str]:
    """What the face network alone takes forth and back in each variant, in turns: lines."""
    side = params.input.face_size
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(TURNS + 1):
        for name, one in VARIANTS.items():
            face = (
                EmotionNet(params.input, params.model, modalities).branch["face"].train().to(memory_format=one.layout)
            )
            for module in face.modules():
                if isinstance(module, PReLU):
                    module.__class__ = one.prelu
            count = one.batch_size or size
            crops = torch.randn(count, 3, side, side).contiguous(memory_format=one.layout)
            mixed = one.dtype != torch.float32

            def both(
                face: nn.Module = face, crops: torch.Tensor = crops, one: Variant = one, mixed: bool = mixed
            ) -> None:
                with torch.autocast("cpu", one.dtype, enabled=mixed):
                    said = face(crops)
                said.float().sum().backward()

            both()  # allocates
            times[name].append(timed(both) / count * 1e3)
    lines = [f"  the face network alone, forth and back, by turns, medians of {TURNS}:"]
    return lines + [f"    {name:26}{np.median(taken[1:]):6.2f} ms" for name, taken in times.items()]


def loss(called: torch.nn.Module, network: EmotionNet, batch: Batch) -> torch.Tensor:
    """Some loss: what it is does not matter for the time."""
    begin = network.start(len(batch.target)).to(batch.target.device)
    said = called(batch.faces, batch.scenes, batch.voice, batch.present, begin)
    value: torch.Tensor = -(said.logits.mean(1).log_softmax(-1) * batch.target).sum()
    return value


if __name__ == "__main__":
    main()
