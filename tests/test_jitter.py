"""Packets in order, whatever order they come in."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.audio.jitter import Lost, Reorder


def short(items):
    """A packet as its number, n lost ones in front of packet p as `n-p`."""
    return [f"{item.count}-{item.following}" if isinstance(item, Lost) else item for item in items]


def run(order, reorder=None, step=0.0):
    """Push packets by number, one every `step` seconds."""
    reorder = reorder or Reorder()
    said = []
    for index, number in enumerate(order):
        said += reorder.push(number & 0xFFFF, number, index * step)
    return short(said)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 3, 2, 4], [1, 2, 3, 4]),
        ([1, 4, 3, 2, 5], [1, 2, 3, 4, 5]),
        ([1, 3, 4, 5], [1, "1-3", 3, 4, 5]),
        ([1, 4, 5, 6], [1, "2-4", 4, 5, 6]),
        ([1, 5, 6, 7], [1, "3-5", 5, 6, 7]),
        ([1, 2, 2, 1, 3, 3], [1, 2, 3]),
        ([1, 3, 3, 3, 2], [1, 2, 3]),
        ([65534, 65536, 65535, 65537], [65534, 65535, 65536, 65537]),
        ([65533, 65535, 65536, 65537], [65533, "1-65535", 65535, 65536, 65537]),
        ([1, 3, 4, 5, 2, 6], [1, "1-3", 3, 4, 5, 6]),  # 2 comes when nobody waits for it any more
    ],
)
def test_written_orders(order, said):
    assert run(order) == said


def test_what_waits_when_the_sender_starts_over_is_given_first():
    assert run([1, 4, 3, 20_000]) == [1, 3, 4, 20_000]


def test_a_jump_ahead_starts_over_without_naming_thousands_of_losses():
    assert run([1, 2, 20_000, 20_001]) == [1, 2, 20_000, 20_001]


def test_a_sender_that_starts_over_is_heard_after_50_late_packets():
    assert run([30_000, *range(100, 160)]) == [30_000, *range(150, 160)]


def test_a_gap_at_the_end_closes_with_time():
    reorder = Reorder()
    assert run([1, 3], reorder) == [1]
    assert short(reorder.tick(0.06)) == []
    assert short(reorder.tick(0.061)) == ["1-3", 3]
    assert short(reorder.tick(9.0)) == []


@settings(deadline=None)
@given(order=st.lists(st.integers(0, 40), max_size=50), first=st.integers(0, 65535))
def test_every_packet_at_most_once_and_in_order(order, first):
    reorder, said = Reorder(), []
    for index, number in enumerate(order):
        said += reorder.push((first + number) & 0xFFFF, number, index * 0.02)
        said += reorder.tick(index * 0.02)
    said += reorder.tick(1e9)
    numbers = [item for item in said if not isinstance(item, Lost)]
    assert numbers == sorted(set(numbers))
    if numbers:  # what did not come is counted, in front of what follows it
        gaps = [(after - before - 1, after) for before, after in pairwise(numbers) if after > before + 1]
        assert [(item.count, item.following) for item in said if isinstance(item, Lost)] == gaps


@settings(deadline=None)
@given(swaps=st.lists(st.booleans(), min_size=1, max_size=60))
def test_neighbours_that_change_places_lose_nothing(swaps):
    order = [
        0,
        *(n for i, swap in enumerate(swaps) for n in ((2 * i + 2, 2 * i + 1) if swap else (2 * i + 1, 2 * i + 2))),
    ]
    assert run(order) == sorted(order)


@settings(deadline=None)
@given(sequences=st.lists(st.integers(0, 65535), max_size=200))
def test_no_sequence_of_numbers_is_too_strange(sequences):
    said = run(sequences)
    assert len(said) <= 2 * len(sequences)
    assert all(0 < int(item.split("-")[0]) <= 50 for item in said if isinstance(item, str))


@st.composite
def overtaken(draw, count=40):
    """Packets 0 to count - 1; the first is first, and no other is overtaken by more than 2 later ones."""
    order, waiting, passed = [0], list(range(1, count)), [0] * count
    for choice in draw(st.lists(st.integers(0, count), min_size=count - 1, max_size=count - 1)):
        limit = next((i for i, number in enumerate(waiting) if passed[number] == 2), len(waiting) - 1)
        at = choice % (limit + 1)
        for number in waiting[:at]:
            passed[number] += 1
        order.append(waiting.pop(at))
    return order


@settings(deadline=None)
@given(order=overtaken(), first=st.integers(0, 65535))
def test_what_is_overtaken_by_two_is_not_lost(order, first):
    reorder, said = Reorder(), []
    for index, number in enumerate(order):
        said += reorder.push((first + number) & 0xFFFF, number, index * 0.02)
        said += reorder.tick(index * 0.02)
    assert said == list(range(len(order)))


@settings(deadline=None)
@given(order=st.lists(st.integers(0, 80), max_size=80), first=st.integers(65_456, 65_535))
def test_where_sequence_numbers_begin_does_not_matter(order, first):
    """65535 is followed by 0."""
    plain, shifted = Reorder(), Reorder()
    for number in order:
        assert shifted.push((first + number) & 0xFFFF, number, 0.0) == plain.push(number, number, 0.0)
