"""Opus at 16 kHz mono."""

import numpy as np
import pytest

from worker.audio.opus import FRAME, LONGEST, OpusDecoder
from worker.rooms.guests import packets

VOICE = packets(0)
SPEECH = VOICE[40:90]
"""A second in the middle of the first sentence, which begins at 0.5 s."""


def rms(sound):
    return float(np.sqrt(np.mean(np.square(sound))))


def test_speech_is_heard():
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(payload) for payload in SPEECH])
    assert sound.dtype == np.float32
    assert sound.shape == (FRAME * len(SPEECH),)
    assert 0.02 < rms(sound) < 0.5
    assert np.abs(sound).max() <= 1.5


def test_answers_are_the_callers_own():
    decoder = OpusDecoder()
    first = decoder.decode(SPEECH[20])
    before = first.copy()
    decoder.decode(SPEECH[21])
    assert np.array_equal(first, before)


def test_what_is_lost_is_guessed_at_20_ms_a_packet():
    decoder = OpusDecoder()
    for payload in SPEECH[:20]:
        decoder.decode(payload)
    guess, copy = decoder.conceal(), decoder.recover(SPEECH[22])
    assert guess.shape == copy.shape == (FRAME,)
    assert rms(guess) > 0.001
    assert decoder.decode(SPEECH[22]).shape == (FRAME,)


def test_nothing_was_heard_before_the_first_loss():
    assert not OpusDecoder().conceal().any()


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\xff\xff" * 20, bytes([3, 0]), b"\x03"])
def test_a_corrupt_packet_is_none_and_the_next_one_is_decoded(payload):
    decoder = OpusDecoder()
    assert decoder.decode(payload) is None
    assert decoder.decode(SPEECH[0]).shape == (FRAME,)


def test_the_longest_packet_there_is():
    assert len(OpusDecoder().decode(bytes([0x1B, 2]))) == LONGEST == 1920
