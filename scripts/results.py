"""Write the tables of docs/measurements/results.md, and that of README.md, from committed files, so that nobody types a
figure.

Ours come from `release/metrics.json`, the cross-validations in docs/measurements/voices-0.1/ and
`studies/peers.json`, published ones from `published.csv` beside the page; those of the README from the cards and from
docs/measurements/budgets.md. What is between a page's marks is replaced; a figure whose file is not there is said to be
missing.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mmer.runtime.graph import SMALL_GRAPH, Graph, ModelInfo

ROOT = Path(__file__).resolve().parents[1]
PAGE, PEERS = ROOT / "docs/measurements/results.md", ROOT / "studies/peers.json"
README, BUDGETS = ROOT / "README.md", PAGE.with_name("budgets.md")
PUBLISHED = PAGE.with_name("published.csv")
GRAPH, METRICS = ROOT / "release/mmer.onnx", ROOT / "release/metrics.json"
#: Cross-validations of RAVDESS's voices, by the number of classes: of the present voice and of the first release's.
FOLDS = {"7": "folds/metrics.json", "8": "eight_classes/metrics.json"}
HEARD = "speaker recognition (LibriSpeech, VoxCeleb)"
VOICES = {"mmer": (PAGE.with_name("voices"), HEARD), "mmer 0.1": (PAGE.with_name("voices-0.1"), "none")}
"""What was cross-validated: its folder, and what it started from."""
BEGIN, END = "<!-- begin: python -m scripts.results -->", "<!-- end -->"
#: What the README tells of the cards' tables.
TESTED = {
    "faces of FER2013's test": "fer2013",
    "those of them on which most of ten people agree (FER+)": "face | model | consensus",
    "voices of RAVDESS, acted": "ravdess",
}
#: The sets of FER2013's test images in `studies/peers.json`: which, and what is right of them.
IMAGES = {
    "all": ("PrivateTest", "given (7)"),
    "without_copies": ("those that are no training image too", "given (7)"),
    "consensus": ("those on which most of ten people agree", "FER+'s consensus (7)"),
}
COLUMNS = ("what", "score", "%", "people", "labels", "parameters", "pretraining", "from")
Row = Sequence[str]
Json = dict[str, Any]


def read(path: Path) -> Json | None:
    """A JSON file; None where it is not there."""
    return json.loads(path.read_text()) if path.is_file() else None


def share(told: Mapping[str, Any], key: str) -> str:
    """A score in percent, with its interval."""
    low, high = told.get(f"{key}_low"), told.get(f"{key}_high")
    around = "" if low is None or high is None else f" ({100 * low:.1f}–{100 * high:.1f})"
    return f"**{100 * told[key]:.1f}**{around}"


def parameters(graph: Path) -> str:
    """How many numbers a graph holds, roughly: batch normalisation is folded into what is before it."""
    count = sum(int(np.prod(tensor.dims)) for tensor in onnx.load(graph).graph.initializer)
    return f"{count / 1e6:.1f} M"


def ours(info: ModelInfo, metrics: Json, peers: Json | None) -> dict[str, list[Row]]:
    """Our rows of each table."""
    size = f"{parameters(GRAPH)} (face and voice)"
    begun = "face recognition (MS-Celeb-1M)" if info.face_weights else "none"
    shipped = f"`release/`, {info.status}, git {info.git[:7]}"
    rows: dict[str, list[Row]] = {"face": [], "voice": [], "both": []}
    if peers:
        told = peers["results"]["mmer"]
        shipped_then = f"`studies/peers.json`, git {told['git'][:7]}"
        for key, (which, labels) in IMAGES.items():
            people = f"unknown; {which}, n {told[key]['n']:,}"
            for score, name in (("war", "accuracy"), ("uar", "UAR")):
                cells = [name, share(told[key], score), people, labels, size, begun, shipped_then]
                rows["face"].append(["FER2013: mmer", *cells])
    for (name, (folder, started)), (classes, report) in product(VOICES.items(), FOLDS.items()):
        told = json.loads((folder / report).read_text())
        pooled, spread = told["pooled"], told["per_speaker"]["uar"]
        people = f"unseen, {told['n_folds']} folds, n {told['n_clips']:,}; of one speaker "
        people += f"{100 * spread['min']:.0f} to {100 * spread['max']:.0f}, median {100 * spread['median']:.0f}"
        of = [people, f"intended ({classes})", "voice branch", started, f"`{(folder / report).relative_to(ROOT)}`"]
        rows["voice"] += [
            [f"RAVDESS: {name}, causal, mean over folds", "UAR", share(told, "uar"), *of],
            [f"RAVDESS: {name}, causal, all clips pooled", "accuracy", share(pooled, "war"), *of],
        ]
    if (uar := metrics["uar_by_corpus"].get("ravdess")) is not None:
        cells = ["UAR", f"**{100 * uar:.1f}**", "unseen, the shipped model's test fold", "intended (7)", size]
        cells.append(HEARD if info.voice_weights else "none")
        rows["voice"].append(["RAVDESS: mmer, as shipped", *cells, shipped])
    return rows


def published(table: str) -> list[Row]:
    """The rows of a table that others published."""
    with PUBLISHED.open(newline="") as file:
        return [
            [
                f"{row['corpus']}: {row['system']}",
                *(row[name] for name in ("score", "value", "people", "labels")),
                row["parameters"] or "–",
                row["pretraining"],
                f"{row['reference']}: {row['read']}",
            ]
            for row in csv.DictReader(file)
            if row["table"] == table
        ]


def peer_rows(peers: Json) -> list[Row]:
    """The packages that were run here, and ours in the same run."""
    return [
        [
            name,
            *(share(told[which], score) for which in IMAGES for score in ("war", "uar")),
            *(f"{value:.1f}" for value in (told["ms"], told["times_ours"])),
            f"{told['bytes'] / 1e6:.2f}",
        ]
        for name, told in peers["results"].items()
    ]


def table(header: Row, rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def tables() -> str:
    """What goes between the marks."""
    peers = read(PEERS)
    own = ours(Graph(GRAPH).info, json.loads(METRICS.read_text()), peers)
    titles = {"face": "Faces", "voice": "Voices", "both": "Face and voice together"}
    parts = []
    for name, title in titles.items():
        parts += [f"## {title}", table(COLUMNS, [*own[name], *published(name)])]
    parts.insert(
        -1, "No figure of ours: the full audio-visual corpora were not at hand ([why](../results.md#what-is-not-here))."
    )
    if peers:
        sizes = {key: peers["results"]["mmer"][key]["n"] for key in IMAGES}
        header = ["", f"accuracy, n {sizes['all']:,}", "UAR", f"accuracy without copies, n {sizes['without_copies']:,}"]
        header += ["UAR", f"accuracy by FER+, n {sizes['consensus']:,}", "UAR"]
        header += ["CPU ms a face", "times ours", "model, MB"]
        parts += ["## Packages on the same files", table(header, peer_rows(peers))]
        versions = ", ".join(f"`{pin}`" for pin in peers["versions"]["peers"])
        parts += [f"`{peers['command']}`, {peers['date']}. {peers['protocol']}. {peers['machine']}. {versions}."]
    return "\n\n".join(parts)


def shipped() -> str:
    """The README's table: how accurate, how fast, how large, under which licence."""
    folders = [ROOT / "release", ROOT / "release/light"]
    cards = [(folder / "MODEL_CARD.md").read_text() for folder in folders]
    names = [folder.relative_to(ROOT).as_posix() for folder in folders]
    rows = []
    for what, row in TESTED.items():
        pattern = rf"^\| {re.escape(row)} \| (.+?) \| (.+?) \((.+?)\) \| (.+?) \("
        found = [re.search(pattern, card, re.MULTILINE) for card in cards]
        told = [f"{float(m[4]):.0%} right; UAR {m[2]} ({m[3]})" if m else "–" for m in found]
        rows.append([f"{what}: {next((m[1] for m in found if m), 'none')}", *told])
    both = r"^Together they bring (\S+) UAR \((.+?)\) over (\w+) alone, on the ([\d,]+) clips"
    found = [re.search(both, card, re.MULTILINE) for card in cards]
    if first := next(filter(None, found), None):
        told = [f"UAR {m[1]} ({m[2]})" if m else "–" for m in found]
        rows.append([f"face and voice together, less the {first[3]} alone: the {first[4]} clips that hold both", *told])
    took = re.search(r"^\| the same, with detection .*\| (.+?) \| (.+?) \|$", BUDGETS.read_text(), re.MULTILINE)
    if took:
        rows.append(["a core's time for a second of camera and microphone", *(f"{ms} ms" for ms in took.groups())])
    sizes = [json.loads((folder / "summary.json").read_text())["parameters"] for folder in folders]
    small = [(folder / SMALL_GRAPH).stat().st_size / 1e6 for folder in folders]
    told = [f"{count / 1e6:.2f} million parameters, {mb:.1f} MB" for count, mb in zip(sizes, small, strict=True)]
    licences = [(folder / "LICENSE-WEIGHTS").read_text().splitlines()[1].partition(",")[0] for folder in folders]
    rows += [["size, with int8 weights", *told], ["licence of the weights", *licences]]
    return table(["", *(f"[`{name}/`]({name}/MODEL_CARD.md)" for name in names)], rows)


def main() -> None:
    """Replace what is between the marks; with --check fail where it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page is out of date")
    check = parser.parse_args().check
    for page, made in ((PAGE, tables()), (README, shipped())):
        text = page.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        new = f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"
        if check and new != text:
            sys.exit(f"{page.relative_to(ROOT)} is out of date: run python -m scripts.results")
        page.write_text(new)


if __name__ == "__main__":
    main()
