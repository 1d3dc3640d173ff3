"""Packets in order, whatever order they come in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.audio.jitter import Lost, Packet, Reorder


def short(items):
    """A packet as its number, a lost one as `-`, or `-n` when packet n follows it."""
    return [
        item.timestamp if isinstance(item, Packet) else f"-{item.following.decode()}" if item.following else "-"
        for item in items
    ]


def run(order, reorder=None, step=0.0):
    """Push packets by number, one every `step` seconds."""
    reorder = reorder or Reorder()
    said = []
    for index, number in enumerate(order):
        said += reorder.push(number & 0xFFFF, Packet(number, str(number).encode()), index * step)
    return short(said)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 3, 2, 4], [1, 2, 3, 4]),
        ([1, 4, 3, 2, 5], [1, 2, 3, 4, 5]),
        ([1, 3, 4, 5], [1, "-3", 3, 4, 5]),
        ([1, 4, 5, 6], [1, "-", "-4", 4, 5, 6]),
        ([1, 5, 6, 7], [1, "-", "-", "-5", 5, 6, 7]),
        ([1, 2, 2, 1, 3, 3], [1, 2, 3]),
        ([1, 3, 3, 3, 2], [1, 2, 3]),
        ([65534, 65536, 65535, 65537], [65534, 65535, 65536, 65537]),
        ([1, 3, 4, 5, 2, 6], [1, "-3", 3, 4, 5, 6]),  # 2 comes when nobody waits for it any more
    ],
)
def test_written_orders(order, said):
    assert run(order) == said


def test_a_jump_ahead_starts_over_without_naming_thousands_of_losses():
    assert run([1, 2, 20_000, 20_001]) == [1, 2, 20_000, 20_001]


def test_a_sender_that_starts_over_is_heard_after_50_late_packets():
    assert run([30_000, *range(100, 160)]) == [30_000, *range(150, 160)]


def test_a_gap_at_the_end_closes_with_time():
    reorder = Reorder()
    assert run([1, 3], reorder) == [1]
    assert short(reorder.tick(0.06)) == []
    assert short(reorder.tick(0.061)) == ["-3", 3]
    assert short(reorder.tick(9.0)) == []


@settings(deadline=None)
@given(order=st.lists(st.integers(0, 40), max_size=50), first=st.integers(0, 65535))
def test_every_packet_at_most_once_and_in_order(order, first):
    reorder, said = Reorder(), []
    for index, number in enumerate(order):
        said += reorder.push((first + number) & 0xFFFF, Packet(number, b"x"), index * 0.02)
        said += reorder.tick(index * 0.02)
    said += reorder.tick(1e9)
    numbers = [item.timestamp for item in said if isinstance(item, Packet)]
    assert numbers == sorted(set(numbers))
    if numbers:
        assert len(said) == numbers[-1] - numbers[0] + 1  # what did not come is named
        assert sum(isinstance(item, Lost) for item in said) == len(said) - len(numbers)


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
    assert len(said) <= 51 * (len(sequences) + 1)
