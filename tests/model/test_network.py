"""Claims about the network itself, whatever its weights: streaming equals whole, absent means absent."""

import numpy as np
import pytest
import torch

from mmer.config import Params
from mmer.labels import EMOTIONS, MODALITIES
from mmer.model.network import EmotionNet, clip_logits


@pytest.fixture(scope="module")
def network(params: Params) -> EmotionNet:
    torch.manual_seed(0)
    net = EmotionNet(params.input, params.model)
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)):
        norm.running_mean.normal_(0, 0.1)  # as if trained: a fresh one would hide a forgotten eval()
        norm.running_var.uniform_(0.5, 2)
    return net.eval()


def clip(network: EmotionNet, batch: int = 2, steps: int = 7, seed: int = 0) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    side, scene = network.input.face_size, network.input.scene_size
    return [
        torch.randint(0, 256, (batch, steps, side, side, 3), generator=made, dtype=torch.uint8),
        torch.randint(0, 256, (batch, steps, scene, scene, 3), generator=made, dtype=torch.uint8),
        torch.randn(batch, steps, network.window, generator=made) * 0.1,
        torch.ones(batch, steps, 3),
    ]


@torch.no_grad()
def test_step_by_step_equals_whole(network: EmotionNet) -> None:
    inputs = clip(network)
    whole = network(*inputs, network.start(2))
    state, steps = network.start(2), []
    for k in range(7):
        out = network(*(x[:, k : k + 1] for x in inputs), state)
        state = out.state
        steps.append(out.logits)
    torch.testing.assert_close(torch.cat(steps, 1), whole.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(state, whole.state, atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_future_does_not_change_the_past(network: EmotionNet) -> None:
    inputs = clip(network)
    before = network(*inputs, network.start(2)).logits[:, :4]
    for x in inputs[:3]:
        x[:, 4:] = 0
    torch.testing.assert_close(network(*inputs, network.start(2)).logits[:, :4], before)


@pytest.mark.parametrize("name", MODALITIES)
@torch.no_grad()
def test_what_is_absent_is_not_looked_at(network: EmotionNet, name: str) -> None:
    inputs, other, column = clip(network), clip(network, seed=1), MODALITIES.index(name)
    inputs[3][..., column] = 0
    base = network(*inputs, network.start(2)).logits
    inputs[column] = other[column]
    torch.testing.assert_close(network(*inputs, network.start(2)).logits, base)
    inputs[3][..., column] = 1
    assert not torch.allclose(network(*inputs, network.start(2)).logits, base, atol=1e-3), "present, it must count"


@torch.no_grad()
def test_a_modality_that_was_not_trained_is_off(params: Params) -> None:
    network = EmotionNet(params.input, params.model, ["voice"]).eval()
    inputs, other = clip(network), clip(network, seed=1)
    base = network(*inputs, network.start(2)).logits
    inputs[0], inputs[1] = other[0], other[1]
    torch.testing.assert_close(network(*inputs, network.start(2)).logits, base)
    assert set(network.branch) == {"voice"}


@torch.no_grad()
def test_clips_in_a_batch_do_not_touch_each_other(network: EmotionNet) -> None:
    inputs = clip(network)
    alone = network(*(x[:1] for x in inputs), network.start(1)).logits
    torch.testing.assert_close(network(*inputs, network.start(2)).logits[:1], alone, atol=1e-5, rtol=0)


def test_clip_logits_count_only_steps_with_evidence() -> None:
    logits = torch.tensor(np.arange(4 * 7, dtype=np.float32).reshape(1, 4, 7))
    present, valid = torch.zeros(1, 4, 3), torch.tensor([[1.0, 1, 1, 0]])
    present[0, 1, 2] = 1
    torch.testing.assert_close(clip_logits(logits, present, valid), logits[:, 1])
    present[0, 3, 0] = 1  # padding, however it is marked
    torch.testing.assert_close(clip_logits(logits, present, valid), logits[:, 1])
    torch.testing.assert_close(clip_logits(logits, torch.zeros(1, 4, 3), valid), logits[:, :3].mean(1))


def test_every_parameter_learns(network: EmotionNet) -> None:
    out = network(*clip(network), network.start(2))
    (out.logits.square().sum() + sum(b.square().sum() for b in out.branches.values())).backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert out.logits.shape == (2, 7, len(EMOTIONS))
    network.zero_grad()
