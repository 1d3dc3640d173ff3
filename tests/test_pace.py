import pytest

from worker.conversation.pace import USUAL_LEAST, Pace
from worker.events import SpeechMeasured


def spoken(*stretches):
    """`(rate, level)` or `(rate, level, spread)` of stretches of speech."""
    pace = Pace()
    for number, stretch in enumerate(stretches):
        pace.push(SpeechMeasured(2.0 * number + 2, "ada", 2.0 * number, *stretch))
    return pace


def test_under_four_seconds_of_speech_nothing_is_said():
    assert spoken((4.0, -20.0)).syllables_per_s is None
    assert spoken((4.0, -20.0), (5.0, -20.0)).syllables_per_s == 4.5


def test_the_rate_is_that_of_the_last_ten_seconds():
    assert spoken(*[(9.0, -20.0)] * 4, *[(4.0, -20.0)] * 5).syllables_per_s == 4.0


def test_a_change_is_against_what_was_usual_before():
    usual = [(4.0, -30.0)] * USUAL_LEAST
    assert spoken(*usual[1:], *[(5.0, -20.0)] * 5).change is None
    pace = spoken(*usual, *[(5.0, -20.0)] * 5)
    assert pace.change == pytest.approx(0.25)
    assert pace.loudness_change_db == pytest.approx(10.0)


def test_stretches_without_a_rate_are_left_out():
    pace = spoken(*[(4.0, -30.0), (None, -30.0)] * 3)
    assert pace.syllables_per_s == 4.0
    assert pace.loudness_change_db is None


def test_the_spread_of_pitch_is_said_with_what_was_usual_before():
    usual = [(None, -30.0, 4.0), (None, -30.0, None)] * USUAL_LEAST
    pace = spoken(*usual, *[(None, -30.0, 2.5)] * 5)
    assert (pace.pitch_spread_st, pace.pitch_spread_change_st) == (2.5, -1.5)
    assert spoken(*usual[:3]).pitch_spread_st == 4.0
    assert spoken(*usual[:4], *usual[1::2]).pitch_spread_change_st is None
    assert spoken(*usual[1::2]).pitch_spread_st is None


def test_the_usual_follows_slowly_in_a_long_call():
    pace = spoken(*[(4.0, -30.0)] * 1000, *[(5.0, -30.0)] * 305)
    assert 0.05 < pace.change < 0.12
