"""Claims about the graph with int8 weights: small, alike, and only shipped where it is."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml

from mmer.config import Params
from mmer.data.clips import Clip
from mmer.model.network import EmotionNet
from mmer.packaging.export import export
from mmer.packaging.parity import answer_graph, compare
from mmer.packaging.quantise import quantise
from mmer.params import load_params
from mmer.runtime.graph import Graph
from mmer.training.checkpoints import Origin, save_network
from mmer.training.fit import fit
from mmer.training.inference import answer
from stages import package
from tests.conftest import ROOT
from tests.tiny import tiny_corpus

SMALL = {"input.face_size": 32, "input.scene_size": 32, "train.epochs": 3, "train.batch_size": 8, "train.lr": 0.005}
RIVALS: dict[str, dict[str, Any]] = {
    "as in the demo": {},
    "as in the release": {"model.fusion": "late", "model.voice.frontend": "logmel", "model.face.width": 0.5},
    "2D blocks on PCEN": {"model.voice.frontend": "pcen", "model.voice.blocks": "2d", "model.face.width": 0.5},
    "gru": {"model.temporal.kind": "gru"},
    "attention": {"model.temporal.kind": "attention"},
}


def write(network: EmotionNet, origin: Origin, folder: Path, params: Params) -> tuple[Path, Path]:
    """Both graphs."""
    path, small = folder / "mmer.onnx", folder / "mmer.int8.onnx"
    export(network, path, media=params.media, faces=params.faces, origin=origin, revision="test")
    quantise(path, small)
    return path, small


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Clip]]:
    folder = tmp_path_factory.mktemp("tiny")
    return folder, tiny_corpus(folder, load_params(ROOT / "params.yaml", SMALL))


@pytest.mark.parametrize("name", RIVALS)
def test_a_trained_network_keeps_its_answers_in_two_fifths_of_the_size(
    name: str, corpus: tuple[Path, list[Clip]], tmp_path: Path
) -> None:
    processed, clips = corpus
    params = load_params(ROOT / "params.yaml", SMALL | RIVALS[name])
    done = fit(params, params.train, clips, processed, seed=0)
    path, small = write(done.network, done.origin, tmp_path, params)
    test = [c for c in clips if c.split == "test"]
    parity = compare(answer(done.network, test, processed), answer_graph(small, test, processed), test)
    assert small.stat().st_size < 0.4 * path.stat().st_size
    assert parity.agreement >= 13 / 14
    assert parity.max_difference < 0.1
    assert parity.uar_loss <= 1 / 14 + 1e-9
    assert (Graph(path).info.weights, Graph(small).info.weights) == ("float32", "int8")


def test_each_weight_is_off_by_at_most_half_a_step_of_its_channel(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml", SMALL)
    path, small = write(EmotionNet(params.input, params.model), Origin(corpora=("demo",)), tmp_path, params)
    before = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    graph = onnx.load(small).graph
    after = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    stored = [node for node in graph.node if node.op_type == "DequantizeLinear"]
    assert len(stored) > 30
    for node in stored:
        whole, scale, axis = after[node.input[0]], after[node.input[1]], node.attribute[0].i
        shape = [-1 if k == axis else 1 for k in range(whole.ndim)]
        off = np.abs(whole * scale.reshape(shape) - before[node.output[0]])
        assert (off <= 0.501 * scale.reshape(shape)).all()
        assert abs(whole.astype(int)).max() <= 127
    assert not set(before) & set(after) & {node.output[0] for node in stored}


def test_step_by_step_it_gives_what_it_gives_whole(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml", SMALL)
    _, small = write(EmotionNet(params.input, params.model).eval(), Origin(corpora=("demo",)), tmp_path, params)
    graph, rng = Graph(small), np.random.default_rng(0)
    arrays = {
        "faces": rng.integers(0, 256, (2, 5, 32, 32, 3), np.uint8),
        "scenes": rng.integers(0, 256, (2, 5, 32, 32, 3), np.uint8),
        "voice": rng.normal(0, 0.1, (2, 5, 9600)).astype(np.float32),
        "present": np.ones((2, 5, 3), np.float32),
    }
    state = np.zeros((2, graph.state_size), np.float32)
    whole = graph({**arrays, "state": state})["logits"]
    for k in range(5):
        found = graph({**{name: array[:, k : k + 1] for name, array in arrays.items()}, "state": state})
        np.testing.assert_allclose(found["logits"][:, 0], whole[:, k], atol=1e-4)
        state = found["state_out"]


@pytest.mark.parametrize("max_loss", [1.0, -1.0])
def test_the_package_stage_reports_a_refusal_and_goes_on(
    max_loss: float, corpus: tuple[Path, list[Clip]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processed, _ = corpus
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["package"]["quantised"]["max_loss"] = max_loss
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "processed").symlink_to(processed)
    shutil.copy(processed / "clips.parquet", tmp_path / "data")
    (tmp_path / "models" / "detector").mkdir(parents=True)
    (tmp_path / "reports" / "evaluate").mkdir(parents=True)
    shutil.copy(ROOT / "release" / "metrics.json", tmp_path / "reports" / "evaluate")
    small = load_params(ROOT / "params.yaml", SMALL)
    save_network(
        EmotionNet(small.input, small.model), tmp_path / "models/network.safetensors", Origin(corpora=("demo",))
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr("sys.argv", ["package"])
    package.main()
    told = json.loads(Path("reports/package.json").read_text())
    assert told["quantised"]["ships"] == (max_loss > 0)
    assert json.loads(Path("summary.json").read_text())["parameters"] == told["parameters"]
    assert told["quantised"]["graph_bytes"] < told["graph_bytes"]
    assert {"agreement", "uar_loss", "uar_loss_low", "uar_loss_high", "max_difference"} < told["quantised"][
        "parity"
    ].keys()
    assert Path("models/mmer.int8.onnx").exists(), "DVC has no outputs that may be absent"
