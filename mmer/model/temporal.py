"""What gathers evidence over time, in four kinds to choose from: LSTM, GRU, attention over a window, mean.

All are causal and take the same: `x` [B, T, inputs], `seen` [B, T, 1] (1 where the step holds any evidence) and the
state; and all keep everything that lasts from step to step in that one explicit vector [B, K], so that a stream is fed
step by step and gets what the whole clip gets. A state of zeros means that nothing was seen yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mmer.config import Temporal
from mmer.model.attention import HEADS, attend

LEAST_VARIANCE = 1e-8
"""Added before a root is taken."""


class LSTM(nn.Module):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): K = 2 * hidden."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.state_size = 2 * hidden
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)

    def forward(self, x: Tensor, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 (it is in x too)
        """→ [B, T, hidden], [B, K]."""
        h, c = state.unsqueeze(0).chunk(2, dim=-1)
        y, (h, c) = self.lstm(x, (h.contiguous(), c.contiguous()))
        return y, torch.cat([h, c], dim=-1).squeeze(0)


class FramesThenSteps(nn.Module):
    """LSTMs one over the other on the frames of a step, whose mean and deviation a GRU gathers from step to step.

    In training no error is carried from one step back into the one before through the LSTMs: over hundreds of frames a
    speaker encoder's gradients grow until nothing is learnt from them.

    Both are normalised in batches first (Ioffe and Szegedy 2015, arXiv:1502.03167): what a speaker encoder's units say
    differs by 0.04 from voice to voice. K = 2 * the sum of the LSTMs' sizes + the GRU's.
    """

    def __init__(self, inputs: int, sizes: Sequence[int], hidden: int, frames: int, dropout: float) -> None:
        super().__init__()
        self.frames = frames
        self.layers = nn.ModuleList(LSTM(size, of) for size, of in pairwise([inputs, *sizes]))
        self.norm = nn.BatchNorm1d(2 * sizes[-1])
        self.drop = nn.Dropout(dropout)
        self.gather = GRU(2 * sizes[-1], hidden)
        self.state_sizes = [*(2 * size for size in sizes), hidden]
        self.state_size = sum(self.state_sizes)

    def forward(self, x: Tensor, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T * frames, inputs] → [B, T, hidden], [B, K]."""
        *before, gathered = torch.split(state, self.state_sizes, dim=-1)
        after = []
        for layer, begin in zip(self.layers, before, strict=True):
            x, end = self._through(layer, x, begin)
            after.append(end)
        x = torch.unflatten(x, 1, (-1, self.frames))
        mean = x.mean(2)
        deviation = ((x - mean.unsqueeze(2)).square().mean(2) + LEAST_VARIANCE).sqrt()
        x = self.norm(torch.cat([mean, deviation], -1).transpose(1, 2)).transpose(1, 2)
        x, gathered = self.gather(self.drop(x), seen, gathered)
        return x, torch.cat([*after, gathered], dim=-1)

    def _through(self, layer: nn.Module, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        if not (self.training and any(p.requires_grad for p in layer.parameters())):
            return layer(x, x, state)  # type: ignore[no-any-return]
        said = []
        for step in torch.split(x, self.frames, 1):
            y, state = layer(step, step, state.detach())
            said.append(y)
        return torch.cat(said, 1), state


class GRU(nn.Module):
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), an LSTM with a gate less: K = hidden."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.state_size = hidden
        self.gru = nn.GRU(inputs, hidden, batch_first=True)

    def forward(self, x: Tensor, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 (it is in x too)
        """→ [B, T, hidden], [B, K]."""
        y, h = self.gru(x, state.unsqueeze(0).contiguous())
        return y, h.squeeze(0)


class WindowAttention(nn.Module):
    """One layer of a Transformer's encoder (Vaswani et al. 2017, arXiv:1706.03762; normalised before each part, Xiong
    et al. 2020, arXiv:2002.04745) in which a step attends to itself and to those of the `context - 1` steps before it
    that held evidence. How far back a step lies is told by a learnt number for each head and age (after Raffel et al.
    2020, arXiv:1910.10683).

    The state is that window's past, oldest step first: of each its key, its value and whether it held evidence, which
    of a step that never was is 0 as well. K = (context - 1) * (2 * hidden + 1).
    """

    def __init__(self, inputs: int, hidden: int, context: int) -> None:
        super().__init__()
        self.context = context
        self.state_size = (context - 1) * (2 * hidden + 1)
        self.enter = nn.Linear(inputs, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.query, self.key_value = nn.Linear(hidden, hidden), nn.Linear(hidden, 2 * hidden)
        self.age = nn.Parameter(torch.zeros(HEADS, 1, context))
        self.leave = nn.Linear(hidden, hidden)
        self.feed = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.ELU(), nn.Linear(2 * hidden, hidden)
        )

    def forward(self, x: Tensor, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """→ [B, T, hidden], [B, K]."""
        x = self.enter(x)
        y = self.norm(x)
        past = torch.unflatten(state, -1, (self.context - 1, -1))
        line = torch.cat([past, torch.cat([self.key_value(y), seen], -1)], 1)  # [B, context - 1 + T, 2 * hidden + 1]
        window = torch.arange(self.context, device=x.device)
        places = torch.arange(x.shape[1], device=x.device).unsqueeze(-1) + window  # [T, context]
        key, value, there = torch.split(line[:, places], [x.shape[-1], x.shape[-1], 1], -1)  # [B, T, context, ...]
        itself = window == self.context - 1
        found = attend(self.query(y).unsqueeze(2), key, value, (there.transpose(-1, -2) > 0) | itself, self.age)
        x = x + self.leave(found.squeeze(2))
        return x + self.feed(x), line[:, -(self.context - 1) :].flatten(1)


class RunningMean(nn.Module):
    """Each step through one layer, and the mean over the steps with evidence: nothing is modelled but that more of the
    same is surer. What video classification compares recurrence with (Yue-Hei Ng et al. 2015, arXiv:1503.08909).

    A true mean would hardly move after an hour, so it forgets: a step weighs exp(-age / context), sum and count alike.
    Of clips much shorter than `context` that is their mean. The count is what makes the first step as large as the
    hundredth (the bias correction of Kingma and Ba 2015, arXiv:1412.6980); where evidence is older than about seven
    times `context`, what it said fades to nothing.

    The state is the sum and, last, the count: K = hidden + 1.
    """

    FAINT = 1e-3
    """Least count to divide by."""

    def __init__(self, inputs: int, hidden: int, context: int) -> None:
        super().__init__()
        self.context = context
        self.state_size = hidden + 1
        self.enter = nn.Sequential(nn.Linear(inputs, hidden), nn.ELU())

    def forward(self, x: Tensor, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """→ [B, T, hidden], [B, K]."""
        step = torch.arange(x.shape[1], device=x.device).to(x.dtype)
        age = step.unsqueeze(-1) - step  # [T, T]: of each step, seen from each
        weight = torch.exp(-age.clamp(min=0) / self.context) * (age >= 0)
        faded = torch.exp(-(step + 1) / self.context).unsqueeze(-1) * state.unsqueeze(1)
        total = weight @ (torch.cat([self.enter(x), torch.ones_like(seen)], -1) * seen) + faded
        return total[..., :-1] / total[..., -1:].clamp(min=self.FAINT), total[:, -1]


def make_temporal(
    inputs: int, temporal: Temporal, frames: int = 1, dropout: float = 0.0
) -> LSTM | FramesThenSteps | GRU | WindowAttention | RunningMean:
    """The kind that `temporal` names.

    Args:
        frames: of a step, which it sees one after the other; all but `FramesThenSteps` give as many.
        dropout: between what it is made of.
    """
    if temporal.below:
        return FramesThenSteps(inputs, temporal.below, temporal.hidden, frames, dropout)
    if temporal.kind == "attention":
        return WindowAttention(inputs, temporal.hidden, temporal.context)
    if temporal.kind == "mean":
        return RunningMean(inputs, temporal.hidden, temporal.context)
    return (LSTM if temporal.kind == "lstm" else GRU)(inputs, temporal.hidden)
