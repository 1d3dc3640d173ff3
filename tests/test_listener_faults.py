"""Every fault of a path that the ear must survive, on our own receive path and on aiortc's."""

import asyncio
import threading

import numpy as np
import pytest

from tests.sfu import COUNT, copied, either, element, sfu, speak_after, speech, until, whole
from tests.sfu import _loopback as _loopback
from worker.audio.ear import BROKEN
from worker.rooms.webrtc.peer import LEVEL
from worker.rooms.webrtc.transport import LEARNED

BOMB = bytes([0x1B, 2])
"""Two octets that claim 120 ms: two frames of 60 ms without data."""
CORRUPT = b"\xff\xff"
LOSSES = {
    "1 %": {60},
    "5 %": {7, 30, 31, 55, 80, 104, 125},
    "10 %": {5, 6, 20, 33, 34, 35, 61, 70, 71, 90, 101, 110, 111, 128, 140},
}
"""Singles, pairs and one three in a row."""


def delay_s(said, sound, sent):
    """How far the end of what was heard lies behind the packet sent last; by correlation."""
    size = 1 << 17
    there = np.fft.irfft(np.fft.rfft(said, size) * np.conj(np.fft.rfft(sound[-8000:], size)), size)[: len(said)]
    return sent * 0.02 - (int(np.argmax(there)) + 8000) / 16_000


# -- loss and order -------------------------------------------------------------------------------------------------


@either("a lost packet takes 100 ms of speech")
async def test_a_lost_packet_takes_at_most_its_20_ms(path):
    async with sfu(path) as one:
        await one.speak([n for n in range(COUNT) if n != 60], speech(COUNT))
        await one.settle()
        late = delay_s(whole(speech(COUNT)), one.sound(), COUNT)
        assert COUNT * 0.02 - late - one.heard_s() <= 0.02


@either("a lost packet delays everything after it by 200 ms")
async def test_a_lost_packet_delays_nothing(path):
    said = whole(speech(COUNT))
    async with sfu(path) as one:
        await one.speak(range(60), speech(COUNT))
        await one.settle()
        before = delay_s(said, one.sound(), 60)
        await one.speak(range(61, COUNT), speech(COUNT))
        await one.settle()
        assert delay_s(said, one.sound(), COUNT) <= before + 0.001


@pytest.mark.parametrize("loss", LOSSES)
@either("loss loses four times as much speech as packets")
async def test_loss_keeps_the_speech(path, loss):
    async with sfu(path) as one:
        await one.speak([n for n in range(COUNT) if n not in LOSSES[loss]], speech(COUNT))
        await one.pass_s(0.2)
        late = delay_s(whole(speech(COUNT)), one.sound(), COUNT)
        assert COUNT * 0.02 - late - one.heard_s() <= 0.01 * COUNT * 0.02
        assert late <= 0.081
        assert np.corrcoef(one.sound()[: COUNT * 320], whole(speech(COUNT)))[0, 1] > 0.9


async def test_a_lost_packet_is_rebuilt_from_the_next():
    async with sfu() as one:
        await one.speak([n for n in range(COUNT) if n % 10 != 7], copied(COUNT))
        await one.pass_s(0.2)
        ear = one.listener.ears[one.mids[0]]
        assert ear.lost == COUNT // 10
        assert ear.rebuilt >= ear.lost - 2  # the encoder leaves copies of silence out
        assert np.corrcoef(one.sound(), whole(copied(COUNT)))[0, 1] > 0.98


@pytest.mark.parametrize("order", [lambda n: n ^ 1, lambda n: n // 3 * 3 + 2 - n % 3], ids=["pairs", "threes"])
async def test_packets_in_another_order_sound_the_same(order):
    async with sfu() as one:
        await one.speak([0, *sorted(range(1, COUNT - 2), key=lambda n: order(n - 1))], speech(COUNT))
        await one.pass_s(0.2)
        assert np.array_equal(one.sound(), whole(speech(COUNT - 2)))


@either("the last 80 ms wait for more packets")
async def test_the_end_of_speech_needs_nothing_after_it(path):
    async with sfu(path) as one:
        await one.speak([*range(48), 49], speech(COUNT))
        await one.pass_s(0.15)
        assert one.heard_s() == pytest.approx(1.0)


# -- what a packet may hold -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [b"", b"\x00\x00\x00\x04"], ids=["empty", "padding"])
@either("an empty payload silences a speaker for good")
async def test_an_empty_payload_silences_nobody(path, padding):
    async with sfu(path) as one:
        await one.speak(range(40), speech(COUNT))
        await one.send(one.packet(40, padding, first=0xA0 if padding else 0x80))
        assert await speak_after(one, 41, count=100) == pytest.approx(2.0)


@either("the transport ends")
async def test_a_malformed_header_extension_ends_nothing(path):
    async with sfu(path, lines=2) as one:
        await one.speak(range(40), speech(COUNT))
        await one.speak(range(40), speech(COUNT), line=1)
        odd = element(one.extension_id(LEVEL), b"\x05\x05")
        cut = odd[:-1] + b"\x05" + bytes([one.extension_id(LEVEL) << 4 | 15])
        await one.send(one.packet(40, speech(COUNT)[40], elements=odd), one.packet(41, speech(COUNT)[41], elements=cut))
        assert await speak_after(one, 42) >= 0.9
        assert await speak_after(one, 40, line=1) >= 0.9
        assert one.listener.pc.connectionState == "connected"


@either("the transport ends")
async def test_media_of_a_kind_reserved_for_rtcp_ends_nothing(path):
    async with sfu(path) as one:
        await one.speak(range(40), speech(COUNT))
        odd = bytearray(one.packet(40, b"", elements=element(one.extension_id(LEVEL), b"\x05\x05")))
        for kind in (209, 223):
            odd[1] = kind
            await one.send(bytes(odd))
        assert await speak_after(one, 40) == pytest.approx(1.0)


@either("two octets that claim 120 ms are believed")
async def test_nobody_speaks_much_faster_than_time(path):
    async with sfu(path) as one:
        await one.speak(range(250), [BOMB] * 250)
        await one.settle()
        assert 5.0 <= one.heard_s() <= 1.2 * 5.0 + 2.0


async def test_corrupt_packets_make_the_decoder_anew_and_good_ones_are_heard_again():
    async with sfu() as one:
        await one.speak(range(40), speech(COUNT))
        ear = one.listener.ears[one.mids[0]]
        decoder = ear._decoder
        await one.send(*(one.packet(n, CORRUPT) for n in range(40, 40 + BROKEN)))
        assert ear.corrupt == BROKEN
        assert ear._decoder is not decoder
        assert await speak_after(one, 40 + BROKEN) == pytest.approx(1.0)


async def test_a_packet_under_no_key_is_dropped():
    async with sfu() as one:
        await one.speak(range(40), speech(COUNT))
        one.dtls.transport._connection._nominated[1].protocol.transport.sendto(
            one.packet(40, bytes(60)), one.dtls.transport._connection._nominated[1].remote_addr
        )
        await until(lambda: one.listener.transport.dropped["forged"])
        assert await speak_after(one, 40) == pytest.approx(1.0)


# -- who may send ---------------------------------------------------------------------------------------------------


@either("the connection ends")
async def test_an_empty_datagram_from_anyone_ends_nothing(path):
    async with sfu(path) as one:
        await one.speak(range(40), speech(COUNT))
        one.throw(b"")
        await asyncio.sleep(0.05)
        assert one.listener.pc.connectionState == "connected"
        assert await speak_after(one, 40) == pytest.approx(1.0)


@pytest.mark.parametrize("data", [b"\x80\x60" + bytes(40), b"\x16" * 40, b"\x80\xc8\x00\x06" + bytes(24)])
async def test_what_comes_from_a_foreign_address_is_dropped_and_counted(data):
    async with sfu() as one:
        await one.speak(range(40), speech(COUNT))
        one.throw(data)
        await until(lambda: one.listener.transport.dropped)
        assert dict(one.listener.transport.dropped) == {"foreign": len(one.ports)}
        assert await speak_after(one, 40) == pytest.approx(1.0)


@either("each unknown SSRC is remembered")
async def test_a_flood_of_unknown_streams_costs_nothing(path):
    """One line, so that each of them would fit it."""
    async with sfu(path) as one:
        await one.speak(range(40), speech(COUNT))
        for ssrc in range(1, 401):
            await one.send(one.packet(7, speech(COUNT)[7], ssrc=ssrc))
        dtls = one.listener.pc.getTransceivers()[0].receiver.transport
        assert len(dtls._rtp_router.ssrc_table) <= 2
        assert len(one.listener.transport._streams) == 1
        assert one.listener.transport.dropped["unknown"] >= 400 - 2 * LEARNED
        assert await speak_after(one, 40) == pytest.approx(1.0)


async def test_a_stream_that_no_line_fits_is_counted():
    async with sfu(lines=2) as one:
        await one.speak(range(40), speech(COUNT))
        await one.send(*(one.packet(7, speech(COUNT)[7], ssrc=ssrc) for ssrc in range(1, 101)))
        assert one.listener.transport.dropped == {"unknown": 100}
        assert len(one.listener.transport._streams) == 1


# -- what it costs and reports --------------------------------------------------------------------------------------


@either("one thread decodes for each speaker")
async def test_no_thread_runs_for_a_speaker(path):
    before = set(threading.enumerate())
    async with sfu(path, lines=3) as one:
        await one.speak(range(5), speech(COUNT))
        assert set(threading.enumerate()) <= before


async def test_the_sender_is_told_what_was_lost():
    async with sfu() as one:
        await one.speak([n for n in range(100) if n % 10 != 5], speech(COUNT))
        sender, found = one.pc.getTransceivers()[0].sender, []
        async with asyncio.timeout(5):
            while not found:
                found = [s for s in (await sender.getStats()).values() if s.type == "remote-inbound-rtp"]
                await asyncio.sleep(0.05)
        assert found[0].packetsLost == 10
