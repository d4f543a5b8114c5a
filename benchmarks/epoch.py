"""Where the time of a training's epoch goes, and what the floor is: one thread, processor time per clip.

    python -m benchmarks.epoch [--params params.yaml] [--data data] [--clips 96] [--compile]

For each branch of a late fusion that is trained apart, or for the whole network: reading, augmenting and padding of the
clips, one way and back through the network, and the update. The floor is the network's multiply-adds, three times over
(once forth, twice back), at the rate at which this processor multiplies large matrices. Of a face also what the layout
of its network's channels is worth, and with `--compile` torch.compile.
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
from mmer.training.batches import collate, target_of


def main() -> None:
    """Print a table for each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    params = load_params(given.params)
    clips = [c for c in read_manifest(given.data / "clips.parquet") if c.split == "train"]
    rate = multiply_rate()
    print(f"matrix product of 1,024 x 1,024: {rate / 1e9:.0f} G multiply-adds a second, one thread")
    names: list[list[ModalityName]] = [[m] for m in modalities_of(clips)] if params.train.branches else []
    for modalities in names or [list(modalities_of(clips))]:
        train = params.train.of_branch(modalities[0]) if params.train.branches else params.train
        own = with_modalities(clips, modalities)
        some = [own[i] for i in np.random.default_rng(0).choice(len(own), min(given.clips, len(own)), replace=False)]
        report(params, train, some, modalities, given.data / "processed", rate, given.compile)


def multiply_rate() -> float:
    """Multiply-adds a second of a large matrix product, least time of ten."""
    a = torch.randn(1024, 1024)
    return 1024**3 / min(timed(lambda: a @ a) for _ in range(10))


def timed(do: Callable[[], object]) -> float:
    """Processor seconds."""
    began = time.process_time()
    do()
    return time.process_time() - began


def report(
    params: Params,
    train: Train,
    clips: list[Clip],
    modalities: list[ModalityName],
    processed: Path,
    rate: float,
    compiled: bool,
) -> None:
    """The table of one training, milliseconds of processor time per clip: the lower of two runs, the first warms up."""
    print(f"\n{' + '.join(modalities)}: {len(clips)} clips, batches of {train.batch_size}")
    network = EmotionNet(params.input, params.model, modalities, train.dropout, train.voice_mask).train()
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
            loss(net, network, batch).backward()

    ways: dict[str, Callable[[], object]] = {
        "read again": lambda: [load_clip(c, processed, read) for c in clips],
        "augment": lambda: [augment(s, train.augment, np.random.default_rng(i)) for i, s in enumerate(samples)],
        "pad, cut into windows": lambda: [collate(*group, params.input) for group in groups],
        "forth and back": lambda: through(network),
        "update": lambda: [optimizer.step() for _ in batches],
    }
    times = {name: min(timed(do) for _ in range(2)) / len(clips) * 1e3 for name, do in ways.items()}
    whole = sum(times.values())
    print(f"  {'read the first time':24}{first:8.2f} ms, not in the whole")
    for name, each in times.items():
        print(f"  {name:24}{each:8.2f} ms{each / whole:8.0%}")
    steps = sum(float(b.present.amax(-1).sum()) for b in batches) / len(clips)
    floor = 3 * cost(network.eval()).macs_per_s * params.input.step_s * steps / rate * 1e3
    network.train()
    print(
        f"  {'whole':24}{whole:8.2f} ms; floor of forth and back {floor:.2f} ms, {steps:.1f} steps with evidence a clip"
    )
    if "face" in modalities:
        print("  " + layouts(params, modalities, size))
    if compiled:
        faster = torch.compile(network)
        began = time.perf_counter()
        through(faster)
        print(f"  {'compiled':24}{timed(lambda: through(faster)) / len(clips) * 1e3:8.2f} ms,", end=" ")
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
    said = called(batch.faces, batch.scenes, batch.voice, batch.present, network.start(len(batch.target)))
    value: torch.Tensor = -(said.logits.mean(1).log_softmax(-1) * batch.target).sum()
    return value


if __name__ == "__main__":
    main()
