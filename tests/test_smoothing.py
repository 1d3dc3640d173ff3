from dataclasses import replace
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
    window = heard(0.4, angry=0.4, fearful=0.2, disgusted=0.2, neutral=0.1, happy=0.05, sad=0.05)
    event = push(Smoother(), 3.0, window, provisional=True)
    assert event == EmotionEstimated(3.0, "ada", 1.0, 0.4, -0.4, window.scores, 0.8, True, "prosody", "tense")


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
    event = push(smoother, 3.5, heard(angry=0.7))
    assert event.confidence == push(Smoother(), 1.0, heard(angry=0.7)).confidence


def test_no_label_is_likely_enough_and_that_is_said_once_and_never_as_neutral():
    assert said(Smoother(), VAGUE, VAGUE, VAGUE) == ["mixed", None, None]
    assert said(Smoother(), VAGUE, *[ANGRY] * 8)[-1] == "tense"


def test_while_a_change_is_not_certain_the_label_goes_on_with_its_own_probability():
    smoother = Smoother(span_s=0.5, appear_windows=2)
    push(smoother, 2.0, ANGRY)
    event = push(smoother, 2.5, HAPPY)
    assert (event.label, event.confidence) == ("tense", 0.12)
    assert event.scores["happy"] == 0.8
    assert push(smoother, 3.0, HAPPY).label == "positive"


def test_a_voice_that_changes_loses_its_label_within_two_seconds_and_a_pause_for_thought_does_not():
    smoother = Smoother()
    assert said(smoother, *[ANGRY] * 4, *[HAPPY] * 3, *[ANGRY] * 4) == ["tense"] * 11
    shown = said(smoother, *[HAPPY] * 10, start=5.5)
    assert shown[:4] == ["tense", "tense", "tense", "mixed"]
    assert set(shown[4:9]) <= {None, "positive"}
    assert shown[9] == "positive"


def test_a_short_reply_alone_is_given_a_label_only_where_that_is_likely():
    assert said(Smoother(), heard(happy=0.74)) == ["mixed"]
    assert said(Smoother(), heard(happy=0.76)) == ["positive"]
    assert said(Smoother(min_probability=0.8), heard(happy=0.76)) == ["mixed"], "no less likely than a later one"


def test_what_is_not_speech_is_said_once_and_left_out_of_the_mean():
    smoother = Smoother(appear_windows=2)
    assert said(smoother, NOISE, NOISE, ANGRY, ANGRY) == ["not_speech", None, None, "tense"]
    assert said(smoother, NOISE, ANGRY, NOISE, NOISE, NOISE, start=2.0) == [None, "tense", None, "not_speech", None]
    event = push(smoother, 6.5, ANGRY)
    assert event is None, "one window of speech does not end it"
    event = push(smoother, 6.8, ANGRY)
    assert (event.label, event.arousal, event.scores["angry"]) == ("tense", 0.0, 0.8)


def test_noise_that_follows_mixed_has_its_own_reason():
    assert said(Smoother(), VAGUE, NOISE, NOISE, VAGUE, VAGUE) == ["mixed", None, "not_speech", None, "mixed"]


def doubted(margin, emotion=ANGRY):
    """A window whose score for speech is so far above the engine's bound."""
    return replace(emotion, margin=margin, speech=margin >= 0)


def test_an_utterance_must_be_speech_on_average_and_by_a_margin():
    assert said(Smoother(speech_margin=0.7), doubted(0.6)) == ["not_speech"], "as a laugh may be"
    assert said(Smoother(speech_margin=0.7), doubted(0.8)) == ["tense"]
    assert said(Smoother(), doubted(-0.2)) == ["tense"], "a mean may be lower than a single window"
    assert said(Smoother(), doubted(-0.4)) == ["not_speech"]
    assert said(Smoother(), doubted(2.0), doubted(-1.0), doubted(-1.0)) == ["tense", "tense", "tense"]
    assert "not_speech" in said(Smoother(), doubted(2.0), *[doubted(-1.0)] * 6)


def test_how_surely_something_was_speech_is_not_carried_into_the_next_utterance():
    smoother = Smoother()
    said(smoother, *[doubted(9.0)] * 4)
    assert push(smoother, 6.0, doubted(-1.0)) is None, "one window alone tells nothing"
    assert push(smoother, 6.5, doubted(-1.0)).reason == "not_speech"


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
    bounds = {"min_probability": 0.65, "first_probability": 0.0, "by_language": {"de": 0.8, "en": 0.5}}
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
    assert changes(shown) <= 2
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
    at, reason, against = 0.0, None, 0
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
            against = against + 1 if fold(window.scores)[event.label] < 0.3 else 0
            assert against < 4, "a label outlived what spoke against it"
            reason = None
        else:
            assert reason is not None or not window.speech


@settings(deadline=None)
@given(st.lists(st.floats(0.7, 0.95), min_size=3, max_size=20), st.integers(1, 19), emotions)
def test_no_single_window_brings_up_another_label(steady, place, odd):
    windows = [heard(sad=p) for p in steady]
    windows.insert(place, odd)
    assert set(said(Smoother(), *windows)) <= {None, "mixed", "low"}


@pytest.mark.parametrize(
    "options",
    [
        {"span_s": 0.0},
        {"min_confidence": 1.5},
        {"min_probability": 1.1},
        {"min_probability": 0.2},
        {"first_probability": 1.1},
        {"hysteresis": -0.1},
        {"by_language": {"de": 1.2}},
        {"by_language": {"de": 0.25}},
        {"by_language": {"German": 0.6}},
        {"language": "DE"},
    ],
)
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="smoothing"):
        Smoother(**options)
