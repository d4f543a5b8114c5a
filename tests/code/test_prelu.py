"""Claims about PReLU in other operations: the same function."""

import pytest
import torch
from torch import nn

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
