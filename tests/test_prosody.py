from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from tests.speech import silence, speech, windows
from worker.audio import RATE
from worker.emotion.prosody import NAMES, NEWCOMER, Prosody, features, nuclei
from worker.errors import ConfigError

T = np.arange(2 * RATE) / RATE


def voice(hz, fall=1.0, seconds=2.0, level=0.1):
    """A steady vowel: harmonics of `hz` up to 5 kHz whose amplitude falls with their number to the power `fall`."""
    t = np.arange(round(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * hz * k * t + k) / k**fall for k in range(1, int(5000 / hz) + 1)]
    return (level * np.sum(tones, axis=0)).astype(np.float32)


def feature(samples, name):
    return features(samples)[0][NAMES.index(name)]


def feel(engine, samples, state=None):
    """Every window in turn: (emotions, last state)."""
    emotions = []
    for window in windows(samples):
        [(emotion, state)] = engine.predict([(window, state)])
        emotions.append(emotion)
    return emotions, state


@pytest.mark.parametrize("hz", [70, 100, 137, 220, 300, 430])
def test_pitch_is_found_within_a_tenth_of_a_semitone(hz):
    assert feature(voice(hz), "pitch") == pytest.approx(12 * np.log2(hz / 27.5), abs=0.1)


def test_half_of_a_voice_far_above_the_other_half_has_a_pitch_all_the_same():
    """As many frames of one as of the other: nothing lies near the mean of the middle two."""
    two = np.concatenate([voice(80, seconds=0.992), voice(400, seconds=0.992)])
    for cut in range(0, 3200, 160):
        pitch = feature(two[cut:], "pitch")
        assert min(abs(pitch - 12 * np.log2(hz / 27.5)) for hz in (80, 400)) < 0.5


def test_pitch_survives_noise():
    noisy = voice(150) + np.random.default_rng(0).normal(0, 0.03, 2 * RATE).astype(np.float32)
    assert feature(noisy, "pitch") == pytest.approx(12 * np.log2(150 / 27.5), abs=0.3)


def test_a_gliding_voice_has_more_spread_than_a_steady_one():
    phase = 2 * np.pi * np.cumsum(150 * 2 ** (np.sin(2 * np.pi * T) / 4)) / RATE
    gliding = (0.1 * sum(np.sin(k * phase) / k for k in range(1, 11))).astype(np.float32)
    assert feature(voice(150), "pitch_spread") < 0.2
    assert feature(gliding, "pitch_spread") > 2


def test_level_is_in_decibels_of_full_scale():
    samples = voice(150)
    expected = 10 * np.log10(np.mean(samples.astype(float) ** 2))
    assert feature(samples, "level") == pytest.approx(expected, abs=0.3)
    assert feature(samples * 0.5, "level") == pytest.approx(expected - 6.02, abs=0.3)


def test_a_pressed_voice_has_less_tilt():
    assert feature(voice(150, fall=2.0), "tilt") > feature(voice(150, fall=1.0), "tilt") + 6


@pytest.mark.parametrize("syllables", [2, 4, 6])
def test_syllables_are_counted(syllables):
    swell = 0.55 - 0.45 * np.cos(2 * np.pi * syllables * T)
    rate = feature((voice(150) * swell).astype(np.float32), "rate")
    assert rate * features(voice(150) * swell)[1] == pytest.approx(2 * syllables, abs=1)


def test_a_flat_level_holds_at_most_one_syllable():
    assert nuclei(np.full(100, -20.0), np.full(100, True)) <= 1


@pytest.mark.parametrize(
    "samples",
    [
        silence(2),
        silence(0),
        silence(0.01),
        np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32),
        voice(150, level=1e-5),
        voice(150, seconds=0.15),
        np.full(2 * RATE, 0.5, np.float32),
    ],
    ids=["silence", "empty", "short", "hiss", "faint", "a moment", "offset"],
)
def test_without_voice_there_is_no_answer_and_nothing_is_learned(samples):
    engine = Prosody()
    [(_, known)] = engine.predict([(speech("anna")[: 2 * RATE], None)])
    [(emotion, state)] = engine.predict([(samples, known)])
    assert (emotion.arousal, emotion.confidence) == (None, 0.0)
    assert state is known


def test_a_lively_voice_rises_above_its_own_usual():
    usual, state = feel(Prosody(), np.tile(speech("anna"), 2))
    lively, _ = feel(Prosody(), speech("anna_lively"), state)
    assert abs(np.mean([e.arousal for e in usual[5:]])) < 0.2
    assert np.mean([e.arousal for e in lively[:4]]) > 0.5
    assert all(e.valence is None and not e.scores for e in usual + lively)


def test_what_is_lively_for_one_is_usual_for_another():
    emotions, _ = feel(Prosody(), np.tile(speech("anna_lively"), 4))
    assert abs(np.mean([e.arousal for e in emotions[10:]])) < 0.25


def test_a_voice_is_learned_before_it_is_judged():
    emotions, _ = feel(Prosody(learning_windows=5), speech("ben"))
    assert [e.learning for e in emotions[:7]] == [True] * 4 + [False] * 3
    assert emotions[0].confidence < 0.3
    assert np.mean([e.confidence for e in emotions[5:]]) > 0.6
    assert all(-1 <= e.arousal <= 1 and 0 <= e.confidence <= 1 for e in emotions)


def test_little_voice_makes_little_confidence():
    _, state = feel(Prosody(), speech("anna"))
    window = speech("anna")[RATE : 3 * RATE]
    [(full, _)] = Prosody().predict([(window, state)])
    [(part, _)] = Prosody().predict([(np.concatenate([window[: RATE // 2], silence(1.5)]), state)])
    assert part.confidence < 0.7 * full.confidence


def test_a_batch_answers_as_one_by_one_and_states_do_not_change():
    engine = Prosody()
    _, state = feel(engine, speech("anna"))
    mean, variance = state.mean.copy(), state.variance.copy()
    batch = [(speech("anna_lively")[: 2 * RATE], state), (speech("ben")[:RATE], None), (silence(1), state)]
    together = [emotion for emotion, _ in engine.predict(batch)]
    assert together == [engine.predict([item])[0][0] for item in batch]
    np.testing.assert_array_equal(state.mean, mean)
    np.testing.assert_array_equal(state.variance, variance)
    with pytest.raises(FrozenInstanceError):
        state.windows = 0
    with pytest.raises(ValueError, match="read-only"):
        state.mean[0] = 0


def test_one_shout_hardly_moves_the_baseline():
    _, state = feel(Prosody(), np.tile(speech("anna"), 3))
    [(_, after)] = Prosody().predict([(voice(440, fall=0.3, level=0.2), state)])
    assert np.abs((after.mean - state.mean) / np.sqrt(state.variance)).max() < 0.08


def test_a_pressed_voice_is_livelier_at_the_same_level():
    soft, pressed = voice(150, fall=1.5), voice(150, fall=0.8)
    pressed *= np.sqrt(np.mean(soft**2) / np.mean(pressed**2))
    _, state = feel(Prosody(), np.tile(soft, 5))
    [(emotion, _)] = Prosody().predict([(pressed, state)])
    assert emotion.arousal > 0.5


def test_who_varies_less_than_others_is_read_more_finely():
    _, state = feel(Prosody(), np.tile(voice(150), 10))
    pitch = NAMES.index("pitch")
    assert state.variance[pitch] < NEWCOMER.variance[pitch] / 2
    _, lively = feel(Prosody(), np.tile(np.concatenate([voice(110), voice(250)]), 5))
    assert lively.variance[pitch] > 2 * state.variance[pitch]


def test_options_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="learning_windows"):
        Prosody(memory_windows=3)
