"""Where the modalities meet: before what gathers evidence over time (in three ways), or as answers after it.

Both fusions take what the branches embedded as `joined` [B, T, D] (the embeddings one after the other, zero where
absent, then `present` [B, T, 3]) and a state [B, K] as mmer/model/temporal.py has it: zeros are the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmer.config import Fusion, Temporal
from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES, ModalityName
from mmer.model.attention import attend
from mmer.model.temporal import FramesThenSteps, make_temporal


class Decision(NamedTuple):
    """What a fusion says of a sequence."""

    logits: Tensor
    """[B, T, 7]."""
    branches: dict[ModalityName, Tensor]
    """What each modality says alone: logits [B, T, 7], of no meaning where it is absent."""
    state: Tensor
    """[B, K], after the last step."""
    affect: Tensor | None
    """[B, T, 2] in -1..1: valence and arousal; None without a head for them."""


class Concat(nn.Module):
    """The embeddings side by side, as they are."""

    def __init__(self, embeddings: Mapping[ModalityName, int], hidden: int) -> None:  # noqa: ARG002 (the others need it)
        super().__init__()
        self.size = sum(embeddings.values()) + len(MODALITIES)

    def forward(self, joined: Tensor, present: Tensor) -> Tensor:  # noqa: ARG002 (it is in `joined` too)
        """[B, T, D] as it is."""
        return joined


class Gated(nn.Module):
    """Gated multimodal unit (Arevalo et al. 2017, arXiv:1702.01992): each modality says something of one size, and
    for each number of it a gate, which sees all modalities, decides whose counts.

    The paper's gates of two modalities are z and 1 - z; here, of as many as are present, a softmax, which of two is the
    same. So an absent modality leaves its share to the others.
    """

    def __init__(self, embeddings: Mapping[ModalityName, int], hidden: int) -> None:
        super().__init__()
        self.sizes = list(embeddings.values())
        self.columns = [MODALITIES.index(m) for m in embeddings]
        self.size = hidden + len(MODALITIES)
        self.says = nn.ModuleList(nn.Linear(size, hidden) for size in self.sizes)
        self.gate = nn.Linear(sum(self.sizes) + len(MODALITIES), hidden * len(self.sizes))

    def forward(self, joined: Tensor, present: Tensor) -> Tensor:
        """[B, T, D], [B, T, 3] → [B, T, size], `present` last."""
        parts = torch.split(joined, [*self.sizes, len(MODALITIES)], -1)
        said = torch.stack([torch.tanh(say(x)) for say, x in zip(self.says, parts, strict=False)], -2)
        here = present[..., self.columns].unsqueeze(-1)  # [B, T, M, 1]
        gates = torch.unflatten(self.gate(joined), -1, (len(self.sizes), -1))
        gates = gates.masked_fill(here == 0, torch.finfo(gates.dtype).min).softmax(-2) * here
        return torch.cat([(gates * said).sum(-2), present], -1)


class CrossAttention(nn.Module):
    """Each modality attends, within its step, to the others that are present, and adds what it found to itself; after
    the fusion of M2FNet (Chudasama et al. 2022, arXiv:2206.02187), whose modalities are text, voice and picture.

    It may also attend to nothing, a key and a value of zeros: else the one other of two could not be turned away.
    """

    def __init__(self, embeddings: Mapping[ModalityName, int], hidden: int) -> None:
        super().__init__()
        self.sizes = list(embeddings.values())
        self.columns = [MODALITIES.index(m) for m in embeddings]
        self.size = hidden * len(self.sizes) + len(MODALITIES)
        self.enter = nn.ModuleList(nn.Linear(size, hidden) for size in self.sizes)
        self.query, self.key_value = nn.Linear(hidden, hidden), nn.Linear(hidden, 2 * hidden)
        self.leave = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.others: Tensor
        others = ~torch.eye(len(self.sizes), len(self.sizes) + 1, dtype=torch.bool)  # the last is nothing
        self.register_buffer("others", others, persistent=False)

    def forward(self, joined: Tensor, present: Tensor) -> Tensor:
        """[B, T, D], [B, T, 3] → [B, T, size], `present` last."""
        parts = torch.split(joined, [*self.sizes, len(MODALITIES)], -1)
        x = torch.stack([enter(part) for enter, part in zip(self.enter, parts, strict=False)], -2)  # [B, T, M, hidden]
        here = present[..., self.columns]
        key, value = F.pad(self.key_value(x), (0, 0, 0, 1)).chunk(2, -1)
        there = F.pad(here, (0, 1), value=1.0).unsqueeze(-2) > 0
        found = attend(self.query(x), key, value, self.others & there)
        x = self.norm(x + self.leave(found)) * here.unsqueeze(-1)
        return torch.cat([x.flatten(-2), present], -1)


MIXERS: dict[Fusion, type[Concat | Gated | CrossAttention]] = {
    "concat": Concat,
    "gated": Gated,
    "cross_attention": CrossAttention,
}


class EarlyFusion(nn.Module):
    """The embeddings are mixed step by step, and the mixture gathered over time (of concatenated ones by an LSTM: Karas
    et al. 2022, arXiv:2203.13285); each branch has a head of its own for its own loss. The logits are divided by a
    temperature that `mmer.training.inference.calibrate` fits on validation clips (Guo et al. 2017, arXiv:1706.04599).

    Args:
        embeddings: size of each modality's embedding, in the order of `joined`.
        mix: concat, gated or cross_attention; of a single modality there is nothing to mix.
        classes: how many are told apart.
        affect: whether there is a head for valence and arousal too, on what the logits are made of.
    """

    def __init__(
        self,
        embeddings: Mapping[ModalityName, int],
        temporal: Temporal,
        dropout: float,
        mix: Fusion = "concat",
        classes: int = len(EMOTIONS),
        *,
        affect: bool = False,
    ) -> None:
        super().__init__()
        self.embeddings = dict(embeddings)
        self.branch_head = nn.ModuleDict({m: nn.Linear(size, classes) for m, size in embeddings.items()})
        self.mix = MIXERS[mix if len(embeddings) > 1 else "concat"](embeddings, temporal.hidden)
        self.temporal = make_temporal(self.mix.size, temporal)
        self.state_size = self.temporal.state_size
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(temporal.hidden, classes)
        self.affect = nn.Linear(temporal.hidden, len(DIMENSIONS)) if affect else None
        self.temperature: Tensor
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, joined: Tensor, state: Tensor) -> Decision:
        *parts, present = torch.split(joined, [*self.embeddings.values(), len(MODALITIES)], dim=-1)
        branches = {m: self.branch_head[m](self.drop(part)) for m, part in zip(self.embeddings, parts, strict=True)}
        seen = present.amax(-1, keepdim=True)
        hidden, state = self.temporal(self.mix(self.drop(joined), present), seen, state)
        logits = self.head(self.drop(hidden)) / self.temperature
        affect = None if self.affect is None else torch.tanh(self.affect(self.drop(hidden)))
        return Decision(logits, branches, state, affect)

    def log_probabilities(self, name: ModalityName, logits: Tensor) -> Tensor:  # noqa: ARG002 (late fusion needs it)
        """A branch's logits as log-probabilities [B, T, 7]."""
        return logits.log_softmax(-1)


class LateFusion(nn.Module):
    """Each modality's evidence is gathered over time, and answered, by itself; where several are present, their
    calibrated log-probabilities are added.

    That is right if the modalities err independently given the emotion, and it is what can be learnt from faces and
    voices that are not of the same clips. Calibrated: each modality's logits are divided by a temperature (Guo et al.
    2017) that `mmer.training.inference.calibrate` fits on validation clips, so that none is heard beyond what it knows.
    Where several are present each has its say in the sum (`calibrate_together`); alone it is as sure as it is.

    Args:
        embeddings: size of each modality's embedding, in the order of `joined`.
        temporal: of each, what gathers its evidence.
        frames: of each, how many frames of a step it holds one after the other; evidence is gathered frame by frame.
        classes: how many are told apart.
        affect: the modalities that have a head for valence and arousal too; the answer is the mean of those present.
    """

    def __init__(
        self,
        embeddings: Mapping[ModalityName, int],
        temporal: Mapping[ModalityName, Temporal],
        dropout: float,
        frames: Mapping[ModalityName, int],
        classes: int = len(EMOTIONS),
        affect: Sequence[ModalityName] = (),
    ) -> None:
        super().__init__()
        self.embeddings, self.frames, self.classes = dict(embeddings), dict(frames), classes
        over_time = {
            m: make_temporal(size // frames[m] + 1, temporal[m], frames[m], dropout) for m, size in embeddings.items()
        }
        self.state_sizes = [each.state_size for each in over_time.values()]
        self.state_size = sum(self.state_sizes)
        self.temporal = nn.ModuleDict({str(m): each for m, each in over_time.items()})
        self.head = nn.ModuleDict({m: nn.Linear(temporal[m].hidden, classes) for m in embeddings})
        self.affect = nn.ModuleDict({m: nn.Linear(temporal[m].hidden, len(DIMENSIONS)) for m in affect})
        self.drop = nn.Dropout(dropout)
        self.temperature: Tensor
        self.register_buffer("temperature", torch.ones(len(MODALITIES)))
        self.say: Tensor
        self.register_buffer("say", torch.ones(len(MODALITIES)))

    def forward(self, joined: Tensor, state: Tensor) -> Decision:
        logits, branches, known, state = self.apart(joined, state)
        return Decision(logits, branches, state, self._affect(known, joined[..., -len(MODALITIES) :]))

    def apart(self, joined: Tensor, state: Tensor) -> tuple[Tensor, dict[ModalityName, Tensor], list[Tensor], Tensor]:
        """The sum of the log-probabilities, each modality's logits, what each knows at each step (zero where it is
        absent), and the state after the last.
        """
        *parts, present = torch.split(joined, [*self.embeddings.values(), len(MODALITIES)], dim=-1)
        batch, steps = joined.shape[:2]
        branches: dict[ModalityName, Tensor] = {}
        known, states = [], []
        logits = torch.zeros_like(joined[..., : self.classes])
        states_before = torch.split(state, self.state_sizes, dim=-1)
        several = (present.sum(-1, keepdim=True) > 1).to(logits.dtype)
        for name, part, before in zip(self.embeddings, parts, states_before, strict=True):
            index = MODALITIES.index(name)
            here = present[..., index : index + 1]
            frames = self.frames[name]
            seen = here.expand(-1, -1, frames).reshape(batch, steps * frames, 1)
            gathers = isinstance(self.temporal[name], FramesThenSteps)
            said = (part if gathers else self.drop(part)).reshape(batch, steps * frames, -1)
            hidden, after = self.temporal[name](torch.cat([said, seen], -1), seen, before)
            last = hidden if gathers else hidden[:, frames - 1 :: frames]
            branches[name] = self.head[name](self.drop(last))
            known.append(here * last)
            say = 1 + several * (self.say[index] - 1)
            logits = logits + here * say * self.log_probabilities(name, branches[name])
            states.append(after)
        return logits, branches, known, torch.cat(states, dim=-1)

    def _affect(self, known: Sequence[Tensor], present: Tensor) -> Tensor | None:
        """Valence and arousal [B, T, 2]: the mean over those modalities present that have a head for them."""
        if not self.affect:
            return None
        felt = [(m, x) for m, x in zip(self.embeddings, known, strict=True) if m in self.affect]
        said = torch.stack([torch.tanh(self.affect[m](self.drop(x))) for m, x in felt], -2)
        here = present[..., [MODALITIES.index(m) for m, _ in felt]].unsqueeze(-1)
        return (said * here).sum(-2) / here.sum(-2).clamp(min=1)

    def log_probabilities(self, name: ModalityName, logits: Tensor) -> Tensor:
        """A branch's logits as calibrated log-probabilities [B, T, 7]."""
        return (logits / self.temperature[MODALITIES.index(name)]).log_softmax(-1)


class JointFusion(LateFusion):
    """Late fusion, and where several modalities are present what one more network over time adds to it: it sees what
    each modality knows at each step, as the LSTM of Karas et al. 2022 (arXiv:2203.13285) sees their embeddings, and so
    can learn how a face and a voice move together. At first it adds hardly anything, so what is learnt begins from late
    fusion; of a modality alone nothing is changed.

    Args:
        together: what sees them all.
    """

    def __init__(
        self,
        embeddings: Mapping[ModalityName, int],
        temporal: Mapping[ModalityName, Temporal],
        dropout: float,
        frames: Mapping[ModalityName, int],
        classes: int,
        affect: Sequence[ModalityName],
        together: Temporal,
    ) -> None:
        super().__init__(embeddings, temporal, dropout, frames, classes, affect)
        known = sum(temporal[m].hidden for m in embeddings)
        self.together = make_temporal(known + len(MODALITIES), together)
        self.adds = nn.Linear(together.hidden, classes)
        with torch.no_grad():
            for parameter in self.adds.parameters():
                parameter.mul_(0.01)
        self.temperature_together: Tensor
        self.register_buffer("temperature_together", torch.ones(()))
        self.apart_size = self.state_size
        self.state_size += self.together.state_size

    def forward(self, joined: Tensor, state: Tensor) -> Decision:
        apart, before = torch.split(state, [self.apart_size, self.state_size - self.apart_size], dim=-1)
        logits, branches, known, apart = self.apart(joined, apart)
        present = joined[..., -len(MODALITIES) :]
        logits, after = self.join(logits, torch.cat([*known, present], -1), before)
        return Decision(logits, branches, torch.cat([apart, after], dim=-1), self._affect(known, present))

    def join(self, logits: Tensor, known: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """What late fusion says [B, T, 7] with what is added, and the state after the last step.

        Args:
            known: [B, T, D]: what each modality knows, then `present`.
            state: of `together`.
        """
        present = known[..., -len(MODALITIES) :]
        hidden, state = self.together(known, present.amax(-1, keepdim=True), state)
        both = (present.sum(-1, keepdim=True) > 1).to(logits.dtype)
        added = (logits + self.adds(self.drop(hidden))) / self.temperature_together
        return both * added + (1 - both) * logits, state
