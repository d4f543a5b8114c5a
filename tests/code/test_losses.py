"""Claims about the losses."""

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from mmer.clips import Clip
from mmer.labels import EMOTIONS
from mmer.losses import clip_losses, disagreement, emotion_weights

LOGITS = torch.tensor([[4.0, 0, 0, 0, 0, 0, 0], [0.5, 0, 0, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0, 1]])
TARGET = torch.eye(7)[[0, 0, 6]]
EVEN = torch.ones(7)


def losses(kind: str, smoothing: float = 0.0, weights: torch.Tensor = EVEN) -> torch.Tensor:
    return clip_losses(LOGITS, TARGET, kind=kind, smoothing=smoothing, weights=weights)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_plain_is_torchs_cross_entropy(smoothing: float) -> None:
    theirs = cross_entropy(LOGITS, TARGET, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(losses("cross_entropy", smoothing), theirs)


def test_focal_forgets_what_is_known_and_keeps_what_is_not() -> None:
    kept = losses("focal") / losses("cross_entropy")
    assert kept[0] < 0.02, "sure and right"
    assert kept[2] > 0.7, "sure and wrong"


def test_balanced_weighs_an_emotion_by_its_rarity() -> None:
    labels = ["happy"] * 6 + ["sad"] * 2
    weights = emotion_weights([Clip(clip_id="c", corpus="c", speaker="s", label=e, path="c") for e in labels])
    assert dict(zip(EMOTIONS, weights.tolist(), strict=True)) == pytest.approx(
        {"neutral": 0, "happy": 4 / 6, "sad": 2, "angry": 0, "fear": 0, "disgust": 0, "surprise": 0}
    )
    doubled = losses("balanced", weights=torch.tensor([1.0, 1, 1, 1, 1, 1, 2]))
    torch.testing.assert_close(doubled, losses("cross_entropy") * torch.tensor([1.0, 1, 2]))


def test_disagreement_is_what_torch_says_the_divergences_are_and_none_with_itself() -> None:
    a, b = LOGITS.log_softmax(-1), LOGITS.flip(0).log_softmax(-1)
    both = [kl_div(x, y, reduction="none", log_target=True).sum(-1) for x, y in ((a, b), (b, a))]
    torch.testing.assert_close(disagreement(LOGITS, LOGITS.flip(0)), (both[0] + both[1]) / 2)
    torch.testing.assert_close(disagreement(LOGITS, LOGITS + 5), torch.zeros(3))
