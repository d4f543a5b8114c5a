"""Claims about valence and arousal: learnt where clips tell them, from what tells them, and absent where none does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from mmer import metrics
from mmer.config import Params
from mmer.data.clips import Clip, modalities_with_affect, read_manifest
from mmer.evaluation.report import summary, write_report
from mmer.evaluation.scores import Bootstrap, concordance, evaluate, subsets
from mmer.labels import EMOTIONS, MODALITIES
from mmer.model.network import EmotionNet
from mmer.packaging.export import export
from mmer.packaging.parity import answer_graph, compare
from mmer.packaging.quantise import quantise
from mmer.params import load_params
from mmer.runtime.graph import Graph
from mmer.training.batches import batches
from mmer.training.checkpoints import Origin, affect_of, load_network, save_network
from mmer.training.fit import fit
from mmer.training.inference import answer, predict
from mmer.training.losses import batch_loss, discordance
from tests.conftest import ROOT
from tests.tiny import SMALL_NETWORK

SMALL = {**SMALL_NETWORK, "train.epochs": 1, "train.batch_size": 8}
PLEASANT = dict(zip(EMOTIONS, (0.0, 0.8, -0.6, -0.5, -0.4, -0.7, 0.4), strict=True))
EXCITED = dict(zip(EMOTIONS, (-0.2, 0.4, -0.6, 0.7, 0.6, 0.1, 0.9), strict=True))


def told(clips: list[Clip]) -> list[Clip]:
    """The clips, each with the valence and arousal of its emotion."""
    return [c.model_copy(update={"valence": PLEASANT[c.label], "arousal": EXCITED[c.label]}) for c in clips]


@pytest.fixture(scope="module")
def small() -> Params:
    return load_params(ROOT / "params.yaml", SMALL)


@pytest.fixture(scope="module")
def clips(corpus: Path) -> list[Clip]:
    return told(read_manifest(corpus / "clips.parquet"))


def made(params: Params, **given: Any) -> EmotionNet:
    torch.manual_seed(0)
    return EmotionNet(params.input, params.model, **given).eval()


def test_concordance_is_lin_s() -> None:
    """Against the formula as it is written, and in its three corners."""
    rng = np.random.default_rng(0)
    t, s = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    s[:, 0] += 0.7 * t[:, 0]
    found, apart = metrics.ccc(metrics.sums(t, s).sum(0)), metrics.rmse(metrics.sums(t, s).sum(0))
    for k in range(2):
        a, b = t[:, k], s[:, k]
        lin = 2 * np.cov(a, b, bias=True)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
        assert found[k] == pytest.approx(lin)
        assert apart[k] == pytest.approx(np.sqrt(np.mean((a - b) ** 2)))
    assert metrics.ccc(metrics.sums(t, t).sum(0)) == pytest.approx([1, 1])
    assert metrics.ccc(metrics.sums(t, 0 * t + 0.3).sum(0)) == pytest.approx([0, 0]), "a constant"
    assert (metrics.ccc(metrics.sums(t, t + 1).sum(0)) < 0.8).all(), "right in all but the mean"
    assert np.isnan(metrics.ccc(np.zeros((2, 6)))).all()
    assert np.isnan(metrics.ccc(metrics.sums(0 * t + 0.3, 0 * t + 0.3).sum(0))).all(), "one number"


def test_what_is_minimised_is_the_lack_of_concordance() -> None:
    rng = np.random.default_rng(0)
    t, s = rng.uniform(-1, 1, (2, 30, 2))
    by_numpy = 1 - metrics.ccc(metrics.sums(t, s).sum(0)).mean()
    assert float(discordance(torch.tensor(s), torch.tensor(t))) == pytest.approx(by_numpy, abs=1e-5)
    alike = torch.full((4, 2), 0.3, requires_grad=True)
    discordance(alike * 1.0, torch.full((4, 2), 0.3)).backward()
    assert alike.grad is not None
    assert alike.grad.isfinite().all()


def test_an_interval_is_over_speakers(clips: list[Clip]) -> None:
    test = [c for c in clips if c.split == "test"]
    said = np.array([c.affect for c in test])
    said[: len(said) // 2] *= -1  # one of the two speakers is told the wrong way round
    scores = concordance(said, test, Bootstrap(200, 0))["valence"]
    assert scores["ccc_high"] == pytest.approx(1)
    assert scores["ccc_low"] < -0.3
    assert concordance(said[:7], test[:7], Bootstrap(200, 0))["valence"]["ccc_low"] is None, "of one speaker"


@pytest.mark.parametrize("fusion", ["concat", "late", "joint"])
def test_a_head_changes_nothing_else_and_only_says_what_it_was_told_from(fusion: str, tmp_path: Path) -> None:
    """The same weights with a head and without answer alike; and files of before there was one go on loading."""
    params = load_params(ROOT / "params.yaml", {**SMALL, "model.fusion": fusion})
    plain, more = made(params), made(params, affect=("voice", "face"))
    assert (plain.affect, more.affect) == ((), ("face", "voice"))
    assert not [key for key in plain.state_dict() if "affect" in key]
    weights = more.state_dict()
    plain.load_state_dict({key: value for key, value in weights.items() if "affect" not in key})
    rng = np.random.default_rng(0)
    given = [
        torch.from_numpy(rng.integers(0, 256, (2, 3, 32, 32, 3), np.uint8)),
        torch.from_numpy(rng.integers(0, 256, (2, 3, 32, 32, 3), np.uint8)),
        torch.from_numpy(rng.normal(0, 0.1, (2, 3, plain.window)).astype(np.float32)),
        torch.ones(2, 3, 3),
    ]
    with torch.no_grad():
        without, out = (net(*given, net.start(2)) for net in (plain, more))
        given[3][..., MODALITIES.index("voice")] = 0
        face = more(*given, more.start(2)).affect
    assert without.affect is None
    assert torch.equal(without.logits, out.logits)
    assert out.affect.shape == (2, 3, 2)
    assert out.affect.abs().max() <= 1
    assert not torch.equal(face, out.affect), "the voice told something"
    for network, name in ((plain, "plain"), (more, "more")):
        save_network(network, tmp_path / name, Origin(corpora=("demo",)))
        again = load_network(tmp_path / name)
        assert again.affect == network.affect == affect_of(tmp_path / name)
        assert again.state_dict().keys() == network.state_dict().keys()


def test_late_fusion_says_the_mean_of_those_present() -> None:
    params = load_params(ROOT / "params.yaml", {**SMALL, "model.fusion": "late"})
    network = made(params, affect=("face", "voice"))
    joined = torch.randn(1, 4, sum(network.embeddings.values()) + 3)
    said = {}
    for names in (("face",), ("voice",), ("face", "voice"), ("scene",)):
        joined[..., -3:] = torch.tensor([float(m in names) for m in MODALITIES])
        said[names] = network.decide(joined, network.start(1)).affect
    torch.testing.assert_close(said["face", "voice"], (said["face",] + said["voice",]) / 2)
    assert not said["scene",].any(), "a runtime tells of it that nothing is known"


def test_clips_that_tell_nothing_are_learnt_as_before(clips: list[Clip], corpus: Path, small: Params) -> None:
    """The loss is the same with a head and without where nothing is told, and where `train.affect` is 0."""
    train = small.train.model_copy(update={"dropout": 0.0})
    some = [c for c in clips if c.split == "train"][:8]

    def loss(of: list[Clip], network: EmotionNet, weight: float = 1.0) -> float:
        (batch,) = batches(of, np.arange(8), corpus, small, train, seed=(0, 0))
        torch.manual_seed(0)
        found, _ = batch_loss(network, batch, None, train.model_copy(update={"affect": weight}), torch.ones(7))
        return found.item()

    untold = [c.model_copy(update={"valence": None}) for c in some]
    network = made(small, affect=("face",))
    assert loss(untold, network) == loss(some, network, 0.0) < loss(some, network)
    half = [a if k % 2 else b for k, (a, b) in enumerate(zip(some, untold, strict=True))]
    assert loss(untold, network) < loss(half, network) < loss(some, network) + 1, "half of a batch counts half"


def test_what_is_made_up_has_no_valence(clips: list[Clip], corpus: Path, small: Params) -> None:
    some = [c for c in clips if c.split == "train"][:8]
    train = small.train.model_copy(update={"outlier_exposure": 1.0})
    (batch,) = batches(some, np.arange(8), corpus, small, train, seed=(0, 0))
    assert batch.affect.isnan().all()
    (batch,) = batches(some, np.arange(8), corpus, small, small.train, seed=(0, 0))
    np.testing.assert_allclose(batch.affect.numpy(), [c.affect for c in some], atol=1e-6)


def test_it_is_learnt_where_it_is_told_and_gets_through_to_the_graph(
    clips: list[Clip], corpus: Path, small: Params, tmp_path: Path
) -> None:
    train = small.train.model_copy(update={"epochs": 25, "augment": 0.0, "lr": 0.01})
    rows: list[dict[str, float]] = []
    done = fit(small, train, clips, corpus, seed=0, on_epoch=rows.append)
    keys = [f"val_{of}_{name}" for of in ("ccc", "rmse") for name in ("valence", "arousal")]
    assert all(key in row for row in rows for key in keys)
    assert min(max(row[key] for row in rows) for key in keys[:2]) > 0.7, "an untrained network is at 0"

    test = [c for c in clips if c.split == "test"]
    graph, light = tmp_path / "mmer.onnx", tmp_path / "mmer.int8.onnx"
    export(done.network, graph, media=small.media, faces=small.faces, origin=done.origin, revision="test")
    quantise(graph, light)
    ours = answer(done.network, test, corpus)
    for path, most in ((graph, 1e-4), (light, 0.1)):
        assert Graph(path).info.affect == MODALITIES
        assert Graph(path).info.to_json()["affect"] == list(MODALITIES)
        parity = compare(ours, answer_graph(path, test, corpus), test)
        assert parity.affect_difference is not None
        assert parity.affect_difference < most

    found = {name: answer(done.network, test, corpus, modalities=name.split("+")) for name in subsets(MODALITIES)}  # type: ignore[arg-type]
    report = evaluate(
        {name: said.probabilities for name, said in found.items()},
        test,
        resamples=100,
        seed=0,
        affect={name: said.affect for name, said in found.items() if said.affect is not None},
    )
    assert report["affect"]["subsets"]["face+scene+voice"] == report["affect"]["by_corpus"]["demo"]
    assert report["affect"]["by_corpus"]["demo"]["n"] == 14
    assert report["affect"]["by_corpus"]["demo"]["arousal"]["ccc"] > 0.6
    assert summary(report)["ccc_valence_by_corpus"]["demo"] == report["affect"]["by_corpus"]["demo"]["valence"]["ccc"]
    write_report(report, {n: s.probabilities for n, s in found.items()}, test, tmp_path / "out", ours.affect)
    header, first, *_ = (tmp_path / "out" / "affect.csv").read_text().splitlines()
    assert header == "clip_id,corpus,speaker,valence,arousal,valence_said,arousal_said"
    assert first.startswith(f"{test[0].clip_id},demo,s0,")


def test_only_the_branch_that_was_told_says_it(clips: list[Clip], corpus: Path, tmp_path: Path) -> None:
    """Voices tell valence and arousal, faces do not, branches are trained apart: a face alone says neither."""
    mixed = []
    for clip in clips:
        held = {"has_face": clip.label in EMOTIONS[::2], "has_voice": clip.label in EMOTIONS[1::2], "has_scene": False}
        untold = {"valence": None, "arousal": None} if held["has_face"] else {}
        mixed.append(clip.model_copy(update={**held, **untold}))
    assert modalities_with_affect(mixed) == ("voice",)
    params = load_params(ROOT / "params.yaml", SMALL | {"model.fusion": "late", "train.branches": {"face": {}}})
    done = fit(params, params.train, mixed, corpus, seed=0)
    assert done.network.affect == ("voice",)
    assert "voice_val_ccc_arousal" in done.best
    assert "face_val_ccc_arousal" not in done.best
    test = [c for c in mixed if c.split == "test"]
    said = answer(done.network, test, corpus).affect
    assert said is not None
    assert (np.isnan(said).any(1) == [c.has_face for c in test]).all()

    save_network(done.network, tmp_path / "network.safetensors", done.origin)
    kept = {"init_from": str(tmp_path / "network.safetensors"), "epochs": 0}
    again = fit(
        params, params.train.model_copy(update={"branches": {"face": kept, "voice": kept}}), mixed, corpus, seed=0
    )
    assert again.network.affect == ("voice",), "what is kept is kept with it"
    np.testing.assert_array_equal(answer(again.network, test, corpus).affect, said)
    silent = params.train.model_copy(update={"affect": 0.0, "branches": {"face": kept, "voice": {**kept, "epochs": 1}}})
    done = fit(params, silent, mixed, corpus, seed=0)
    assert done.network.affect == ()
    assert [a.branches for a in done.origin.start] == [("face",), ("voice",)], "the branch is taken without its head"


def test_where_nothing_tells_it_there_is_nothing_of_it(corpus: Path, small: Params, tmp_path: Path) -> None:
    plain = read_manifest(corpus / "clips.parquet")
    done = fit(small, small.train, plain, corpus, seed=0)
    assert done.network.affect == ()
    assert not [key for key in done.best if "ccc" in key]
    path = tmp_path / "mmer.onnx"
    export(done.network, path, media=small.media, faces=small.faces, origin=done.origin, revision="test")
    graph = onnx.load(path)
    assert [port.name for port in graph.graph.output] == ["logits", "state_out", "alone"]
    assert "affect" not in json.loads(graph.metadata_props[0].value)
    assert "affect" not in Graph(path).info.to_json()
    test = [c for c in plain if c.split == "test"]
    report = evaluate({"voice": predict(done.network, test, corpus)}, test, resamples=100, seed=0)
    assert "affect" not in report
    assert not [key for key in summary(report) if "ccc" in key]
