"""Claims about what is shown live: it is no surer than it is right, and how that is counted."""

from pathlib import Path

import numpy as np
import pytest

from mmer.data.clips import Clip
from mmer.data.samples import Sample, save_sample
from mmer.evaluation import as_shown
from mmer.evaluation.as_shown import FEW, PEOPLE, Steps
from mmer.evaluation.robustness import Subject
from mmer.labels import EMOTIONS
from mmer.runtime.config import Input, Shown
from mmer.runtime.smoothing import LISTEN_S, Smoother
from mmer.runtime.types import Arrays

STEP_S = 0.2
SHOWN = Shown(seconds=(1.0, 2.0), face=(1.0, 1.0), voice=(4.0, 2.0), both=(3.0, 3.0))


def voices(folder: Path, count: int, steps: int = 10, people: int = 20) -> list[Clip]:
    """Of which each tells its emotion by nothing at all."""
    clips = []
    for k in range(count):
        clip = Clip(
            clip_id=f"c{k}",
            corpus="demo",
            speaker=f"s{k % people}",
            label=EMOTIONS[k % len(EMOTIONS)],
            split="val",
            path="a.wav",
            has_voice=True,
            steps=steps,
        )
        blank = np.zeros((steps, 8, 8, 3), np.uint8)
        present = np.zeros((steps, 3), bool)
        present[:, 2] = True
        voice = np.full(steps * 3200, k % len(EMOTIONS) + 1, np.int16)
        save_sample(folder / clip.sample, Sample(blank, blank, voice, present))
        clips.append(clip)
    return clips


def subject(sure: float, right: float) -> Subject:
    """Says the true emotion in a share `right` of the clips, else the next one, each time with probability `sure`."""
    rng = np.random.default_rng(0)

    def forward(arrays: Arrays) -> Arrays:
        truth = round(float(np.abs(arrays["voice"]).max()) * 32768) - 1
        said = truth if rng.random() < right else (truth + 1) % len(EMOTIONS)
        steps = arrays["present"].shape[1]
        logits = np.full((1, steps, len(EMOTIONS)), np.log((1 - sure) / 6), np.float32)
        logits[:, :, said] = np.log(sure)
        return {"logits": logits}

    return Subject(forward, Input(face_size=32, scene_size=32, voice_window_s=0.4), ("voice",), 1, -100.0)


def test_a_model_that_believes_too_much_is_calibrated_where_it_is_looked_at(tmp_path: Path) -> None:
    clips = voices(tmp_path, 140)
    sure = subject(0.97, 0.6)
    fitted = as_shown.fit(as_shown.watch(sure, clips, tmp_path))
    assert fitted is not None
    assert min(fitted.voice[2:]) > 1.2, "it is made less sure"
    before, after = (as_shown.measure(as_shown.watch(sure, clips, tmp_path, s))["voice"] for s in (None, fitted))
    assert after["ece"] < before["ece"] / 2
    assert after["n_clips"] == len(clips)
    assert after["n_steps"] == len(clips) * (10 - round(LISTEN_S / STEP_S) + 1), "before, nothing is shown"


def test_what_people_are_of_two_minds_about_is_shown_less_surely(tmp_path: Path) -> None:
    """Half of the votes for each clip's label, half for the next emotion."""
    clips, sure = voices(tmp_path, 140), subject(0.9, 0.9)

    def shared(clip: Clip) -> np.ndarray:
        one = np.eye(len(EMOTIONS), dtype=np.float32)[clip.target]
        return (one + np.roll(one, 1)) / 2

    alone, both = (
        as_shown.fit(as_shown.watch(sure, clips, tmp_path, **given)) for given in ({}, {"target_of": shared})
    )
    assert alone is not None
    assert both is not None
    assert min(np.divide(both.voice, alone.voice)) > 1.1


def test_few_clips_or_people_give_no_temperatures(tmp_path: Path) -> None:
    assert as_shown.fit(as_shown.watch(subject(0.9, 0.5), voices(tmp_path, FEW - 1), tmp_path)) is None
    two = voices(tmp_path, FEW, people=PEOPLE - 1)
    assert as_shown.fit(as_shown.watch(subject(0.9, 0.5), two, tmp_path)) is None
    assert as_shown.fit(as_shown.watch(subject(0.9, 0.5), voices(tmp_path, FEW, people=PEOPLE), tmp_path)) is not None


def test_what_is_not_trained_or_held_is_not_watched(tmp_path: Path) -> None:
    assert set(as_shown.watch(subject(0.9, 0.5), voices(tmp_path, 3), tmp_path)) == {"voice"}


def test_changes_are_counted_in_three_seconds_of_one_clip() -> None:
    labels = np.array([-1, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    clip = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    seconds = STEP_S * np.array([1, 2, 3, 4, 5, 6, 1, 2, 3, 4])
    probabilities = np.eye(7, dtype=np.float32)[np.maximum(labels, 0)] * 0.9 + 0.1 / 7
    told = as_shown.measure({"voice": Steps(probabilities, labels, np.eye(7)[np.full(10, 1)], seconds, clip, 2)})[
        "voice"
    ]
    assert told["changes"] == pytest.approx(15 / 7, abs=1e-3), "one change in seven steps from one label to the next"
    assert told["accuracy"] == pytest.approx(3 / 9, abs=1e-3)
    assert told["sure"] == 1
    assert told["sure_right"] == told["accuracy"]


def test_temperatures_follow_what_an_answer_rests_on_and_for_how_long() -> None:
    given = np.full(7, 0.05, np.float32)
    given[3] = 0.7

    def last(steps: int, shown: Shown | None, *, seen: bool, heard: bool) -> float:
        smoother = Smoother(STEP_S, shown)
        for _ in range(steps):
            probabilities, _ = smoother.push(given, seen=seen, heard=heard)
        return float(probabilities[3])

    def under(plain: float, temperature: float) -> float:
        scaled = np.array([plain, *[(1 - plain) / 6] * 6]) ** (1 / temperature)
        return float(scaled[0] / scaled.sum())

    for steps, seen, temperature in (
        (3, False, 4.0),
        (5, False, 4.0),
        (7, False, 3.2),
        (30, False, 2.0),
        (9, True, 3.0),
    ):
        plain = last(steps, None, seen=seen, heard=True)
        assert last(steps, SHOWN, seen=seen, heard=True) == pytest.approx(under(plain, temperature), abs=1e-5)
    assert last(9, SHOWN, seen=True, heard=False) == pytest.approx(last(9, None, seen=True, heard=False))


def test_each_kind_needs_a_temperature_for_each_place() -> None:
    with pytest.raises(ValueError, match="voice needs as many temperatures"):
        Shown(seconds=(1.0, 2.0), face=(1.0, 1.0), voice=(1.0,), both=(1.0, 1.0))
