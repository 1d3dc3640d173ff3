"""What a recording becomes on its way, and sounds that are no speech."""

from itertools import pairwise

import numpy as np
import pytest

from tests.made import voice
from tests.speech import speech
from worker.audio import RATE
from worker.emotion.features import BANDS, OCTAVE, STRENGTH, analyse, normalise
from worker.lab import augment, nonspeech
from worker.lab.opus import losses, round_trip
from worker.lab.sound import at_snr, fit, loudness, seeded

VOICES = [voice(hertz, 5.0, 0.2) for hertz in (90, 130, 170, 210)]
NOISE = np.random.default_rng(3).normal(0, 0.1, 2 * RATE).astype(np.float32)
POOL = augment.Pool([NOISE], VOICES, [np.array([0, 1, 0, 0.5, 0.2], np.float32)])


def delay_and_likeness(sent, heard):
    """Samples by which `heard` comes later, and their correlation then."""
    best = max(range(0, 400, 2), key=lambda by: float(np.dot(sent[: -400 or None], heard[by : by + len(sent) - 400])))
    return best, float(np.corrcoef(sent[:-400], heard[best : best + len(sent) - 400])[0, 1])


def test_opus_keeps_the_sound_in_its_place():
    sent = speech("anna")[: 2 * RATE]
    heard = round_trip(sent, 32_000)
    delay, likeness = delay_and_likeness(sent, heard)
    assert heard.shape == sent.shape
    assert 0 < delay < 0.02 * RATE
    assert likeness > 0.95


def test_lost_packets_are_replaced_without_moving_what_follows():
    sent = speech("anna")[: 2 * RATE]
    lost = [number % 10 in (4, 5) for number in range(102)]
    delay, likeness = delay_and_likeness(sent, round_trip(sent, 24_000, lost, fec=False))
    assert 0 < delay < 0.02 * RATE
    assert 0.5 < likeness < delay_and_likeness(sent, round_trip(sent, 24_000))[1]


def test_copies_in_the_next_packet_mend_single_losses():
    sent = speech("anna")[: 2 * RATE]
    lost = [number % 10 == 4 for number in range(102)]
    with_copies, without = (delay_and_likeness(sent, round_trip(sent, 24_000, lost, fec))[1] for fec in (True, False))
    assert with_copies > without


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 1.0])
def test_losses_come_as_often_as_asked_and_in_bursts(share):
    pattern = losses(share, 20_000, np.random.default_rng(1))
    assert np.mean(pattern) == pytest.approx(share, abs=0.02)
    if 0 < share < 1:
        again = [after for before, after in pairwise(pattern) if before]
        assert np.mean(again) == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("number", range(12))
def test_a_view_is_as_long_and_the_same_every_time(number):
    sound = speech("ben")[: 2 * RATE]
    one, two = (augment.view(sound, POOL, seeded("clip", number)) for _ in range(2))
    assert one.shape == sound.shape
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.array_equal(one, two)


def test_noise_is_as_loud_as_asked():
    speech_ = VOICES[0]
    noise = at_snr(speech_, fit(NOISE, len(speech_)), 10) - speech_
    assert 20 * np.log10(loudness(speech_) / loudness(noise)) == pytest.approx(10, abs=0.5)


def test_a_telephone_passes_its_band_alone():
    time = np.arange(RATE) / RATE

    def left(hertz):
        return float(np.std(augment.band_limited(np.sin(2 * np.pi * hertz * time).astype(np.float32), 300, 3_400)))

    assert left(1_000) == pytest.approx(np.sqrt(0.5), rel=0.01)
    assert left(150) < 0.01
    assert left(5_000) < 0.01


def test_a_room_keeps_loudness_and_begins_at_once():
    sound = VOICES[1]
    wet = augment.in_room(sound, POOL.rooms[0])
    assert np.std(wet) == pytest.approx(np.std(sound), rel=0.02)
    assert np.array_equal(np.sign(wet[:20]), np.sign(sound[:20]))


def test_another_voice_has_another_pitch_but_the_same_length():
    table = analyse(VOICES[0])
    octaves = []
    for number in range(20):
        other = augment.other_voice(table, 150, seeded(number))
        assert other.shape == (150, BANDS + 2)
        assert np.isfinite(normalise(other)).all()
        octaves.append(float(np.median(other[:, OCTAVE])))
    assert np.ptp(octaves) > 0.05
    assert augment.other_voice(table[:40], 150, seeded(1)).shape == (150, BANDS + 2)
    assert np.array_equal(table, analyse(VOICES[0]))


def test_a_warped_voice_is_one_that_was_spoken_higher():
    low, high = analyse(voice(150, 1.5)), analyse(voice(150 * 1.1, 1.5))
    warped = augment._warp(low, 1.1)
    assert np.median(warped[:, OCTAVE]) == pytest.approx(np.median(high[:, OCTAVE]), abs=0.02)
    strong = low[:, STRENGTH] > 0.9
    before, after = (np.abs(one[strong, :20] - high[strong, :20]).mean() for one in (low, warped))
    assert after < before


def test_masks_hide_a_part():
    shown = normalise(analyse(VOICES[0])[:150])
    hidden = np.mean([np.mean(augment.masked(shown, seeded(number)) != shown) for number in range(20)])
    assert 0.05 < hidden < 0.5


@pytest.mark.parametrize("kind", nonspeech.KINDS)
def test_sounds_that_are_no_speech(kind):
    one, two, other = (nonspeech.make(f"{kind}-{number}", POOL) for number in (1, 1, 2))
    assert one.shape == (nonspeech.SECONDS * RATE,)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert 0.05 < np.abs(one).max() <= 0.9
    assert analyse(one).shape[1] == BANDS + 2


def test_each_made_sound_is_its_own_speaker():
    clips = list(nonspeech.clips())
    assert len({clip.speaker for clip in clips}) == len(clips) == sum(nonspeech.KINDS.values())
