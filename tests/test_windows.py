"""When an emotion engine is asked, and what it hears."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.audio import RATE
from worker.audio.windows import Windows
from worker.errors import ConfigError

STEP = 0.1


def play(windows, pattern, at=0.0):
    """Each letter is 0.1 s: `v` voice in an utterance, `p` pause in one, `o` voice before it is one, `.` silence."""
    heard = []
    for letter in pattern:
        samples = np.full(round(STEP * RATE), round(at / STEP), np.float32)
        window = windows.push(at, samples, letter in "vo", letter in "vp")
        heard += [window] if window else []
        at = round(at + STEP, 3)
    return heard


def times(heard):
    return [(round(w.start, 3), round(w.end, 3), round(w.voiced_s, 3), w.provisional) for w in heard]


def test_the_first_window_comes_early_and_the_next_at_each_hop():
    heard = play(Windows(), "v" * 30)
    assert times(heard) == [
        (0.0, 1.0, 1.0, True),
        (0.0, 1.5, 1.5, False),
        (0.0, 2.0, 2.0, False),
        (0.5, 2.5, 2.0, False),
        (1.0, 3.0, 2.0, False),
    ]
    assert heard[-1].samples[0] == 10
    assert heard[-1].samples[-1] == 29


def test_pauses_are_heard_but_do_not_count_as_voice():
    heard = play(Windows(), "vvvvvppppvvvvv")
    assert times(heard) == [(0.0, 1.4, 1.0, True)]


def test_voice_before_the_start_was_certain_belongs_to_the_utterance():
    assert times(play(Windows(), "o..oovvvvvvvv")) == [(0.3, 1.3, 1.0, True)]


def test_silence_and_uncertain_voice_are_never_a_window():
    assert play(Windows(), "." * 40 + "o" * 40) == []


def test_a_short_utterance_is_heard_at_its_end():
    windows = Windows()
    assert play(windows, "vvvvvvpppp..") == []
    assert times([windows.end(0.6)]) == [(0.0, 0.6, 0.6, True)]
    assert windows.end(0.6) is None


def test_too_short_an_utterance_is_not_heard():
    windows = Windows()
    play(windows, "vvvvpppp")
    assert windows.end(0.4) is None


def test_an_utterance_that_was_heard_has_no_further_window_at_its_end():
    windows = Windows()
    assert len(play(windows, "v" * 12)) == 1
    assert windows.end(1.2) is None


def test_utterances_are_not_mixed():
    windows = Windows()
    play(windows, "v" * 9 + "pp")
    windows.end(0.9)
    assert times(play(windows, "v" * 10, at=5.0)) == [(5.0, 6.0, 1.0, True)]
    windows.reset()
    assert times(play(windows, "v" * 10, at=9.0)) == [(9.0, 10.0, 1.0, True)]


@settings(deadline=None)
@given(st.text("vp", max_size=200))
def test_windows_are_bounded_and_as_many_as_the_voice_earns(pattern):
    heard = play(Windows(), pattern)
    voiced = pattern.count("v")
    assert len(heard) == (0 if voiced < 10 else 1 + (voiced - 10) // 5)
    for window in heard:
        assert len(window.samples) == pytest.approx((window.end - window.start) * RATE)
        assert window.voiced_s >= 0.5 - 1e-9
        assert window.end - window.start <= 2.0 + 1e-9


@pytest.mark.parametrize("options", [{"hop_s": 0}, {"first_s": 3.0}, {"min_voiced_s": 1.5}, {"min_voiced_s": 0}])
def test_options_that_contradict_each_other_are_refused(options):
    with pytest.raises(ConfigError, match=r"^windows: set 0 < min_voiced_s"):
        Windows(**options)
