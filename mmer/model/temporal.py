"""What joins the branches over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RecurrentFusion(nn.Module):
    """LSTM over the joined embeddings of all branches (Karas et al. 2022), with its state as one explicit vector.

    The state goes in and comes out, [B, K] with K = 2 * hidden, so that a stream is fed step by step and gets what the
    whole clip gets; zeros are the start.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.state_size = 2 * hidden
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, inputs], [B, K] → [B, T, hidden], [B, K]."""
        h, c = state.unsqueeze(0).chunk(2, dim=-1)
        y, (h, c) = self.lstm(x, (h.contiguous(), c.contiguous()))
        return y, torch.cat([h, c], dim=-1).squeeze(0)
