"""From RTP payloads to sound on the room's clock."""

import numpy as np
import pytest

from worker.audio.ear import BROKEN, Ear
from worker.audio.rtp import RtpHeader
from worker.rooms.guests import packets

SPEECH = packets(0)[40:140]
CORRUPT = b"\xff\xff"
BOMB = bytes([0x1B, 2])
"""Two octets that claim 120 ms: two frames of 60 ms without data."""


def packet(number, timestamp, payload, level=None):
    """A header and the whole packet, as they come from the network."""
    return RtpHeader(111, False, number & 0xFFFF, timestamp & 0xFFFFFFFF, 7, level, 12, False), bytes(12) + payload


def hear(ear, numbered, step=0.02):
    """Push (number, payload) at the time of its number, 20 ms each."""
    chunks = []
    for number, payload in numbered:
        chunks += ear.push(*packet(number & 0xFFFF, number * 960, payload), 10.0 + number * step)
    return chunks


def seconds(chunks):
    return sum(len(chunk.samples) for chunk in chunks) / 16_000


def test_chunks_follow_each_other_on_the_clock():
    chunks = hear(Ear("ada"), enumerate(SPEECH))
    assert {chunk.speaker for chunk in chunks} == {"ada"}
    assert [chunk.start for chunk in chunks] == pytest.approx([10 + n * 0.02 for n in range(100)])
    assert all(len(chunk.samples) == 320 for chunk in chunks)


@pytest.mark.parametrize("missing", [{5}, {5, 6}, {20, 21, 22}, {3, 9, 30, 31, 60, 61, 62, 90}])
def test_lost_packets_leave_no_hole(missing):
    ear = Ear("ada")
    chunks = hear(ear, [(n, p) for n, p in enumerate(SPEECH) if n not in missing])
    assert ear.lost == len(missing)
    assert seconds(chunks) == 2.0
    ends = [chunk.end for chunk in chunks]
    assert [chunk.start for chunk in chunks[1:]] == pytest.approx(ends[:-1], abs=1e-6)


def test_what_replaces_a_lost_packet_sounds_like_it():
    whole = np.concatenate([c.samples for c in hear(Ear("ada"), enumerate(SPEECH))])
    holed = np.concatenate([c.samples for c in hear(Ear("ada"), [p for p in enumerate(SPEECH) if p[0] % 10])])
    assert np.sqrt(np.mean(holed[320:] ** 2)) == pytest.approx(np.sqrt(np.mean(whole[640:] ** 2)), rel=0.2)


def test_packets_in_any_order_sound_the_same():
    order = [n ^ 1 for n in range(100)]  # 1 0 3 2 …
    straight = hear(Ear("ada"), enumerate(SPEECH))
    swapped = hear(Ear("ada"), [(0, SPEECH[0])] + [(n, SPEECH[n]) for n in order if n])
    assert np.array_equal(*(np.concatenate([c.samples for c in chunks]) for chunks in (straight, swapped)))


def test_silence_that_was_not_sent_stays_a_hole():
    ear = Ear("ada")
    chunks = ear.push(*packet(1, 0, SPEECH[0]), 10.0) + ear.push(*packet(2, 48_000 * 5, SPEECH[1]), 15.0)
    assert [chunk.start for chunk in chunks] == [10.0, 15.0]
    assert ear.lost == 0


def test_a_gap_at_the_end_of_speech_closes_by_itself():
    ear = Ear("ada")
    hear(ear, [(0, SPEECH[0]), (2, SPEECH[2])])
    assert ear.tick(10.05) == []
    assert seconds(ear.tick(10.2)) == 0.04


def test_padding_holds_no_sound_and_is_no_fault():
    ear = Ear("ada")
    assert hear(ear, [(0, SPEECH[0]), (1, b""), (2, SPEECH[2])])[1].start == pytest.approx(10.04)
    assert (ear.lost, ear.corrupt) == (0, 0)


def test_a_decoder_that_only_fails_is_made_anew():
    ear = Ear("ada")
    first = ear._decoder
    hear(ear, [(n, CORRUPT) for n in range(BROKEN - 1)])
    hear(ear, [(BROKEN - 1, SPEECH[0])])
    hear(ear, [(BROKEN + n, CORRUPT) for n in range(BROKEN - 1)])
    assert ear._decoder is first
    assert len(hear(ear, [(2 * BROKEN - 1, CORRUPT), (2 * BROKEN, SPEECH[1])])) == 1
    assert ear._decoder is not first
    assert ear.corrupt == 2 * BROKEN - 1


def test_a_few_octets_cannot_claim_much_more_than_real_time():
    """10 s of packets that claim 60 s."""
    chunks = hear(Ear("ada"), [(n, BOMB) for n in range(500)])
    assert 10.0 <= seconds(chunks) <= 10 * 1.2 + 1.0


def test_a_burst_after_a_pause_of_the_network_is_heard():
    """0.8 s of sound that arrive at once."""
    ear = Ear("ada")
    chunks = hear(ear, enumerate(SPEECH[:50]))
    for n in range(50, 90):
        chunks += ear.push(*packet(n, n * 960, SPEECH[n]), 11.8)
    assert seconds(chunks) == pytest.approx(1.8)
