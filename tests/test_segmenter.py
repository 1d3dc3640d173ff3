from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import ConfigError
from worker.events import SpeechEnded, SpeechStarted
from worker.vad.segmenter import Segmenter

STEP = 0.032


def push(segmenter, pattern, start=0.0):
    """Feed one window per character: `#` certain voice, `+` between release and threshold, `.` silence."""
    events = []
    for i, mark in enumerate(pattern):
        at = start + i * STEP
        events += segmenter.push({"#": 0.9, "+": 0.4, ".": 0.1}[mark], at, at + STEP)
    return events


def test_an_utterance_has_the_times_of_its_voice():
    started, ended = push(Segmenter("ada"), "..#####" + "." * 13)
    assert started == SpeechStarted(pytest.approx(2 * STEP), "ada")
    assert ended == SpeechEnded(pytest.approx(7 * STEP), "ada", started.at)


def test_three_windows_make_speech_certain():
    segmenter = Segmenter("ada")
    assert push(segmenter, "##") == []
    assert segmenter.voiced
    assert not segmenter.speaking
    assert len(push(segmenter, "#", start=2 * STEP)) == 1
    assert segmenter.speaking


def test_a_click_is_no_speech():
    assert push(Segmenter("ada"), "##..##..#..") == []


def test_a_falling_voice_is_held_but_does_not_begin_speech():
    assert push(Segmenter("ada"), "++++++") == []
    assert len(push(Segmenter("ada"), "#++")) == 1
    segmenter = Segmenter("ada")
    push(segmenter, "###.+")
    assert not segmenter.voiced


def test_a_short_pause_does_not_end_an_utterance():
    segmenter = Segmenter("ada")
    assert len(push(segmenter, "###" + "." * 10 + "##" + "." * 10)) == 1
    assert segmenter.speaking
    assert not segmenter.voiced


def test_a_cut_closes_what_is_open():
    segmenter = Segmenter("ada")
    push(segmenter, "####..")
    assert segmenter.cut(1.0) == [SpeechEnded(pytest.approx(4 * STEP), "ada", 0.0)]
    assert segmenter.cut(1.0) == []
    assert not segmenter.speaking
    assert not segmenter.voiced


def test_a_cut_within_voice_ends_there():
    segmenter = Segmenter("ada")
    push(segmenter, "####")
    assert segmenter.cut(0.1) == [SpeechEnded(0.1, "ada", 0.0)]


def test_a_cut_forgets_voice_that_was_not_yet_speech():
    segmenter = Segmenter("ada")
    push(segmenter, "##")
    assert segmenter.cut(1.0) == []
    assert push(segmenter, "##", start=1.0) == []


def test_missing_sound_longer_than_the_silence_ends_the_utterance():
    segmenter = Segmenter("ada")
    push(segmenter, "####")
    assert push(segmenter, "###", start=5.0) == [
        SpeechEnded(pytest.approx(4 * STEP), "ada", 0.0),
        SpeechStarted(5.0, "ada"),
    ]


def test_time_that_steps_back_is_not_heard_again():
    segmenter = Segmenter("ada")
    push(segmenter, "####", start=1.0)
    assert push(segmenter, "." * 20 + "####", start=0.0) == []
    assert segmenter.cut(2.0) == [SpeechEnded(pytest.approx(1.0 + 4 * STEP), "ada", 1.0)]


@pytest.mark.parametrize(
    "options", [{"threshold": 0.3}, {"release": 0.0}, {"threshold": 1.5}, {"min_speech_s": -1}, {"min_silence_s": -1}]
)
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="segmenter"):
        Segmenter("ada", **options)


steps = st.lists(
    st.one_of(
        st.tuples(st.floats(0, 1), st.floats(-0.1, 1.0) | st.just(0.0), st.just(STEP) | st.floats(0.001, 0.5)),
        st.floats(-0.5, 0.5),
    ),
    max_size=150,
)


@settings(deadline=None, max_examples=200)
@given(steps, st.floats(0, 0.3), st.floats(0, 0.6))
def test_utterances_alternate_and_never_overlap(steps, min_speech_s, min_silence_s):
    segmenter = Segmenter("ada", min_speech_s=min_speech_s, min_silence_s=min_silence_s)
    now, events = 0.0, []
    for step in steps:
        if isinstance(step, float):
            events += segmenter.cut(now + step)
        else:
            probability, gap, length = step
            events += segmenter.push(probability, now + gap, now + gap + length)
            now += gap + length
        assert segmenter.speaking == (bool(events) and isinstance(events[-1], SpeechStarted))
    events += segmenter.cut(now)
    assert [type(e) for e in events] == [SpeechStarted, SpeechEnded] * (len(events) // 2)
    assert all(ended.started == started.at < ended.at for started, ended in zip(events[::2], events[1::2], strict=True))
    assert all(one.at <= later.at for one, later in pairwise(events))
