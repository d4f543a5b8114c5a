"""A real model of a part of the demo corpus: the real stages' functions with the real parameters, shrunk."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmer.config import Params
from mmer.data.clips import Clip, read_manifest
from mmer.data.corpora import get
from mmer.data.crop import crop_corpus
from mmer.data.extract import extract_corpus
from mmer.data.validation import validate
from mmer.packaging.export import export
from mmer.packaging.quantise import quantise
from mmer.params import load_params
from mmer.training.checkpoints import save_network
from mmer.training.fit import Fit, fit
from tests.conftest import ROOT
from tests.graphs import detector

SPEAKERS = 15
"""Three in each fold: three are tested, three validate, nine train."""


@dataclass(frozen=True)
class Trained:
    """A model and what it was made from."""

    folder: Path
    """mmer.onnx, mmer.int8.onnx, detector/ and network.safetensors."""
    params: Params
    clips: list[Clip]
    raw: Path
    processed: Path

    def test_clips(self) -> list[Clip]:
        return [c for c in self.clips if c.split == "test"]


def export_to(folder: Path, done: Fit, params: Params) -> None:
    """Write a training's graph."""
    graph, origin = folder / "mmer.onnx", done.origin
    export(done.network, graph, media=params.media, faces=params.faces, origin=origin, revision="test")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Extract, crop, validate, train and export on one take of some speakers, in about a minute."""
    home = tmp_path_factory.mktemp("trained")
    demo = ROOT / "data" / "raw" / "demo"
    if not demo.is_dir():
        pytest.fail("data/raw/demo is missing: `dvc pull data.dvc` brings it (make test does)")
    raw, interim, processed, folder = (home / n for n in ("raw", "interim", "processed", "models"))
    some = [c for c in get("demo").list_clips(demo) if c.clip_id.endswith("-1")]
    people = sorted({c.speaker for c in some})[:SPEAKERS]
    (raw / "clips").mkdir(parents=True)
    (raw / "clips.csv").symlink_to(demo / "clips.csv")
    for clip in some:
        if clip.speaker in people:
            (raw / clip.path).symlink_to(demo / clip.path)

    params = load_params(ROOT / "params.yaml", {"train.epochs": 10, "train.batch_size": 8})
    shutil.copytree(detector(), folder / "detector")
    extract_corpus("demo", raw, interim / "demo", params)
    crop_corpus("demo", interim / "demo", processed / "demo", folder / "detector", params)
    found = validate(params, processed, home / "clips.parquet", home / "validation.json")
    assert found.success, (home / "validation.json").read_text()
    clips = read_manifest(home / "clips.parquet")
    done = fit(params, params.train, clips, processed, seed=0)
    save_network(done.network, folder / "network.safetensors", done.origin)
    export_to(folder, done, params)
    quantise(folder / "mmer.onnx", folder / "mmer.int8.onnx")
    return Trained(folder, params, clips, raw, processed)
