"""Made-up voices, of which the pitch is known at every moment."""

import numpy as np
import pytest

from tests.speech import speech
from worker.audio import RATE
from worker.conversation.pitch import LEAST, spread_st

VOWELS = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240)}
"""Formants in Hz (Peterson and Barney 1952)."""


def resonance(hertz, formants):
    """How strongly a throat lets each frequency pass; a resonance of 80 Hz for each formant, and the glottis' fall."""
    passed = 1 / (1 + 1j * hertz / 100)
    for formant in formants:
        passed = passed / (1 - (hertz / formant) ** 2 + 1j * hertz * 80 / formant**2)
    return passed


def voice(middle_hz, swing_st, vowel="a", noise_db=None, weaker=0.0, seed=1):
    """Pulses through formants, a fifth of the time a hiss instead: 2.2 s of samples, and the spread of their pitch.

    Every other pulse is `weaker` by this part.
    """
    chance = np.random.default_rng(seed)
    t = np.arange(round(2.2 * RATE)) / RATE
    semitones = swing_st * np.sin(2 * np.pi * 0.9 * t + seed)
    phase = np.cumsum(middle_hz * 2 ** (semitones / 12)) / RATE
    voiced = t % 0.25 < 0.2
    places = np.interp(np.arange(1, int(phase[-1])), phase, np.arange(len(t)))
    pulses = np.zeros(len(t) + 1)
    strength = 1 - weaker * (np.arange(len(places)) % 2)
    np.add.at(pulses, places.astype(int), strength * (1 - places % 1))
    np.add.at(pulses, places.astype(int) + 1, strength * (places % 1))
    hertz = np.fft.rfftfreq(len(t), 1 / RATE)
    sound = np.fft.irfft(np.fft.rfft(pulses[:-1] * voiced) * resonance(hertz, VOWELS[vowel]), len(t))
    sound *= 0.1 / sound.std()
    sound += chance.normal(0, 0.02, len(t)) * ~voiced
    if noise_db is not None:
        sound += chance.normal(0, 0.1 * 10 ** (-noise_db / 20), len(t))
    low, high = np.percentile(semitones[voiced], [20, 80])
    return sound.astype(np.float32), float(high - low)


@pytest.mark.parametrize("noise_db", [None, 10])
@pytest.mark.parametrize("vowel", VOWELS)
@pytest.mark.parametrize("middle_hz", [90, 140, 220, 330])
@pytest.mark.parametrize("swing_st", [0, 1.5, 4])
def test_the_spread_of_a_made_up_voice_is_found(middle_hz, swing_st, vowel, noise_db):
    sound, true_st = voice(middle_hz, swing_st, vowel, noise_db=noise_db)
    assert spread_st(sound) == pytest.approx(true_st, abs=0.2, rel=0.07)


@pytest.mark.parametrize("noise_db", [None, 10])
def test_pulses_that_are_stronger_and_weaker_in_turn_are_no_octave_lower(noise_db):
    sound, true_st = voice(180, 3, noise_db=noise_db, weaker=0.15)
    assert spread_st(sound) == pytest.approx(true_st, abs=0.3)


def test_loudness_changes_nothing():
    sound, _ = voice(120, 2)
    assert spread_st(sound / 30) == pytest.approx(spread_st(sound), abs=0.01)


def test_noise_silence_and_a_hum_below_voices_have_no_pitch():
    noise = np.random.default_rng(3).normal(0, 0.1, 2 * RATE).astype(np.float32)
    hum = (0.1 * np.sin(2 * np.pi * 50 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    assert [spread_st(sound) for sound in (noise, np.zeros(2 * RATE, np.float32), hum)] == [None] * 3


def test_of_less_than_half_a_second_of_voice_nothing_is_said():
    sound, _ = voice(120, 2)
    quiet = np.zeros(RATE, np.float32)
    assert LEAST * 0.02 == 0.5
    assert spread_st(np.concatenate([sound[: round(0.4 * RATE)], quiet])) is None
    assert spread_st(np.concatenate([sound[: round(0.9 * RATE)], quiet])) is not None


def test_two_voices_an_octave_apart_are_not_one_that_jumps():
    low, high = voice(100, 0.5)[0], voice(210, 0.5)[0]
    assert spread_st(np.concatenate([low, high])) is None
    assert spread_st(low) < 1.5


@pytest.mark.parametrize("name", ["anna", "anna_lively", "ben"])
def test_speech_has_a_spread_that_speech_has(name):
    sound = speech(name)
    found = [spread_st(part) for part in np.array_split(sound, len(sound) // (2 * RATE))]
    assert all(one is not None and 0.5 < one < 9 for one in found)
