import pytest

from worker.conversation.shifts import Shifts
from worker.errors import ConfigError
from worker.events import EmotionEstimated, EmotionShifted, SpeakerAnalysed, SpeakerLeft


def felt(at, arousal=0.0, valence=0.1, label="neutral", speaker="ada", provisional=False):
    return EmotionEstimated(at, speaker, at - 2, arousal, valence, {}, 0.8, provisional, "onnx", label)


def series(*parts, start=0.0, hop=0.5):
    """`(count, fields)`, one estimate every half second."""
    events, at = [], start
    for count, fields in parts:
        for _ in range(count):
            events.append(felt(at, **fields))
            at += hop
    return events


def said(events, shifts=None, **options):
    shifts = shifts or Shifts(**options)
    return [found for event in events for found in shifts.push(event)]


LIVELY, TENSE = {"arousal": 0.6}, {"label": "tense", "valence": -0.5}


def test_a_rise_that_lasts_is_told_once():
    (shift,) = said(series((30, {}), (40, LIVELY)))
    assert shift == EmotionShifted(21.0, "ada", "arousal_rise", 0.0, pytest.approx(0.6), 6.0)


def test_a_turn_to_negative_that_lasts_is_told_once():
    (shift,) = said(series((30, {}), (40, TENSE)))
    assert shift == EmotionShifted(21.0, "ada", "to_negative", pytest.approx(0.1), -0.5, 6.0)


@pytest.mark.parametrize("fields", [LIVELY, TENSE])
def test_a_moment_is_no_shift(fields):
    assert said(series((30, {}), (12, fields), (30, {}), (12, fields))) == []


@pytest.mark.parametrize("fields", [LIVELY, TENSE])
def test_after_it_was_as_before_it_may_be_told_again(fields):
    assert len(said(series((30, {}), (20, fields), (20, {}), (20, fields)))) == 2


def test_a_voice_that_was_always_so_has_not_shifted():
    assert said(series((200, TENSE | LIVELY))) == []


def test_few_windows_far_apart_are_no_shift():
    assert said([*series((30, {})), felt(16.0, 0.8), felt(60.0, 0.8), felt(61.0, 0.8), felt(62.0, 0.8)]) == []


def test_first_answers_say_nothing():
    assert said(series((30, {}), (40, LIVELY | {"provisional": True}))) == []


def test_without_valence_or_labels_a_voice_can_only_rise():
    blind = {"valence": None, "label": None}
    assert [shift.kind for shift in said(series((30, blind), (20, blind | LIVELY)))] == ["arousal_rise"]
    assert said(series((30, {"arousal": None}), (20, {"arousal": None}))) == []


@pytest.mark.parametrize("gone", [SpeakerLeft(15.0, "ada"), SpeakerAnalysed(15.0, "ada", False)])
def test_who_goes_is_forgotten(gone):
    shifts = Shifts()
    assert said([*series((30, {})), gone, *series((30, TENSE), start=16.0)], shifts) == []
    assert list(shifts._voices) == ["ada"]


def test_nothing_from_before_a_lower_level_is_compared_with_later():
    lower = [SpeakerAnalysed(15.0, "ada", True, level) for level in ("prosody", "emotion")]
    assert said([*series((30, {})), *lower, *series((30, TENSE), start=16.0)]) == []


def test_voices_are_apart():
    events = [one for event in series((30, {}), (20, TENSE)) for one in (event, felt(event.at, speaker="bo"))]
    assert [shift.speaker for shift in said(events)] == ["ada"]


@pytest.mark.parametrize("options", [{"rise": 0.0}, {"hold_s": 0.0}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="shifts"):
        Shifts(**options)
