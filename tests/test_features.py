"""What the network is shown."""

import numpy as np
import pytest

from tests.made import voice
from tests.speech import silence, speech
from worker.audio import RATE
from worker.emotion.features import (
    BANDS,
    CHANNELS,
    CONTOUR,
    HOP,
    OCTAVE,
    PITCH_HZ,
    STRENGTH,
    analyse,
    features,
    filters,
    normalise,
)


@pytest.mark.parametrize(("seconds", "frames"), [(3.0, 298), (1.0, 98), (0.01, 3)])
def test_a_frame_every_ten_milliseconds(seconds, frames):
    shown = features(speech("anna")[: round(seconds * RATE)])
    assert shown.shape == (frames, CHANNELS)
    assert shown.dtype == np.float32


@pytest.mark.parametrize("db", [-12, 12])
def test_gain_changes_nothing(db):
    window = speech("ben")[: 3 * RATE]
    assert np.allclose(features(window * np.float32(10 ** (db / 20))), features(window), atol=2e-3)


def test_bands_cover_the_spectrum_with_equal_areas():
    assert filters().shape == (257, BANDS)
    assert np.allclose(filters().sum(axis=0), 1, atol=1e-5)


def test_a_tone_shows_in_its_band():
    time = np.arange(RATE) / RATE
    for hertz in (300, 1_000, 4_000):
        shown = features((np.sin(2 * np.pi * hertz * time) * (time > 0.3)).astype(np.float32))
        best = int(shown[:, :BANDS].mean(axis=0).argmax())
        middle = (filters()[:, best] * np.arange(257)).sum() * RATE / 512
        assert middle == pytest.approx(hertz, rel=0.08)


def test_pitch_in_octaves_and_its_contour():
    shown = features(voice(200, 2.0, glide=0.5))
    assert shown[:, STRENGTH].mean() > 0.8
    assert np.median(shown[:, OCTAVE]) == pytest.approx(np.log2(200 / PITCH_HZ) + 0.25, abs=0.03)
    assert np.median(shown[:, CONTOUR]) == pytest.approx(0, abs=0.01)
    assert shown[-20, CONTOUR] - shown[20, CONTOUR] == pytest.approx(0.4, abs=0.1)


def test_the_contour_does_not_know_how_high_a_voice_is():
    low, high = features(voice(110, 2.0, 0.4)), features(voice(220, 2.0, 0.4))
    assert np.median(np.abs(low[:, CONTOUR] - high[:, CONTOUR])) < 0.02


def test_silence_is_finite_and_has_no_pitch():
    shown = features(silence(1.0))
    assert np.isfinite(shown).all()
    assert not shown[:, BANDS:].any()


def test_a_stretch_of_a_stored_table_is_what_a_window_shows():
    sound = speech("anna")[: 4 * RATE]
    first, frames = 100, 200
    window = sound[first * HOP : first * HOP + (frames - 1) * HOP + 400]
    stored, live = normalise(analyse(sound)[first : first + frames]), features(window)
    assert np.allclose(stored[:, :BANDS], live[:, :BANDS], atol=1e-3)
    assert np.median(np.abs(stored[5:-5, BANDS:] - live[5:-5, BANDS:])) < 0.02


def test_steady_noise_is_taken_away():
    """A voice over a fan looks more like the voice alone than it would if the fan were shown."""
    voiced = voice(150, 2.0, glide=0.5) * (np.arange(2 * RATE) % RATE > RATE // 4)
    fan = 0.02 * np.random.default_rng(1).standard_normal(len(voiced))
    clean, noisy = analyse(voiced.astype(np.float32)), analyse((voiced + fan).astype(np.float32))
    shown = np.abs(normalise(noisy)[:, :BANDS] - normalise(clean)[:, :BANDS]).mean()
    assert shown < 0.5 * np.abs(noisy[:, :BANDS] - clean[:, :BANDS]).mean()
