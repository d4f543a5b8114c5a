"""What joins the branches, over time: one LSTM on all of them, or one on each and their answers multiplied.

Both take what the branches embedded as `joined` [B, T, D] (the embeddings one after the other, zero where absent,
then `present` [B, T, 3]), and keep everything that lasts from step to step in one explicit vector [B, K], so that a
stream is fed step by step and gets what the whole clip gets; zeros are the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmer.labels import EMOTIONS, MODALITIES, ModalityName


class Decision(NamedTuple):
    """What a fusion says of a sequence."""

    logits: Tensor
    """[B, T, 7]."""
    branches: dict[ModalityName, Tensor]
    """What each modality says alone: logits [B, T, 7], of no meaning where it is absent."""
    state: Tensor
    """[B, K], after the last step."""


class ExplicitLSTM(nn.Module):
    """An LSTM whose state is one vector [B, K], K = 2 * hidden."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.state_size = 2 * hidden
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, inputs], [B, K] → [B, T, hidden], [B, K]."""
        h, c = state.unsqueeze(0).chunk(2, dim=-1)
        y, (h, c) = self.lstm(x, (h.contiguous(), c.contiguous()))
        return y, torch.cat([h, c], dim=-1).squeeze(0)


class EarlyFusion(nn.Module):
    """One LSTM over the joined embeddings (Karas et al. 2022); each branch has a head of its own for its own loss.

    Args:
        embeddings: size of each modality's embedding, in the order of `joined`.
    """

    def __init__(self, embeddings: Mapping[ModalityName, int], hidden: int, dropout: float) -> None:
        super().__init__()
        self.embeddings = dict(embeddings)
        self.branch_head = nn.ModuleDict({m: nn.Linear(size, len(EMOTIONS)) for m, size in embeddings.items()})
        self.temporal = ExplicitLSTM(sum(embeddings.values()) + len(MODALITIES), hidden)
        self.state_size = self.temporal.state_size
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, len(EMOTIONS))

    def forward(self, joined: Tensor, state: Tensor) -> Decision:
        parts = torch.split(joined, [*self.embeddings.values(), len(MODALITIES)], dim=-1)
        branches = {m: self.branch_head[m](self.drop(part)) for m, part in zip(self.embeddings, parts, strict=False)}
        hidden, state = self.temporal(self.drop(joined), state)
        return Decision(self.head(self.drop(hidden)), branches, state)

    def chances(self, name: ModalityName, logits: Tensor) -> Tensor:  # noqa: ARG002 (late fusion needs it)
        """A branch's logits as log-probabilities [B, T, 7]."""
        return logits.log_softmax(-1)


class LateFusion(nn.Module):
    """An LSTM and a head for each modality; where several are present, their calibrated log-probabilities are added.

    That is right if the modalities err independently given the emotion, and it is what can be learnt from faces and
    voices that are not of the same clips. Calibrated: each modality's logits are divided by a temperature (Guo et al.
    2017) that `mmer.training.calibrate` fits on validation clips, so that none is heard beyond what it knows.
    """

    def __init__(self, embeddings: Mapping[ModalityName, int], hidden: int, dropout: float) -> None:
        super().__init__()
        self.embeddings = dict(embeddings)
        self.temporal = nn.ModuleDict({m: ExplicitLSTM(size + 1, hidden) for m, size in embeddings.items()})
        self.head = nn.ModuleDict({m: nn.Linear(hidden, len(EMOTIONS)) for m in embeddings})
        self.drop = nn.Dropout(dropout)
        self.state_size = len(self.embeddings) * 2 * hidden
        self.temperature: Tensor
        self.register_buffer("temperature", torch.ones(len(MODALITIES)))

    def forward(self, joined: Tensor, state: Tensor) -> Decision:
        *parts, present = torch.split(joined, [*self.embeddings.values(), len(MODALITIES)], dim=-1)
        branches: dict[ModalityName, Tensor] = {}
        states = []
        logits = torch.zeros_like(joined[..., : len(EMOTIONS)])
        for (name, part), before in zip(
            zip(self.embeddings, parts, strict=True), state.chunk(len(self.embeddings), dim=-1), strict=True
        ):
            index = MODALITIES.index(name)
            here = present[..., index : index + 1]
            hidden, after = self.temporal[name](torch.cat([self.drop(part), here], -1), before)
            branches[name] = self.head[name](self.drop(hidden))
            logits = logits + here * self.chances(name, branches[name])
            states.append(after)
        return Decision(logits, branches, torch.cat(states, dim=-1))

    def chances(self, name: ModalityName, logits: Tensor) -> Tensor:
        """A branch's logits as calibrated log-probabilities [B, T, 7]."""
        return (logits / self.temperature[MODALITIES.index(name)]).log_softmax(-1)
