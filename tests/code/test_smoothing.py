"""Labels that can be read: they follow what changes for good, and hold against what only flickers."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmer.labels import EMOTIONS
from mmer.runtime.smoothing import FORGET_S, LEAD, Smoother

STEP_S = 0.2


def chances(**given: float) -> np.ndarray:
    """The rest is shared by the others."""
    rest = (1 - sum(given.values())) / (len(EMOTIONS) - len(given))
    return np.array([given.get(name, rest) for name in EMOTIONS], np.float32)


HAPPY, SAD = chances(happy=0.9), chances(sad=0.9)


def test_the_first_step_speaks_for_itself() -> None:
    mean, label = Smoother(STEP_S).push(HAPPY, True)
    np.testing.assert_array_equal(mean, HAPPY)
    assert label == "happy"


def test_one_odd_step_changes_no_label_and_a_lasting_change_does() -> None:
    smoother = Smoother(STEP_S)
    for _ in range(5):
        smoother.push(HAPPY, True)
    assert smoother.push(SAD, True)[1] == "happy"
    labels = [smoother.push(SAD, True)[1] for _ in range(10)]
    assert labels[-1] == "sad"
    assert labels == sorted(labels), "it changes once, from happy to sad"


def test_two_that_are_level_do_not_alternate() -> None:
    smoother = Smoother(STEP_S)
    rows = [chances(happy=0.4 + LEAD / 4 * (-1) ** k, sad=0.4 - LEAD / 4 * (-1) ** k) for k in range(40)]
    assert len({smoother.push(row, True)[1] for row in rows}) == 1


def test_a_gap_is_bridged_and_a_long_one_forgotten() -> None:
    smoother = Smoother(STEP_S)
    smoother.push(HAPPY, True)
    steps = round(FORGET_S / STEP_S)
    assert {smoother.push(SAD, False)[1] for _ in range(steps)} == {"happy"}
    mean, label = smoother.push(SAD, False)
    assert label is None
    np.testing.assert_allclose(mean, 1 / 7)
    assert smoother.push(SAD, True)[1] == "sad", "nothing of before is left"


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 6), st.floats(0.2, 1), st.booleans()), max_size=40))
def test_it_always_gives_a_distribution_and_a_label_that_is_near_the_top(rows: list[tuple[int, float, bool]]) -> None:
    smoother = Smoother(STEP_S)
    for index, chance, evidence in rows:
        mean, label = smoother.push(chances(**{EMOTIONS[index]: chance}), evidence)
        assert mean.sum() == np.float32(1) or abs(mean.sum() - 1) < 1e-5
        if label is not None:
            assert mean[EMOTIONS.index(label)] >= mean.max() - LEAD - 1e-6
