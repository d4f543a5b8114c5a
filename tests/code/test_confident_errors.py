"""The surest mistakes are explained, and the figures show nobody."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmer.config import Params
from mmer.data.clips import Clip
from mmer.data.samples import load_sample, save_sample
from mmer.evaluation.confident_errors import explain_confident_errors, most_confident
from mmer.labels import EMOTIONS
from mmer.model.network import EmotionNet
from mmer.params import load_params
from mmer.plots.explanation import plot_explanation
from mmer.runtime.explain import Explanation
from tests.conftest import ROOT
from tests.tiny import tiny_corpus


@pytest.fixture(scope="module")
def small() -> Params:
    return load_params(ROOT / "params.yaml", {"model.face.width": 0.125, "input.face_size": 32})


def answers(clips: list[Clip], wrong: dict[int, float]) -> np.ndarray:
    """Half sure of what was meant; at some places as sure as told of the next emotion."""
    chances = np.full((len(clips), 7), 0.5 / 6, np.float32)
    chances[np.arange(len(clips)), [c.target for c in clips]] = 0.5
    for place, sure in wrong.items():
        chances[place] = (1 - sure) / 6
        chances[place, (clips[place].target + 1) % 7] = sure
    return chances


def test_the_surest_mistakes_of_each_corpus_come_first(tmp_path: Path, small: Params) -> None:
    clips = tiny_corpus(tmp_path, small, speakers=3)
    clips = [*clips[:14], *(c.model_copy(update={"corpus": "a"}) for c in clips[14:])]
    wrong = {1: 0.6, 5: 0.9, 9: 0.7, 16: 0.5, 18: 0.55}
    assert most_confident(clips, answers(clips, wrong), 2) == [18, 16, 5, 9]
    assert most_confident(clips, answers(clips, {}), 2) == []


def test_each_is_told_and_drawn_and_only_drawings_are_shown(
    tmp_path: Path, small: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, bool] = {}

    def watched(explanation: Explanation, out: Path, **how: Any) -> None:
        shown[out.name] = how["show_face"]
        plot_explanation(explanation, out, **how)

    monkeypatch.setattr("mmer.plots.explanation.plot_explanation", watched)
    clips = [c for c in tiny_corpus(tmp_path, small, speakers=2) if c.split == "test"]
    people = [c.model_copy(update={"corpus": "crema_d"}) for c in clips]
    for person, clip in zip(people, clips, strict=True):
        save_sample(tmp_path / person.sample, load_sample(tmp_path / clip.sample))
    network = EmotionNet(small.input, small.model, ["face", "voice"]).eval()
    told = explain_confident_errors(
        network, [*people, *clips], answers([*people, *clips], {0: 0.8, 14: 0.8}), tmp_path, 3, tmp_path / "out"
    )
    assert [one["figure"] for one in told] == ["crema_d-1.png", "demo-1.png"]
    assert (told[0]["label"], told[0]["predicted"], told[0]["confidence"]) == ("neutral", EMOTIONS[1], 0.8)
    assert set(told[0]["brought"]) == {"face", "voice"}
    assert shown == {"crema_d-1.png": False, "demo-1.png": True}
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"crema_d-1.png", "demo-1.png"}


def test_where_nothing_is_wrong_there_is_nothing_to_tell(tmp_path: Path, small: Params) -> None:
    clips = tiny_corpus(tmp_path, small, speakers=1)
    network = EmotionNet(small.input, small.model, ["voice"]).eval()
    assert explain_confident_errors(network, clips, answers(clips, {}), tmp_path, 3, tmp_path / "out") == []
    assert (tmp_path / "out").is_dir(), "an output of the stage, even if there is nothing in it"
