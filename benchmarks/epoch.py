"""Where the time of a training's epoch goes, and what the floor is: one thread, processor time per clip.

    python -m benchmarks.epoch [--params params.yaml] [--data data] [--clips 96] [--compile] [--device cuda]

For each branch of a late fusion that is trained apart, or for the whole network: reading, augmenting and padding of the
clips, one way and back through the network, and the update. The floor is the network's multiply-adds, three times over
(once forth, twice back), at the rate at which this processor multiplies large matrices. Of a face also what the layout
of its network's channels is worth, and with `--compile` torch.compile. With `--device cuda` the network is on the GPU,
as a training has it there (bfloat16), and its times are by the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mmer.config import Params, Train
from mmer.data.clips import Clip, modalities_of, read_manifest, with_modalities
from mmer.data.samples import Memory, load_clip
from mmer.labels import ModalityName
from mmer.model.cost import cost
from mmer.model.network import Batch, EmotionNet
from mmer.params import load_params
from mmer.training.augment import augment
from mmer.training.batches import collate, target_of, to_device

CPU = torch.device("cpu")


def main() -> None:
    """Print a table for each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", type=torch.device, default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
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
    optimizer = torch.optim.AdamW(network.parameters(), train.lr)
    size = train.batch_size
    read = Memory(train.memory_mb << 20)
    first = timed(lambda: [load_clip(c, processed, read) for c in clips]) / len(clips) * 1e3
    samples = [load_clip(c, processed, read) for c in clips]
    varied = [augment(s, train.augment, np.random.default_rng(i)) for i, s in enumerate(samples)]
    targets = [target_of(c, train.targets) for c in clips]
    groups = [(varied[k : k + size], targets[k : k + size]) for k in range(0, len(clips), size)]
    batches = [collate(*group, params.input) for group in groups]

    def through(net: torch.nn.Module) -> None:
        for batch in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=device != CPU):
                value = loss(net, network, to_device(batch, device))
            value.backward()

    ways: dict[str, Callable[[], object]] = {
        "read again": lambda: [load_clip(c, processed, read) for c in clips],
        "augment": lambda: [augment(s, train.augment, np.random.default_rng(i)) for i, s in enumerate(samples)],
        "pad, cut into windows": lambda: [collate(*group, params.input) for group in groups],
        "forth and back": lambda: through(network),
        "update": lambda: [optimizer.step() for _ in batches],
    }
    on = {"forth and back": device, "update": device}
    times = {name: min(timed(do, on.get(name, CPU)) for _ in range(2)) / len(clips) * 1e3 for name, do in ways.items()}
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
        print("  " + layouts(params, modalities, size))
    if compiled:
        faster = torch.compile(network)
        began = time.perf_counter()
        through(faster)
        print(f"  {'compiled':24}{timed(lambda: through(faster), device) / len(clips) * 1e3:8.2f} ms,", end=" ")
        print(f"after {time.perf_counter() - began:.0f} s of compiling")


def layouts(params: Params, modalities: list[ModalityName], size: int) -> str:
    """What the face network alone takes with its channels last, as it is, and first, in turns."""
    side, kinds = params.input.face_size, {"last": torch.channels_last, "first": torch.contiguous_format}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(5):
        for kind, layout in kinds.items():
            face = EmotionNet(params.input, params.model, modalities).branch["face"].train().to(memory_format=layout)
            crops = torch.randn(size, 3, side, side).contiguous(memory_format=layout)
            times[kind].append(timed(lambda face=face, crops=crops: face(crops).sum().backward()) / size * 1e3)
    return "face network, channels " + ", ".join(f"{kind}: {np.median(all_):.1f} ms" for kind, all_ in times.items())


def loss(called: torch.nn.Module, network: EmotionNet, batch: Batch) -> torch.Tensor:
    """Some loss: what it is does not matter for the time."""
    begin = network.start(len(batch.target)).to(batch.target.device)
    said = called(batch.faces, batch.scenes, batch.voice, batch.present, begin)
    value: torch.Tensor = -(said.logits.mean(1).log_softmax(-1) * batch.target).sum()
    return value


if __name__ == "__main__":
    main()
