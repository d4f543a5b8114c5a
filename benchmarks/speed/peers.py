"""Packages that recognise emotion, beside mmer on the same clips: what a second of pictures costs each, by turns.

Those of PyPI and npm get environments of their own, in the temporary folder and never part of the project's
requirements; they are made from the pins in studies/peers.py and below where they are not there.
"""

from __future__ import annotations

import json
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import budgets
from benchmarks.serving.common import ROOT
from benchmarks.speed.trees import Sides, decoded, recognizer, workers
from mmer.runtime.graph import GRAPH, Graph
from studies.peers import make_venv

SECONDS = 5.0
"""That a clip is played in a turn."""
HERE = Path(__file__).resolve().parent
NODE = {
    "@tensorflow/tfjs": "4.22.0",
    "@tensorflow/tfjs-backend-wasm": "4.22.0",
    "@vladmandic/face-api": "1.7.15",
    "@vladmandic/human": "3.3.6",
}
"""tfjs-node is not among them: installing it fetches a library from elsewhere than npm."""
COLUMNS = (
    "what",
    "finds a face by",
    "CPU ms a second",
    "times ours",
    "pictures with a face",
    "says",
    "models, MB",
    "licence",
)


@dataclass(frozen=True)
class Peer:
    """A package, as it is run here."""

    package: str
    kind: str
    """What the program beside this file is told to run."""
    faces: str
    """How a face is found."""

    @property
    def name(self) -> str:
        """Unique."""
        return f"{self.package}: {self.kind}"


FER = [
    Peer("PyPI `fer`", "cascade", "OpenCV's cascade (its default), in each picture"),
    Peer("PyPI `fer`", "mtcnn", "facenet-pytorch's MTCNN, in each picture"),
]
IN_NODE = [
    Peer(
        "npm `@vladmandic/human`",
        "human",
        "BlazeFace and a mesh; an answer is used again for up to 1.5 s (its default)",
    ),
    Peer("npm `@vladmandic/human`", "human, each anew", "BlazeFace and a mesh, in each picture"),
    Peer("npm `@vladmandic/face-api`", "face-api, SSD", "SSD MobileNet v1 (its default), in each picture"),
    Peer("npm `@vladmandic/face-api`", "face-api, tiny", "its tiny detector, in each picture"),
]


def make_node(folder: Path) -> Path:
    """The folder of the npm packages; they are installed if they are not there."""
    if not (folder / "node_modules").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": NODE}))
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True)
    return folder


def section(sides: Sides) -> str:
    """The table."""
    home = Path(tempfile.gettempdir())
    python, npm = make_venv(home / "mmer-peers"), make_node(home / "mmer-peers-node")
    elsewhere = sysconfig.get_paths()["purelib"]
    begin = {
        **{peer: [str(python), str(HERE / "peers_fer.py"), peer.kind, elsewhere] for peer in FER},
        **{peer: ["node", str(HERE / "peers_node.mjs"), peer.kind, str(npm)] for peer in IN_NODE},
    }
    ours = {which: sides.after / which for which in ("release", "release/light")}
    programs = {which: recognizer(sides.after, folder) for which, folder in ours.items()}
    programs |= {peer.name: (ROOT, command) for peer, command in begin.items()}
    with tempfile.TemporaryDirectory() as name:
        paths = budgets.clips_at_hand(Path(name) / "drawn")
        info = Graph(ours["release"] / GRAPH).info
        clips = [decoded(path, Path(name), info.media) for path in paths]
        for clip in clips:
            np.save(clip.with_suffix(".npy"), np.load(clip)["pictures"])
        torch = budgets.rivals(ours["release"], ours["release"] / budgets.SMALL_GRAPH).get("torch")
        lives = [budgets.read(path, torch.recognizer) for path in paths] if torch else []
        taken: dict[str, list[float]] = {who: [] for who in [*programs, "torch"]}
        found: dict[str, list[float]] = {who: [] for who in programs}
        about: dict[str, dict[str, object]] = {}
        with workers(programs) as made:
            for turn in range(sides.turns + 1):  # the first allocates
                for k, clip in enumerate(clips):
                    for who, worker in made.items():
                        own = who in ours
                        told = worker(clip if own else clip.with_suffix(".npy"), SECONDS)
                        if turn:
                            taken[who].append(told["ms"]["whole"] if own else told["ms"])
                            found[who].append(told["seen" if own else "found"])
                        about[who] = told.get("about", {})
                    if torch:
                        loops = max(1, round(SECONDS / (lives[k].steps * info.input.step_s)))
                        budgets.stream(torch, lives[k], loops)
                        if turn:
                            taken["torch"].append(torch.turns[lives[k].name][-1]["whole"])
        shown = {who: float(np.mean(shares)) for who, shares in found.items()}
    return report(taken, shown, about, ours, len(clips), sides.turns)


def report(
    taken: dict[str, list[float]],
    found: dict[str, float],
    about: dict[str, dict[str, object]],
    ours: dict[str, Path],
    clips: int,
    turns: int,
) -> str:
    """Medians over turns, of each clip, and their mean; ratios of the same turn and clip."""
    rows = {who: np.array(ms).reshape(turns, clips) for who, ms in taken.items() if ms}
    lines = [
        f"After alone; {clips} clips, each played for {SECONDS:g} s a turn, {turns} turns, medians; five pictures a "
        "second, CPU ms a second of input, one thread. Decoding is not counted. Ours is `release/`.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|---|---:|---:|---:|---|---:|---|",
    ]

    def row(who: str, *told: str) -> None:
        ms = float(np.median(rows[who], axis=0).mean())
        times = float(np.median(rows[who] / rows["release"]))
        cells = [*told[:2], f"{ms:.1f}", f"{times:.1f}", f"{found[who]:.0%}" if who in found else "", *told[2:]]
        lines.append(f"| {' | '.join(cells)} |")

    joined = "seven emotions, from face and voice over time"
    for who, folder in ours.items():
        size = sum(file.stat().st_size for file in (folder / GRAPH, *(folder / "detector").glob("*.onnx")))
        weights = (folder / "LICENSE-WEIGHTS").read_text().splitlines()[1].partition(",")[0]
        licence = f"Apache-2.0, weights {weights}"
        row(who, f"mmer, `{who}/`", "a search every 3 s, followed between", joined, f"{size / 1e6:.2f}", licence)
    if "torch" in rows:
        row("torch", "the network of `release/` in torch", "facenet-pytorch's MTCNN, as ours", joined, "", "")
    for peer in (*FER, *IN_NODE):
        told = about[peer.name]
        size = f"{int(str(told['bytes'])) / 1e6:.2f}"
        named = f"{peer.package} {told['version']}"
        row(peer.name, named, peer.faces, "seven emotions, from a face in a picture", size, str(told["licence"]))
    return "\n".join(lines)
