"""Made-up vowels, of which the number is known, and real voices."""

import numpy as np
import pytest

from tests.speech import silence, speech
from worker.audio import RATE
from worker.conversation.pitch import spread_st
from worker.conversation.syllables import STRETCH_S, Stretches

FRAME = 512


def vowels(rate, seconds=12.0, noise_db=None, seed=1):
    """A buzz of 120 Hz that swells `rate` times a second, 10 % off beat, in white noise; float32 mono 16 kHz."""
    chance = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 * (1 + 0.05 * np.sin(4 * t))) / RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 25))
    beats = (np.arange(round(seconds * rate)) + 0.5 + chance.normal(0, 0.1, round(seconds * rate))) / rate
    swell = sum(np.exp(-0.5 * ((t - beat) * rate / 0.18) ** 2) for beat in beats)
    sound = 0.2 * buzz * swell
    if noise_db is not None:
        sound += chance.normal(0, np.sqrt(np.mean(sound**2) / 10 ** (noise_db / 10)), len(sound))
    return sound.astype(np.float32)


def measured(sound, stretches=None, voiced=True, at=0.0):
    stretches = stretches or Stretches("ada")
    frames = range(0, len(sound) - FRAME + 1, FRAME)
    found = [stretches.push(at + i / RATE, sound[i : i + FRAME], voiced, voiced) for i in frames]
    return [event for event in found if event is not None]


@pytest.mark.parametrize("noise_db", [None, 10])
@pytest.mark.parametrize("rate", range(2, 9))
def test_the_rate_of_made_up_vowels_is_found(rate, noise_db):
    found = [event.syllables_per_s for event in measured(vowels(rate, noise_db=noise_db))]
    assert np.mean(found) == pytest.approx(rate, rel=0.06 if rate < 8 else 0.08)


@pytest.mark.parametrize(("name", "low", "high"), [("anna", 3, 6), ("anna_lively", 4, 8), ("ben", 2.5, 6)])
def test_real_speech_has_a_rate_that_speech_has(name, low, high):
    rates = [event.syllables_per_s for event in measured(speech(name))]
    assert low < np.mean(rates) < high


def test_noise_has_no_nuclei():
    noise = np.random.default_rng(2).normal(0, 0.1, 10 * RATE).astype(np.float32)
    assert [event.syllables_per_s for event in measured(noise)] == [0.0] * 4


def test_the_spread_of_pitch_is_that_of_a_stretch_and_not_of_what_came_before_it():
    sound = speech("anna")
    found = measured(sound)
    own = [spread_st(sound[round(event.window_start * RATE) : round(event.at * RATE)]) for event in found]
    assert len(found) > 3
    assert [event.pitch_spread_st for event in found] == own


def test_noise_as_loud_as_the_voice_leaves_only_the_level():
    chance, stretches = np.random.default_rng(3), Stretches("ada")
    hiss = chance.normal(0, 0.05, 3 * RATE).astype(np.float32)
    assert measured(hiss, stretches, voiced=False) == []
    (event,) = measured(vowels(4, 2.1, noise_db=0), stretches, at=3.0)
    assert (event.syllables_per_s, event.pitch_spread_st) == (None, None)
    assert -30 < event.level_dbfs < -5


def test_stretches_are_disjoint_and_of_voiced_sound():
    stretches = Stretches("ada")
    first = measured(vowels(4, 1.5), stretches)
    assert measured(silence(1.0), stretches, voiced=False, at=1.5) == []
    found = first + measured(vowels(4, 3.2, seed=5), stretches, at=2.5)
    assert [(event.window_start, event.at) for event in found] == [
        (0.0, pytest.approx(3.0, abs=0.1)),
        (pytest.approx(3.0, abs=0.1), pytest.approx(5.0, abs=0.1)),
    ]
    assert found[0].at == found[1].window_start


def test_level_is_that_of_the_voice():
    loud, soft = (measured(np.full(round(2.1 * RATE), level, np.float32))[0].level_dbfs for level in (0.5, 0.05))
    assert loud == pytest.approx(-6.02, abs=0.01)
    assert loud - soft == pytest.approx(20.0, abs=0.01)


def test_what_follows_a_cut_begins_anew():
    stretches = Stretches("ada")
    assert measured(vowels(4, 1.9), stretches) == []
    stretches.reset()
    (event,) = measured(vowels(4, STRETCH_S + 0.1), stretches, at=100.0)
    assert event.window_start == 100.0
