"""The cells of a comparison: one training each, of one variation with one seed, done once and kept as a small file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml
from filelock import FileLock

from mmer.config import Params
from mmer.data.clips import Clip
from mmer.errors import MmerError
from mmer.model.cost import cost
from mmer.packaging.export import export
from mmer.packaging.parity import speed
from mmer.params import varied
from mmer.training.checkpoints import WORK, face_weights, fingerprint, forget
from mmer.training.fit import fit
from mmer.training.inference import predict

BASE = "base"
FOLDER = WORK / "compare"


class CompareError(MmerError):
    """There is nothing to compare; the message says why."""


@dataclass(frozen=True)
class Variation:
    """One row of the table."""

    group: str
    name: str
    against: str
    """The variation that it is compared with."""
    params: Params


@dataclass(frozen=True)
class Cell:
    """One training, done."""

    seed: int
    answers: list[int]
    """For each test clip the index of the emotion."""
    val_uar: float
    parameters: int
    macs_per_s: float
    graph_bytes: int
    seconds: float
    """That the training took, with whatever ran beside it."""
    without: dict[str, list[int]] = field(default_factory=dict)
    """Its answers when a modality is taken from the test clips, by the modality; of networks with several."""


def read_variations(path: Path, base: Params) -> tuple[list[Variation], list[str]]:
    """The base and all variations of it, in the file's order; and the names of those that cannot be run here, since the
    weights that they start from are not there.

    Raises:
        ConfigError: a variation has a wrong key or value.
        CompareError: one is compared with another that does not come before it, or changes what samples are made by.
    """
    found, left_out = [Variation("", BASE, BASE, base)], []
    for group, variations in yaml.safe_load(path.read_text()).items():
        for name, given in variations.items():
            against = given.pop("against", BASE)
            params = varied(base, given)
            if params.model_copy(update={"model": base.model, "train": base.train}) != base:
                raise CompareError(
                    f"{path}: {name!r} changes more than model and train; samples are prepared for one base"
                )
            weights = params.train.face_weights
            if weights is not None and face_weights(weights) is None:
                left_out.append(name)
                continue
            if against not in (v.name for v in found):
                raise CompareError(f"{path}: {name!r} is compared with {against!r}, which does not stand before it")
            found.append(Variation(group, name, against, params))
    return found, left_out


def file_of(variation: Variation, seed: int, data_key: str) -> Path:
    """Where the cell is kept; `.onnx` instead of `.json` is its graph."""
    given = variation.params
    weights = face_weights(given.train.face_weights) if given.train.face_weights else None
    return FOLDER / f"{fingerprint([data_key, given.model, given.train, seed], [weights] if weights else [])}.json"


def run(variation: Variation, seed: int, data_key: str, clips: Sequence[Clip], processed: Path) -> Cell:
    """Train with one thread and answer about the test clips, unless that is done; a training that was cut goes on."""
    import torch

    torch.set_num_threads(1)
    file = file_of(variation, seed, data_key)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            _train(variation, seed, file, clips, processed)
    return Cell(**json.loads(file.read_text()))


def _train(variation: Variation, seed: int, file: Path, clips: Sequence[Clip], processed: Path) -> None:
    params, checkpoint, graph = variation.params, file.with_suffix(".ckpt"), file.with_suffix(".onnx")
    title = f"{variation.name}, seed {seed}"
    done = fit(params, params.train, clips, processed, seed=seed, checkpoint=checkpoint, title=title)
    test = [c for c in clips if c.split == "test"]
    export(done.network, graph, media=params.media, faces=params.faces, origin=done.origin, revision="")
    has = done.network.modalities
    without = {m: predict(done.network, test, processed, modalities=[o for o in has if o != m]) for m in has}
    spent = cost(done.network)
    cell = Cell(
        seed=seed,
        answers=predict(done.network, test, processed).argmax(1).tolist(),
        val_uar=done.best["val_uar"],
        parameters=spent.parameters,
        macs_per_s=spent.macs_per_s,
        graph_bytes=graph.stat().st_size,
        seconds=round(done.seconds, 1),
        without={m: said.argmax(1).tolist() for m, said in without.items()} if len(has) > 1 else {},
    )
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(cell)))
    part.replace(file)
    forget(checkpoint)


def live_times(graphs: Mapping[str, Path], step_s: float, rounds: int = 3) -> dict[str, float]:
    """CPU milliseconds of each graph for a second of live input: the least of several rounds over all of them, so that
    a busy minute of the machine strikes all alike. Measured once and kept beside the graphs.
    """
    kept = {name: graph.with_suffix(".ms") for name, graph in graphs.items()}
    new = [name for name, file in kept.items() if not file.exists()]
    measured: dict[str, list[float]] = {name: [] for name in new}
    for _ in range(rounds):
        for name in new:
            measured[name].append(speed([graphs[name]])[0] / step_s)
    for name, times in measured.items():
        kept[name].write_text(f"{min(times):.4g}")
    return {name: float(file.read_text()) for name, file in kept.items()}
