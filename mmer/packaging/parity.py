"""How a graph's answers and speed compare with those of the network it was exported from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmer import metrics
from mmer.data.clips import Clip
from mmer.metrics import one_hot
from mmer.runtime.graph import Graph
from mmer.runtime.spec import INPUTS, GraphSpec
from mmer.training.inference import Answers, Said, clip_answers


@dataclass(frozen=True)
class Parity:
    """How the answers of a graph compare with those of the network over some clips."""

    clips: int
    max_difference: float
    """Largest difference of a clip's probability."""
    agreement: float
    """Share of the clips with the same label."""
    uar_loss: float
    """UAR of the network less that of the graph."""
    uar_loss_low: float | None
    """Its 95% interval over paired resamples of the speakers; None where there is only one speaker."""
    uar_loss_high: float | None
    affect_difference: float | None = None
    """Largest difference of a clip's valence or arousal, where these are said."""


def answer_graph(path: Path, clips: Sequence[Clip], processed: Path) -> Answers:
    """What a graph says of clips, as `mmer.training.inference.answer` tells it of a network."""
    import torch

    from mmer.model.network import Batch

    graph = Graph(path)

    def forward(batch: Batch) -> Said:
        given = {n: getattr(batch, n).numpy() for n in INPUTS if n != "state"}
        begin = np.zeros((len(batch.target), graph.state_size), np.float32)
        found = graph({**given, "state": begin})
        affect = torch.from_numpy(found["affect"]) if graph.info.affect else None
        return torch.from_numpy(found["logits"]), affect

    return clip_answers(forward, clips, processed, graph.info.input, affect=graph.info.affect)


def compare(
    ours: Answers,
    theirs: Answers,
    clips: Sequence[Clip],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Parity:
    """Compare two ways of answering about the same clips.

    Args:
        ours: the network's.
        theirs: the graph's.
        resamples: of the speakers, behind the interval.
        seed: of the draw.
    """
    truth, speakers = np.array([c.target for c in clips]), [c.person for c in clips]
    (network, felt), (graph, felt_too) = ours, theirs
    answers = np.stack([one_hot(network), one_hot(graph)])
    apart = None if felt is None or felt_too is None else np.abs(felt - felt_too)

    def loss(counts: metrics.Counts) -> npt.NDArray[np.float64]:
        scores = metrics.uar(counts)
        return np.asarray(scores[..., 0] - scores[..., 1])

    low = high = None
    if len(set(speakers)) > 1:
        low, high = metrics.percentile_interval(loss(metrics.bootstrap(truth, answers, speakers, resamples, seed)))
    return Parity(
        clips=len(clips),
        max_difference=float(np.abs(network - graph).max()),
        agreement=float((network.argmax(1) == graph.argmax(1)).mean()),
        uar_loss=float(loss(np.stack([metrics.soft_confusion(truth, a) for a in answers]))),
        uar_loss_low=low,
        uar_loss_high=high,
        affect_difference=None if apart is None else float(np.nanmax(apart, initial=0.0)),
    )


def speed(paths: Sequence[Path], passes: int = 50) -> list[float]:
    """Processor milliseconds that each graph takes for one step of a stream, with one thread: the median over so many
    passes, in which they take turns.
    """
    graphs, taken = [Graph(path) for path in paths], np.zeros((passes, len(paths)))
    arrays = GraphSpec.of(graphs[0].info.input).zeros(B=1, T=1, K=graphs[0].state_size)
    rng = np.random.default_rng(0)
    for name in ("faces", "scenes"):
        arrays[name] = rng.integers(0, 256, arrays[name].shape, np.uint8)
    arrays["voice"] = rng.normal(0, 0.1, arrays["voice"].shape).astype(np.float32)
    arrays["present"] = np.ones_like(arrays["present"])
    for turn in range(-3, passes):  # the first ones allocate
        for k, graph in enumerate(graphs):
            start = time.process_time()
            graph(arrays)
            if turn >= 0:
                taken[turn, k] = 1000 * (time.process_time() - start)
    return [float(ms) for ms in np.median(taken, axis=0)]
