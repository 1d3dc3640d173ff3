"""Seconds in which anyone speaks, several do, and nobody does."""

import pytest

from worker.conversation.activity import Activity


def activity(*changes, window_s=300.0):
    """`(at, what, who)` in order of time."""
    found = Activity(window_s)
    for at, what, who in changes:
        found.advance(at)
        getattr(found, what)(who)
    return found


def test_silence_is_heard_time_in_which_nobody_speaks():
    found = activity((10.0, "enter", "ada"), (12.0, "start", "ada"), (15.0, "stop", "ada"))
    found.advance(20.0)
    assert (found.heard_s, found.speech_s, found.all_silence_s) == (10.0, 3.0, 7.0)
    assert (found.silence_s, found.longest_silence_s) == (5.0, 5.0)


def test_overlap_is_time_in_which_two_or_more_speak():
    whos = ("ada", "bo", "cy")
    found = activity(
        *((float(n), "enter", who) for n, who in enumerate(whos)),
        *((3.0 + n, "start", who) for n, who in enumerate(whos)),
    )
    found.advance(7.0)
    found.stop("ada")
    found.stop("bo")
    found.advance(9.0)
    assert (found.speech_s, found.overlap_s) == (6.0, 3.0)


def test_who_leaves_speaks_no_more_and_an_empty_room_is_not_heard():
    found = activity((0.0, "enter", "ada"), (1.0, "start", "ada"), (2.0, "leave", "ada"))
    found.advance(50.0)
    assert (found.heard_s, found.speech_s, found.silence_s, found.heard) == (2.0, 1.0, 0.0, False)
    found.enter("ada")
    found.advance(53.0)
    assert (found.heard_s, found.silence_s, found.longest_silence_s) == (5.0, 3.0, 3.0)


def test_the_window_holds_the_last_seconds_only():
    found = activity((0.0, "enter", "ada"), (5.0, "start", "ada"), (8.0, "stop", "ada"), window_s=10.0)
    found.advance(16.0)
    assert found.recent() == pytest.approx((2.0, 8.0))
    found.start("ada")
    found.advance(30.0)
    assert found.recent() == pytest.approx((10.0, 0.0))


def test_to_read_changes_nothing():
    read, unread = (activity((0.0, "enter", "ada"), (0.1, "start", "ada")) for _ in range(2))
    for tenth in range(1, 100):
        read.advance(tenth / 7)
        assert read.recent()[0] == pytest.approx(read.speech_s)
    for one in (read, unread):
        one.advance(20.0)
        one.stop("ada")
    assert (read.speech_s, read.recent()) == (unread.speech_s, unread.recent())
