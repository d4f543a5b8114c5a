"""Write the code dependencies of each stage into every dvc.yaml, from the imports that the stage really reaches.

A profile's dvc.yaml (release/, release/light/) says what it does otherwise than the root's; the parameters of a stage
that both have are the root's, so that the two cannot drift apart.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import yaml

from mmer.data import corpora
from scripts.imports import ROOT, path_of, reached

PIPELINES = (Path("dvc.yaml"), Path("release/dvc.yaml"), Path("release/light/dvc.yaml"))
#: Modules that change no output of any stage, so that touching them runs nothing again.
LEFT_OUT = {
    "stages": "prints errors and sets threads",
    "mmer.errors": "messages",
    "mmer.training.mlflow_runs": "logs to MLflow's store, which is no output",
}
#: Imports that ask something that changes no output.
ASKED = {
    ("mmer.params", "mmer.data.corpora"): "whether each corpus has a reader",
    ("mmer", "mmer.runtime.recognizer"): "names that users import from the package itself",
    ("mmer", "mmer.runtime.results"): "likewise",
}
#: Stages whose output readers decide, and whose readers these are: of one corpus each, or those that give the labels.
READS = {
    "download": ["${item}"],
    "extract": ["${item}"],
    "eight_classes": [name for name in corpora.names() if corpora.get(name).published_label],
}


def code(stage: str) -> list[Path]:
    """The files whose code decides what a stage writes, relative to the repository, in order."""
    paths = {path_of(module) for module in reached(f"stages.{stage}", stop=LEFT_OUT, asked=ASKED)}
    if path_of("mmer.data.splits") in paths:
        paths.add(Path("mmer/data/folds.csv"))  # which it reads
    return sorted(paths, key=lambda path: (path.parts[0] != "stages", path))


def written(pipeline: Path) -> str:
    """The text of a dvc.yaml as it must be; nothing in it but `deps` and shared `params` changes."""
    text = (ROOT / pipeline).read_text(encoding="utf-8")
    tree, root = (yaml.safe_load((ROOT / path).read_text(encoding="utf-8")) for path in (pipeline, PIPELINES[0]))
    up = Path(os.path.relpath(ROOT, (ROOT / pipeline).parent))
    for name, stage in tree["stages"].items():
        body, theirs = (one.get("do", one) for one in (stage, root["stages"].get(name, {})))
        script = body["cmd"].split("stages.")[1].split()[0]
        data = [dependency for dependency in body.get("deps", []) if not _is_code(dependency)]
        readers = [Path(f"mmer/data/corpora/{corpus}.py") for corpus in READS.get(name, [])]
        files = [(up / path).as_posix() for path in [*code(script), *readers]]
        text = _replaced(text, name, "deps", [*data, *files])
        if "params" in theirs:
            text = _replaced(text, name, "params", theirs["params"])
    return text


def _replaced(text: str, stage: str, key: str, items: Sequence[str]) -> str:
    """The text with another list at a key of a stage, as a flow sequence."""
    begin = re.search(rf"^  {stage}:.*\n", text, re.MULTILINE)
    assert begin, stage
    end = re.compile(r"^(  )?\S", re.MULTILINE).search(text, begin.end())
    found = re.compile(rf"^( +){key}:(?: \[[^\]]*\]\n|\n(?:\1  .*\n)+)", re.MULTILINE).search(text, begin.end())
    if not found or (end and found.start() > end.start()):
        raise SystemExit(f"{stage} has no {key}: write `{key}: []` where it belongs")
    indent = found[1]
    quoted = (json.dumps(item) if "$" in item else item for item in items)
    line = f"{indent}{key}: [{', '.join(quoted)}]"
    wrapped = textwrap.wrap(line, 120, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False)
    return text[: found.start()] + "\n".join(wrapped) + "\n" + text[found.end() :]


def _is_code(dependency: str) -> bool:
    parts = [part for part in Path(dependency).parts if part != ".."]
    return parts[0] in ("stages", "mmer")


def main() -> None:
    """Write them, or with --check fail where one is out of date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.dependencies", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a list is out of date")
    check = parser.parse_args().check
    for pipeline in PIPELINES:
        text = written(pipeline)
        if text != (ROOT / pipeline).read_text(encoding="utf-8"):
            if check:
                sys.exit(f"{pipeline} is out of date: run python -m scripts.dependencies")
            (ROOT / pipeline).write_text(text, encoding="utf-8")
            print(f"{pipeline}: written anew")


if __name__ == "__main__":
    main()
