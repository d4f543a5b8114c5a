"""Claims about PReLU in other operations: the same function, the same gradient."""

import pytest
import torch
from torch import nn

from mmer.model import prelu
from mmer.model.prelu import PReLU
from mmer.packaging.prelu import vectorise


@pytest.mark.parametrize("largest", [0.9, 1.3])
@pytest.mark.parametrize("shape", [(3, 8, 5, 5), (3, 8)])
def test_it_is_the_same_to_the_last_bit_where_that_is_asked_for_and_else_but_for_rounding(
    shape: tuple[int, ...], largest: float
) -> None:
    torch.manual_seed(0)
    x, original = torch.randn(shape) * 3, nn.PReLU(8)
    original.weight.data = torch.linspace(-0.3, largest, 8)
    for exact in (True, False):
        network = nn.Sequential(nn.Sequential(nn.Identity(), original))
        vectorise(network, exact=exact)
        assert not any(isinstance(module, nn.PReLU) for module in network.modules())
        off = (network(x) - original(x)).abs().max()
        assert off <= (0 if exact else 1e-6)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_in_training_values_and_gradients_are_those_of_torch(
    layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prelu, "PIECE", 100)  # a last piece that is shorter than the others
    torch.manual_seed(0)
    x = (torch.randn(3, 8, 5, 7) * 3).contiguous(memory_format=layout)
    x[0, :, 0, 0] = 0
    above = torch.randn_like(x).contiguous()  # as a later layer may hand it down
    found = []
    for kind in (PReLU, nn.PReLU):
        module, given = kind(8).train(), x.clone().requires_grad_()
        module.weight.data = torch.linspace(-0.3, 1.3, 8)
        y = module(given)
        y.backward(above)
        found.append((y.detach(), given.grad, module.weight.grad))
        ours = kind is PReLU and layout == torch.channels_last
        assert ("ByPieces" in y.grad_fn.name()) == ours
    (y, below, slopes), (wanted_y, wanted_below, wanted_slopes) = found
    assert torch.equal(y, wanted_y)
    assert torch.equal(below, wanted_below)
    torch.testing.assert_close(slopes, wanted_slopes)
