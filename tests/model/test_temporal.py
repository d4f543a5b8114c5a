"""Claims about what gathers evidence over time, and about how modalities are mixed."""

import numpy as np
import pytest
import torch

from mmer.config import ConfigError, Temporal
from mmer.model.fusion import CrossAttention, Gated
from mmer.model.mobilenet import MobileNetV3Small
from mmer.model.network import EmotionNet, NetworkError
from mmer.model.pretrained import WeightsError, start_from
from mmer.model.temporal import RunningMean, WindowAttention, make_temporal
from mmer.params import load_params
from tests.conftest import ROOT

KINDS = ("lstm", "gru", "attention", "mean")


def steps(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, count, 5, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_attention_looks_back_over_its_window_and_no_further() -> None:
    torch.manual_seed(0)
    attention, x, seen = WindowAttention(5, 8, context=3), steps(6), torch.ones(1, 6, 1)
    start = torch.zeros(1, attention.state_size)
    before = attention(x, seen, start)[0][0, -1]
    for back in range(6):
        other = x.clone()
        other[0, 5 - back] += 1
        assert torch.equal(attention(other, seen, start)[0][0, -1], before) == (back >= 3)


@torch.no_grad()
def test_attention_passes_over_steps_without_evidence() -> None:
    torch.manual_seed(0)
    attention, x, seen = WindowAttention(5, 8, context=4), steps(4), torch.ones(1, 4, 1)
    seen[0, 1] = 0
    start = torch.zeros(1, attention.state_size)
    before = attention(x, seen, start)[0][0, -1]
    x[0, 1] += 1
    assert torch.equal(attention(x, seen, start)[0][0, -1], before)
    x[0, 2] += 1
    assert not torch.equal(attention(x, seen, start)[0][0, -1], before)


@torch.no_grad()
def test_mean_is_that_of_the_steps_with_evidence_the_newer_weighing_more() -> None:
    mean, x, seen = RunningMean(5, 8, context=4), steps(6), torch.ones(1, 6, 1)
    seen[0, 2] = 0
    said, state = mean(x, seen, torch.zeros(1, mean.state_size))
    weight = np.exp(-np.arange(6)[::-1] / 4) * seen[0, :, 0].numpy()
    by_hand = (mean.enter(x)[0].numpy() * weight[:, None]).sum(0) / weight.sum()
    np.testing.assert_allclose(said[0, -1], by_hand, atol=1e-5)
    assert state[0, -1] == pytest.approx(weight.sum())
    long = RunningMean(5, 8, context=500)
    long.load_state_dict(mean.state_dict())
    plain = long.enter(x)[0, [0, 1, 3, 4, 5]].mean(0)
    torch.testing.assert_close(long(x, seen, torch.zeros(1, 9))[0][0, -1], plain, atol=0.02, rtol=0)


@pytest.mark.parametrize("kind", ["attention", "mean"])
@torch.no_grad()
def test_after_an_hour_of_something_else_the_answer_is_what_it_would_be_at_once(kind: str) -> None:
    torch.manual_seed(0)
    gather = make_temporal(5, Temporal(kind=kind, hidden=8, context=5))
    fresh = state = torch.zeros(1, gather.state_size)
    for k in range(18_000 // 500):
        state = gather(steps(500, seed=k) + 1, torch.ones(1, 500, 1), state)[1]
    x, seen = steps(60, seed=99), torch.ones(1, 60, 1)
    torch.testing.assert_close(gather(x, seen, state)[0][0, -1], gather(x, seen, fresh)[0][0, -1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_hours_of_nothing_do_no_harm(kind: str) -> None:
    torch.manual_seed(0)
    gather = make_temporal(5, Temporal(kind=kind, hidden=8, context=5))
    state = gather(steps(20), torch.ones(1, 20, 1), torch.zeros(1, gather.state_size))[1]
    for _ in range(40):
        said, state = gather(torch.zeros(1, 500, 5), torch.zeros(1, 500, 1), state)
    assert torch.isfinite(said).all()
    assert torch.isfinite(state).all()


SIZES = {"face": 4, "voice": 6}


def mixture(present: list[float], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A step of face and voice, zero where absent, and what is present."""
    here = torch.tensor(present)
    x = torch.randn(10, generator=torch.Generator().manual_seed(seed))
    x[:4] *= here[0]
    x[4:] *= here[2]
    return torch.cat([x, here])[None, None], here[None, None]


@torch.no_grad()
def test_a_gate_shares_out_among_those_present() -> None:
    torch.manual_seed(0)
    gated = Gated(SIZES, 8)  # type: ignore[arg-type]
    joined, present = mixture([1, 0, 1])
    face, voice = torch.tanh(gated.says[0](joined[..., :4])), torch.tanh(gated.says[1](joined[..., 4:10]))
    both = gated(joined, present)[..., :8]
    assert ((both - face) * (both - voice) <= 0).all(), "between the two"
    joined, present = mixture([1, 0, 0])
    torch.testing.assert_close(gated(joined, present)[..., :8], torch.tanh(gated.says[0](joined[..., :4])))
    joined, present = mixture([0, 0, 0])
    assert not gated(joined, present).any()


@torch.no_grad()
def test_a_modality_attends_to_the_others_and_not_to_itself() -> None:
    torch.manual_seed(0)
    mix = CrossAttention(SIZES, 8)  # type: ignore[arg-type]
    mix.query.weight.zero_()  # so that how much is taken does not depend on who asks
    mix.query.bias.normal_()
    mix.leave.bias.zero_()
    mix.norm = torch.nn.Identity()
    enter = mix.enter[0]

    def found(seed: int, face: torch.Tensor | None = None) -> torch.Tensor:
        joined, present = mixture([1, 0, 1], seed)
        if face is not None:
            joined[..., :4] = face
        return mix(joined, present)[..., :8] - enter(joined[..., :4])

    assert torch.allclose(found(0), found(0, face=torch.ones(4)), atol=1e-6), "what the face finds is the voice's"
    assert not torch.allclose(found(0), found(1), atol=1e-3)
    joined, present = mixture([1, 0, 0])
    alone = mix(joined, present)
    torch.testing.assert_close(alone[..., :8], enter(joined[..., :4]))
    assert not alone[..., 8:16].any()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"model.temporal.kind": "transformer"}, "temporal.kind"),
        ({"model.temporal.hidden": 42}, "multiple of 4"),
        ({"model.temporal.context": 1}, "temporal.context"),
        ({"model.fusion": "gate"}, "fusion"),
        ({"model.face.kind": "resnet"}, "face.kind"),
        ({"model.modalities": []}, "modalities"),
        ({"model.modalities": ["face", "face"]}, "twice"),
        ({"model.modalities": ["text"]}, "modalities"),
    ],
)
def test_a_network_that_cannot_be_is_refused_with_the_reason(given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_params(ROOT / "params.yaml", given)


def test_a_network_without_a_modality_that_the_data_holds_is_refused() -> None:
    params = load_params(ROOT / "params.yaml", {"model.modalities": ["scene"]})
    with pytest.raises(NetworkError, match="allows scene; the data holds face, voice"):
        EmotionNet(params.input, params.model, ["face", "voice"])


def test_face_recognition_weights_are_of_one_kind_of_network() -> None:
    with pytest.raises(WeightsError, match=r"face\.kind"):
        start_from(MobileNetV3Small(0.5, 16), ROOT / "anything.pt")
