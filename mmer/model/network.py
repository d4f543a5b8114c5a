"""EmotionNet: face, scene and voice, each with its own small network, joined over time; trained end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from mmer.config import FaceNet, Model
from mmer.errors import MmerError
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.model.fusion import Decision, EarlyFusion, JointFusion, LateFusion
from mmer.model.mobilefacenet import MobileFaceNet
from mmer.model.mobilenet import MobileNetV3Small
from mmer.model.scene import SceneCNN
from mmer.model.voice import MelFrames, VoiceCNN, make_voice
from mmer.runtime.config import Input
from mmer.runtime.grid import SAMPLE_RATE


@dataclass(frozen=True)
class Batch:
    """Clips, padded to one length; the tensors that the network and the losses take."""

    faces: Tensor
    """uint8 [B, T, S, S, 3] RGB."""
    scenes: Tensor
    """uint8 [B, T, C, C, 3] RGB."""
    voice: Tensor
    """float32 [B, T, W] in -1..1."""
    present: Tensor
    """float32 [B, T, 3], 0 or 1: face, scene, voice."""
    valid: Tensor
    """float32 [B, T]: 0 in the padding."""
    target: Tensor
    """float32 [B, 7]: a distribution over the network's classes, all on one where a single one is meant."""
    affect: Tensor
    """float32 [B, 2] in -1..1: valence and arousal; NaN where they are not told."""


class Mixture(NamedTuple):
    """Clips mixed two by two (mixup, Zhang et al. 2018, arXiv:1710.09412)."""

    other: Tensor
    """int64 [B]: with which clip of the batch each is mixed."""
    share: Tensor
    """float32 [B]: how much of each is left."""

    def of(self, x: Tensor) -> Tensor:
        """[B, ...], mixed."""
        share = self.share.view(-1, *[1] * (x.dim() - 1))
        return share * x + (1 - share) * x[self.other]


class Output(NamedTuple):
    """What the network says of a batch."""

    logits: Tensor
    """[B, T, 7]."""
    state: Tensor
    """[B, K], after the last step."""
    branches: dict[ModalityName, Tensor]
    """Each modality's own logits [B, T, 7], as if there were no other."""
    joined: Tensor
    """[B, T, D]: what the fusion saw."""
    affect: Tensor | None
    """[B, T, 2] in -1..1: valence and arousal; None without a head for them."""


class NetworkError(MmerError, ValueError):
    """There is no such network; the message says why."""


def make_face(size: int, face: FaceNet) -> MobileFaceNet | MobileNetV3Small:
    """The kind of network on the face crop that `face` names."""
    if face.kind == "mobilenet_v3_small":
        return MobileNetV3Small(face.width, face.embedding)
    return MobileFaceNet(size, face.width, face.embedding)


def pixels(x: Tensor, *, grey: bool = False) -> Tensor:
    """uint8 [N, H, W, 3] → float [N, 3, H, W] in -1..1; where `grey`, the lightness three times."""
    y = x.permute(0, 3, 1, 2).float()
    if grey:
        red, green, blue = y.unbind(1)
        y = (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1).expand(-1, 3, -1, -1)
    return y / 127.5 - 1


class EmotionNet(nn.Module):
    """The whole network.

    Args:
        input: sizes of crops, scenes and windows.
        model: the parts and their sizes.
        modalities: those the training data held. One that is not among them, or that `model` does without, is off:
            never computed, always absent.
        dropout: on the joined embeddings and before the head.
        voice_mask: share of a voice window's bands and frames that training may hide (SpecAugment).
        classes: what is told apart, the 7 in the shapes here: the emotions, but in a cross-validation over the classes
            that a corpus was published with (`folds.classes`).
        affect: the modalities of those training clips that told valence and arousal; there is a head for these two
            where there are any.

    Raises:
        NetworkError: no modality is left.
    """

    def __init__(
        self,
        input: Input,
        model: Model,
        modalities: Sequence[ModalityName] = MODALITIES,
        dropout: float = 0.0,
        voice_mask: float = 0.0,
        classes: Sequence[str] = EMOTIONS,
        affect: Sequence[ModalityName] = (),
    ) -> None:
        super().__init__()
        self.input, self.model, self.classes = input, model, tuple(classes)
        self.modalities = tuple(m for m in MODALITIES if m in modalities and m in model.modalities)
        if not self.modalities:
            found = ", ".join(modalities) or "none"
            raise NetworkError(f"model.modalities allows {', '.join(model.modalities)}; the data holds {found}")
        self.affect = tuple(m for m in self.modalities if m in affect)
        """Valence and arousal are said where one of these is present."""
        makers: dict[ModalityName, Callable[[], nn.Module]] = {
            "face": lambda: make_face(input.face_size, model.face),
            "scene": lambda: SceneCNN(model.scene.channels, model.scene.embedding),
            "voice": lambda: make_voice(model.voice, input, voice_mask),
        }
        self.branch = nn.ModuleDict({m: makers[m]() for m in self.modalities})
        frames = {m: getattr(self.branch[m], "frames", 1) for m in self.modalities}
        sizes = {m: getattr(model, m).embedding for m in self.modalities}
        self.embeddings = {m: frames[m] * sizes[m] for m in self.modalities}
        over_time = {m: getattr(getattr(model, m), "temporal", None) or model.temporal for m in self.modalities}
        self.fusion: EarlyFusion | LateFusion
        if model.fusion == "joint" and len(self.modalities) > 1:
            self.fusion = JointFusion(
                self.embeddings, over_time, dropout, frames, len(classes), self.affect, model.temporal
            )
        elif model.fusion in ("late", "joint"):
            self.fusion = LateFusion(self.embeddings, over_time, dropout, frames, len(classes), self.affect)
        else:
            self.fusion = EarlyFusion(
                self.embeddings, model.temporal, dropout, model.fusion, len(classes), affect=bool(self.affect)
            )
        # Without it a branch's scale at the start would decide who is heard (batch-normalised face, raw scene). Not for
        # frames: each frame's own would level how loud it is, and batch normalisation has set their scale already.
        self.norm = nn.ModuleDict(
            {m: nn.LayerNorm(sizes[m]) if frames[m] == 1 else nn.Identity() for m in self.modalities}
        )
        self.trained: Tensor
        self.register_buffer("trained", torch.tensor([float(m in self.modalities) for m in MODALITIES]))
        self.to(memory_format=torch.channels_last)  # three quarters of the time in the face network on a CPU

    @property
    def window(self) -> int:
        """W: samples in a voice window."""
        return round(self.input.voice_window_s * SAMPLE_RATE)

    @property
    def state_size(self) -> int:
        """K."""
        return self.fusion.state_size

    def start(self, batch: int) -> Tensor:
        """The state before the first step: zeros [batch, K]."""
        return torch.zeros(batch, self.state_size)

    def forward(self, faces: Tensor, scenes: Tensor, voice: Tensor, present: Tensor, state: Tensor) -> Output:
        """See `Batch` for shapes; `state` float32 [B, K]."""
        joined = self.embed(faces, scenes, voice, present)
        logits, branches, state, affect = self.decide(joined, state)
        return Output(logits, state, branches, joined, affect)

    def embed(
        self, faces: Tensor, scenes: Tensor, voice: Tensor, present: Tensor, mixture: Mixture | None = None
    ) -> Tensor:
        """What the branches make of each step, side by side, and what is present: [B, T, D].

        Args:
            mixture: in training, which voices are mixed; the mixture of two is there where one of them is.
        """
        present = present * self.trained
        if mixture is not None and "voice" in self.modalities:
            heard = cast(VoiceCNN | MelFrames, self.branch["voice"]).hear(voice.flatten(0, 1))
            voice = mixture.of(heard.view(*voice.shape[:2], *heard.shape[1:]))
            there = present[..., MODALITIES.index("voice")]
            together = torch.maximum(there, there[mixture.other])
            present = torch.cat([present[..., :-1], together.unsqueeze(-1)], -1)
        streams: dict[ModalityName, Tensor] = {"face": faces, "scene": scenes, "voice": voice}
        parts: list[Tensor] = []
        for name in self.modalities:
            here = present[..., MODALITIES.index(name)]
            parts.append(self._embed(name, streams[name], here) * here.unsqueeze(-1))
        return torch.cat([*parts, present], dim=-1)

    def decide(self, joined: Tensor, state: Tensor) -> Decision:
        """The fusion alone, on `joined` [B, T, D] from the state [B, K]."""
        decision: Decision = self.fusion(joined, state)
        return decision

    def unimodal(self, output: Output) -> Tensor:
        """What each modality says by itself: log-probabilities [B, T, 3, 7], of no meaning where it is absent."""
        silent = torch.zeros_like(output.logits)
        said = [
            self.fusion.log_probabilities(m, output.branches[m]) if m in output.branches else silent for m in MODALITIES
        ]
        return torch.stack(said, dim=2)

    def _embed(self, name: ModalityName, x: Tensor, here: Tensor) -> Tensor:
        """Embedding [B, T, E] of one modality: computed where it is present, zero elsewhere.

        In the exported graph everything is computed (its shapes may not depend on values) and masked by the caller.
        """
        batch, steps = here.shape
        flat = x.flatten(0, 1)
        if torch.onnx.is_in_onnx_export():
            return self._run(name, flat).view(batch, steps, -1)
        chosen = here.flatten() > 0
        out = torch.zeros(batch * steps, self.embeddings[name], device=here.device)
        if chosen.sum() > (1 if self.training else 0):  # batch statistics need two
            out = out.masked_scatter(chosen.unsqueeze(-1), self._run(name, flat[chosen]).float())
        return out.view(batch, steps, -1)

    def _run(self, name: ModalityName, flat: Tensor) -> Tensor:
        x = flat
        if name != "voice":
            grey = name == "face" and self.model.face.grey
            x = pixels(flat, grey=grey).contiguous(memory_format=torch.channels_last)
        y: Tensor = self.norm[name](self.branch[name](x))
        return y.flatten(1)


def clip_logits(logits: Tensor, present: Tensor, valid: Tensor) -> Tensor:
    """Mean over the steps with evidence (over all valid ones, where a clip has none): [B, T, C] → [B, C].

    Args:
        logits: or valence and arousal, which are pooled alike.
        present: [B, T, M]: of the modalities that are evidence.
        valid: [B, T].
    """
    evidence = (present.amax(-1) > 0).float() * valid
    weight = torch.where(evidence.sum(1, keepdim=True) > 0, evidence, valid)
    return (logits * weight.unsqueeze(-1)).sum(1) / weight.sum(1, keepdim=True).clamp(min=1)
