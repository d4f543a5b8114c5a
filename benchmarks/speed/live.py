"""A live stream's cost, part by part: before, after, the floor, and torch on the same schedule."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from benchmarks import budgets
from benchmarks.speed.trees import Sides, decoded, recognizer, workers
from mmer.runtime.detector import FACTOR, WINDOW
from mmer.runtime.graph import GRAPH, Graph
from mmer.runtime.spec import GraphSpec

SECONDS = 10.0
"""That a clip is played in a turn."""
PARTS = {"search": "search for faces", "follow": "follow the face", "network": "network"}
TARGETS = {"release": 27.0, "light": 18.0}
"""CPU ms a second."""
TIMES_TORCH = 4.0


def section(sides: Sides) -> str:
    """The tables."""
    models = {"release": "release", "light": "release/light"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = budgets.clips_at_hand(folder / "drawn")
        info = Graph(sides.after / "release" / GRAPH).info
        clips = [decoded(path, folder, info.media) for path in paths]
        torch = budgets.rivals(sides.after / "release", sides.after / "release" / budgets.SMALL_GRAPH).get("torch")
        lives = [budgets.read(path, torch.recognizer) for path in paths] if torch else []
        trees = {"before": sides.before, "after": sides.after}
        named = {
            f"{which} {when}": recognizer(tree, tree / models[which])
            for which in models
            for when, tree in trees.items()
        }
        taken: dict[str, list[dict[str, float]]] = {who: [] for who in [*named, "torch"]}
        with workers(named) as made:
            for turn in range(sides.turns + 1):  # the first allocates
                for k, clip in enumerate(clips):
                    for who, worker in made.items():
                        told = worker(clip, SECONDS)["ms"]
                        if turn:
                            taken[who].append(told)
                    if torch:
                        loops = max(1, round(SECONDS / (lives[k].steps * info.input.step_s)))
                        budgets.stream(torch, lives[k], loops)
                        if turn:
                            taken["torch"].append(torch.turns[lives[k].name][-1])
    return report(taken, floors(sides.after / "release", info.faces.detect_every_s), len(clips), sides.turns)


def report(taken: dict[str, list[dict[str, float]]], floor: dict[str, float], clips: int, turns: int) -> str:
    """Medians over turns, of each clip, and their mean."""

    def ms(who: str, part: str) -> float:
        rows = np.array([told.get(part, 0.0) for told in taken[who]]).reshape(turns, clips)
        return float(np.median(rows, axis=0).mean())

    def rest(who: str) -> float:
        return ms(who, "whole") - sum(ms(who, part) for part in PARTS)

    there = [who for who, rows in taken.items() if rows]
    lines = [
        f"{clips} clips, each played for {SECONDS:g} s a turn, {turns} turns, medians; CPU ms a second of input. The "
        "floor is what the networks alone take, in a loop, whose weights stay in the cache.",
        "",
        f"| part | {' | '.join(there)} | floor of release |",
        "|---" + "|---:" * (len(there) + 1) + "|",
    ]
    for part, words in PARTS.items():
        lines.append(f"| {words} | {' | '.join(f'{ms(who, part):.1f}' for who in there)} | {floor[part]:.1f} |")
    lines.append(f"| crop, voice, bookkeeping | {' | '.join(f'{rest(who):.1f}' for who in there)} | |")
    whole = [f"**{ms(who, 'whole'):.1f}**" for who in there]
    lines.append(f"| **whole** | {' | '.join(whole)} | |")
    lines.append("")
    for which, most in TARGETS.items():
        was, now = ms(f"{which} before", "whole"), ms(f"{which} after", "whole")
        met = "met" if now <= most else "**missed**"
        lines.append(f"- {which}: {now / was:.2f} of what it was; at most {most:g} ms: {met}.")
    if "torch" in there:
        ratio = ms("torch", "whole") / ms("release after", "whole")
        met = "met" if ratio >= TIMES_TORCH else "**missed**"
        lines.append(
            "- torch with facenet-pytorch's networks, on the same schedule and with all else as it is now, takes "
            f"{ratio:.1f} times as long; at least {TIMES_TORCH:g}: {met}. Against the release before it took "
            f"{ms('torch', 'whole') / ms('release before', 'whole'):.1f} times as long."
        )
    return "\n".join(lines)


def floors(model: Path, every_s: float) -> dict[str, float]:
    """CPU ms a second that the networks alone take: of a search the P-Net's levels of 640x360, of following the R- and
    the O-Net once a step.
    """
    graph = Graph(model / GRAPH)
    detector = budgets.Timed(model / "detector", graph.info.faces)
    arrays = GraphSpec.of(graph.info.input).zeros(B=1, T=1, K=graph.state_size)

    def of(network: object, *shape: int) -> float:
        images = np.zeros(shape, np.float32)
        return spent(lambda: network.run(["offsets", "scores"], {"images": images}))  # type: ignore[attr-defined]

    levels, scale = [], WINDOW / graph.info.faces.min_face
    while 360 * scale >= WINDOW:
        levels.append((1, 3, int(360 * scale + 1), int(640 * scale + 1)))
        scale *= FACTOR
    rate = 1 / graph.info.input.step_s
    return {
        "search": sum(of(detector._pnet, *level) for level in levels) / every_s,
        "follow": rate * (of(detector._rnet, 1, 3, 24, 24) + of(detector._onet, 1, 3, 48, 48)),
        "network": rate * spent(lambda: graph(arrays)),
    }


def spent(work: Callable[[], object], times: int = 60) -> float:
    """CPU ms of it: the median of five rounds."""
    rounds = []
    for _ in range(6):
        start = time.process_time()
        for _ in range(times):
            work()
        rounds.append(1000 * (time.process_time() - start) / times)
    return float(np.median(rounds[1:]))
