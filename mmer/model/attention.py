"""Scaled dot-product attention with several heads (Vaswani et al. 2017, arXiv:1706.03762), where what may be looked at
is given.
"""

from __future__ import annotations

import torch
from torch import Tensor

HEADS = 4


def attend(query: Tensor, key: Tensor, value: Tensor, there: Tensor, bias: Tensor | None = None) -> Tensor:
    """What each query finds.

    Args:
        query: [..., Q, D], D a multiple of HEADS.
        key, value: [..., L, D].
        there: bool, broadcast to [..., Q, L]: which of the L places each query may look at, one or more.
        bias: added to the scores, broadcast to [..., HEADS, Q, L].

    Returns:
        [..., Q, D].
    """
    # [..., HEADS, Q or L, D / HEADS]
    q, k, v = (torch.unflatten(x, -1, (HEADS, -1)).transpose(-2, -3) for x in (query, key, value))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if bias is not None:
        scores = scores + bias
    weights = scores.masked_fill(~there.unsqueeze(-3), torch.finfo(scores.dtype).min).softmax(-1)
    found: Tensor = (weights @ v).transpose(-2, -3).flatten(-2)
    return found
