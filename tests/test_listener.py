"""What the listener hears on which line, by whose leave, and when it gives a path up."""

import asyncio
import re
import time
from contextlib import suppress

import numpy as np
import pytest
from aiortc.rtp import RtcpByePacket

from tests.sfu import COUNT, Mute, Sfu, either, sfu, speak_after, speech, tone, until, whole, without_ssrcs
from tests.sfu import _loopback as _loopback
from worker.errors import RoomError
from worker.rooms.webrtc.listener import MOST_LINES, SILENT_S

# -- which line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["own", "stock"])
async def test_each_line_is_heard_as_its_own_speaker(path):
    hertz = [440, 660, 880]
    async with sfu(path, lines=3) as one:
        for number in range(60):
            for line in range(3):
                await one.speak([number], tone(hertz[line], 60), line)
        await one.settle()
        for line in range(3):
            spectrum = np.abs(np.fft.rfft(one.sound(line)[4800:12_800]))
            assert np.argmax(spectrum) * 2 == pytest.approx(hertz[line], abs=4)


@either("the MID that packets carry is not used")
async def test_an_unannounced_stream_is_heard_on_the_line_that_its_mid_names(path):
    async with sfu(path, lines=2, edit=without_ssrcs) as one:
        for line in (1, 0):
            await one.speak(range(50), speech(COUNT), line, mid=one.mids[line])
        await one.settle()
        for line in (0, 1):
            assert one.heard_s(line) == pytest.approx(0.98)  # the first packet is spent on proving itself
        await one.speak(range(50, 60), speech(COUNT))  # senders stop sending it once it is known
        assert one.heard_s() == pytest.approx(1.18)


async def test_a_mid_that_no_line_has_is_heard_nowhere():
    async with sfu(lines=2, edit=without_ssrcs) as one:
        await one.speak(range(5), speech(COUNT), mid="nine")
        assert one.chunks == []
        assert one.listener.transport.dropped["unknown"] == 5


@either("a line that is used again by another sender is silent")
async def test_a_line_that_is_used_again_is_heard_afresh(path):
    async with sfu(path, lines=2) as one:
        await one.speak(range(40), speech(COUNT))
        earlier = one.listener.ears[one.mids[0]]
        one.ssrcs[0] += 1
        changed = await one.offer()
        if path == "own":
            assert one.mids[0] not in one.listener.ears  # nobody has said yet whose it is
            one.listener.hear(one.mids[0], "s0")
        first = 30_000  # another sender's numbers
        for number in range(50):
            one.now += 0.02
            await one.send(one.packet(first + number, speech(COUNT)[number]))
        await one.settle()
        assert changed == [one.mids[0]]
        assert one.listener.ears[one.mids[0]] is not earlier
        assert np.array_equal(one.sound()[40 * 320 :], whole(speech(50)))


async def test_an_offer_that_changes_nothing_keeps_what_was_heard():
    async with sfu(lines=2) as one:
        await one.speak(range(40), speech(COUNT))
        ears = dict(one.listener.ears)
        assert await one.offer() == []
        assert one.listener.ears == ears
        await one.speak(range(40, 90), speech(COUNT))
        assert np.array_equal(one.sound(), whole(speech(90)))


async def test_a_line_that_is_added_later_is_heard():
    async with sfu() as one:
        await one.speak(range(40), speech(COUNT))
        later = one.pc.addTransceiver(Mute(), "sendonly")
        one.ssrcs.append(later.sender._ssrc)
        assert await one.offer() == []
        one.listener.hear(later.mid, f"s{later.mid}")
        assert await speak_after(one, 40, line=1) == pytest.approx(1.0)


@either("media after an RTCP BYE is not heard")
async def test_media_after_a_goodbye_is_heard(path):
    async with sfu(path) as one:
        await one.speak(range(40), speech(COUNT))
        await one.send(bytes(RtcpByePacket([one.ssrcs[0]])))
        await asyncio.sleep(0.05)
        assert await speak_after(one, 40) == pytest.approx(1.0)


async def test_a_line_may_change_its_payload_type():
    def renumbered(sdp):
        return re.sub(r"(m=audio \d+ \S+|a=rtpmap:|a=fmtp:) ?96\b", lambda m: m[0][:-2] + "120", sdp)

    async with sfu() as one:
        await one.speak(range(40), speech(COUNT))
        assert await one.offer(renumbered) == []
        assert one.packet(40, b"")[1] == 120
        assert await speak_after(one, 40) == pytest.approx(1.0)


async def test_another_speaker_on_a_line_starts_afresh():
    async with sfu() as one:
        await one.speak([*range(40), 41], speech(COUNT))
        one.listener.hear(one.mids[0], "bo")
        await one.speak(range(42, 60), speech(COUNT))
        assert len([chunk for chunk in one.chunks if chunk.speaker == "bo"]) == 18
        one.listener.ignore(one.mids[0])
        await one.speak(range(60, 70), speech(COUNT))
        assert len(one.chunks) == 40 + 18


# -- consent --------------------------------------------------------------------------------------------------------


class Asked:
    """May be heard while `yes`."""

    def __init__(self, yes):
        self.yes = yes

    def __call__(self, speaker):
        return self.yes


def count_opened(one):
    """Note what is decrypted."""
    opened, unseal = [], one.listener.transport.unseal
    one.listener.transport.unseal = lambda data: opened.append(data) or unseal(data)
    for mid in one.mids:
        one.listener.hear(mid, f"s{mid}")
    return opened


async def test_without_consent_only_the_first_packet_is_decrypted_and_nothing_held():
    may_hear = Asked(False)
    async with sfu(may_hear=may_hear) as one:
        opened = count_opened(one)
        await one.speak([*range(40), 41], speech(COUNT))
        may_hear.yes = True
        await one.pass_s(0.2)
        assert (len(opened), one.chunks) == (1, [])
        assert await speak_after(one, 50) == pytest.approx(1.0)


async def test_of_a_line_that_nobody_asked_for_only_the_first_packet_is_decrypted():
    async with sfu() as one:
        opened = count_opened(one)
        one.listener.ignore(one.mids[0])
        await one.speak(range(40), speech(COUNT))
        assert (len(opened), one.chunks) == (1, [])


@pytest.mark.parametrize("by", ["tick", "push"])
async def test_withdrawn_consent_drops_what_is_held(by):
    may_hear = Asked(True)
    async with sfu(may_hear=may_hear) as one:
        await one.speak([*range(40), 41, 42], speech(COUNT))
        may_hear.yes = False
        if by == "tick":
            one.listener.tick()
        else:
            await one.speak([43], speech(COUNT))
        may_hear.yes = True
        await one.pass_s(0.2)
        assert len(one.chunks) == 40


async def test_the_gate_leaves_silence_alone():
    async with sfu(gated=True) as one:
        opened = count_opened(one)
        await one.speak(range(100), speech(COUNT), level=127)
        assert len(opened) <= 2
        assert one.chunks == []
        await one.speak(range(100, 150), speech(COUNT), level=20)
        assert one.heard_s() == pytest.approx(1.0 + 0.2)


# -- watchdogs ------------------------------------------------------------------------------------------------------


async def tick_on(one):
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.05)
            one.listener.tick()


async def test_packets_that_cannot_be_decrypted_end_the_stay():
    async with sfu() as one:
        one.listener.transport.unseal = lambda data: None
        one.listener.hear(one.mids[0], "ada")
        await one.speak_and_tick(range(COUNT), speech(COUNT))  # 3 s
        with pytest.raises(RoomError) as raised:
            await one.pass_s(0.1)
        assert raised.value.code == "deaf"


async def test_a_silent_speaker_is_not_deaf_to_us_whatever_is_lost():
    """The gate leaves nearly every packet alone, and the few that it has opened are lost: that says nothing."""
    silence = [b"\xf8\xff\xfe"] * 600
    async with sfu(gated=True) as one:
        await one.speak_and_tick([n for n in range(1, 600) if n % 50], silence, level=127)
        assert one.chunks == []


async def test_a_speaker_lost_on_the_stock_path_ends_the_stay():
    async with sfu("stock") as one:
        await one.speak(range(40), speech(COUNT))
        await one.send(one.packet(40, b""))
        with pytest.raises(RoomError) as raised:
            await one.speak_and_tick(range(41, 400), speech(COUNT) * 4)
        assert raised.value.code == "deaf"
        assert one.now - one.zero < 0.8 + 5.0


async def test_a_speaker_heard_on_the_stock_path_does_not_end_the_stay():
    async with sfu("stock") as one:
        one.listener.transport.heard_at -= 100  # it is not asked there
        await one.speak_and_tick(range(250), speech(COUNT) * 2)
        assert one.heard_s() > 4.5


async def test_a_muted_room_is_not_a_lost_one():
    async with sfu() as one:
        await one.speak(range(10), speech(COUNT))
        one.listener.transport.heard_at = time.monotonic() - SILENT_S + 0.5
        for _ in range(600):
            one.now += 0.05
            one.listener.tick()


async def test_an_sfu_that_is_silent_ends_the_stay():
    async with sfu() as one:
        await one.speak(range(10), speech(COUNT))
        one.listener.transport.heard_at = time.monotonic() - SILENT_S - 0.1
        with pytest.raises(RoomError) as raised:
            one.listener.tick()
        assert raised.value.code == "media_lost"


async def test_an_sfu_that_vanishes_is_noticed_within_5_s():
    async with sfu() as one:
        await one.speak(range(10), speech(COUNT))
        one.fall_silent()
        began = time.monotonic()
        with pytest.raises(RoomError) as raised:
            await tick_on(one)
        assert raised.value.code == "media_lost"
        assert SILENT_S - 1.5 < time.monotonic() - began < 5.0


@pytest.mark.parametrize("path", ["own", "stock"])
async def test_a_connection_that_was_closed_ends_the_stay(path):
    async with sfu(path) as one:
        await one.speak(range(10), speech(COUNT))
        await one.pc.close()  # says so
        await until(lambda: one.listener.pc.connectionState == "closed")
        with pytest.raises(RoomError) as raised:
            one.listener.tick()
        assert raised.value.code == "media_lost"


# -- offers ---------------------------------------------------------------------------------------------------------


def restarted(sdp):
    return sdp.replace("a=ice-ufrag:", "a=ice-ufrag:new")


def many_lines(sdp):
    return sdp + "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n" * (MOST_LINES + 1)


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (restarted, "ice_restart"),
        (many_lines, "bad_offer"),
        (lambda sdp: sdp + "a=x\r\n" * 60_000, "bad_offer"),
        (lambda sdp: "", "bad_offer"),
        (lambda sdp: "hello", "bad_offer"),
        (lambda sdp: sdp.replace("m=audio", "m=audio x"), "bad_offer"),
    ],
)
async def test_an_offer_that_cannot_be_followed_is_refused_by_name(edit, code):
    async with sfu() as one:
        with pytest.raises(RoomError) as raised:
            await one.offer(edit)
        assert raised.value.code == code
        assert str(raised.value).endswith(".")


@pytest.mark.parametrize("sdp", ["", "hello", "v=0\r\nm=audio\r\n", "\x00\xff" * 200])
async def test_what_is_no_offer_is_refused(sdp):
    one = Sfu()
    with pytest.raises(RoomError) as raised:
        await one.listener.answer(sdp)
    assert raised.value.code == "bad_offer"
    await one.close()


@pytest.mark.parametrize("path", ["own", "stock"])
async def test_a_line_that_was_not_offered_is_no_crash(path):
    async with sfu(path) as one:
        with suppress(RoomError):
            one.listener.hear("nine", "bo")
        await one.speak(range(10), speech(COUNT))
        one.listener.tick()


async def test_the_answer_takes_sound_and_refuses_pictures():
    one = Sfu()
    one.pc.addTransceiver("audio", "sendonly")
    one.pc.addTransceiver("video", "sendonly")
    await one.pc.setLocalDescription(await one.pc.createOffer())
    answer, changed = await one.listener.answer(one.pc.localDescription.sdp)
    audio, video = answer.split("m=")[1:]
    assert "a=recvonly" in audio
    assert "a=inactive" in video
    assert changed == []
    await one.close()
