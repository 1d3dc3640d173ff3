from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.emotion import CLASSES, Emotion
from worker.emotion.labels import LABELS, fold
from worker.emotion.smoothing import Smoother
from worker.errors import ConfigError
from worker.events import EmotionAbstained, EmotionEstimated


def push(smoother, at, emotion, provisional=False):
    return smoother.push(at, at - 2, provisional, emotion, "prosody", "ada")


def sure(arousal, confidence=0.8, **more):
    return Emotion(arousal, confidence, **more)


def test_one_window_passes_as_it_is():
    event = push(Smoother(), 3.0, sure(0.4, 0.8, valence=-0.2), provisional=True)
    assert event == EmotionEstimated(3.0, "ada", 1.0, 0.4, -0.2, {}, 0.8, True, "prosody")


def test_windows_count_by_their_confidence():
    smoother = Smoother()
    push(smoother, 1.0, sure(1.0, 0.9))
    event = push(smoother, 2.0, sure(-1.0, 0.3))
    assert event.arousal == 0.5
    assert event.confidence == 0.6


def test_only_the_span_counts():
    smoother = Smoother(span_s=2.0)
    push(smoother, 1.0, sure(1.0))
    push(smoother, 2.0, sure(0.5))
    assert push(smoother, 3.0, sure(0.0)).arousal == 0.25
    assert push(smoother, 60.0, sure(-0.7)).arousal == -0.7


def test_it_abstains_once_and_says_why():
    smoother = Smoother()
    learning, unsure = sure(0.9, 0.1, learning=True), sure(0.9, 0.1)
    assert push(smoother, 1.0, learning) == EmotionAbstained(1.0, "ada", -1.0, "learning", "prosody")
    assert push(smoother, 2.0, learning) is None
    assert push(smoother, 3.0, unsure).reason == "unsure"
    assert push(smoother, 4.0, unsure) is None
    assert isinstance(push(smoother, 14.0, sure(0.1)), EmotionEstimated)
    assert push(smoother, 24.0, unsure).reason == "unsure"


def test_a_window_without_voice_lowers_confidence_and_not_arousal():
    smoother = Smoother()
    push(smoother, 1.0, sure(0.6))
    event = push(smoother, 2.0, Emotion(None, 0.0))
    assert (event.arousal, event.confidence) == (0.6, 0.4)


def test_nothing_is_ever_estimated_from_no_confidence_at_all():
    assert isinstance(push(Smoother(min_confidence=0.0), 1.0, Emotion(None, 0.0)), EmotionAbstained)


def test_reset_forgets():
    smoother = Smoother()
    push(smoother, 1.0, sure(1.0))
    push(smoother, 1.1, sure(1.0, 0.0))
    smoother.reset()
    assert push(smoother, 1.2, sure(-1.0)).arousal == -1.0
    push(smoother, 20.0, sure(1.0, 0.1))
    smoother.reset()
    assert isinstance(push(smoother, 20.5, sure(1.0, 0.1)), EmotionAbstained)


def test_an_abstention_is_said_again_after_the_engine_failed():
    smoother = Smoother()
    assert push(smoother, 1.0, sure(0.9, 0.1)).reason == "unsure"
    smoother.unanswered()
    assert push(smoother, 2.0, sure(0.9, 0.1)).reason == "unsure"


def test_a_long_silence_ends_the_mean_however_long_the_span():
    smoother = Smoother(span_s=60.0)
    push(smoother, 2.0, sure(1.0))
    assert push(smoother, 6.0, sure(0.0)).arousal == 0.5
    assert push(smoother, 10.1, sure(-1.0)).arousal == -1.0


# -- engines that name categories -------------------------------------------------------------------------------------

NOISE = Emotion(0.9, 0.9, 0.9, dict.fromkeys(CLASSES, 1 / 6), speech=False)


def heard(arousal=0.0, **scores):
    """A window whose other classes share what is left."""
    others = [name for name in CLASSES if name not in scores]
    scores |= dict.fromkeys(others, (1 - sum(scores.values())) / max(1, len(others)))
    return Emotion(arousal, max(scores.values()), -arousal, {name: scores[name] for name in CLASSES})


ANGRY, HAPPY, VAGUE = heard(angry=0.8), heard(happy=0.8), heard()


def said(smoother, *windows, start=0.0):
    """One window every half a second: the label, the reason, or None where nothing is said."""
    events = [push(smoother, start + 2 + 0.5 * index, window) for index, window in enumerate(windows)]
    return [event and (event.label if isinstance(event, EmotionEstimated) else event.reason) for event in events]


def test_the_first_window_is_shown_at_once_with_the_sum_of_its_classes():
    window = heard(0.4, angry=0.4, fearful=0.2, disgusted=0.1, neutral=0.1, happy=0.1, sad=0.1)
    event = push(Smoother(), 3.0, window, provisional=True)
    assert event == EmotionEstimated(3.0, "ada", 1.0, 0.4, -0.4, window.scores, 0.7, True, "prosody", "tense")


def test_categories_are_averaged_as_log_probabilities_whatever_their_confidence():
    smoother = Smoother()
    push(smoother, 2.0, heard(0.8, sad=0.9))
    event = push(smoother, 2.5, heard(0.2, sad=0.5))
    sad, other = (0.9 * 0.5) ** 0.5, (0.02 * 0.1) ** 0.5
    assert event.scores["sad"] == pytest.approx(sad / (sad + 5 * other), abs=1e-4)
    assert (event.label, event.confidence) == ("low", round(sad / (sad + 5 * other), 3))
    assert (event.arousal, event.valence) == (0.5, -0.5)
    assert log(sad) == pytest.approx((log(0.9) + log(0.5)) / 2)


def test_a_category_of_zero_does_not_rule_it_out():
    smoother = Smoother()
    sad, none = heard(sad=0.9, neutral=0.1), heard(sad=0.0, neutral=1.0)
    assert said(smoother, sad, sad, none, sad, sad) == ["low"] * 5


def test_only_the_span_counts_for_categories_too():
    smoother = Smoother(span_s=1.0)
    said(smoother, ANGRY, ANGRY)
    event = push(smoother, 3.5, heard(angry=0.6))
    assert event.confidence == push(Smoother(), 1.0, heard(angry=0.6)).confidence


def test_no_label_is_likely_enough_and_that_is_said_once_and_never_as_neutral():
    assert said(Smoother(), VAGUE, VAGUE, VAGUE) == ["mixed", None, None]
    assert said(Smoother(), VAGUE, ANGRY, ANGRY, ANGRY, ANGRY)[-1] == "tense"


def test_while_a_change_is_not_certain_the_label_goes_on_with_its_own_probability():
    smoother = Smoother(span_s=0.5)
    push(smoother, 2.0, ANGRY)
    event = push(smoother, 2.5, HAPPY)
    assert (event.label, event.confidence) == ("tense", 0.12)
    assert event.scores["happy"] == 0.8
    assert push(smoother, 3.0, HAPPY).label == "positive"


def test_one_odd_window_changes_nothing_and_two_do():
    smoother = Smoother()
    assert said(smoother, *[ANGRY] * 4, HAPPY, *[ANGRY] * 4) == ["tense"] * 9
    assert said(smoother, *[HAPPY] * 5, start=4.5)[-1] == "positive"


def test_what_is_not_speech_is_said_once_and_left_out_of_the_mean():
    assert said(Smoother(), NOISE, NOISE, ANGRY, ANGRY, NOISE, ANGRY) == [
        "not_speech",
        None,
        None,
        "tense",
        None,
        "tense",
    ]
    smoother = Smoother()
    assert said(smoother, ANGRY, NOISE, NOISE, NOISE) == ["tense", None, "not_speech", None]
    event = push(smoother, 4.0, ANGRY)
    assert event is None, "one window of speech does not end it"
    event = push(smoother, 4.3, ANGRY)
    assert (event.label, event.arousal, event.scores["angry"]) == ("tense", 0.0, 0.8)


def test_noise_that_follows_mixed_has_its_own_reason():
    assert said(Smoother(), VAGUE, NOISE, NOISE, VAGUE, VAGUE) == ["mixed", None, "not_speech", None, "mixed"]


def test_after_a_long_silence_a_voice_is_heard_afresh():
    smoother = Smoother(span_s=60.0)
    said(smoother, ANGRY, ANGRY)
    assert push(smoother, 6.4, HAPPY).label == "tense", "it started 1.9 s after the last one ended"
    smoother.reset()
    said(smoother, ANGRY, ANGRY)
    event = push(smoother, 6.6, HAPPY, provisional=True)
    assert (event.label, event.confidence, event.provisional) == ("positive", 0.8, True)


def test_silence_is_no_reason_to_abstain_twice():
    smoother = Smoother()
    assert said(smoother, VAGUE) == ["mixed"]
    assert said(smoother, VAGUE, ANGRY, start=60.0) == [None, None]


def test_a_language_may_have_its_own_bound():
    window = heard(angry=0.6)
    bounds = {"min_probability": 0.65, "by_language": {"de": 0.8, "en": 0.5}}
    assert said(Smoother(**bounds), window) == ["tense"], "its label has fear and disgust as well: 0.76"
    assert said(Smoother(language="fr", **bounds), window) == ["tense"]
    assert said(Smoother(language="de", **bounds), window) == ["mixed"]
    assert said(Smoother(language="en", **bounds), heard(happy=0.55)) == ["positive"]


def test_labels_of_an_unchanging_voice_hardly_change():
    """Two minutes of a tense voice that every third window or so seems something else, uneven by a written seed."""
    chance = np.random.default_rng(5)
    rows = chance.dirichlet(np.array([0.15, 0.1, 0.15, 0.4, 0.1, 0.1]) * 8, 240)
    windows = [Emotion(0.0, max(row), scores=dict(zip(CLASSES, map(float, row), strict=True))) for row in rows]
    own = [max(likely, key=likely.get) for likely in (fold(window.scores) for window in windows)]
    shown = said(Smoother(), *windows)
    assert changes(own) > 20
    assert changes(shown) <= 4
    assert shown.count("tense") > 220


def changes(shown):
    told = [what for what in shown if what is not None]
    return sum(before != now for before, now in pairwise(told))


scores = st.lists(st.integers(0, 20), min_size=6, max_size=6).filter(any)
emotions = st.builds(
    lambda parts, speech: Emotion(
        0.0, 0.5, None, {name: part / sum(parts) for name, part in zip(CLASSES, parts, strict=True)}, speech=speech
    ),
    scores,
    st.sampled_from([True, True, True, False]),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.5, 0.5, 0.5, 1.7, 9.0]), emotions), max_size=30))
def test_whatever_is_heard(windows):
    smoother, twin = Smoother(), Smoother()
    at, reason, weak = 0.0, None, False
    for step, window in windows:
        at += step
        event = push(smoother, at, window)
        assert event == push(twin, at, window)
        if isinstance(event, EmotionAbstained):
            assert event.reason in ("mixed", "not_speech")
            assert event.reason != reason
            reason = event.reason
        elif event is not None:
            assert window.speech
            assert event.label in LABELS
            assert event.confidence == pytest.approx(fold(event.scores)[event.label], abs=1e-3)
            assert sum(event.scores.values()) == pytest.approx(1, abs=1e-3)
            low = event.confidence < 0.45 - 1e-3
            assert not (low and weak), "a label outlived its probability by two windows"
            reason, weak = None, low
        else:
            assert reason is not None or not window.speech


@settings(deadline=None)
@given(st.lists(st.floats(0.7, 0.95), min_size=3, max_size=20), st.integers(1, 19), emotions)
def test_no_single_window_brings_up_another_label(steady, place, odd):
    windows = [heard(sad=p) for p in steady]
    windows.insert(place, odd)
    assert set(said(Smoother(), *windows)) - {None, "mixed"} == {"low"}


@pytest.mark.parametrize(
    "options",
    [
        {"span_s": 0.0},
        {"min_confidence": 1.5},
        {"min_probability": 1.1},
        {"min_probability": 0.1},
        {"hysteresis": -0.1},
        {"by_language": {"de": 1.2}},
        {"by_language": {"de": 0.05}},
        {"by_language": {"German": 0.6}},
        {"language": "DE"},
    ],
)
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="smoothing"):
        Smoother(**options)
