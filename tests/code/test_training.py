"""Claims about training: it learns, it repeats, and a kill costs nothing but the epoch it hit."""

import hashlib
import json
import os
import random
import shutil
import signal
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmer.config import Balance, Cameras, Channels, ConfigError, Params
from mmer.data.clips import Clip, modalities_of, read_manifest, with_modalities
from mmer.data.samples import Sample, load_clip, load_sample, save_sample
from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.model.fusion import LateFusion
from mmer.model.pretrained import WeightsError
from mmer.params import load_params, varied
from mmer.runtime.lineage import Ancestor
from mmer.training import inference
from mmer.training.augment import beside, pair
from mmer.training.batches import _update_voice_activity, batches, partners_of, sample_epoch, target_of
from mmer.training.checkpoints import checkpoint_of, data_key, load_network, read_origin, save_network
from mmer.training.codecs import CodecError, code_voices
from mmer.training.fit import TrainingError, _network, fit
from mmer.training.inference import Epoch, calibrate, fit_temperature, joint_scales, predict, score, truths
from tests.conftest import ROOT
from tests.tiny import SMALL_NETWORK, tiny_corpus

SMALL = {
    **SMALL_NETWORK,
    "train.epochs": 3,
    "train.batch_size": 8,
}


@pytest.fixture(scope="module")
def small() -> Params:
    return load_params(ROOT / "params.yaml", SMALL)


def test_it_learns_what_is_easy(small: Params, corpus: Path) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    train = small.train.model_copy(update={"epochs": 20, "augment": 0.0, "lr": 0.01})
    done = fit(small, train, clips, corpus, seed=0)
    assert done.history[-1]["train_loss"] < 0.7 * done.history[0]["train_loss"]
    assert done.best["val_uar"] > 0.7
    assert done.best == max(done.history, key=lambda row: (row["val_uar"], -row["val_loss"]))


def test_a_network_comes_back_from_its_file(small: Params, corpus: Path, tmp_path: Path) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    done = fit(small, small.train.model_copy(update={"epochs": 1}), clips, corpus, seed=0)
    saved = []
    for _ in range(4):
        save_network(done.network, tmp_path / "network.safetensors", done.origin)
        saved.append((tmp_path / "network.safetensors").read_bytes())
    assert len(set(saved)) == 1, "the same bytes each time"
    assert read_origin(tmp_path / "network.safetensors") == done.origin
    again = load_network(tmp_path / "network.safetensors")
    np.testing.assert_array_equal(predict(again, clips, corpus), predict(done.network, clips, corpus))
    assert again.modalities == MODALITIES


def test_a_prediction_does_not_depend_on_its_batch(small: Params, corpus: Path) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    network = fit(small, small.train.model_copy(update={"epochs": 1}), clips, corpus, seed=0).network
    together = predict(network, clips, corpus)
    np.testing.assert_allclose(together[::-1], predict(network, clips[::-1], corpus), atol=1e-5)
    np.testing.assert_allclose(together[5:6], predict(network, clips[5:6], corpus), atol=1e-5)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-5)


def test_only_what_the_data_holds_is_trained(corpus: Path) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    voices = [c.model_copy(update={"has_face": False, "has_scene": False}) for c in clips]
    assert modalities_of(voices) == ("voice",)
    assert modalities_of(clips) == MODALITIES


def plain(corpus: str, label: str, **more: Any) -> Clip:
    return Clip(clip_id="c", corpus=corpus, speaker="s", label=label, path="c.mp4", **more)


def test_without_balance_each_clip_is_drawn_once() -> None:
    clips = [plain("demo", "happy")] * 30 + [plain("ravdess", "sad")] * 3
    drawn = sample_epoch(clips, Balance(corpora=0, emotions=0), np.random.default_rng(0))
    assert sorted(drawn) == list(range(33))
    assert list(drawn) != list(range(33)), "in another order"


def test_with_balance_corpora_and_the_emotions_in_each_are_drawn_equally_often() -> None:
    clips = [plain("demo", "happy")] * 300 + [plain("demo", "sad")] * 60 + [plain("ravdess", "sad")] * 40
    drawn = sample_epoch(clips, Balance(corpora=1, emotions=1), np.random.default_rng(0))
    times = [sum(a <= i < b for i in drawn) for a, b in ((0, 300), (300, 360), (360, 400))]
    np.testing.assert_allclose(times, [100, 100, 200], atol=15)
    assert len(drawn) == len(clips), "the learning rate's schedule counts on it"
    assert set(np.bincount(drawn, minlength=400)[360:]) <= {4, 5, 6}, "a rate of 5, give or take the rounding"


def test_votes_can_be_learnt() -> None:
    votes = (0.5, 0, 0.5, 0, 0, 0, 0)
    clip = plain("crema_d", "neutral", votes=votes)
    assert target_of(clip, "intended").tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert target_of(clip, "votes").tolist() == list(votes)
    assert target_of(clip, "both").tolist() == [0.75, 0, 0.25, 0, 0, 0, 0]
    assert target_of(plain("ravdess", "sad"), "votes").tolist() == [0, 0, 1, 0, 0, 0, 0]


def test_what_people_saw_or_heard_is_learnt_of_what_holds_no_more() -> None:
    """Those who only heard a clip judged the voice; and what was learnt is what counts as right."""
    heard, both = (0, 1, 0, 0, 0, 0, 0), (0, 0, 0.4, 0.6, 0, 0, 0)
    voice = plain("crema_d", "sad", votes=both, votes_voice=heard, has_voice=True)
    whole = voice.model_copy(update={"has_face": True})
    assert target_of(voice, "votes").tolist() == list(heard)
    np.testing.assert_allclose(target_of(whole, "votes"), both)
    assert truths([voice, whole], "intended").tolist() == [2, 2]
    assert truths([voice, whole], "votes").tolist() == [1, 3]
    assert truths([voice, whole], "both").tolist() == [1, 2]


def test_the_epoch_and_the_temperature_are_chosen_by_what_is_learnt(corpus: Path, small: Params) -> None:
    """People called everything happy: a network that learnt so is right by their votes, and is scored so."""
    happy = tuple(float(emotion == "happy") for emotion in EMOTIONS)
    clips = [c.model_copy(update={"votes": happy}) for c in read_manifest(corpus / "clips.parquet")]
    train = small.train.model_copy(update={"targets": "votes", "augment": 0.0, "lr": 0.01})
    done = fit(small, train, clips, corpus, seed=0)
    assert done.best["val_uar"] == 1
    assert score(done.network, [c for c in clips if c.split == "val"], corpus)["val_uar"] < 0.2, "by intended emotions"


def test_training_takes_voices_as_codecs_left_them_and_faces_as_cameras_did(
    corpus: Path, small: Params, tmp_path: Path
) -> None:
    clips = [c for c in read_manifest(corpus / "clips.parquet") if c.split == "train"]
    processed = tmp_path / "processed"
    shutil.copytree(corpus, processed)
    plain_way = small.train.model_copy(update={"augment": 0.0, "modality_dropout": 0.0})

    def first(**changed: Any) -> Any:
        train = plain_way.model_copy(update=changed)
        return next(batches(clips, np.arange(len(clips)), processed, small, train, seed=(0, 0)))

    before = first()
    with pytest.raises(CodecError, match=r"no .*coded.*: run `python -m stages\.code`"):
        first(channels=Channels(codec=1))
    code_voices(clips, processed, seed=0)
    coded = first(channels=Channels(codec=1))
    assert (coded.voice != before.voice).any()
    assert torch.equal(coded.faces, before.faces)
    filmed = first(cameras=Cameras(roll_deg=40, covered=1))
    assert (filmed.faces != before.faces).any()
    assert torch.equal(filmed.voice, before.voice)
    assert torch.equal(filmed.faces, first(cameras=Cameras(roll_deg=40, covered=1)).faces), "by the seed alone"


def mixture(corpus: Path, folder: Path) -> list[Clip]:
    """Odd clips keep their first face alone, even ones their voice alone, as if of two corpora."""
    clips = []
    for number, clip in enumerate(read_manifest(corpus / "clips.parquet")):
        sample = load_sample(corpus / clip.sample)
        if number % 2:
            one = Sample(sample.faces[:1], sample.scenes[:1], sample.voice[:0], np.array([[True, False, False]]))
            held = {"has_face": True, "has_voice": False, "steps": 1, "corpus": "fer2013"}
        else:
            one = replace(sample, present=sample.present & [False, False, True])
            held = {"has_face": False, "has_voice": True}
        clips.append(clip.model_copy(update={**held, "has_scene": False}))
        save_sample(folder / clips[-1].sample, one)
    return clips


def test_faces_alone_and_voices_alone_train_one_network(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = mixture(corpus, tmp_path)
    params = load_params(ROOT / "params.yaml", SMALL | {"model.fusion": "late", "train.pairing": "label"})
    done = fit(params, params.train.model_copy(update={"epochs": 1}), clips, tmp_path, seed=0)
    assert done.network.modalities == ("face", "voice")
    assert done.origin.pairing == "label"
    assert done.origin.corpora == ("demo", "fer2013")
    assert {"val_uar", "val_uar_demo", "val_uar_fer2013"} <= set(done.best)
    four, three = done.best["val_uar_demo"], done.best["val_uar_fer2013"]
    assert done.best["val_uar"] == pytest.approx((4 * four + 3 * three) / 7, abs=1e-5), (
        "few clips count by their number"
    )
    monkeypatch.setattr(inference, "ENOUGH", 3)
    found = score(done.network, [c for c in clips if c.split == "val"], tmp_path)
    assert found["val_uar"] == pytest.approx((found["val_uar_demo"] + found["val_uar_fer2013"]) / 2), "and enough alike"


def test_branches_trained_apart_are_what_each_would_be_alone(corpus: Path, tmp_path: Path) -> None:
    clips = mixture(corpus, tmp_path)
    branches = {"voice": {"epochs": 2, "lr": 0.01}}
    params = load_params(ROOT / "params.yaml", SMALL | {"model.fusion": "late", "train.branches": branches})
    train = params.train.model_copy(update={"epochs": 1})
    rows: list[dict[str, float]] = []
    both = fit(params, train, clips, tmp_path, seed=0, on_epoch=rows.append)
    voice = fit(params, train.of_branch("voice"), with_modalities(clips, ["voice"]), tmp_path, seed=0)
    assert both.network.modalities == ("face", "voice")
    ours = both.network.state_dict()
    for key, value in voice.network.state_dict().items():
        if "voice" in key.split("."):
            assert torch.equal(ours[key], value), key
    assert [sorted(k.split("_")[0] for k in row if k.endswith("train_loss")) for row in both.history] == [
        ["face", "voice"],
        ["voice"],
    ]
    assert [row["epoch"] for row in rows] == [1, 1, 2], "the face's one, then the voice's two"
    assert both.best["val_uar"] == pytest.approx(score(both.network, held_out(clips), tmp_path)["val_uar"])


def test_a_branch_of_no_epochs_is_kept_as_it_was_while_another_is_trained(corpus: Path, tmp_path: Path) -> None:
    clips, earlier = mixture(corpus, tmp_path), tmp_path / "network.safetensors"
    late = SMALL | {"model.fusion": "late"}
    params = load_params(ROOT / "params.yaml", late | {"train.epochs": 1})
    first = fit(params, params.train, clips, tmp_path, seed=3)
    save_network(first.network, earlier, first.origin)
    branches = {"face": {"epochs": 0, "init_from": str(earlier)}, "voice": {"epochs": 1}}
    params = load_params(ROOT / "params.yaml", late | {"train.branches": branches})
    done = fit(params, params.train, clips, tmp_path, seed=0)
    before, after = first.network.state_dict(), done.network.state_dict()
    kept = {key: torch.equal(before[key], after[key]) for key in before if "face" in key.split(".")}
    assert kept
    assert all(kept.values())
    assert not torch.equal(before["branch.voice.project.weight"], after["branch.voice.project.weight"])
    assert [row["epoch"] for row in done.history] == [1]
    with pytest.raises(ConfigError, match="epochs: 0 keeps what init_from names"):
        load_params(ROOT / "params.yaml", late | {"train.branches": {"face": {"epochs": 0}}})


def test_what_is_kept_lies_between_the_start_and_what_was_learnt(corpus: Path, tmp_path: Path) -> None:
    clips, earlier = with_modalities(mixture(corpus, tmp_path), ["face"]), tmp_path / "network.safetensors"
    params = load_params(ROOT / "params.yaml", SMALL | {"model.fusion": "late", "train.epochs": 1})
    first = fit(params, params.train, clips, tmp_path, seed=3)
    save_network(first.network, earlier, first.origin)
    end, half = (
        fit(params, params.train.model_copy(update=on), clips, tmp_path, seed=0).network.state_dict()
        for on in ({"init_from": str(earlier)}, {"init_from": str(earlier), "start_share": 0.5})
    )
    start = first.network.state_dict()
    keys = [key for key in start if "face" in key.split(".") and start[key].is_floating_point()]
    assert not all(torch.equal(start[key], end[key]) for key in keys)
    for key in keys:
        torch.testing.assert_close(half[key], (start[key] + end[key]) / 2)
    with pytest.raises(ConfigError, match="start_share is a share of what init_from names"):
        load_params(ROOT / "params.yaml", {"train.start_share": 0.5})


@pytest.mark.parametrize(
    ("fusion", "learnt", "words"),
    [("late", ["face", "voice"], "no face like"), ("late", ["voice"], None), ("concat", ["voice"], "more to learn")],
)
def test_nothing_is_kept_that_was_never_trained(
    corpus: Path, tmp_path: Path, fusion: str, learnt: list[ModalityName], words: str | None
) -> None:
    clips, earlier = mixture(corpus, tmp_path), tmp_path / "network.safetensors"
    params = load_params(ROOT / "params.yaml", SMALL | {"model.fusion": fusion, "train.epochs": 1})
    voices = with_modalities(clips, ["voice"])
    first = fit(params, params.train, voices, tmp_path, seed=0)
    save_network(first.network, earlier, first.origin)
    kept = params.train.model_copy(update={"epochs": 0, "init_from": str(earlier)})
    with nullcontext() if words is None else pytest.raises(TrainingError, match=words):
        fit(params, kept, with_modalities(clips, learnt), tmp_path, seed=1)
    gone = kept.model_copy(update={"init_from": str(tmp_path / "gone")})
    with pytest.raises(TrainingError, match="gone holds no voice"):
        fit(params, gone, voices, tmp_path, seed=0)


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_what_joins_branches_is_trained_after_them_and_they_go_on_at_their_own_rate(corpus: Path, rate: float) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    assert any(c.has_scene for c in clips), "a modality that the model does without is in the way of nothing"
    given = SMALL | {"model.modalities": ["face", "voice"], "train.branches": {"voice": {"epochs": 1}}}
    late = load_params(ROOT / "params.yaml", given | {"model.fusion": "late", "train.epochs": 1})
    joint = load_params(
        ROOT / "params.yaml", given | {"model.fusion": "joint", "train.epochs": 1, "train.begun_rate": rate}
    )
    before = fit(late, late.train, clips, corpus, seed=0).network.state_dict()
    done = fit(joint, joint.train, clips, corpus, seed=0)
    after = done.network.state_dict()
    kept = {key: torch.equal(before[key], after[key]) for key in before if {"face", "voice"} & {*key.split(".")}}
    assert all(kept.values()) if rate == 0 else not all(kept.values())
    assert after["fusion.adds.weight"].abs().max() > 0.01 * 8**-0.5, "more than it began with"
    assert done.best["together_epoch"] == 1


def test_any_number_of_updates_trains(small: Params, corpus: Path) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    for epochs in (4, 5, 6):
        train = small.train.model_copy(update={"epochs": epochs, "batch_size": len(clips), "patience": None})
        assert len(fit(small, train, clips, corpus, seed=0).history) == epochs


def held_out(clips: list[Clip]) -> list[Clip]:
    return [c for c in clips if c.split == "val"]


def test_wrong_branches_are_errors_that_name_the_key() -> None:
    late = SMALL | {"model.fusion": "late"}
    for changed, message in (
        (late | {"train.branches": {"voice": {"epoch": 2}}}, "branches.voice.*'epoch'.*'epochs'"),
        (late | {"train.branches": {"voice": {"epochs": -1}}}, "branches.voice: epochs"),
        (SMALL | {"train.branches": {"voice": {"epochs": 2}}}, "fusion: late"),
        (late | {"train.branches": {"voice": {}}, "train.pairing": "label"}, "pairing"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_params(ROOT / "params.yaml", changed)


def test_a_training_goes_on_from_an_earlier_one(small: Params, corpus: Path, tmp_path: Path) -> None:
    clips, path = read_manifest(corpus / "clips.parquet"), tmp_path / "network.safetensors"
    first = fit(small, small.train.model_copy(update={"epochs": 1}), clips, corpus, seed=0)
    save_network(first.network, path, first.origin)
    still = {"epochs": 1, "lr": 1e-12, "init_from": str(path), "augment": 0.0}
    second = fit(small, small.train.model_copy(update=still), clips, corpus, seed=5)
    weight = "branch.voice.project.weight"
    torch.testing.assert_close(second.network.state_dict()[weight], first.network.state_dict()[weight])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    given = Ancestor(branches=("face", "scene", "voice"), weights=digest, corpora=first.origin.corpora)
    assert second.origin.start == (given,)
    save_network(second.network, path, second.origin)
    wider = load_params(ROOT / "params.yaml", SMALL | {"model.voice.channels": 8})
    third = fit(wider, small.train.model_copy(update=still), clips, corpus, seed=5)
    newest, *before = third.origin.start
    assert newest.branches == ("face", "scene"), "a branch of another shape starts from nothing"
    assert before == [given]


def test_another_network_teaches(small: Params, corpus: Path, tmp_path: Path) -> None:
    clips, path = read_manifest(corpus / "clips.parquet"), tmp_path / "network.safetensors"
    first = fit(small, small.train.model_copy(update={"epochs": 1}), clips, corpus, seed=0)
    head = first.network.get_parameter("fusion.head.weight").data
    head.zero_()
    with torch.no_grad():
        first.network.get_parameter("fusion.head.bias").copy_(torch.eye(7)[EMOTIONS.index("disgust")] * 20)
    save_network(first.network, path, first.origin)
    told = {"epochs": 1, "lr": 0.02, "batch_size": 4, "ema": 0.0, "taught_by": str(path), "taught": 1.0}
    taught = fit(small, small.train.model_copy(update=told), clips, corpus, seed=0)
    alone = fit(small, small.train.model_copy(update=told | {"taught_by": None, "taught": 0.0}), clips, corpus, seed=0)
    said, own = (predict(done.network, clips, corpus).argmax(1) == 5 for done in (taught, alone))  # disgust
    assert said.all(), "what the clips are labelled does not count"
    assert not own.all()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert taught.origin.start == (Ancestor(branches=(), weights=digest, corpora=first.origin.corpora, teacher=True),)
    assert str(taught.origin.start[0]).startswith(f"the answers of {digest}")
    with pytest.raises(WeightsError, match=r"taught_by: there is no .*gone\.safetensors"):
        fit(small, small.train.model_copy(update=told | {"taught_by": "gone.safetensors"}), clips, corpus, seed=0)
    larger = small.model_copy(update={"input": small.input.model_copy(update={"face_size": 48})})
    with pytest.raises(WeightsError, match="another `input`"):
        fit(larger, small.train.model_copy(update=told), clips, corpus, seed=0)
    with pytest.raises(ConfigError, match="set taught"):
        load_params(ROOT / "params.yaml", {"train.taught_by": str(path)})


def test_the_average_of_the_weights_is_what_is_kept(small: Params, corpus: Path) -> None:
    clips, weight = read_manifest(corpus / "clips.parquet"), "branch.voice.project.weight"
    last, slow = (
        fit(
            small, small.train.model_copy(update={"epochs": 1, "batch_size": 2, "ema": ema}), clips, corpus, seed=0
        ).network.state_dict()
        for ema in (0.0, 0.999)
    )
    torch.manual_seed(0)
    start = _network(small, small.train, MODALITIES).state_dict()[weight]
    assert (slow[weight] - start).norm() < 0.5 * (last[weight] - start).norm(), "it has hardly left the start"


def test_patience_ends_a_training_that_gets_no_better(small: Params, corpus: Path) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    train = small.train.model_copy(update={"epochs": 12, "lr": 1e-12, "patience": 2})
    done = fit(small, train, clips, corpus, seed=0)
    assert len(done.history) == done.best["epoch"] + 2 < 12


def test_a_voice_made_softer_than_silence_allows_is_not_heard(small: Params, corpus: Path) -> None:
    clip = read_manifest(corpus / "clips.parquet")[0]
    sample = load_clip(clip, corpus)
    loud = np.where(np.arange(len(sample.voice)) < 1000, 9000, 3).astype(np.int16)
    heard = _update_voice_activity(replace(sample, voice=loud), small).present[:, 2]
    assert heard[0]
    assert not heard[-1]
    quiet = replace(sample, voice=loud // 3000)
    np.testing.assert_array_equal(_update_voice_activity(quiet, small).present, sample.present)


def test_what_a_clip_is_said_not_to_hold_is_absent(corpus: Path) -> None:
    clip = read_manifest(corpus / "clips.parquet")[0]
    assert load_clip(clip, corpus).present.all(0).tolist() == [True, True, True]
    heard = clip.model_copy(update={"has_face": False, "has_scene": False})
    assert load_clip(heard, corpus).present.any(0).tolist() == [False, False, True]


def test_a_pair_is_a_voice_with_a_face_in_some_of_its_steps(corpus: Path, tmp_path: Path) -> None:
    face, voice = (load_sample(tmp_path / c.sample) for c in mixture(corpus, tmp_path)[1:3])
    for seed in range(20):
        both = pair(voice, face, np.random.default_rng(seed))
        shown = both.present[:, 0]
        assert 1 <= shown.sum() <= len(voice.present)
        assert (both.faces[shown] == face.faces[0]).all()
        np.testing.assert_array_equal(both.present[:, 2], voice.present[:, 2])
    film = replace(
        voice, faces=np.stack([face.faces[0], face.faces[0] + np.uint8(1)]), present=np.array([[True, False, True]] * 2)
    )
    both = beside(voice, film)
    assert both.present[:, 0].tolist() == [True, True] + [False] * (len(voice.present) - 2)
    np.testing.assert_array_equal(both.faces[:2], film.faces)
    np.testing.assert_array_equal(both.voice, voice.voice)
    assert not voice.present[:, 0].any(), "the voice itself is left as it was"


def test_a_voice_alone_is_paired_with_a_face_of_its_emotion_and_if_asked_of_its_speaker(corpus: Path) -> None:
    whole = [c for c in read_manifest(corpus / "clips.parquet") if c.split == "train"]
    voices = [
        clip.model_copy(update={"clip_id": f"{clip.clip_id}-alone", "has_face": False, "has_scene": False})
        for clip in whole
    ]
    stills = [clip.model_copy(update={"has_voice": False, "corpus": "fer2013"}) for clip in whole]
    clips = [*whole, *voices, *stills]
    assert partners_of(clips, "none") == {}
    for pairing in ("label", "speaker"):
        found = partners_of(clips, pairing)
        assert set(found) == {voice.trial for voice in voices}, "a clip that shows a face gets no other"
        for voice in voices:
            faces = found[voice.trial]
            assert {face.label for face in faces} == {voice.label}
            assert not any(face.has_voice or face.has_scene for face in faces)
            assert ({face.person for face in faces} == {voice.person}) == (pairing == "speaker")
    assert {face.corpus for face in found[voices[0].trial]} == {"demo"}
    assert partners_of([*voices, *stills], "speaker") == {}, "somebody else of the same number"


def test_calibration_takes_back_confidence_that_is_not_earned(corpus: Path, tmp_path: Path) -> None:
    clips = mixture(corpus, tmp_path)
    params = load_params(ROOT / "params.yaml", SMALL | {"model.fusion": "late"})
    network = fit(params, params.train.model_copy(update={"epochs": 2}), clips, tmp_path, seed=0).network
    held_out = [c for c in clips if c.split == "val"]
    fusion = network.fusion
    assert isinstance(fusion, LateFusion)
    for head in fusion.head.values():
        head.weight.data *= 8
        head.bias.data *= 8
    fusion.temperature.fill_(1.0)
    before = score(network, held_out, tmp_path)["val_loss"]
    calibrate(network, held_out, tmp_path)
    assert fusion.temperature[0] > 2
    assert fusion.temperature[2] > 2
    assert fusion.temperature[1] == 1, "no clip has a scene"
    assert score(network, held_out, tmp_path)["val_loss"] < 0.9 * before


def test_a_temperature_leaves_room_for_what_label_and_votes_are_of_two_minds_about() -> None:
    rng, label = np.random.default_rng(0), np.eye(7, dtype=np.float32)[[3] * 200]
    said = rng.dirichlet(np.where(np.arange(7) == 3, 8.0, 0.5), 200).astype(np.float32)
    votes = np.eye(7, dtype=np.float32)[[0] * 200]
    alone, shared, mostly = (fit_temperature(said, t) for t in (label, (label + votes) / 2, 0.9 * label + 0.1 * votes))
    assert alone < mostly < shared


def test_the_answer_of_early_fusion_is_calibrated_too(small: Params, corpus: Path) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    network = fit(small, small.train.model_copy(update={"epochs": 2}), clips, corpus, seed=0).network
    network.fusion.head.weight.data *= 8
    network.fusion.head.bias.data *= 8
    sure = predict(network, held_out(clips), corpus).max(1).mean()
    calibrate(network, held_out(clips), corpus)
    assert network.fusion.temperature > 2
    assert predict(network, held_out(clips), corpus).max(1).mean() < sure


def test_an_empty_split_is_an_error_that_says_where_to_look(small: Params, corpus: Path) -> None:
    clips = [c for c in read_manifest(corpus / "clips.parquet") if c.split != "val"]
    with pytest.raises(TrainingError, match=r"0 to validate.*params\.yaml"):
        fit(small, small.train, clips, corpus, seed=0)


def test_a_key_changes_with_parameters_and_with_data(small: Params, corpus: Path, tmp_path: Path) -> None:
    clips, manifest = read_manifest(corpus / "clips.parquet"), corpus / "clips.parquet"
    key = data_key(small, manifest, clips, corpus)
    assert key == data_key(small, manifest, clips, corpus)
    wider = load_params(ROOT / "params.yaml", SMALL | {"model.temporal.hidden": 24})
    assert key != data_key(wider, manifest, clips, corpus)
    tiny_corpus(tmp_path, small, seed=1)
    assert key != data_key(small, tmp_path / "clips.parquet", clips, tmp_path)
    faster = varied(small, {"train.lr": 0.1})
    assert len({checkpoint_of(key, given, 0) for given in (small, wider, faster)}) == 3


def run(corpus: Path, home: Path, cut_after: int = 0) -> dict[str, object] | None:
    """Train in a process of its own, which kills itself after that many epochs; None if it was killed."""
    home.mkdir(exist_ok=True)
    process = get_context("fork").Process(target=_train, args=(corpus, home, cut_after))  # torch is imported already
    process.start()
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return None
    assert process.exitcode == 0
    result: dict[str, object] = json.loads((home / "result.json").read_text())
    return result


def _train(corpus: Path, home: Path, cut_after: int) -> None:
    torch.set_num_threads(1)
    random.seed()  # a fresh process begins with other random numbers than the one before
    np.random.seed()  # noqa: NPY002 (the global ones are meant)
    torch.seed()
    params = load_params(ROOT / "params.yaml", SMALL)

    def on_epoch(row: Epoch) -> None:
        if row["epoch"] == cut_after:
            os.kill(os.getpid(), signal.SIGKILL)

    clips, checkpoint = read_manifest(corpus / "clips.parquet"), home / "a.ckpt"
    done = fit(params, params.train, clips, corpus, seed=0, checkpoint=checkpoint, on_epoch=on_epoch)
    weights = b"".join(v.numpy().tobytes() for v in done.network.state_dict().values())
    told = {"history": done.history, "weights": hashlib.sha256(weights).hexdigest()}
    (home / "result.json").write_text(json.dumps(told))


def test_a_killed_training_goes_on_and_ends_the_same(corpus: Path, tmp_path: Path) -> None:
    whole = run(corpus, tmp_path / "whole")
    assert run(corpus, tmp_path / "cut", cut_after=2) is None
    assert run(corpus, tmp_path / "cut") == whole


def test_only_voices_are_mixed(corpus: Path) -> None:
    clips = read_manifest(corpus / "clips.parquet")
    late = load_params(ROOT / "params.yaml", SMALL | {"model.fusion": "late", "train.epochs": 1})
    with pytest.raises(TrainingError, match=r"set it in train\.branches\.voice"):
        fit(late, late.train.model_copy(update={"mixup": 0.4}), clips, corpus, seed=0)
    done = fit(late, late.train.model_copy(update={"branches": {"voice": {"mixup": 0.4}}}), clips, corpus, seed=0)
    assert done.network.modalities == MODALITIES


def test_a_modality_that_is_surer_of_films_than_right_is_heard_less_beside_the_others() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(7, size=200)

    def says(right: float, sure: float) -> np.ndarray:
        said = np.where(rng.random(200) < right, truth, rng.integers(7, size=200))
        return np.where(np.eye(7)[said] > 0, sure, (1 - sure) / 6)

    face, voice = says(0.2, 0.9), says(0.6, 0.6)
    scales = joint_scales(np.stack([face, voice]).astype(np.float32), truth)
    assert scales[0] < 0.3
    assert scales[1] > 2 * scales[0]
    before, after = (((np.log(face) * a + np.log(voice) * b).argmax(1) == truth).mean() for a, b in ((1, 1), scales))
    assert after > before + 0.1
