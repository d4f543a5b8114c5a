"""Claims about the losses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from mmer.data.clips import Clip
from mmer.data.samples import load_sample
from mmer.labels import EMOTIONS
from mmer.model.network import EmotionNet
from mmer.params import load_params
from mmer.training.batches import collate, target_of
from mmer.training.losses import (
    MOVED,
    _held,
    _steps,
    batch_loss,
    clip_losses,
    disagreement,
    emotion_weights,
    seen_otherwise,
)
from tests.conftest import ROOT
from tests.tiny import SMALL_NETWORK, tiny_corpus

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


def test_a_still_picture_is_held_and_a_clip_is_left_alone() -> None:
    joined = torch.arange(3 * 6 * 4, dtype=torch.float32).reshape(3, 6, 4)
    valid = torch.tensor([[1.0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    later, lengths = torch.tensor([True, True, False]), set()
    for seed in range(60):
        torch.manual_seed(seed)
        steps = _steps(valid, later, 8)
        held, longer = _held(joined, valid, steps)
        assert longer.sum(1).tolist() == steps.tolist()
        lengths.add(int(steps[0]))
        assert torch.equal(held[0][longer[0] > 0], joined[0, :1].expand(int(steps[0]), -1))
        assert torch.equal(held[1, :6], joined[1]), "a clip is left alone"
        assert steps[1:].tolist() == [3, 1], "and so is a picture that comes first"
    assert lengths == set(range(1, 9))


def test_a_face_seen_otherwise_is_mirrored_or_not_and_moved_a_little() -> None:
    torch.manual_seed(0)
    faces = torch.randint(0, 256, (40, 2, 32, 32, 3), dtype=torch.uint8)
    places, most = np.arange(32), round(MOVED * 32)
    shifts, seen = range(-most, most + 1), set()
    for before, after in zip(faces.numpy(), seen_otherwise(faces).numpy(), strict=True):
        for down in shifts:
            rows = before[:, np.clip(places + down, 0, 31)]
            for right in shifts:
                columns = np.clip(places + right, 0, 31)
                for mirror in (False, True):
                    moved = rows[:, :, 31 - columns if mirror else columns]
                    if np.array_equal(moved, after):
                        seen.add((down, right, mirror))
    assert {s[0] for s in seen} == {s[1] for s in seen} == set(shifts)
    assert {s[2] for s in seen} == {False, True}


def test_consistency_costs_what_is_answered_otherwise_when_moved(tmp_path: Path) -> None:
    """A plain surface moved is the same surface; a picture of noise is another one."""
    small = load_params(ROOT / "params.yaml", SMALL_NETWORK)
    clips = tiny_corpus(tmp_path, small)[:8]
    network = EmotionNet(small.input, small.model)
    rng, extra = np.random.default_rng(0), {}
    for kind, size in (("plain", 1), ("noise", 32)):
        samples = [
            replace(s, faces=np.broadcast_to(rng.integers(0, 256, (1, size, size, 3), np.uint8), s.faces.shape))
            for s in (load_sample(tmp_path / c.sample) for c in clips)
        ]
        batch = collate(samples, [target_of(c, "intended") for c in clips], small.input)
        told = {}
        for weight in (0.0, 2.0):
            torch.manual_seed(0)
            train = small.train.model_copy(update={"consistency": weight})
            told[weight] = float(batch_loss(network, batch, None, train, torch.ones(7))[0])
        extra[kind] = told[2.0] - told[0.0]
    assert extra["plain"] == pytest.approx(0, abs=1e-6)
    assert extra["noise"] > 1e-4
