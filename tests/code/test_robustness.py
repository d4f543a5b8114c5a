"""Curves of degradation: what is spoilt is spoilt as told, and a model is scored by what that leaves it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmer.config import Params
from mmer.data.clips import Clip
from mmer.data.samples import Sample, load_sample, save_sample
from mmer.evaluation.robustness import (
    CORRUPTIONS,
    Subject,
    choose,
    dropped,
    measure,
    pink_noise,
    size,
    white_noise,
    write_report,
)
from mmer.evaluation.scores import Bootstrap
from mmer.labels import EMOTIONS, MODALITIES
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.types import Arrays, Forward
from tests.tiny import tiny_corpus


def sample(steps: int = 50, silent_from: int = 30) -> Sample:
    """Ten seconds, of which six are a tone at a tenth of full scale, and a face of chance colours."""
    rng = np.random.default_rng(0)
    hop = SAMPLE_RATE // 5
    voice = 3277 * np.sin(np.arange(steps * hop) * 0.3)
    voice[silent_from * hop :] = 0
    present = np.ones((steps, 3), bool)
    present[silent_from:, 2] = False
    faces = rng.integers(0, 256, (steps, 64, 64, 3), np.uint8)
    return Sample(faces, np.zeros((steps, 64, 64, 3), np.uint8), voice.astype(np.int16), present)


@pytest.mark.parametrize("kind", [white_noise, pink_noise])
def test_noise_is_as_strong_as_told_over_the_voice_where_it_is_heard(kind) -> None:
    clean = sample()
    noisy = kind(clean, 10, np.random.default_rng(1))
    noise = noisy.voice.astype(float) - clean.voice
    heard = clean.voice[: 30 * SAMPLE_RATE // 5].astype(float)
    assert 10 * np.log10(np.mean(heard**2) / np.mean(noise**2)) == pytest.approx(10, abs=0.1)


def test_pink_noise_has_less_power_at_high_frequencies_and_white_noise_has_not() -> None:
    def high_over_low(kind) -> float:
        noise = kind(sample(), 0, np.random.default_rng(1)).voice - sample().voice.astype(float)
        power = np.abs(np.fft.rfft(noise)) ** 2
        octave = len(power) // 16
        return float(power[octave * 8 : octave * 16].sum() / power[octave : octave * 2].sum())

    assert high_over_low(white_noise) == pytest.approx(8, rel=0.1), "as much as its band is wider"
    assert high_over_low(pink_noise) == pytest.approx(1, rel=0.1), "each octave has as much"


def test_a_small_face_has_no_more_detail_than_its_pixels() -> None:
    clean = sample(2)
    assert size(clean, 1, np.random.default_rng(0)).faces.std(axis=(1, 2)).max() == 0
    kept = size(clean, 64, np.random.default_rng(0))
    assert np.array_equal(kept.faces, clean.faces)


def test_frames_that_are_lost_stay_lost_as_more_are() -> None:
    few, many = (dropped(sample(), share, np.random.default_rng(3)).present[:, 0] for share in (0.2, 0.6))
    assert (few.sum(), many.sum()) == (40, 20)
    assert not (many & ~few).any()


def test_the_clips_looked_at_are_few_and_even_and_the_same_each_time() -> None:
    clips = [c for k in range(9) for c in _more(k)]
    some = choose(clips, 30, seed=0)
    assert len(some) == 30
    counts = [sum(c.label == e for c in some) for e in EMOTIONS]
    assert counts[0] == 3, "there are no more"
    assert max(counts[1:]) - min(counts[1:]) <= 1
    assert some == choose(clips, 30, seed=0) != choose(clips, 30, seed=1)
    assert choose(clips, 100, seed=0) == clips


def _more(k: int) -> list[Clip]:
    return [
        Clip(clip_id=f"{e}{k}", corpus="demo", speaker=f"s{k}", label=e, path="x")
        for e in EMOTIONS
        if e != "neutral" or k < 3
    ]


def shade(arrays: Arrays) -> Arrays:
    """A model of tiny_corpus's faces: their mean red says the emotion, as 25 a class; and deaf."""
    red = arrays["faces"][..., 0].mean(axis=(2, 3)) - 29.5
    distance = np.abs(red[..., None] - 25 * np.arange(len(EMOTIONS)))
    return {"logits": np.float32(-distance) * arrays["present"][..., :1]}


def run(params: Params, clips: list[Clip], home: Path, model: Forward = shade) -> dict:
    subject = Subject(model, params.input, MODALITIES, 1, params.media.silence_dbfs)
    return measure(subject, clips, home, bootstrap=Bootstrap(100, 0), most=40, seed=0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, params: Params) -> dict:
    home = tmp_path_factory.mktemp("tiny")
    clips = [c for c in tiny_corpus(home, params, speakers=4) if c.split == "test"]
    return run(params, clips, home)


def curve(measured: dict, kind: str) -> dict:
    return next(c for c in measured["curves"] if c["kind"] == kind)


def test_a_model_that_goes_by_the_shade_suffers_in_the_dark_alone(measured: dict) -> None:
    dark, blurred, noisy = (curve(measured, kind) for kind in ("darkness", "blur", "white noise"))
    assert dark["clean"]["together"]["uar"] == 1
    assert dark["points"][-1]["together"]["uar"] == pytest.approx(1 / 7, abs=1e-3)
    assert all(p["together"]["uar"] == 1 for c in (blurred, noisy) for p in c["points"])


def test_each_modality_is_also_told_alone_and_taken_away(measured: dict) -> None:
    noisy, dark = curve(measured, "pink noise"), curve(measured, "darkness")
    assert noisy["without"]["uar"] == 1, "it is deaf"
    assert noisy["clean"]["alone"]["uar"] == dark["without"]["uar"] == pytest.approx(1 / 7, abs=1e-3)
    assert all(p["alone"]["uar_low"] <= p["alone"]["uar"] <= p["alone"]["uar_high"] for p in noisy["points"])


def test_half_of_the_frames_are_enough_for_it(measured: dict) -> None:
    assert [p["together"]["uar"] for p in curve(measured, "dropped frames")["points"]][:2] == [1, 1]


def test_what_was_looked_at_is_told(measured: dict) -> None:
    assert measured["tested"] == "14 clips of 2 unseen speakers"
    assert measured["drawings"]
    assert {c["n"] for c in measured["curves"]} == {14}
    assert [c["kind"] for c in measured["curves"]] == list(CORRUPTIONS)


def test_a_corpus_of_one_speaker_or_without_that_modality_has_no_curve(tmp_path: Path, params: Params) -> None:
    clips = [c for c in tiny_corpus(tmp_path, params, speakers=4) if c.split == "test"]
    one = [c for c in clips if c.speaker == "s0"]
    assert run(params, one, tmp_path)["curves"] == []
    mute = [c.model_copy(update={"has_voice": False, "steps": 1}) for c in clips]
    told = run(params, mute, tmp_path)
    assert [c["kind"] for c in told["curves"]] == ["blur", "darkness", "face size"]


def test_what_was_silence_counts_as_voice_once_noise_is_loud(tmp_path: Path, params: Params) -> None:
    """Else the model would be spared the noise that it hears in a room."""
    heard: list[float] = []

    def listen(arrays: Arrays) -> Arrays:
        heard.extend(arrays["present"][..., 2].mean(axis=1).tolist())
        return shade(arrays)

    clips = [c for c in tiny_corpus(tmp_path, params, speakers=4) if c.split == "test"]
    for clip in clips:
        whole = load_sample(tmp_path / clip.sample)
        voice, present = whole.voice.copy(), whole.present.copy()
        voice[: len(voice) // 2] = 0
        present[: len(present) // 2, 2] = False
        save_sample(tmp_path / clip.sample, replace(whole, voice=voice, present=present))
    run(params, clips, tmp_path, listen)
    assert 0.5 in heard
    assert 1.0 in heard


def test_the_files_are_those_that_the_pipeline_declares(measured: dict, tmp_path: Path) -> None:
    write_report(measured, tmp_path)
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    tables = {f"curves/demo-{kind.replace(' ', '-')}.csv" for kind in CORRUPTIONS}
    assert found == {"metrics.json", "curves.json", "figures/degradation.png", *tables}
    rows = list(csv.DictReader((tmp_path / "curves/demo-darkness.csv").open()))
    assert [float(r["level"]) for r in rows] == list(CORRUPTIONS["darkness"].levels)
    means = json.loads((tmp_path / "metrics.json").read_text())["mean_uar_over_levels"]
    assert means["demo"]["darkness"] == pytest.approx(np.mean([float(r["together"]) for r in rows]), abs=1e-4)
    assert json.loads((tmp_path / "curves.json").read_text()) == measured
