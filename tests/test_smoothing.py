import pytest

from worker.emotion import Emotion
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


def test_categories_are_averaged_as_log_probabilities():
    smoother = Smoother()
    push(smoother, 1.0, sure(None, 0.5, scores={"calm": 0.9, "tense": 0.1}))
    event = push(smoother, 2.0, sure(None, 0.5, scores={"calm": 0.4, "tense": 0.6}))
    calm, tense = (0.9 * 0.4) ** 0.5, (0.1 * 0.6) ** 0.5
    assert event.scores == {"calm": round(calm / (calm + tense), 4), "tense": round(tense / (calm + tense), 4)}
    assert event.arousal is None


def test_a_category_of_zero_does_not_rule_it_out():
    smoother = Smoother()
    push(smoother, 1.0, sure(0.0, 0.1, scores={"calm": 1.0, "tense": 0.0}))
    assert push(smoother, 2.0, sure(0.0, 0.9, scores={"calm": 0.1, "tense": 0.9})).scores["tense"] > 0.5


def test_reset_forgets():
    smoother = Smoother()
    push(smoother, 1.0, sure(1.0))
    push(smoother, 1.1, sure(1.0, 0.0))
    smoother.reset()
    assert push(smoother, 1.2, sure(-1.0)).arousal == -1.0
    push(smoother, 20.0, sure(1.0, 0.1))
    smoother.reset()
    assert isinstance(push(smoother, 20.5, sure(1.0, 0.1)), EmotionAbstained)


@pytest.mark.parametrize("options", [{"span_s": 0.0}, {"min_confidence": 1.5}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="smoothing"):
        Smoother(**options)
