"""RTP timestamps on the room's clock."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.audio.clock import RtpClock


def place(pairs):
    """(RTP ticks at 48 kHz, arrival) → seconds, to a tenth of a millisecond."""
    clock = RtpClock()
    return [round(clock.place(ticks & 0xFFFFFFFF, arrival), 4) for ticks, arrival in pairs]


def test_distances_come_from_timestamps_and_not_from_arrival():
    assert place([(0, 5.0), (960, 5.05), (1920, 5.05), (2880, 5.2)]) == [5.0, 5.02, 5.04, 5.06]


def test_timestamps_wrap():
    first = 2**32 - 960
    assert place([(first, 5.0), (first + 960, 5.02), (first + 1920, 5.04)]) == [5.0, 5.02, 5.04]


def test_silence_that_was_not_sent_is_a_step():
    assert place([(0, 5.0), (48_000 * 30, 35.01)]) == [5.0, 35.0]


def test_an_older_packet_lies_before():
    assert place([(9600, 5.2), (8640, 5.2)]) == [5.2, 5.18]


def test_sound_that_came_before_it_was_spoken_moves_the_origin_back():
    """The first packet was 0.1 s late itself."""
    assert place([(0, 5.1), (960, 5.02), (1920, 5.04)]) == [5.1, 5.02, 5.04]


@pytest.mark.parametrize("jump", [-48_000 * 3600, 2**31 - 1])
def test_a_jump_of_the_timestamps_starts_anew_at_its_arrival(jump):
    assert place([(0, 5.0), (jump, 5.02), (jump + 960, 5.04)]) == [5.0, 5.02, 5.04]


def test_less_than_two_seconds_late_is_the_network():
    assert place([(0, 5.0), (960, 7.01), (1920, 7.05)]) == [5.0, 5.02, 7.05]


@pytest.mark.parametrize("stall_s", [0.15, 0.5, 1.9])
def test_a_stalled_network_that_catches_up_moves_nothing(stall_s):
    """What was held back arrives at once, or at twice the pace of speech."""
    for pace in (0.0, 0.01):
        clock, late = RtpClock(), int(stall_s / 0.02)
        speak(clock, 0, 100, 0.0)
        freed = 5.0 + 100 * 0.02 + stall_s
        arrivals = [max(5.0 + n * 0.02, freed + (n - 100) * pace) for n in range(100, 100 + 2 * late + 20)]
        places = [clock.place(n * 960, arrival) for n, arrival in enumerate(arrivals, 100)]
        assert places == pytest.approx([5.0 + n * 0.02 for n in range(100, 100 + len(places))])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 10)), min_size=1, max_size=40))
def test_no_sound_lies_in_the_future_or_long_ago(steps):
    clock, arrival = RtpClock(), 0.0
    for timestamp, pause in steps:
        arrival += pause
        assert -1e-6 <= arrival - clock.place(timestamp, arrival) <= 2.0 + 1e-6


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.floats(0, 3)), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_where_timestamps_begin_does_not_matter(steps, first):
    clocks, ticks, arrival = (RtpClock(), RtpClock()), 0, 5.0
    for step, pause in steps:
        ticks, arrival = ticks + step, arrival + pause
        assert clocks[1].place(first + ticks & 0xFFFFFFFF, arrival) == clocks[0].place(ticks & 0xFFFFFFFF, arrival)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 0.099)), min_size=1, max_size=60))
def test_sound_lies_as_far_behind_its_media_time_as_the_fastest_packet_came(packets):
    """A sender that keeps time, with pauses of up to 10 s, over a path whose delay varies by less than 100 ms."""
    clock, number, fastest = RtpClock(), 0, inf
    for step, late in packets:
        number, fastest = number + step, min(fastest, late)
        media = 5.0 + number * 0.02
        assert clock.place(number * 960 & 0xFFFFFFFF, media + late) - media == pytest.approx(fastest, abs=1e-6)


def speak(clock, first, count, late_s):
    """`count` packets of 20 ms from number `first` on, each `late_s` after its sound; the last one's place."""
    for number in range(first, first + count):
        place = clock.place(number * 960, 5.0 + number * 0.02 + late_s)
    return place - 5.0 - (first + count - 1) * 0.02


@pytest.mark.parametrize("pause_s", [0.12, 0.5, 1.9])
def test_timestamps_that_stood_still_in_a_pause_are_moved_forward_by_as_much(pause_s):
    clock = RtpClock()
    assert speak(clock, 0, 200, 0.0) == pytest.approx(0.0)
    assert speak(clock, 200, 10, pause_s) == pytest.approx(0.0)
    assert speak(clock, 210, 200, pause_s) == pytest.approx(pause_s)


def test_lateness_that_varies_moves_nothing():
    """A path that is crowded for 1.2 s out of every 2 s: late by 0.5 s at most, and never steadily."""
    clock = RtpClock()
    for first in range(0, 1000, 100):
        for number in range(60):
            late = 0.5 - 0.05 * (number % 4) if first else 0.0
            assert speak(clock, first + number, 1, late) == pytest.approx(0.0)
        assert speak(clock, first + 60, 40, 0.0) == pytest.approx(0.0)


def test_a_path_that_became_longer_is_noticed():
    clock = RtpClock()
    assert speak(clock, 0, 100, 0.0) == pytest.approx(0.0)
    for number in range(100, 130):
        speak(clock, number, 1, 0.005 * (number - 100))
    assert speak(clock, 130, 300, 0.15) == pytest.approx(0.15)


def test_a_slow_network_moves_nothing():
    clock = RtpClock()
    assert speak(clock, 0, 1, 0.0) == 0.0
    assert speak(clock, 1, 500, 0.09) == pytest.approx(0.0)
