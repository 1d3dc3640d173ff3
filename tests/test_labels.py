import pytest

from worker.emotion import CLASSES
from worker.emotion.labels import LABELS, fold


def test_every_class_stands_for_one_label():
    assert sorted(name for classes in LABELS.values() for name in classes) == sorted(CLASSES)


def test_probabilities_are_summed_before_anything_is_decided():
    scores = dict(zip(CLASSES, (0.3, 0.1, 0.1, 0.2, 0.2, 0.1), strict=True))
    assert fold(scores) == pytest.approx({"neutral": 0.3, "positive": 0.1, "tense": 0.5, "low": 0.1})


def test_other_categories_belong_to_no_label():
    assert fold({"bored": 0.7, "sad": 0.3}) == {"neutral": 0, "positive": 0, "tense": 0, "low": 0.3}
