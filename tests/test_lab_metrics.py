"""Figures, against values worked out by hand."""

import numpy as np
import pytest

from worker.lab import metrics as m

TRUTH = np.array([0, 0, 0, 1, 1, 2])
SAID = np.array([0, 0, 1, 1, 1, 0])


def test_recall_precision_and_their_mean():
    assert m.confusion(TRUTH, SAID, 3).tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert m.recalls(TRUTH, SAID, 3).tolist() == pytest.approx([2 / 3, 1, 0])
    assert m.precisions(TRUTH, SAID, 3)[:2].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert np.isnan(m.precisions(TRUTH, SAID, 3)[2])
    assert m.uar(TRUTH, SAID) == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert np.isnan(m.uar(TRUTH[:0], SAID[:0]))


def test_the_interval_is_wider_when_clips_are_of_few_speakers():
    truth = np.tile([0, 1], 100)
    said = truth.copy()
    said[:60] = 0
    wide = m.interval(truth, said, ["a"] * 60 + ["b"] * 60 + ["c"] * 80)
    narrow = m.interval(truth, said, [str(i // 2) for i in range(200)])
    assert wide[0] <= narrow[0] <= m.uar(truth, said) <= narrow[1] <= wide[1]
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_one_speaker_has_no_width():
    assert m.interval(TRUTH, SAID, ["a"] * 6) == pytest.approx((m.uar(TRUTH, SAID),) * 2)


def test_calibration_error_is_the_gap_between_sure_and_right():
    truth = np.array([0] * 7 + [1] * 3)
    assert m.ece(truth, np.tile([0.7, 0.3], (10, 1))) == pytest.approx(0)
    assert m.ece(truth, np.tile([0.9, 0.1], (10, 1))) == pytest.approx(0.2)
    assert m.ece(truth, np.tile([1.0, 0.0], (10, 1))) == pytest.approx(0.3)


def test_brier_runs_from_nought_to_two():
    assert m.brier(np.array([0]), np.array([[1.0, 0.0]])) == 0
    assert m.brier(np.array([1]), np.array([[1.0, 0.0]])) == 2
    assert m.brier(np.array([1]), np.array([[0.5, 0.5]])) == pytest.approx(0.5)


def test_the_surest_half():
    sure = np.array([0.9, 0.8, 0.7, 0.6])
    probabilities = np.stack([sure, 1 - sure], axis=1)
    truth = np.array([0, 0, 1, 1])
    coverage, right = m.risk_coverage(truth, probabilities)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert right.tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert m.accuracy_at(truth, probabilities, 0.5) == 1


def test_auroc():
    assert m.auroc(np.array([2.0, 3]), np.array([0.0, 1])) == 1
    assert m.auroc(np.array([0.0, 1]), np.array([2.0, 3])) == 0
    assert m.auroc(np.array([1.0]), np.array([1.0])) == 0.5


def test_the_temperature_that_made_logits_too_sharp_is_found():
    random = np.random.default_rng(0)
    honest = random.normal(0, 1.5, size=(4000, 3))
    probabilities = m.softmax(honest)
    truth = (random.random((4000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert m.temperature(truth, honest * 2.5) == pytest.approx(2.5, rel=0.1)
    assert m.ece(truth, m.softmax(honest * 2.5, 2.5)) < 0.03 < m.ece(truth, m.softmax(honest * 2.5))
