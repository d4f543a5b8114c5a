"""Claims about the model in release/, which is what everybody gets: small, saying what it is, and knowing something."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmer import metrics
from mmer.data.corpora import get
from mmer.labels import EMOTIONS
from mmer.model.network import EmotionNet
from mmer.params import load_params
from mmer.runtime.recognizer import Recognizer
from mmer.training.checkpoints import load_network
from tests.conftest import ROOT

RELEASE = ROOT / "release"
LIGHT = RELEASE / "light"
both = pytest.mark.parametrize("folder", [RELEASE, LIGHT], ids=["release", "light"])


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


@both
def test_it_is_small_and_the_card_is_its_own(folder: Path) -> None:
    most = {"mmer.onnx": 9.5e6, "mmer.int8.onnx": 3e6}
    assert all((folder / name).stat().st_size <= size for name, size in most.items())
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"{(folder / 'mmer.onnx').stat().st_size / 1e6:.1f} MB" in card, "the card is of another graph"


def test_the_extra_light_model_is_a_quarter_of_it() -> None:
    params = load_params(LIGHT / "params.yaml")
    network = EmotionNet(params.input, params.model)
    assert sum(p.numel() for p in network.parameters()) <= 350_000
    assert load_network(LIGHT / "network.safetensors").input == params.input
    assert (LIGHT / "mmer.onnx").stat().st_size <= 0.4 * (RELEASE / "mmer.onnx").stat().st_size


@both
def test_its_card_tells_the_numbers_of_its_metrics(folder: Path) -> None:
    card, scores = (folder / "MODEL_CARD.md").read_text(), json.loads((folder / "metrics.json").read_text())
    for name, uar in scores["uar_by_corpus"].items():
        assert f"| {name} |" in card
        assert f"| {uar:.3f} " in card
    assert Recognizer.load(folder).info.git[:12] in card
    assert "Article 5" in card


@both
def test_the_table_for_phones_is_that_of_the_cards(folder: Path) -> None:
    page = (ROOT / "docs/measurements/budgets.md").read_text()
    lines = page[page.index("## The model for phones") :].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    told = {row[0]: row[1 + (folder == LIGHT)] for row in rows}
    card = (folder / "MODEL_CARD.md").read_text()
    accuracy = next(told[name] for name in told if name.startswith("FER2013"))
    uar = next(told[name] for name in told if name.startswith("RAVDESS"))
    assert re.search(rf"\| fer2013 \|.*\| {re.escape(accuracy)} \|", card)
    assert re.search(rf"\| ravdess \|.*\| {re.escape(uar)} \|", card)
    sizes = [f"{(folder / name).stat().st_size / 1e6:.1f}" for name in ("mmer.onnx", "mmer.int8.onnx")]
    assert told["graph, int8 graph, MB"] == ", ".join(sizes)
    count = sum(p.numel() for p in load_network(folder / "network.safetensors").parameters())
    assert told["parameters"].split(" ")[0] == f"{count:,}"


@both
def test_its_card_shows_pictures_that_are_there(folder: Path) -> None:
    shown = re.findall(r"\((figures/[^)]+)\)", (folder / "MODEL_CARD.md").read_text())
    assert len(shown) > 4
    assert all((folder / name).is_file() for name in shown)


def test_its_card_shows_a_cross_validation_where_one_was_made_of_its_voice() -> None:
    """It takes an hour more than `make release`, so its report lies in the repository, whole, or there is none."""
    card, made = (RELEASE / "MODEL_CARD.md").read_text(), (RELEASE / "reports/folds/metrics.json").is_file()
    assert ("### Cross-validation" in card) == made
    assert (RELEASE / "reports/folds/figures/speakers.png").is_file() == made


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
