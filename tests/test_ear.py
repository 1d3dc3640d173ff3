"""From RTP payloads to sound on the room's clock."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from tests.coded import by_number, encode, packet
from tests.fuzz_rtp import SEED, ears, endure
from tests.speech import speech
from tests.test_jitter import overtaken
from worker.audio import RATE
from worker.audio.ear import BROKEN, BURST_S, DEAF_PACKETS, FASTEST, GUESSED, SAMPLED, UNHEARD, Ear
from worker.audio.opus import OpusDecoder
from worker.audio.rtp import parse
from worker.rooms.guests import packets

SPEECH = packets(0)[40:140]
CORRUPT = b"\xff\xff"
BOMB = bytes([0x1B, 2])
"""Two octets that claim 120 ms: two frames of 60 ms without data."""


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
    assert 10.0 <= seconds(chunks) <= 10 * 1.2 + 2.0


def test_a_burst_after_a_pause_of_the_network_is_heard():
    """0.8 s of sound that arrive at once."""
    ear = Ear("ada")
    chunks = hear(ear, enumerate(SPEECH[:50]))
    for n in range(50, 90):
        chunks += ear.push(*packet(n, n * 960, SPEECH[n]), 11.8)
    assert seconds(chunks) == pytest.approx(1.8)


# -- order and time ---------------------------------------------------------------------------------------------------


def pcm(chunks):
    return np.concatenate([chunk.samples for chunk in chunks]) if chunks else np.zeros(0, np.float32)


@pytest.mark.parametrize("gated", [True, False])
@settings(deadline=None, max_examples=50)
@given(order=overtaken(), levels=st.lists(st.sampled_from([127, 127, 127, 70, 30, None]), min_size=40, max_size=40))
def test_whatever_is_overtaken_by_two_sounds_the_same(gated, order, levels):
    heard = []
    for numbers in (range(40), order):
        ear, chunks = Ear("ada", gated=gated), []
        for index, number in enumerate(numbers):
            now = 10.0 + index * 0.02
            chunks += ear.push(*packet(65_520 + number, number * 960, SPEECH[number], levels[number]), now)
            chunks += ear.tick(now)
        assert ear.lost == 0
        heard.append(pcm(chunks))
    assert np.array_equal(*heard)


@settings(deadline=None, max_examples=50)
@given(
    delays=st.lists(st.floats(0, 0.055), min_size=40, max_size=40),
    missing=st.sets(st.integers(1, 38).filter(lambda n: n % 4), max_size=12),
)
def test_a_sender_that_keeps_time_is_heard_in_time(delays, missing):
    """Lost ones included, no sound lies before its media time, nor further behind it than the window of 60 ms."""
    delays[0] = min(delays[0], 0.019)  # the first comes first
    ear, chunks = Ear("ada"), []
    for now, number in sorted((10.0 + n * 0.02 + delay, n) for n, delay in enumerate(delays) if n not in missing):
        chunks += ear.tick(now)
        chunks += ear.push(*packet(number, number * 960, SPEECH[number]), now)
    chunks += ear.tick(20.0) + ear.tick(21.0)  # each closes one gap
    behind = [chunk.start - 10.0 - n * 0.02 for n, chunk in enumerate(chunks)]
    assert len(behind) == 40
    assert min(behind) >= -1e-6
    assert max(behind) <= delays[0] + 1e-6


PAYLOADS = st.sampled_from([*SPEECH[::10], CORRUPT, BOMB, BOMB, b"", b"\x03"]) | st.binary(max_size=20)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.01, 0.02, 0.05, 1.0]),
            st.integers(1, 3),
            st.sampled_from([960, 1920, 5760, 17_280]) | st.integers(0, 2**32 - 1),
            PAYLOADS,
        ),
        max_size=60,
    )
)
def test_no_sound_lies_in_the_future_or_long_ago(steps):
    """Behind the arrival by at most the clock's 2 s, the time that a gap waits, and what was lost before it."""
    ear, now, sequence, timestamp = Ear("ada"), 10.0, 0, 0
    for pause, ahead, step, payload in steps:
        now, sequence, timestamp = now + pause, sequence + ahead, timestamp + step
        for chunk in [*ear.push(*packet(sequence, timestamp, payload), now), *ear.tick(now)]:
            assert now - (2.0 + 0.06 + max(pause, 0.06) + 2 * 0.12) <= chunk.start <= now + 1e-6


def test_sound_in_place_of_lost_packets_is_not_ahead_of_its_time():
    """7 packets of 120 ms, of which the first and the last came: at once."""
    ear = Ear("ada")
    chunks = ear.push(*packet(0, 0, BOMB), 10.0) + ear.push(*packet(6, 6 * 5760, BOMB), 10.0) + ear.tick(10.07)
    assert len(chunks) == 7
    assert max(chunk.start for chunk in chunks) == 10.0


def test_packets_out_of_order_give_no_more_sound_than_time():
    """20 s of packets of 120 ms, each pair the wrong way round and 50 ms apart."""
    ear = Ear("ada")
    chunks = ear.push(*packet(0, 0, BOMB), 10.0)
    for n in range(1, 400):
        number = n + 1 if n % 2 else n - 1
        chunks += ear.push(*packet(number, number * 5760, BOMB), 10.0 + n * 0.05)
    assert 20 * FASTEST - 0.5 <= seconds(chunks) <= 20 * FASTEST + BURST_S


@pytest.mark.parametrize("kind", range(4))
def test_thousands_of_strange_packets(kind):
    assert endure(ears(SEED)[kind], SEED + kind, 2000) > 0


def test_another_sender_on_the_line_gives_no_more_sound_than_time():
    """20 s of packets of 120 ms, each from another SSRC."""
    ear, chunks = Ear("ada"), []
    for n in range(1000):
        chunks += ear.push(*packet(n, n * 960, BOMB, ssrc=n), 10.0 + n * 0.02)
    assert seconds(chunks) <= 20 * FASTEST + BURST_S


# -- losses -----------------------------------------------------------------------------------------------------------


def snr_db(sound, guess):
    return 10 * np.log10(np.sum(sound**2) / np.sum((sound - guess) ** 2))


@pytest.mark.parametrize("name", ["anna", "ben"])
def test_a_copy_is_clearly_better_than_a_guess(name):
    """Every tenth packet is lost; measured on those of which the next carries a copy."""
    coded = encode(speech(name)[: 8 * RATE], fec="1", packet_loss="10")
    lost = range(20, len(coded) - 1, 10)
    copied = [n for n in lost if OpusDecoder().carries_copy(coded[n + 1])]
    whole, guessed = ({}, {})
    for sounds, missing in ((whole, ()), (guessed, lost)):
        decoder = OpusDecoder()
        for n, payload in enumerate(coded):
            sounds[n] = decoder.conceal() if n in missing else decoder.decode(payload)
    ear = Ear("ada")
    heard = by_number(hear(ear, [(n, payload) for n, payload in enumerate(coded) if n not in lost]))
    assert (ear.lost, ear.rebuilt) == (len(lost), len(copied))
    assert len(copied) > 0.7 * len(lost)
    truth, ours, plc = (np.concatenate([sounds[n] for n in copied]) for sounds in (whole, heard, guessed))
    assert snr_db(truth, ours) > snr_db(truth, plc) + 6
    assert snr_db(truth, ours) > 10


def test_a_long_gap_is_guessed_for_100_ms_only():
    ear = Ear("ada")
    chunks = hear(ear, [(n, SPEECH[n]) for n in (*range(30), *range(50, 60))])
    assert ear.lost == 20
    assert list(by_number(chunks)) == [*range(30 + GUESSED), *range(49, 60)]  # and the last one may have a copy


def test_a_loss_in_a_pause_is_no_speech():
    """Two packets were lost, and 5 s passed: nobody knows what they were."""
    ear = Ear("ada")
    chunks = hear(ear, [(0, SPEECH[0])])
    for n in (3, 4, 5):
        chunks += ear.push(*packet(n, 240_000 + n * 960, SPEECH[n]), 15.0 + n * 0.02)
    assert [chunk.start for chunk in chunks] == pytest.approx([10.0, 15.06, 15.08, 15.1], abs=1e-3)
    assert (ear.lost, ear.rebuilt) == (2, 0)


def test_a_loss_before_an_empty_packet_is_guessed():
    ear = Ear("ada")
    payloads = {0: SPEECH[0], 1: SPEECH[1], 3: b"", 4: SPEECH[4], 5: SPEECH[5]}
    chunks = hear(ear, payloads.items())
    assert list(by_number(chunks)) == [0, 1, 2, 4, 5]
    assert (ear.lost, ear.rebuilt, ear.corrupt) == (1, 0, 0)


# -- sealed packets, deafness, consent --------------------------------------------------------------------------------


class Door:
    """Opens packets whose payload does not begin with `forged`; remembers which were tried."""

    def __init__(self):
        self.tried = []

    def __call__(self, data):
        self.tried.append(data[12:])
        return None if data[12:].startswith(b"forged") else data


def sealed(**options):
    door = Door()
    return Ear("ada", unseal=door, **options), door


def feed(ear, levels, payload=b"", first=0, step_s=0.02):
    """Push a packet of each level, numbers from `first` on; whether the ear was deaf, after each."""
    deaf = []
    for n, level in enumerate(levels, first):
        now = 10 + n * step_s
        ear.push(*packet(n, round(n * step_s * 48_000), payload or SPEECH[n % 100], level), now)
        deaf.append(ear.deaf(now))
    return deaf


def test_nothing_is_unsealed_while_the_gate_is_closed_but_every_50th():
    ear, door = sealed()
    feed(ear, [127] * 500)
    assert len(door.tried) == 10
    assert door.tried == [SPEECH[n % 100] for n in range(0, 500, SAMPLED)]
    feed(ear, [30], first=500)
    assert len(door.tried) == 10 + 11
    assert ear.decoded == 11


def protected(first, levels):
    """A stream of real SRTP from this sequence number on, and what opens it."""
    key = bytes(range(30))
    sender, receiver = (Session(Policy(key, kind)) for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND))

    def unseal(data):
        try:
            return receiver.unprotect(data)
        except SrtpError:
            return None

    def packets():
        for n, level in enumerate(levels, first):
            fixed = struct.pack("!BBHLL", 0x90, 111, n & 0xFFFF, n * 960, 7)
            yield sender.protect(fixed + struct.pack("!HHBBxx", 0xBEDE, 1, 1 << 4, level) + SPEECH[n % 100])

    return packets(), unseal


@pytest.mark.parametrize("unheard", [0, 10, 40_000, 70_000])
def test_who_agrees_late_is_heard_though_the_sequence_began_anew_meanwhile(unheard):
    """It does so after 5 packets: within the pause, or while the gate is shut."""
    levels = [30] * unheard + [127] * 20 + [30] * 50
    packets, unseal = protected(65_531, levels)
    allowed = False
    ear, chunks = Ear("ada", lambda _: allowed, unseal), []
    for n, data in enumerate(packets):
        allowed = n >= unheard
        chunks += ear.push(parse(data, 1), data, 10 + n * 0.02)
    assert (ear.decoded, ear.forged, len(chunks)) == (60, 0, 60)


def test_of_what_may_not_be_heard_hardly_anything_is_decrypted_and_nothing_kept():
    ear, door = sealed(may_hear=lambda _: False)
    feed(ear, [30] * (2 * UNHEARD + 1))
    assert len(door.tried) == 3
    assert (ear.decoded, ear.forged) == (0, 0)


def test_what_is_not_authentic_is_counted_and_changes_nothing():
    clean, (ear, door) = Ear("ada"), sealed()
    chunks = []
    for n in range(50):
        if n % 5 == 3:
            assert not ear.push(*packet(n + 7, n, b"forged", 10), 10 + n * 0.02)
        chunks += ear.push(*packet(n, n * 960, SPEECH[n], 30), 10 + n * 0.02)
    assert ear.forged == 10
    assert np.array_equal(pcm(chunks), pcm(hear(clean, enumerate(SPEECH[:50]))))
    assert ear.lost == 0
    assert len(door.tried) == 60


def test_a_forged_packet_among_the_quiet_is_found_when_the_gate_opens():
    ear, _ = sealed()
    feed(ear, [127] * 5)
    feed(ear, [127], b"forged", first=5)
    assert ear.forged == 0
    feed(ear, [30], first=6)
    assert (ear.forged, ear.decoded) == (1, 6)


def test_packets_of_which_none_can_be_opened_are_deafness():
    ear, _ = sealed()
    deaf = feed(ear, [30] * 300, b"forged")
    assert deaf.index(True) == 151  # 3 s
    feed(ear, [30], first=300)
    assert not ear.deaf(99.0)


def test_few_packets_are_no_deafness():
    ear, _ = sealed()
    assert not any(feed(ear, [30] * DEAF_PACKETS, b"forged", step_s=1.0))
    assert feed(ear, [30], b"forged", first=DEAF_PACKETS, step_s=1.0) == [True]


@pytest.mark.parametrize("level", [127, 30])
@pytest.mark.parametrize("payload", [SPEECH[0], b"", CORRUPT])
def test_silence_is_no_deafness(payload, level):
    for ear in (sealed()[0], Ear("ada")):
        assert not any(feed(ear, [level] * 400, payload))
        assert not ear.deaf(1000.0)  # and now nothing comes at all: muted


@pytest.mark.parametrize("step_s", [0.02, 0.4])
def test_lost_samples_of_a_quiet_speaker_are_no_deafness(step_s):
    """Every 50th of those that come is lost, as is every other one, in silence or DTX."""
    for missing in (50, 25, 2):
        ear, _ = sealed()
        deaf = [feed(ear, [127], first=n, step_s=step_s)[0] for n in range(1, 1000) if n % missing]
        assert not any(deaf)


def test_one_forged_packet_in_silence_is_no_deafness():
    ear, door = sealed()
    feed(ear, [127] * SAMPLED, step_s=0.4)
    assert feed(ear, [127] * 5, b"forged", first=SAMPLED, step_s=0.4) == [False] * 5
    assert ear.forged == 5  # each is tried until one can be opened
    feed(ear, [127] * 20, first=SAMPLED + 5, step_s=0.4)
    assert len(door.tried) == 1 + 6


def test_forgetting_drops_what_waits():
    ear = Ear("ada")
    hear(ear, [(0, SPEECH[0]), (2, SPEECH[2])])
    ear.forget()
    assert ear.tick(20.0) == []
    assert [chunk.start for chunk in ear.push(*packet(9, 9 * 960, SPEECH[9]), 20.0)] == [20.0]
    assert (ear.lost, ear.counts["late"]) == (0, 0)


def test_withdrawn_consent_drops_what_waits_and_unseals_nothing():
    allowed = True
    ear, door = sealed(may_hear=lambda speaker: allowed and speaker == "ada")
    feed(ear, [127] * 5)
    ear.push(*packet(6, 6 * 960, SPEECH[6], 30), 10.12)  # 5 is missing, so it waits
    assert len(door.tried) == 2
    allowed = False
    assert ear.tick(10.13) == []
    allowed = True
    assert ear.tick(11.0) == []
    assert ear.decoded == 0
    allowed = False
    feed(ear, [30] * 200, first=7)
    assert (len(door.tried), ear.decoded) == (2, 0)
    assert not ear.deaf(20.0)
    allowed = True
    feed(ear, [30], first=207)
    assert (len(door.tried), ear.decoded) == (3, 1)


def test_withdrawn_consent_drops_the_pre_roll():
    allowed = True
    ear = Ear("ada", may_hear=lambda _: allowed)
    feed(ear, [127] * 20)
    allowed = False
    ear.tick(10.4)
    allowed = True
    feed(ear, [30], first=20)
    assert ear.decoded == 1


def test_another_sender_on_the_line_starts_anew():
    ear = Ear("ada")
    for n in range(20):
        ear.push(*packet(30_000 + n, n * 960, SPEECH[n], 127, ssrc=1), 10 + n * 0.02)
    chunks = ear.push(*packet(5, 7_000_000, SPEECH[20], 30, ssrc=2), 10.4)
    assert [chunk.start for chunk in chunks] == [10.4]
    assert np.array_equal(chunks[0].samples, OpusDecoder().decode(SPEECH[20]))
    assert (ear.lost, ear.counts["late"]) == (0, 0)
