"""Labels that can be read: they follow what changes for good, and hold against what only flickers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmer.labels import EMOTIONS
from mmer.runtime.smoothing import FORGET_S, LEAD, LISTEN_S, Smoother

STEP_S = 0.2


def chances(**given: float) -> np.ndarray:
    """The rest is shared by the others."""
    rest = (1 - sum(given.values())) / (len(EMOTIONS) - len(given))
    return np.array([given.get(name, rest) for name in EMOTIONS], np.float32)


HAPPY, SAD = chances(happy=0.9), chances(sad=0.9)


def say(smoother: Smoother, given: np.ndarray, *, seen: bool = True, heard: bool = False) -> str | None:
    return smoother.push(given, seen=seen, heard=heard)[1]


def test_the_first_picture_is_labelled_at_once_and_not_believed_whole() -> None:
    mean, label = Smoother(STEP_S).push(HAPPY, seen=True, heard=False)
    assert label == "happy"
    assert 1 / 7 < mean[EMOTIONS.index("happy")] < 0.9
    assert mean.argmax() == EMOTIONS.index("happy")


def test_a_voice_is_listened_to_before_it_is_labelled_unless_its_face_is_seen() -> None:
    smoother = Smoother(STEP_S)
    labels = [say(smoother, HAPPY, seen=False, heard=True) for _ in range(8)]
    assert labels == [None] * round(LISTEN_S / STEP_S - 1) + ["happy"] * round(9 - LISTEN_S / STEP_S)
    assert say(Smoother(STEP_S), HAPPY, seen=True, heard=True) == "happy"


def test_the_longer_the_same_is_said_the_surer_it_is() -> None:
    smoother = Smoother(STEP_S)
    sure = [smoother.push(HAPPY, seen=False, heard=True)[0].max() for _ in range(30)]
    assert sure == sorted(sure)
    assert sure[-1] == pytest.approx(0.9, abs=0.02), "in the end as sure as the steps are"


def test_one_odd_step_changes_no_label_and_a_lasting_change_does() -> None:
    smoother = Smoother(STEP_S)
    for _ in range(5):
        say(smoother, HAPPY)
    assert say(smoother, SAD) == "happy"
    labels = [say(smoother, SAD) for _ in range(12)]
    assert labels[-1] == "sad"
    assert labels == sorted(labels), "it changes once, from happy to sad"


def test_two_that_are_level_do_not_alternate() -> None:
    smoother = Smoother(STEP_S)
    rows = [chances(happy=0.4 + LEAD / 4 * (-1) ** k, sad=0.4 - LEAD / 4 * (-1) ** k) for k in range(40)]
    assert len({say(smoother, row) for row in rows}) == 1


def test_a_gap_is_bridged_and_a_long_one_forgotten() -> None:
    smoother = Smoother(STEP_S)
    say(smoother, HAPPY)
    steps = round(FORGET_S / STEP_S)
    assert {say(smoother, SAD, seen=False) for _ in range(steps)} == {"happy"}
    mean, label = smoother.push(SAD, seen=False, heard=False)
    assert label is None
    np.testing.assert_allclose(mean, 1 / 7)
    assert say(smoother, SAD) == "sad", "nothing of before is left"
    assert say(smoother, SAD, seen=False, heard=True) == "sad", "a face that was seen lately counts"


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 6), st.floats(0.2, 1), st.booleans()), max_size=40))
def test_it_always_gives_a_distribution_and_a_label_that_is_near_the_top(rows: list[tuple[int, float, bool]]) -> None:
    smoother = Smoother(STEP_S)
    for index, chance, evidence in rows:
        mean, label = smoother.push(chances(**{EMOTIONS[index]: chance}), seen=evidence, heard=not evidence)
        assert mean.sum() == np.float32(1) or abs(mean.sum() - 1) < 1e-5
        if label is not None:
            assert mean[EMOTIONS.index(label)] >= mean.max() - LEAD - 1e-6
