"""What a clip teaches."""

from pathlib import Path

import numpy as np
import pytest

from worker.emotion import CLASSES
from worker.lab.corpora import NOT_SPEECH, UNLABELLED, Clip
from worker.lab.targets import agreement, balanced, soft_label, targets


def clip(emotion, votes=None):
    return Clip(Path("a.wav"), "s", emotion, "c", votes)


def test_votes_and_intention_are_mixed():
    soft = soft_label(clip("angry", (6, 0, 0, 2, 0, 0)), votes=0.5)
    assert dict(zip(CLASSES, soft.tolist(), strict=True))["angry"] == pytest.approx(0.5 + 0.5 * 0.25)
    assert soft.sum() == pytest.approx(1)


def test_without_votes_the_label_is_smoothed():
    soft = soft_label(clip("sad"), votes=0.5)
    assert soft.sum() == pytest.approx(1)
    assert soft.max() == pytest.approx(0.9 + 0.1 / 6)


def test_what_a_corpus_does_not_say_counts_nothing():
    clips = [clip("happy"), clip("bored"), clip(UNLABELLED), clip(NOT_SPEECH)]
    goals = targets(clips, not_speech=0.3)
    assert goals.class_weight.tolist() == pytest.approx([1, 0, 0.5, 0.3])
    assert goals.classes[2].tolist() == pytest.approx([0.75, 0.05, 0.05, 0.05, 0.05, 0.05])
    assert goals.affect_weight.tolist() == [1, 1, 0, 0]
    assert goals.speech.tolist() == [1, 1, 1, 0]
    assert goals.intended.tolist() == [CLASSES.index("happy"), -1, -1, -1]
    assert np.allclose(goals.classes[3], 1 / 6)


def test_listeners_who_do_not_agree_are_not_heard():
    agreed = [clip("angry", (0, 0, 0, 9, 0, 0)), clip("sad", (0, 0, 9, 0, 0, 0)), clip("sad", (9, 0, 0, 0, 0, 0))]
    split = [clip("angry", (4, 0, 1, 4, 0, 0)), clip("sad", (4, 0, 1, 4, 0, 0)), clip("sad", (4, 1, 0, 4, 0, 0))]
    neutral = CLASSES.index("neutral")
    assert targets(agreed, votes=0.5).classes[2, neutral] == pytest.approx(0.5, abs=0.1)
    assert targets(split, votes=0.5).classes[2, neutral] == pytest.approx(0.1 / 6, abs=0.01)


def test_no_class_outweighs_the_others_by_being_voted_for():
    soft, intended = np.array([[0.8, 0.2], [0.8, 0.2], [0.5, 0.5], [0.4, 0.6]]), np.array([0, 0, 1, 1])
    even = balanced(soft, intended)
    assert np.allclose(even.sum(axis=1), 1)
    assert (even[:, 0] < soft[:, 0]).all()
    assert even.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert abs(even.sum(axis=0)[0] - 2) < abs(soft.sum(axis=0)[0] - 2)
    assert np.allclose(balanced(np.eye(3), np.arange(3)), np.eye(3))


def test_affect_follows_the_classes():
    goals = targets([clip("happy"), clip("sad"), clip("angry")])
    happy, sad, angry = goals.affect
    assert happy[0] > 0 > sad[0]
    assert angry[1] > 0 > sad[1]


def test_agreement_is_one_when_all_agree_and_none_by_chance():
    assert agreement([(5, 0), (0, 5), (5, 0)]) == pytest.approx(1)
    random = np.random.default_rng(0).multinomial(9, [0.5, 0.5], size=2000)
    assert agreement(random) == pytest.approx(0, abs=0.02)
    assert np.isnan(agreement([(1, 0)]))


def test_agreement_of_a_worked_example():
    """Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section A: 0.095."""
    pairs = ["00", "11", "01", "00", "00", "00", "00", "01", "10", "01"]
    counts = [(pair.count("0"), pair.count("1")) for pair in pairs]
    assert agreement(counts) == pytest.approx(0.095, abs=0.001)
