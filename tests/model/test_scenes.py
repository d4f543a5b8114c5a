"""Claims about the scene, of which no corpus is at hand: who has EMOTIC or CAER-S trains on them by the same stages."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from mmer.data.clips import read_manifest
from mmer.data.corpora import caer_s, emotic
from mmer.labels import EMOTIONS, emotion_of
from mmer.params import load_params
from mmer.runtime.recognizer import Recognizer
from stages import crop, evaluate, extract, package, train, validate
from tests.conftest import ROOT
from tests.emotic import person, write_annotations
from tests.graphs import detector

CORPORA = ("emotic", "caer_s")
PER_EMOTION = {"train": 12, "val": 3, "test": 4}
COLOURS = dict(
    zip(EMOTIONS, np.random.default_rng(0).permutation(np.mgrid[0:2, 0:2, 0:2].reshape(3, -1).T), strict=False)
)
"""Of the rooms in which the emotions were made up to be."""
FELT = {"happy": (9, 7), "sad": (2, 2), "angry": (3, 9), "fear": (2, 8), "disgust": (3, 6), "surprise": (7, 9)}
"""Valence and arousal, from 1 to 10 as EMOTIC has them."""
SMALL = {
    "corpora": list(CORPORA),
    "licences": ["EMOTIC-research", "CAER-research"],
    "model.modalities": ["scene"],
    "model.scene": {"channels": 4, "embedding": 16},
    "model.temporal.hidden": 16,
    "train.epochs": 8,
    "train.lr": 0.01,
    "evaluate.bootstrap": 100,
    "prepare.workers": 1,
}


def rooms(corpus: str, emotion: str) -> Iterator[bytes]:
    """Pictures of rooms of the emotion's colour, without people."""
    rng = np.random.default_rng([CORPORA.index(corpus), EMOTIONS.index(emotion)])
    while True:
        light, picture = rng.uniform(0.6, 1), rng.normal(0, 12, (72, 96, 3))
        picture += light * (40 + 170 * COLOURS[emotion])
        yield cv2.imencode(".jpg", picture.clip(0, 255).astype(np.uint8))[1].tobytes()


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def made_up_emotic(root: Path) -> None:
    """A picture of one person for each part, emotion and place in it."""
    parts: dict[str, list] = {}
    for emotion, categories in emotic.CATEGORIES.items():
        room = rooms("emotic", emotion)
        for part, count in PER_EMOTION.items():
            for n in range(count):
                name = f"mscoco/{emotion}-{part}-{n}.jpg"
                people = [person([categories[0], "Engagement"], *FELT[emotion], judges=1 if part == "train" else 3)]
                parts.setdefault(part, []).append((name, people))
                write(root / "emotic" / name.replace("/", "/images/"), next(room))
    write_annotations(root, **parts)


def made_up_caer_s(root: Path) -> None:
    for name in caer_s.CLASSES:
        room = rooms("caer_s", emotion_of(name))
        for part, count in (("train", PER_EMOTION["train"]), ("test", PER_EMOTION["test"])):
            for n in range(count):
                write(root / part / name / f"{n:04d}.png", next(room))


@pytest.mark.slow
def test_the_scene_learns_from_emotic_and_caer_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_emotic(tmp_path / "data/raw/emotic")
    made_up_caer_s(tmp_path / "data/raw/caer_s")
    shutil.copytree(detector(), tmp_path / "models/detector")
    params = load_params(ROOT / "params.yaml", SMALL)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json", by_alias=True)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    def run(stage, *arguments: str) -> None:
        monkeypatch.setattr("sys.argv", [stage.__name__, *arguments])
        stage.main()

    for stage in (extract, crop):
        for name in CORPORA:
            run(stage, name)
    run(validate)
    clips = read_manifest(Path("data/clips.parquet"))
    assert {c.has_scene for c in clips} == {True}
    assert {(c.has_face, c.has_voice) for c in clips} == {(False, False)}, "nobody is in the pictures"
    run(train, "--as-written")
    run(evaluate)
    run(package)

    told = json.loads(Path("reports/evaluate/details.json").read_text())
    assert list(told["subsets"]) == ["scene"]
    assert all(scores["uar"] > 0.6 for scores in told["by_corpus"].values()), "chance is 1/6 and 1/7"
    affect = told["affect"]["by_corpus"]
    assert list(affect) == ["emotic"], "CAER-S tells neither"
    assert min(affect["emotic"][name]["ccc"] for name in ("valence", "arousal")) > 0.5, "at random it is 0"
    recognizer = Recognizer.load("models")
    assert (recognizer.info.modalities, recognizer.info.affect) == (("scene",), ("scene",))
    happy = recognizer.predict("data/raw/caer_s/test/Happy/0000.png")
    assert (happy.label, happy.missing) == ("happy", ["face", "voice"])
    assert happy.affect["valence"] > 0.2
