"""Claims about the model in release/, which is what everybody gets: small, saying what it is, and knowing something."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmer import metrics
from mmer.config import load_params
from mmer.corpora import get
from mmer.labels import EMOTIONS
from mmer.model.network import EmotionNet
from mmer.recognizer import Recognizer
from tests.conftest import ROOT

RELEASE = ROOT / "release"


@pytest.fixture(scope="module")
def release() -> Recognizer:
    return Recognizer.load(RELEASE)


def test_it_is_what_one_gets_without_a_name(
    release: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MMER_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Recognizer.load().info == release.info


def test_it_says_what_it_is(release: Recognizer) -> None:
    info = release.info
    assert info.status == "release"
    assert info.modalities == ("face", "voice")
    assert not info.drawings
    assert not info.partly_drawn
    assert "NC" in info.licence, "trained on corpora that forbid commerce"


def test_it_is_small_and_the_card_is_its_own() -> None:
    assert (RELEASE / "mmer.onnx").stat().st_size <= 6.5e6
    card = (RELEASE / "MODEL_CARD.md").read_text()
    assert f"{(RELEASE / 'mmer.onnx').stat().st_size / 1e6:.1f} MB" in card, "the card is of another graph"


def test_the_extra_light_profile_is_a_quarter_of_it() -> None:
    params = load_params(RELEASE / "light" / "params.yaml")
    network = EmotionNet(params.input, params.model)
    assert sum(p.numel() for p in network.parameters()) <= 350_000


def test_its_card_tells_the_numbers_of_its_metrics(release: Recognizer) -> None:
    card, scores = (RELEASE / "MODEL_CARD.md").read_text(), json.loads((RELEASE / "metrics.json").read_text())
    for name, uar in scores["uar_by_corpus"].items():
        assert f"| {name} |" in card
        assert f"| {uar:.3f} " in card
    assert release.info.git[:12] in card
    assert "Article 5" in card


def test_it_tells_the_voices_of_actors_it_never_met_better_than_chance(release: Recognizer, mirror: Path) -> None:
    """Every sixth recording of the four test speakers, from the files, as anybody would ask; chance is 0.14."""
    voices = [c for c in get("ravdess").list_clips(mirror / "ravdess") if c.fold == 1 and not c.has_face][::6]
    found = [release.predict(mirror / "ravdess" / c.path) for c in voices]
    assert all(p.missing == ["face", "scene"] for p in found)
    truth = np.array([c.target for c in voices])
    answers = np.array([p.probabilities.argmax() for p in found])
    assert metrics.uar(metrics.confusion(truth, answers)) > 0.3


def test_it_sees_the_faces_of_real_clips_and_does_not_overrate_what_it_sees(release: Recognizer, mirror: Path) -> None:
    for path in sorted((mirror / "crema_d" / "VideoFlash").glob("*.flv")):
        prediction = release.predict(path)
        assert prediction.label in EMOTIONS
        assert np.mean([step.present["face"] for step in prediction.steps]) > 0.9
        assert not any(step.present["scene"] for step in prediction.steps), "it was not trained on any"
