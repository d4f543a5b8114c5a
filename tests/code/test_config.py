"""Claims about params.yaml: the file is right, and a mistake in it is told with the right name."""

import re
from pathlib import Path
from typing import Any

import pytest

from mmer.config import RENAMED, ConfigError, Model, Params, renamed
from mmer.params import load_params
from mmer.runtime.graph import Graph
from mmer.training.checkpoints import load_network
from tests.conftest import ROOT


def test_the_profile_for_own_clips_fits_the_weights_that_it_goes_on_from() -> None:
    own = load_params(ROOT / "release" / "own.yaml")
    assert own.train.init_from == "release/network.safetensors"
    network, graph = load_network(ROOT / own.train.init_from), Graph(ROOT / "release" / "mmer.onnx").info
    expected = {"input": network.input, "model": network.model, "media": graph.media, "faces": graph.faces}
    for block, weights in expected.items():
        assert getattr(own, block) == weights, (
            f"{block}: copy it from release/params.yaml, as the weights were made with"
        )
    written, pipeline = ((ROOT / name).read_text() for name in ("release/own.yaml", "dvc.yaml"))
    watched = {key.split(".")[0] for keys in re.findall(r"params: \[(.+)\]", pipeline) for key in keys.split(", ")}
    assert watched | {"corpora", "download"} <= {
        line.split(":")[0] for line in written.splitlines() if line[:1].isalpha()
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train.lrr": 1}, "unknown key 'train.lrr'. Did you mean 'lr'?"),
        ({"trian.lr": 1}, "unknown key 'trian'. Did you mean 'train'?"),
        ({"model.face.widht": 1}, "unknown key 'model.face.widht'. Did you mean 'width'?"),
        ({"train.lr": "fast"}, "train.lr: Input should be a valid number"),
        ({"train.lr": -1}, "train.lr: Input should be greater than 0 (it is -1)"),
        (
            {"prepare.max_bad_fraction": 2},
            "prepare.max_bad_fraction: Input should be less than or equal to 1 (it is 2)",
        ),
        ({"input.face_size": 65}, "input.face_size: Input should be a multiple of 16"),
        ({"split.val_fold": 1}, "nothing may be tuned on the test speakers"),
        ({"corpora": ["demo", "ravdes"]}, "no corpus is called 'ravdes'"),
        ({"corpora": ["demo", "ravdes"]}, "Did you mean 'ravdess'?"),
        ({"corpora": ["ravdess"]}, "add it to download.corpora"),
        ({"tune.space": {"train.lr": {"low": 2, "high": 1}}}, "low must be below high"),
        ({"tune.space": {"train.lr": {"lo": 2, "high": 1}}}, "'tune.space.train.lr.lo'. Did you mean 'low'?"),
        ({"tune.space": {"lr": {"low": 1, "high": 2}}}, "no key of train or model. Did you mean 'train.lr'?"),
        ({"tune.space": {"model.face.widht": [1]}}, "Did you mean 'model.face.width'?"),
        ({"tune.space": {"model.face.width": [0.5, 2]}}, "model.face.width: Input should be less than or equal to 1"),
        ({"tune.space": {"model.fusion": ["late", "early"]}}, "model.fusion: Input should be 'concat'"),
        ({"tune.space": {"train.lr": {"low": 0.1}}}, "give either low and high, or a list of values"),
        ({"tune.space": {"train.lr": []}}, "give either low and high, or a list of values"),
        ({"tune.space": {"train.lr": [0.1, 0.1]}}, "a value stands in the list twice"),
        ({"tune.budget": {"parameter": 1}}, "'tune.budget.parameter'. Did you mean 'parameters'?"),
        (
            {"model.voice.blocks": "2d"},
            "model.voice: blocks: 2d looks at neighbouring bands, and those of frontend: waveform have no order",
        ),
        ({"model.voice.front": "logmel"}, "unknown key 'model.voice.front'. It is called 'frontend' now."),
        ({"train.branches": {"voice": {"nothing": 0.1}}}, "It is called 'outlier_exposure' now."),
        ({"tune.space": {"model.voice.summary": ["frame"]}}, "It is called 'model.voice.pooling' now."),
        ({"degrade": {"clips": 30}}, "unknown key 'degrade'. It is called 'robustness' now."),
    ],
)
def test_a_mistake_is_told_with_the_right_name(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_params(ROOT / "params.yaml", change)
    assert told in str(error.value)
    assert "params.yaml" in str(error.value)


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("train: [")
    with pytest.raises(ConfigError, match="is no YAML"):
        load_params(tmp_path / "params.yaml")


def test_every_key_of_the_file_stands_in_it(params: Params) -> None:
    """The file shows all there is to set: no key has a value that a reader of the file cannot see."""
    text = (ROOT / "params.yaml").read_text()
    shown = {
        key
        for block in (params, *(b for _, b in params))
        if hasattr(block, "model_fields_set")
        for key in block.model_fields_set
    }
    assert {"lr", "step_s", "trials", "margin", "validate_"} <= shown
    for name, block in params:
        if hasattr(block, "model_fields_set"):
            hidden = set(type(block).model_fields) - block.model_fields_set - {"storage"}
            assert not hidden, f"params.yaml does not show {name}: {hidden}"
    assert text.startswith("#")


def test_weights_are_read_whose_network_was_described_with_names_of_then() -> None:
    before = {"voice": {"front": "logmel", "summary": "frame", "channels": 32}, "fusion": "late"}
    now = Model.model_validate(renamed(before))
    assert (now.voice.frontend, now.voice.pooling, now.voice.channels, now.fusion) == ("logmel", "frame", 32, "late")
    for old, new in RENAMED.items():
        assert old != new
        assert new.split(".")[0] in Params.model_fields
