"""Claims about the teacher: no answer comes from a head that saw its speaker, and no tested clip is asked about."""

from pathlib import Path

import numpy as np
import pytest

from mmer.data.clips import Clip
from mmer.labels import EMOTIONS
from mmer.training.batches import read_answers
from mmer.training.fit import TrainingError, fit
from mmer.training.teacher import FITS, TeacherError, taught, write_answers
from tests.conftest import ROOT
from tests.tiny import SMALL_NETWORK, tiny_corpus


def clips(speakers: int = 10, split: str = "train") -> list[Clip]:
    return [
        Clip(clip_id=f"s{s}-{e}", corpus="demo", speaker=f"s{s}", label=e, split=split, path="a.wav")  # type: ignore[arg-type]
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


def test_it_refuses_clips_that_are_not_trained_on_and_too_few_speakers() -> None:
    rng = np.random.default_rng(0)
    tested = clips(split="test")
    with pytest.raises(TeacherError, match="only training clips"):
        taught(tested, features(tested, rng))
    few = clips(FITS - 1)
    with pytest.raises(TeacherError, match="speakers"):
        taught(few, features(few, rng))


def test_a_training_learns_from_the_answers_and_says_where_they_are_missing(tmp_path: Path) -> None:
    from mmer.params import load_params

    small = {**SMALL_NETWORK, "train.epochs": 1, "train.batch_size": 8, "train.taught": 1.0}
    params = load_params(ROOT / "params.yaml", small)
    processed = tmp_path / "processed"
    of = tiny_corpus(processed, params)
    with pytest.raises(TrainingError, match=r"teacher\.npz: run `python -m stages\.teach`"):
        fit(params, params.train, of, processed, seed=0)
    learn = [c for c in of if c.split == "train"]
    always_sad = np.eye(len(EMOTIONS), dtype=np.float32)[[EMOTIONS.index("sad")] * len(learn)]
    write_answers(tmp_path / "teacher.npz", learn, always_sad)
    assert set(read_answers(tmp_path / "teacher.npz")) == {f"demo/{c.clip_id}" for c in learn}
    longer = params.train.model_copy(update={"epochs": 4, "augment": 0.0})
    done = fit(params, longer, of, processed, seed=0)
    plain = fit(params, longer.model_copy(update={"taught": 0.0}), of, processed, seed=0)
    assert done.best["val_loss"] > plain.best["val_loss"], "it learnt to say sad"
