"""Claims about the teacher: no answer comes from a head that saw its speaker, and no tested clip is asked about."""

from pathlib import Path

import numpy as np
import pytest

from mmer.data.clips import Clip, targets
from mmer.labels import EMOTIONS
from mmer.params import load_params
from mmer.training.fit import fit
from mmer.training.teacher import FITS, TeacherError, answers_of, taught
from mmer.training.votes import VotesError, meant_by_votes
from tests.conftest import ROOT
from tests.tiny import SMALL_NETWORK, tiny_corpus


def clips(speakers: int = 10, split: str = "train") -> list[Clip]:
    return [
        Clip(clip_id=f"s{s}-{e}", corpus="demo", speaker=f"s{s}", label=e, split=split, path="a.wav", has_voice=True)  # type: ignore[arg-type]
        for s in range(speakers)
        for e in EMOTIONS
    ]


def features(of: list[Clip], rng: np.random.Generator) -> np.ndarray:
    """That tell the emotion and, louder, the speaker."""
    emotion = np.eye(len(EMOTIONS))[[c.target for c in of]]
    speaker = np.eye(10)[[int(c.speaker[1:]) for c in of]]
    return np.hstack([3 * emotion, 9 * speaker, rng.normal(0, 0.3, (len(of), 20))]).astype(np.float32)


def test_it_answers_about_speakers_that_its_heads_did_not_see() -> None:
    of = clips()
    answers = taught(of, features(of, np.random.default_rng(0)))
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)
    assert (answers.argmax(1) == [c.target for c in of]).mean() > 0.9


def test_a_label_that_only_its_own_speaker_could_teach_is_not_known() -> None:
    """Features that tell nothing but the very clip: a head that saw it would know it by heart."""
    of = clips()
    answers = taught(of, np.eye(len(of), dtype=np.float32))
    assert (answers.argmax(1) == [c.target for c in of]).mean() < 0.3


def test_it_answers_in_the_classes_that_a_corpus_published(tmp_path: Path) -> None:
    """Neutral clips of every other speaker are calm ones, which the seven emotions do not know."""
    classes = (*EMOTIONS, "calm")
    of = [
        clip.model_copy(update={"label": "calm"}) if clip.label == "neutral" and int(clip.speaker[1:]) % 2 else clip
        for clip in clips()
    ]
    known = np.eye(len(classes), dtype=np.float32)[targets(of, classes)]
    write(tmp_path / "teacher.npz", of, 9 * known)
    answers = answers_of(of, tmp_path / "teacher.npz", 0, classes)
    assert [classes[answers[clip.sample].argmax()] for clip in of] == [clip.label for clip in of]


def test_it_refuses_clips_that_are_not_trained_on_and_too_few_speakers() -> None:
    rng = np.random.default_rng(0)
    tested = clips(split="test")
    with pytest.raises(TeacherError, match="only training clips"):
        taught(tested, features(tested, rng))
    few = clips(FITS - 1)
    with pytest.raises(TeacherError, match="speakers"):
        taught(few, features(few, rng))


def write(path: Path, of: list[Clip], features: np.ndarray) -> None:
    np.savez(path, clips=np.array([clip.sample for clip in of]), features=features.astype(np.float16))


def test_heads_are_fitted_on_the_training_side_alone_whatever_it_is(tmp_path: Path) -> None:
    """The features of all voices lie in one file; what stands there of other clips changes no answer."""
    rng, path = np.random.default_rng(0), tmp_path / "teacher.npz"
    of = clips()
    known = features(of, rng)
    learn, rest = [c for c in of if c.speaker not in ("s0", "s1")], [c for c in of if c.speaker in ("s0", "s1")]
    with pytest.raises(TeacherError, match=r"teacher\.npz: run `python -m stages\.teach`"):
        answers_of(learn, path, 0)
    write(path, of, known)
    answers = answers_of(learn, path, 0)
    other = known.copy()
    other[[of.index(c) for c in rest]] = rng.normal(0, 9, (len(rest), known.shape[1]))
    write(path, of, other)
    again = answers_of(learn, path, 0)
    assert set(answers) == {c.sample for c in learn}
    assert all(np.array_equal(answers[name], again[name]) for name in answers)
    write(path, rest, known[: len(rest)])
    with pytest.raises(TeacherError, match="knows nothing of 56 training voices"):
        answers_of(learn, path, 0)


def test_a_training_learns_from_the_answers_and_says_where_they_are_missing(tmp_path: Path) -> None:
    small = {**SMALL_NETWORK, "train.epochs": 1, "train.batch_size": 8, "train.taught": 1.0}
    params = load_params(ROOT / "params.yaml", small)
    processed = tmp_path / "processed"
    of = tiny_corpus(processed, params, speakers=FITS + 3)
    with pytest.raises(TeacherError, match=r"teacher\.npz: run `python -m stages\.teach`"):
        fit(params, params.train, of, processed, seed=0)
    voices = [c for c in of if c.has_voice]
    swapped = np.eye(len(EMOTIONS))[[(c.target + 1) % len(EMOTIONS) for c in voices]]
    write(tmp_path / "teacher.npz", voices, 9 * swapped)
    longer = params.train.model_copy(update={"epochs": 4, "augment": 0.0})
    taught_ = fit(params, longer, of, processed, seed=0)
    plain = fit(params, longer.model_copy(update={"taught": 0.0}), of, processed, seed=0)
    assert taught_.history != plain.history


def voted(labels: list[str], votes: list[tuple[float, ...]]) -> list[Clip]:
    return [
        Clip(clip_id=f"{k}", corpus="fer2013", speaker=f"{k}", label=label, path=f"{k}.jpg", votes_face=seen)
        for k, (label, seen) in enumerate(zip(labels, votes, strict=True))
    ]


def test_votes_teach_how_many_clips_like_this_one_were_meant_so() -> None:
    """Of faces that all call neutral, three in ten were labelled sad: that is the answer about each of them."""
    neutral, happy = (tuple(float(name == EMOTIONS[k]) for k in range(7)) for name in ("neutral", "happy"))
    labels = ["sad", "sad", "sad", *["neutral"] * 7, *["happy"] * 10]
    of = [c.model_copy(update={"has_face": True}) for c in voted(labels * 20, ([neutral] * 10 + [happy] * 10) * 20)]
    alone = of[0].model_copy(update={"clip_id": "nobody", "path": "n.jpg", "votes_face": None})
    answers = meant_by_votes([*of, alone])
    assert alone.sample not in answers
    for clip in of[:10]:
        told = dict(zip(EMOTIONS, answers[clip.sample], strict=True))
        assert told["sad"] == pytest.approx(0.3, abs=0.03)
        assert told["neutral"] == pytest.approx(0.7, abs=0.03)
    assert answers[of[10].sample].argmax() == EMOTIONS.index("happy")
    with pytest.raises(VotesError, match="of 1 training clips people voted on 0"):
        meant_by_votes([alone])


def test_votes_that_tell_nothing_teach_nothing(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml", {**SMALL_NETWORK, "train.batch_size": 8, "train.epochs": 12})
    alike = {"votes": (1 / 7,) * 7}
    of = [clip.model_copy(update=alike) for clip in tiny_corpus(tmp_path, params, speakers=8)]
    told = params.train.model_copy(
        update={"taught_by": "votes", "taught": 1.0, "augment": 0.0, "auxiliary": 0.0, "lr": 0.01}
    )
    taught_, plain = (
        fit(params, each, of, tmp_path, seed=0)
        for each in (told, told.model_copy(update={"taught_by": None, "taught": 0.0}))
    )
    losses = [done.history[-1]["train_loss"] for done in (taught_, plain)]
    assert losses[0] > np.log(7) - 0.05 > losses[1], "each emotion was meant by a seventh of them"
    assert taught_.origin == plain.origin, "no other data, no other weights"
