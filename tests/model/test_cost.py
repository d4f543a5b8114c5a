"""Claims about what a network is said to cost, against figures computed by hand from the definition of its layers."""

import sys
from pathlib import Path

import pytest

from benchmarks import model_cost
from mmer.config import Params
from mmer.model.cost import cost
from mmer.model.network import EmotionNet
from mmer.params import load_params
from tests.conftest import ROOT


def net(params: Params, **given: object) -> EmotionNet:
    return EmotionNet(params.input, params.model.model_copy(update=given))


@pytest.fixture(scope="module")
def params(params: Params) -> Params:
    """Sizes that do not move when params.yaml does."""
    scene = params.model.scene.model_copy(update={"channels": 8, "embedding": 64})
    sized = {m: getattr(params.model, m).model_copy(update={"embedding": 128}) for m in ("face", "voice")}
    temporal = params.model.temporal.model_copy(update={"kind": "lstm", "hidden": 96, "context": 25})
    model = params.model.model_copy(update={**sized, "scene": scene, "temporal": temporal, "fusion": "concat"})
    given = params.input.model_copy(update={"face_size": 64, "scene_size": 64, "step_s": 0.2})
    return params.model_copy(update={"model": model, "input": given})


def test_every_parameter_is_counted_once(params: Params) -> None:
    network = net(params)
    told = cost(network)
    assert told.parameters == sum(p.numel() for p in network.parameters())
    assert set(told.by_branch) == {"face", "scene", "voice", "fusion"}
    assert told.macs_per_s == sum(part.macs_per_s for part in told.by_branch.values())


def test_a_convolution_costs_its_weights_times_its_places(params: Params) -> None:
    """The scene's four convolutions of 3 x 3 on 64 pixels, each halving the side, and its linear layer."""
    channels, step = [3, 8, 16, 32, 64], 64 * 64
    by_hand = sum(channels[i] * channels[i + 1] * 9 * (64 // 2 ** (i + 1)) ** 2 for i in range(4))
    assert cost(net(params)).by_branch["scene"].macs_per_s == pytest.approx(5 * (by_hand + step))


def test_the_fourier_transform_of_log_mel_is_counted_as_the_graph_computes_it(params: Params) -> None:
    """201 cosines and 201 sines of 400 samples each 10 ms of a window of 0.6 s, whose last frame ends with it."""
    voice = params.model.voice.model_copy(update={"frontend": "logmel"})
    network = net(params.model_copy(update={"model": params.model.model_copy(update={"voice": voice})}))
    frames = (network.window - 400) // 160 + 1
    counted = cost(network).by_branch["voice"].macs_per_s
    assert counted > 5 * frames * 402 * 400
    assert not network.branch["voice"].front.as_exported, "it trains as before"


def voice_net(params: Params, **given: object) -> EmotionNet:
    return net(params, voice=params.model.voice.model_copy(update={"channels": 24, **given}))


def test_blocks_over_bands_and_time_cost_their_weights_times_their_places(params: Params) -> None:
    """From 64 bands 48, 72 and 96 channels at 58, 29 and 14 frames; or from one 12, 24 and 48 at as many times 64, 32
    and 8 bands. Both ends are 96 numbers a frame, which cost the same from there on."""
    told = [cost(voice_net(params, frontend="logmel", blocks=blocks)).by_branch["voice"] for blocks in ("1d", "2d")]
    flat = 3 * (64 * 48 * 58 + 48 * 72 * 29 + 72 * 96 * 14)
    square = 9 * (12 * 64 * 58 + 12 * 24 * 32 * 29 + 24 * 48 * 8 * 14)
    assert told[1].macs_per_s - told[0].macs_per_s == pytest.approx(5 * (square - flat))


def test_pcen_costs_its_smoothing_and_three_numbers_a_band(params: Params) -> None:
    """58 frames, each a sum over all of them, in 64 bands."""
    log, pcen = (cost(voice_net(params, frontend=name)).by_branch["voice"] for name in ("logmel", "pcen"))
    assert pcen.macs_per_s - log.macs_per_s == pytest.approx(5 * 64 * 58 * 58)
    assert pcen.parameters - log.parameters == 3 * 64


@pytest.mark.parametrize(("channels", "embedding"), [(36, 144), (20, 56)])
def test_2d_blocks_are_about_as_large_as_1d_ones_and_say_as_much(channels: int, embedding: int) -> None:
    """The rival of experiments/voices.yaml, and the light model."""
    networks = []
    for blocks in ("1d", "2d"):
        changed = {"blocks": blocks, "channels": channels, "embedding": embedding}
        voice = {f"model.voice.{key}": value for key, value in changed.items()}
        given = load_params(ROOT / "release/light/params.yaml", {"model.modalities": ["voice"]} | voice)
        networks.append(EmotionNet(given.input, given.model))
    one, two = (cost(network).by_branch["voice"] for network in networks)
    assert two.parameters == pytest.approx(one.parameters, rel=0.2)
    assert two.macs_per_s < 2 * one.macs_per_s
    assert networks[0].embeddings == networks[1].embeddings


HEADS = (128 + 64 + 128) * 7 + 96 * 7
INPUTS = 128 + 64 + 128 + 3


@pytest.mark.parametrize(
    ("kind", "by_hand"),
    [
        ("lstm", 4 * 96 * (INPUTS + 96)),
        ("gru", 3 * 96 * (INPUTS + 96)),
        # enter, query, key and value, leave; the two products of 25 places; the two layers after
        ("attention", INPUTS * 96 + 4 * 96 * 96 + 2 * 25 * 96 + 2 * 96 * 192),
        ("mean", INPUTS * 96 + 97),
    ],
)
def test_each_way_through_time_costs_what_its_matrices_do(params: Params, kind: str, by_hand: int) -> None:
    temporal = params.model.temporal.model_copy(update={"kind": kind})
    fusion = cost(net(params, temporal=temporal)).by_branch["fusion"]
    assert fusion.macs_per_s == pytest.approx(5 * (by_hand + HEADS))


@pytest.mark.parametrize(
    ("fusion", "by_hand"),
    [
        ("gated", 320 * 96 + INPUTS * 3 * 96 + 4 * 96 * (96 + 3 + 96)),
        # enter; query, key, value, leave of three; three queries of four places, twice; the LSTM
        ("cross_attention", 320 * 96 + 3 * 4 * 96 * 96 + 2 * 3 * 4 * 96 + 4 * 96 * (3 * 96 + 3 + 96)),
    ],
)
def test_each_way_of_mixing_costs_what_its_matrices_do(params: Params, fusion: str, by_hand: int) -> None:
    assert cost(net(params, fusion=fusion)).by_branch["fusion"].macs_per_s == pytest.approx(5 * (by_hand + HEADS))


def test_a_modality_that_is_off_costs_nothing(params: Params) -> None:
    told, less = cost(net(params)), cost(net(params, modalities=("face", "voice")))
    assert "scene" not in less.by_branch
    assert less.by_branch["face"] == told.by_branch["face"]
    assert less.parameters < told.parameters


def test_the_documented_tables_are_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setattr(sys, "argv", ["model_cost"])
    monkeypatch.chdir(root)
    model_cost.main()
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    page = (root / "docs/measurements/model-cost.md").read_text().splitlines()
    assert printed
    assert [line for line in printed if line not in page] == [], "run python -m benchmarks.model_cost"
