"""What each rival costs: parameters and multiply-adds, at the sizes of params.yaml with one choice changed at a time.

`python -m benchmarks.model_cost` prints the tables of docs/measurements/model-cost.md.
"""

from __future__ import annotations

import argparse
import itertools

from mmer.model.cost import Cost, cost
from mmer.model.network import EmotionNet
from mmer.params import load_params

RIVALS: dict[str, dict[str, list[object]]] = {
    "through time": {"model.temporal.kind": ["lstm", "gru", "attention", "mean"]},
    "where modalities meet": {"model.fusion": ["concat", "gated", "cross_attention", "late"]},
    "face": {"model.face.kind": ["mobilefacenet", "mobilenet_v3_small"], "model.face.width": [0.25, 0.5, 1.0]},
    "face size": {"input.face_size": [64, 80, 96, 112]},
    "voice": {"model.voice.frontend": ["waveform", "logmel", "pcen"]},
    "blocks of the voice": {"model.voice.frontend": ["logmel"], "model.voice.blocks": ["1d", "2d"]},
    "modalities": {"model.modalities": [["face", "scene", "voice"], ["face", "voice"], ["face"], ["voice"]]},
}


def choices(given: dict[str, list[object]]) -> list[dict[str, object]]:
    """All combinations of the values of each key."""
    return [dict(zip(given, values, strict=True)) for values in itertools.product(*given.values())]


def part_of(key: str, told: Cost) -> Cost:
    """The part of the network that a key changes; the whole, where it changes more than one."""
    name = key if key.startswith("input.") else key.split(".")[1]
    return told.by_branch.get({"temporal": "fusion", "input.face_size": "face"}.get(name, name), told)


def figures(told: Cost) -> list[str]:
    return [f"{told.parameters:,}", f"{told.macs_per_s / 1e6:.2f}"]


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print a Markdown table for each choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", default="params.yaml", help="the sizes (default: %(default)s)")
    path = parser.parse_args().params
    written = load_params(path)
    for title, given in RIVALS.items():
        print(f"\n{title}\n")
        print(
            row([f"`{key}`" for key in given] + ["its part: parameters", "M MACs/s", "whole: parameters", "M MACs/s"])
        )
        print(row(["---"] * len(given) + ["---:"] * 4))
        for choice in choices(given):
            params = load_params(path, choice)
            told = cost(EmotionNet(params.input, params.model))
            part = part_of(next(iter(given)), told)
            names = [", ".join(map(str, v)) if isinstance(v, list) else f"{v}" for v in choice.values()]
            names[0] += " (as written)" if params == written else ""
            print(row(names + figures(part) + figures(told)))


if __name__ == "__main__":
    main()
