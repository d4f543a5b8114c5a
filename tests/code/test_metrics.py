"""Scores are what their names say, and intervals are about speakers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

from mmer import metrics
from mmer.labels import EMOTIONS

CLASSES = len(EMOTIONS)
emotion = st.integers(0, CLASSES - 1)
pairs = st.lists(st.tuples(emotion, emotion), min_size=1, max_size=60).map(lambda p: np.array(p).T)


@given(pairs)
def test_scores_equal_scikit_learns(pair):
    truth, predicted = pair
    counts = metrics.confusion(truth, predicted)
    here = np.unique(truth)
    precision, recall, f1, n = precision_recall_fscore_support(truth, predicted, labels=here, zero_division=0)
    assert (counts == confusion_matrix(truth, predicted, labels=range(CLASSES))).all()
    assert metrics.uar(counts) == pytest.approx(recall.mean())
    assert metrics.war(counts) == pytest.approx((truth == predicted).mean())
    assert metrics.macro_f1(counts) == pytest.approx(f1.mean())
    told = metrics.per_class(counts)
    for i, k in enumerate(here):
        row = told[EMOTIONS[k]]
        assert (row["recall"], row["f1"], row["n"]) == (pytest.approx(recall[i]), pytest.approx(f1[i]), n[i])
        if row["precision"] is not None:  # never predicted: not 0 but undefined
            assert row["precision"] == pytest.approx(precision[i])


def test_the_arrays_say_how_many_classes_there_are():
    classes = ("neutral", "happy", "calm")
    truth, probabilities = np.array([0, 1, 2, 2]), np.eye(3)[[0, 0, 2, 1]]
    counts = metrics.confusion(truth, probabilities.argmax(-1), len(classes))
    assert (counts == metrics.soft_confusion(truth, metrics.one_hot(probabilities))).all()
    assert [row["recall"] for row in metrics.per_class(counts, classes).values()] == [1, 0, 0.5]
    assert metrics.bootstrap(truth, probabilities, ["a", "a", "b", "b"], 100, 0).shape == (100, 3, 3)


def test_uar_is_the_challenges_measure():
    truth, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    assert metrics.uar(metrics.confusion(truth, predicted)) == balanced_accuracy_score(truth, predicted) == 0.625


@given(pairs, st.integers(1, 5))
def test_uar_does_not_care_how_often_an_emotion_occurs(pair, times):
    truth, predicted = pair
    again = np.repeat(np.flatnonzero(truth == truth[0]), times)
    more = metrics.confusion(np.append(truth, truth[again]), np.append(predicted, predicted[again]))
    assert metrics.uar(more) == pytest.approx(metrics.uar(metrics.confusion(truth, predicted)))


@given(pairs)
def test_a_perfect_answer_scores_one_and_order_does_not_matter(pair):
    truth, predicted = pair
    perfect = metrics.confusion(truth, truth)
    assert metrics.uar(perfect) == metrics.war(perfect) == metrics.macro_f1(perfect) == 1
    assert (metrics.confusion(truth[::-1], predicted[::-1]) == metrics.confusion(truth, predicted)).all()


def test_guessing_one_emotion_scores_one_over_the_number_of_emotions():
    truth = np.repeat(np.arange(CLASSES), [50, 1, 1, 1, 1, 1, 1])
    counts = metrics.confusion(truth, np.zeros_like(truth))
    assert metrics.uar(counts) == pytest.approx(1 / CLASSES)
    assert metrics.war(counts) > 0.85


def test_an_emotion_that_does_not_occur_has_no_recall_and_does_not_lower_the_mean():
    counts = metrics.confusion(np.array([0, 1]), np.array([0, 1]))
    assert metrics.uar(counts) == 1
    assert metrics.per_class(counts)["surprise"] == {"recall": None, "precision": None, "f1": None, "n": 0}


def _probabilities(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    probabilities = rng.dirichlet(np.ones(CLASSES), n)
    truth = np.array([rng.choice(CLASSES, p=row) for row in probabilities])
    return probabilities, truth


def test_likelihood_equals_scikit_learns():
    probabilities, truth = _probabilities(np.random.default_rng(0), 200)
    assert metrics.negative_log_likelihood(probabilities, truth) == pytest.approx(
        log_loss(truth, probabilities, labels=range(CLASSES))
    )


def test_votes_that_all_agree_are_labels():
    probabilities, truth = _probabilities(np.random.default_rng(0), 200)
    sure = np.eye(CLASSES)[truth]
    assert metrics.cross_entropy(probabilities, sure) == pytest.approx(
        metrics.negative_log_likelihood(probabilities, truth)
    )
    predicted = probabilities.argmax(1)
    counts = metrics.soft_confusion(truth, np.eye(CLASSES)[predicted])
    assert (counts == metrics.confusion(truth, predicted)).all()


def test_nothing_is_nearer_to_votes_than_the_votes_themselves():
    rng = np.random.default_rng(0)
    votes, others = rng.dirichlet(np.ones(CLASSES), 100), rng.dirichlet(np.ones(CLASSES), 100)
    assert 0 < metrics.cross_entropy(votes, votes) < metrics.cross_entropy(others, votes)


def test_recall_of_votes_is_the_share_that_meant_the_same():
    counts = metrics.soft_confusion(
        np.array([0, 0, 1]), np.array([[0.8, 0.2], [0.6, 0.4], [0.5, 0.5]]) @ np.eye(2, CLASSES)
    )
    assert metrics.recalls(counts)[:2] == pytest.approx([0.7, 0.5])
    assert metrics.uar(counts) == pytest.approx(0.6)
    assert metrics.war(counts) == pytest.approx((0.8 + 0.6 + 0.5) / 3)


def test_a_network_that_means_its_probabilities_is_calibrated_and_one_that_exaggerates_is_not():
    probabilities, truth = _probabilities(np.random.default_rng(0), 20_000)
    sharp = probabilities**4 / (probabilities**4).sum(1, keepdims=True)
    assert metrics.expected_calibration_error(probabilities, truth) < 0.02
    assert metrics.expected_calibration_error(sharp, truth) > 0.2
    assert metrics.reliability(probabilities, truth)[2].sum() == len(truth)


def _uneven_speakers(rng: np.random.Generator, n_speakers: int, clips: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Speakers who differ much in how well they are recognised."""
    truth = np.tile(np.arange(clips) % CLASSES, n_speakers)
    skill = np.repeat(rng.uniform(0.1, 0.9, n_speakers), clips)
    predicted = np.where(rng.random(len(truth)) < skill, truth, (truth + 1) % CLASSES)
    return truth, predicted, [f"s{i // clips}" for i in range(len(truth))]


def _interval(score, truth, predicted, speakers, resamples, seed) -> tuple[float, float]:
    """The 95% interval of a score, as evaluation takes it."""
    drawn = metrics.bootstrap(truth, np.eye(CLASSES)[predicted], speakers, resamples, seed)
    return metrics.percentile_interval(score(drawn))


def test_the_interval_is_that_of_resampling_speakers_one_by_one():
    truth, predicted, speakers = _uneven_speakers(np.random.default_rng(0), 8, 21)
    drawn = metrics.bootstrap(truth, np.eye(CLASSES)[predicted], speakers, 50, seed=3)
    picks = np.random.default_rng(3).integers(8, size=(50, 8))
    for counts, pick in zip(drawn, picks, strict=True):
        inside = np.concatenate([np.flatnonzero(np.array(speakers) == f"s{s}") for s in pick])
        assert (counts == metrics.confusion(truth[inside], predicted[inside])).all()


def test_speakers_who_differ_make_the_interval_wider_than_clips_would():
    truth, predicted, speakers = _uneven_speakers(np.random.default_rng(0), 10, 70)
    by_speaker = _interval(metrics.uar, truth, predicted, speakers, 500, 0)
    by_clip = _interval(metrics.uar, truth, predicted, [str(i) for i in range(len(truth))], 500, 0)
    score = metrics.uar(metrics.confusion(truth, predicted))
    assert by_speaker[0] < by_clip[0] < score < by_clip[1] < by_speaker[1]


def test_the_same_seed_gives_the_same_interval_and_the_order_of_clips_does_not_matter():
    truth, predicted, speakers = _uneven_speakers(np.random.default_rng(0), 6, 14)
    first = _interval(metrics.uar, truth, predicted, speakers, 200, 5)
    assert first == _interval(metrics.uar, truth[::-1], predicted[::-1], speakers[::-1], 200, 5)
    assert first != _interval(metrics.uar, truth, predicted, speakers, 200, 6)


def test_two_ways_of_predicting_are_compared_on_the_same_resamples():
    truth, predicted, speakers = _uneven_speakers(np.random.default_rng(0), 6, 14)
    better = predicted.copy()
    wrong = np.flatnonzero(better != truth)
    better[wrong[::3]] = truth[wrong[::3]]

    def gain(counts):
        return metrics.uar(counts[:, 1]) - metrics.uar(counts[:, 0])

    low, high = _interval(gain, truth, np.stack([predicted, better]), speakers, 300, 0)
    assert 0 < low < high, "the better one is better in every resample, so the interval lies above 0"


def test_one_speaker_gives_no_interval():
    with pytest.raises(ValueError, match="at least two"):
        metrics.bootstrap(np.array([0, 1]), np.eye(CLASSES)[:2], ["a", "a"], 100, 0)


def test_many_single_images_need_no_more_memory_than_a_part_of_the_resamples():
    n = 50_000  # a resample of all at once would be 100 x 50,000 draws
    truth = np.arange(n) % CLASSES
    low, high = _interval(metrics.war, truth, truth, [str(i) for i in range(n)], 100, 0)
    assert low == high == 1
