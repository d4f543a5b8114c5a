"""The card of a released model: every figure with its n and interval, and nothing that sounds better than it is."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmer.data.clips import Clip
from mmer.evaluation.scores import evaluate
from mmer.labels import EMOTIONS
from mmer.packaging.model_card import Evidence, model_card
from mmer.runtime.graph import Graph, ModelInfo
from mmer.runtime.lineage import Ancestor
from stages import publish
from tests.graphs import write_graph, write_model

KEYS = ("uar", "uar_low", "uar_high")


def clips() -> list[Clip]:
    """70 face images, 84 recordings of four speakers, and three clips of one actress."""
    common = {"path": "x", "split": "test"}
    images = [
        Clip(
            clip_id=f"i{k}", corpus="fer2013", speaker=f"i{k}", label=EMOTIONS[k % 7], has_face=True, steps=1, **common
        )
        for k in range(70)
    ]
    voices = [
        Clip(
            clip_id=f"v{k}", corpus="ravdess", speaker=f"{k % 4 + 1:02}", sex=("male", "female")[k % 2],
            label=EMOTIONS[k // 4 % 7], has_voice=True, voice_rate=1, steps=15, fold=1, **common,
        )
        for k in range(84)
    ]  # fmt: skip
    both = [
        Clip(
            clip_id=f"1001-{e}", corpus="crema_d", speaker="1001", sex="male", label=e, has_face=True, has_voice=True,
            voice_rate=1, steps=12, fold=1, **common,
        )
        for e in ("happy", "sad", "fear")
    ]  # fmt: skip
    return [*both, *images, *voices]


def details(seed: int = 0) -> dict:
    """Of a model that is right two times in three, and always on the three clips."""
    rng, shown = np.random.default_rng(seed), clips()
    truth = np.array([c.target for c in shown])
    said = np.where(rng.random(len(shown)) < 0.66, truth, (truth + 1) % 7)
    said[:3] = truth[:3]
    chances = np.full((len(shown), 7), 0.05, np.float32)
    chances[np.arange(len(shown)), said] = 0.7
    given = dict.fromkeys(("face", "voice", "face+voice"), chances)
    told = evaluate(given, shown, resamples=100, seed=0, uncalibrated=given)
    mistake = {"figure": "ravdess-1.png", "corpus": "ravdess", "clip_id": "v7", "label": "sad", "predicted": "angry"}
    return told | {"mistakes": [{**mistake, "confidence": 0.97, "brought": {"voice": 2.1}}]}


def curves() -> dict:
    scores = [dict(zip(KEYS, (uar, uar - 0.02, uar + 0.02), strict=True)) for uar in (0.6, 0.58, 0.35, 0.2)]
    states = [{"together": s, "alone": s} for s in scores]
    curve = {
        "corpus": "fer2013", "kind": "blur", "modality": "face", "axis": "sigma, pixels of the crop", "n": 500,
        "n_speakers": 0, "n_classes": 7, "clean": states[0], "without": None,
        "points": [{"level": level, **state} for level, state in zip((1, 2, 4), states[1:], strict=True)],
    }  # fmt: skip
    return {"protocol": "At most 500 test clips of each corpus.", "curves": [curve]}


FOLDS = {
    "protocol": "6-fold cross-validation by speaker.", "n_clips": 1440, "n_speakers": 24, "uar": 0.58, "uar_low": 0.55,
    "uar_high": 0.61, "uar_sd": 0.03, "pooled": {"uar": 0.581, "uar_low": 0.56, "uar_high": 0.6},
    "per_speaker": {"uar": {"min": 0.41, "median": 0.57, "max": 0.75}},
}  # fmt: skip
PACKAGE = {
    "parameters": 1_000_000,
    "graph_bytes": 5_000_000,
    "graph_ms": 8.0,
    "parity": {"clips": 157, "agreement": 1.0, "max_difference": 1e-6},
    "shown": {
        name: {
            "voice": {
                "n_clips": 157,
                "n_steps": 1570,
                "accuracy": 0.46,
                "ece": ece,
                "sure": 0.0,
                "sure_right": None,
                "changes": 0.9,
            }
        }
        for name, ece in (("before", 0.114), ("after", 0.056))
    },
    "quantised": {
        **{"graph_bytes": 1_600_000, "graph_ms": 8.1, "ships": True, "max_loss": 0.01},
        "parity": {
            "clips": 157, "agreement": 0.99, "max_difference": 0.02, "uar_loss": 0.001, "uar_loss_low": -0.004,
            "uar_loss_high": 0.006,
        },
    },
}  # fmt: skip


COST = {"seconds": 5400, "threads": 2}


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> ModelInfo:
    about = {"corpora": ["fer2013", "ravdess"], "modalities": ["face", "voice"], "drawings": False, "status": "release"}
    folder = tmp_path_factory.mktemp("model")
    return Graph(write_graph(folder, **about, partly_drawn=False) / "mmer.onnx").info


@pytest.fixture(scope="module")
def card(info: ModelInfo) -> str:
    return model_card(info, Evidence(details(), PACKAGE, COST, curves(), {"7 emotions": FOLDS}))


@pytest.fixture(scope="module")
def short(info: ModelInfo) -> str:
    """Of a profile without cross-validation and without curves."""
    return model_card(info, Evidence(details(), PACKAGE, COST))


def part(card: str, title: str) -> str:
    return re.split(r"\n##+ ", re.split(rf"\n##+ {re.escape(title)}\n", card)[1])[0]


def test_it_says_what_it_is_for_and_not_and_what_the_law_says(card: str) -> None:
    assert "**Not for** judging people" in part(card, "Intended use")
    assert "Article 5(1)(f)" in part(card, "Ethical considerations")
    assert "Article 50" in part(card, "Ethical considerations")
    assert "CC BY-NC-SA 4.0" in part(card, "Licence")


def test_it_says_whose_faces_and_voices_and_whether_they_agreed(card: str) -> None:
    told = part(card, "Training data")
    assert "nobody in them is known to have been asked" in told
    assert "professional actors" in told


def test_three_clips_of_one_person_are_no_score(card: str) -> None:
    told = part(card, "Evaluation")
    assert "1.000" not in told
    assert "1 speakers" not in card
    assert "3 clips of 1 speaker" in told
    for emotion in ("happy", "sad", "fear"):
        assert f"| 1001-{emotion} | {emotion} | {emotion} | 70% |" in told
    assert "Only 3 test clips held more than one modality" in told


def test_each_score_stands_with_what_it_is_of_and_its_interval(card: str) -> None:
    found = details()["by_corpus"]["fer2013"]
    low, high = found["uar_low"], found["uar_high"]
    row = f"| fer2013 | 70 images of unknown people | {found['uar']:.3f} ({low:.3f}–{high:.3f}) |"
    assert row in part(card, "Evaluation")


def test_an_interval_over_four_speakers_is_called_fragile(card: str) -> None:
    told = part(card, "Evaluation")
    assert "The interval of ravdess is fragile:** it rests on 4 speakers, of whom there are only 35" in told
    assert "The interval of fer2013" not in told


def test_the_voices_of_all_speakers_are_told_beside_the_few(card: str) -> None:
    told = part(card, "Cross-validation")
    assert "| 7 emotions | 1,440 | 24 | 0.580 (0.550–0.610) | 0.030 |" in told
    assert "0.41, 0.57, 0.75" in told


def test_of_what_was_not_measured_no_more_is_told_than_that(card: str, short: str) -> None:
    assert "cross-validated" not in short
    assert "Robustness" not in short
    assert "blur" not in short
    assert "in the dark" in part(short, "Not measured")
    assert "in the dark" not in part(card, "Not measured")


def test_energy_is_called_an_estimate(card: str) -> None:
    told = part(card, "Training cost")
    assert "1.5 hours on 2 cores" in told
    assert "0.04 kWh" in told, "1.5 hours, 2 cores, 15 watts each"
    assert "An estimate, not a measurement" in told


def test_where_it_breaks_down_is_said_in_words(card: str) -> None:
    told = part(card, "Limitations")
    assert "fer2013, blur: at 2 (sigma, pixels of the crop) less than half is left" in told
    assert "| [ravdess v7](figures/mistakes/ravdess-1.png) | sad | angry | 97% | voice +2.1 |" in told
    assert "no person is shown" in told


def test_without_votes_it_does_not_compare_with_people(card: str) -> None:
    assert "cannot be compared" in part(card, "Intended and perceived emotions")


def test_where_people_agreed_the_model_is_held_against_what_they_agreed_on(info: ModelInfo) -> None:
    shown = [
        c.model_copy(update={"votes_face": (1.0, *[0.0] * 6), "consensus": "neutral"}) if c.corpus == "fer2013" else c
        for c in clips()
    ]
    chances = np.full((len(shown), 7), 0.05, np.float32)
    chances[:, 0] = 0.7  # always neutral
    report = evaluate(dict.fromkeys(("face", "voice", "face+voice"), chances), shown, resamples=100, seed=0)
    told = model_card(info, Evidence(report | {"mistakes": []}, PACKAGE, COST))
    assert "| face | model | consensus | 70 | 1.000" in part(told, "Intended and perceived emotions")


def test_slices_are_of_people_whose_sex_is_known_and_not_of_one_actor(card: str) -> None:
    told = part(card, "Slices")
    assert "| female | 42 clips of 2 unseen speakers |" in told
    assert "| male | 42 clips of 2 unseen speakers |" in told, "without the three clips of crema_d"
    assert "unknown |" not in told


def test_publish_puts_the_card_beside_its_graph_numbers_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"corpora": ["fer2013", "ravdess"], "modalities": ["face", "voice"], "drawings": False}
    write_model(tmp_path / "models", **about, partly_drawn=False)
    for name in ("mmer.int8.onnx", "network.safetensors"):
        (tmp_path / "models" / name).write_bytes(b"weights")
    reports = {
        "evaluate/details.json": details(),
        "evaluate/metrics.json": {"uar": 0.5},
        "package.json": PACKAGE,
        "robustness/curves.json": curves(),
        "folds/metrics.json": FOLDS,
        "train/cost.json": COST,
    }
    for name in (*reports, *(shown for shown in publish.SHOWN if shown.endswith(".png"))):
        file = tmp_path / "reports" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(reports.get(name, name)))
    mistakes = tmp_path / "reports" / "evaluate" / "figures" / "mistakes"
    mistakes.mkdir()
    (mistakes / "ravdess-1.png").write_text("new")
    old = tmp_path / "figures" / "mistakes" / "ravdess-9.png"
    old.parent.mkdir(parents=True)
    old.write_text("of an earlier model")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["publish"])
    publish.main()
    card = (tmp_path / "MODEL_CARD.md").read_text()
    linked = re.findall(r"\((figures/[^)]+)\)", card)
    assert len(set(linked)) == 5
    assert all((tmp_path / link).is_file() for link in linked)
    assert not old.exists()
    assert (tmp_path / "mmer.onnx").read_bytes() == (tmp_path / "models" / "mmer.onnx").read_bytes()
    assert (tmp_path / "mmer.int8.onnx").exists()
    assert (tmp_path / "network.safetensors").exists()
    assert "by-nc-sa/4.0" in (tmp_path / "LICENSE-WEIGHTS").read_text(), "RAVDESS must be shared alike"
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"uar": 0.5}


def test_the_whole_lineage_of_the_weights_is_told(info: ModelInfo) -> None:
    start = tuple(
        Ancestor(branches=branches, weights=12 * digit, corpora=corpora)
        for branches, digit, corpora in (
            (("face", "voice"), "2", ("fer2013", "ravdess")),
            (("face",), "1", ("fer2013",)),
        )
    )
    card = model_card(info.model_copy(update={"start": start}), Evidence(details(), PACKAGE, COST))
    assert "the newest first): face, voice of 222222222222 (fer2013, ravdess); face of 111111111111 (fer2013)." in card


def test_a_lineage_as_it_was_written_once_is_read(info: ModelInfo) -> None:
    """Each generation was a text in the JSON of the next, so that its escaping doubled."""
    start = None
    for k in range(5):
        origin = {"corpora": ["fer2013"] if k else ["demo"], "pairing": "none", "face_weights": None, "start": start}
        start = f"face, voice of my weights.safetensors sha256:{64 * str(k)}, {json.dumps(origin)}"
    written = json.loads(info.model_dump_json()) | {"start": start}
    told = ModelInfo.model_validate(written).start
    assert [ancestor.weights for ancestor in told] == [12 * str(k) for k in (4, 3, 2, 1, 0)]
    assert told[-1] == Ancestor(branches=("face", "voice"), weights=12 * "0", corpora=("demo",))
    assert ModelInfo.model_validate(written | {"start": None}).start == ()


def test_valence_and_arousal_are_told_of_a_model_that_says_them(info: ModelInfo, card: str) -> None:
    assert "alence" not in card
    two = info.model_copy(update={"affect": ("voice",)})
    unknown = model_card(two, Evidence(details(), PACKAGE, COST))
    assert "| says besides | valence and arousal, from voice |" in unknown
    assert "how well the model says them is not known" in unknown
    shown = [c.model_copy(update={"valence": k % 3 - 1.0, "arousal": 0.5 - k % 2}) for k, c in enumerate(clips())]
    felt = np.array([c.affect if c.has_voice else (np.nan, np.nan) for c in shown]) * 0.9
    chances = np.full((len(shown), 7), 1 / 7, np.float32)
    given = dict.fromkeys(("face", "voice", "face+voice"), chances)
    told = evaluate(given, shown, resamples=100, seed=0, affect=dict.fromkeys(given, felt))
    row = "| voice | 87 clips of 5 unseen speakers | 0.995 (0.995–0.995) | 0.082 | 0.995 (0.891–0.995) | 0.050 |"
    assert row in model_card(two, Evidence(told, PACKAGE, COST))
