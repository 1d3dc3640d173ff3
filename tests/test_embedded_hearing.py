"""Whom the embedded room hears, whom it gives up for lost and what it counts."""

import asyncio
import time

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.hall import PERSON, Guest, admit, carry, choice, hall, meeting, vanish
from tests.hall import _loopback as _loopback
from worker.audio import AudioChunk
from worker.audio.rtp import RtpHeader
from worker.events import SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted
from worker.privacy.levels import Level
from worker.rooms import ListenerJoined, Tick
from worker.rooms.webrtc.listener import SILENT_S

# -- consent ----------------------------------------------------------------------------------------------------------


async def test_who_is_not_analysed_is_carried_and_never_decoded():
    async with hall() as one, aiohttp.ClientSession() as session:
        quiet = await Guest(one, session, **choice("presence")).join()
        await one.until(lambda: one.kinds(SpeakerJoined))
        await quiet.speak(20)
        await asyncio.sleep(0.2)
        await quiet.leave()
    assert one.kinds(SpeakerJoined)[0].analysed is False
    assert one.kinds(AudioChunk) == []


async def test_a_withdrawn_consent_is_followed_within_100_ms_and_may_be_given_again():
    async with hall() as one, meeting(one, "Ada", "Bo") as (ada, bo):
        await bo.until(lambda: bo.last("slots") and bo.last("slots")["slots"][0]["speaker"] == "p1")
        speaking = asyncio.create_task(ada.speak(70, pause_s=0.02))
        await one.until(lambda: len(one.kinds(AudioChunk)) >= 10)
        withdrawn = time.monotonic()
        await ada.say({"type": "consent"} | choice("presence"))
        await bo.until(lambda: not card(bo, "p1")["analysed"])
        await asyncio.sleep(0.3)
        ear, leg = one.room._here["p1"].ear, one.room._here["p2"].slots[0][0]
        assert one.latest[AudioChunk] - withdrawn < 0.1
        decoded, forwarded, heard = ear.decoded, leg.forwarded, len(one.kinds(AudioChunk))
        await asyncio.sleep(0.1)
        assert (ear.decoded, len(one.kinds(AudioChunk))) == (decoded, heard)
        assert leg.forwarded > forwarded  # carried on to the others
        await ada.say({"type": "consent"} | choice())
        await one.until(lambda: len(one.kinds(AudioChunk)) > heard + 5)
        await speaking


def card(guest, speaker):
    return next(one for one in guest.last("participants")["participants"] if one["speaker"] == speaker)


# -- watchdogs --------------------------------------------------------------------------------------------------------


async def test_a_connection_that_falls_silent_is_lost_and_the_page_told_to_join_again():
    async with hall() as one, meeting(one, "Ada", "Bo") as (ada, bo):
        await one.until(lambda: len(one.kinds(SpeakerJoined)) == 2)
        vanish(bo)
        await asyncio.sleep(0.1)
        one.room._here["p2"].peer.transport.heard_at -= SILENT_S - 0.5
        await asyncio.sleep(0.2)
        assert not one.kinds(SpeakerLeft)
        await asyncio.wait_for(bo.closed.wait(), 1)
        assert (bo.socket.close_code, ada.pc.connectionState) == (4504, "connected")
        assert [(left.speaker, left.reason) for left in one.kinds(SpeakerLeft)] == [("p2", "lost")]
        assert "joining again" in bo.last("error")["message"]


async def test_who_has_neither_microphone_nor_camera_stays_as_long_as_they_answer():
    """Only checks of the path go to and fro for longer than a silent one is suffered, and only ours are asked."""
    async with hall() as one, meeting(one, "Ada") as (ada,):
        await one.until(lambda: one.kinds(ListenerJoined))
        ada.connection._query_consent_task.cancel()
        ada.pc.getTransceivers()[0].sender.transport._send_rtp = _nothing
        await asyncio.sleep(0.1)
        transport, seen = one.room._here["p1"].peer.transport, []
        transport._connection.data_received = lambda data, component: seen.append(data)
        await asyncio.sleep(SILENT_S + 1.0)
        assert seen == []
        assert time.monotonic() - transport.heard_at < 2
        assert ada.pc.connectionState == "connected"
        assert not one.kinds(SpeakerLeft)


async def _nothing(data):
    """Send nothing."""


async def test_a_socket_that_answers_no_ping_is_gone_within_5_s():
    async with hall() as one, meeting(one, "Ada") as (ada,), aiohttp.ClientSession() as session:
        await one.until(lambda: one.kinds(SpeakerJoined))
        bo = Guest(one, session, "Bo", f"{PERSON} Bo")
        bo.options = {"autoping": False}
        await bo.join()
        await one.until(lambda: len(one.kinds(SpeakerJoined)) == 2)
        begun = time.monotonic()
        with capture_logs() as said:
            await one.until(lambda: one.kinds(SpeakerLeft))
        assert "signalling_lost" in [entry.get("code") for entry in said]
        assert 3 < time.monotonic() - begun < 5
        assert [(left.speaker, left.reason) for left in one.kinds(SpeakerLeft)] == [("p2", "lost")]
        assert ada.pc.connectionState == "connected"
        await bo.leave()


async def test_a_speaker_that_aiortc_hears_no_more_joins_again_within_5_s():
    """One empty payload ends its decoder's thread."""
    async with hall(receive="stock") as one, meeting(one, "Ada", "Bo") as (ada, bo):
        speaking = [
            asyncio.create_task(guest.speak(250, pause_s=0.02, empty=e)) for guest, e in ((ada, [20]), (bo, []))
        ]
        await one.until(lambda: {chunk.speaker for chunk in one.kinds(AudioChunk)} == {"p1", "p2"})
        begun = time.monotonic()
        await asyncio.wait_for(ada.closed.wait(), 5)
        assert ada.socket.close_code == 4504
        assert "can't be used" in ada.last("error")["message"]
        assert time.monotonic() - one.latest[AudioChunk] < 0.5 < 2 < time.monotonic() - begun  # the other is heard
        assert [(left.speaker, left.reason) for left in one.kinds(SpeakerLeft)] == [("p1", "lost")]
        for task in speaking:
            task.cancel()


async def test_a_voice_that_cannot_be_decrypted_joins_again_within_5_s():
    async with hall() as one, meeting(one, "Ada", "Bo") as (ada, bo):
        await one.until(lambda: len(one.kinds(SpeakerJoined)) == 2)
        one.room._here["p1"].peer.transport.unseal = lambda data: None
        speaking = [asyncio.create_task(guest.speak(250, pause_s=0.02)) for guest in (ada, bo)]
        await asyncio.wait_for(ada.closed.wait(), 5)
        assert ada.socket.close_code == 4504
        assert "can't be used" in ada.last("error")["message"]
        assert [(left.speaker, left.reason) for left in one.kinds(SpeakerLeft)] == [("p1", "lost")]
        for task in speaking:
            task.cancel()


# -- without a network ----------------------------------------------------------------------------------------------


async def test_what_was_said_before_a_mute_stays_unheard_and_a_mute_is_no_loss():
    async with hall() as one:
        ada = admit(one.room, "Ada")
        carry(one.room, ada, [0, 1, 3])  # 3 waits for 2
        one.room._mute(ada, True)
        carry(one.room, ada, range(4, 30))
        one.room._mute(ada, False)
        carry(one.room, ada, [30])
        after = time.monotonic() - one.room._zero + 0.1  # longer than any packet waits for another
        await one.until(lambda: one.kinds(Tick) and one.kinds(Tick)[-1].at > after)
    happened = [type(item) for item in one.items if not isinstance(item, Tick | ListenerJoined)]
    assert happened == [SpeakerJoined, AudioChunk, AudioChunk, SpeakerMuted, SpeakerUnmuted, AudioChunk, SpeakerLeft]
    assert ada.ear.lost == 0


async def test_what_became_of_packets_is_counted_for_good():
    async with hall() as one:
        ada = admit(one.room, "Ada")
        carry(one.room, ada, [0, 1, 2, 4, 5, 6])
        ada.peer.transport.dropped["malformed"] += 2
        during = one.room.counts("undertone_packets")
        one.room._leave(ada, "left")
        carry(one.room, admit(one.room, "Bo"), [0])
        after = one.room.counts("undertone_packets")
        assert (during["decoded"], during["lost"]) == (6, 1)
        assert (after["decoded"], after["lost"]) == (7, 1)
        assert one.room.counts("undertone_datagrams_dropped") == {"malformed": 2}


async def test_packets_that_cannot_be_decoded_are_told_of_in_the_log():
    async with hall() as one:
        ada = admit(one.room, "Ada")
        with capture_logs() as said:
            header = RtpHeader(111, False, 1, 960, 1, None, 0, False)
            one.room._carry(ada, "audio", header, b"\xff\xff", time.monotonic())
            await one.until(lambda: any(entry["event"] == "packets can't be used" for entry in said))


async def test_who_never_agreed_is_never_decoded():
    async with hall() as one:
        ada, bo = admit(one.room, "Ada", "presence"), admit(one.room, "Bo")
        carry(one.room, ada, range(20))
        assert (ada.ear.decoded, len(bo.sent)) == (0, 20)
    assert not one.kinds(AudioChunk)


async def test_what_waits_in_the_ear_is_dropped_with_the_consent():
    async with hall() as one:
        ada = admit(one.room, "Ada")
        carry(one.room, ada, [0, 1, 3])  # 3 waits for 2
        one.room._consent(ada, choice("presence"))
        one.room._consent(ada, choice())
        carry(one.room, ada, [40])
        await one.until(lambda: len(one.kinds(AudioChunk)) == 3)
        assert (ada.ear.decoded, ada.ear.lost) == (3, 0)


async def test_a_replaced_tab_does_not_speak_for_the_person():
    async with hall() as one:
        old = admit(one.room, "Ada")
        new = admit(one.room, "Ada", "presence")
        one.room._consent(old, choice())
        assert not one.policy.may_hear("p1")
        assert new.level is Level.PRESENCE


@pytest.mark.parametrize(("gate", "decoded"), [(True, 0), (False, 20)])
async def test_silence_is_decoded_only_without_the_gate(gate, decoded):
    async with hall(gate=gate) as one:
        ada = admit(one.room, "Ada")
        carry(one.room, ada, range(20), level=127)
        assert ada.ear.decoded == decoded
