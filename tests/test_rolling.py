import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.conversation.rolling import RollingCount, RollingMedian, RollingSeconds


def test_seconds_of_the_window_and_of_what_goes_on():
    held = RollingSeconds(10.0)
    held.add(0.0, 4.0)
    held.add(6.0, 8.0)
    assert held.total(9.0) == 6.0
    assert held.total(12.0) == 4.0
    assert held.total(12.0, since=11.0) == 5.0
    assert held.total(30.0, since=11.0) == 10.0
    assert held.total(40.0) == 0.0


def test_intervals_that_join_are_one_and_the_oldest_go():
    held = RollingSeconds(1000.0, most=2)
    for number in range(5):
        held.add(float(number), number + 1.0)
    assert held.total(10.0) == 5.0
    held.add(10.0, 11.0)
    held.add(20.0, 21.0)
    assert held.total(30.0) == 2.0


def test_counts_of_the_window_and_in_all():
    held = RollingCount(10.0)
    for at in (1.0, 5.0, 9.0):
        held.add(at)
    assert (held.all, held.recent(10.0), held.recent(12.0), held.recent(99.0)) == (3, 3, 2, 0)


values = st.lists(st.floats(0, 9), min_size=1, max_size=40)


@settings(deadline=None)
@given(values, st.integers(1, 12))
def test_the_median_is_that_of_the_newest(values, most):
    held = RollingMedian(most=most)
    for at, value in enumerate(values):
        held.add(float(at), value)
    assert held.median(1e9, 1) == pytest.approx(statistics.median(values[-most:]))


def test_no_median_of_too_few_or_too_old():
    held = RollingMedian(window_s=10.0)
    held.add(0.0, 1.0)
    held.add(5.0, 3.0)
    assert (held.median(6.0, 2), held.median(6.0, 3), held.median(12.0, 1), held.median(50.0, 1)) == (
        2.0,
        None,
        3.0,
        None,
    )
