"""What the page offers to whoever has no clip: the shipped model reads it as it was drawn."""

import pytest

from mmer.runtime.recognizer import Recognizer
from mmer.runtime.smoothing import Smoother
from scripts.samples import SAMPLES
from tests.serving import ROOT

FOLDER = ROOT / "web" / "samples"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(ROOT / "release")


def test_each_sample_is_offered_and_drawn_by_the_script() -> None:
    assert {path.stem for path in FOLDER.glob("*.mp4")} == set(SAMPLES)
    page = (ROOT / "web" / "index.html").read_text()
    assert all(f'data-sample="{name}"' in page for name in SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_shipped_model_reads_a_sample_as_it_was_drawn(recognizer: Recognizer, name: str) -> None:
    prediction = recognizer.predict(FOLDER / f"{name}.mp4")
    drawn = [emotion for emotion, _ in SAMPLES[name][2]]
    if len(drawn) == 1:
        assert prediction.label == drawn[0]
    smoother = Smoother(recognizer.info.input.step_s, recognizer.info.shown)
    shown = [smoother.push(s.probabilities, seen=s.seen, heard=s.heard)[1] for s in prediction.steps]
    assert list(dict.fromkeys(shown)) == drawn, "one after the other, and nothing else"
    assert prediction.missing == ["scene"]
