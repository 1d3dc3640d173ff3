"""The embedded room against real WebRTC clients and against everything a client can do wrong."""

import asyncio
import json
import re
import time
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp
import pytest

from tests.consenting import agree
from tests.consenting import consent as new_consent
from tests.hall import PERSON, Guest, Silent, _some, admit, carry, choice, hall, meeting
from tests.hall import _loopback as _loopback
from worker.audio import AudioChunk
from worker.envelope import Numbering
from worker.errors import ConfigError, RoomError
from worker.events import SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted
from worker.ops.http import Server
from worker.rooms import ListenerJoined, Tick, embedded, participant, people
from worker.rooms.embedded import EmbeddedRoom
from worker.rooms.participant import KNOCKS_PER_S, Participant
from worker.rooms.webrtc.peer import LEVEL, Peer


async def test_a_voice_is_heard_and_carried_to_the_other():
    async with hall() as one, meeting(one, "Ada", "Bo") as (ada, bo):
        await bo.until(lambda: bo.last("slots") and bo.last("slots")["slots"][0]["speaker"] == "p1")
        packets = []
        bo.pc.getTransceivers()[2].receiver._handle_rtp_packet = lambda packet, arrival_time_ms: _note(packets, packet)
        await ada.speak(25)
        await one.until(lambda: len(one.kinds(AudioChunk)) >= 20)
        await bo.until(lambda: len(packets) >= 20)
    assert {chunk.speaker for chunk in one.kinds(AudioChunk)} == {"p1"}
    assert [p.payload for p in packets[:5]] == [payload for _, payload in _some(25)[:5]]


async def _note(packets, packet):
    packets.append(packet)


async def test_listeners_are_greeted_and_get_messages():
    async with hall() as one, meeting(one, "Ada") as (ada,):
        await one.until(lambda: one.kinds(ListenerJoined))
        await one.room.send('{"early": true}')
        assert await one.room.send('{"snapshot": true}', to="p1")
        await one.room.send('{"event": true}')
        await ada.until(lambda: len(ada.events) == 2)
    assert ada.events == [{"snapshot": True}, {"event": True}]


async def test_leaving_muting_and_reloading_leave_a_correct_room():
    async with hall() as one, aiohttp.ClientSession() as session:
        ada = await Guest(one, session).join()
        await one.until(lambda: one.kinds(SpeakerJoined))
        await ada.say({"type": "mute", "muted": True})
        await one.until(lambda: one.kinds(SpeakerMuted))
        await ada.speak(10)
        await ada.say({"type": "mute", "muted": False})
        await one.until(lambda: one.kinds(SpeakerUnmuted))
        assert one.kinds(AudioChunk) == []
        await ada.leave()
        await one.until(lambda: one.kinds(SpeakerLeft))
        again = await Guest(one, session).join()
        await one.until(lambda: len(one.kinds(SpeakerJoined)) == 2)
        await again.leave()
    assert [(j.speaker, j.generation) for j in one.kinds(SpeakerJoined)] == [("p1", 1), ("p1", 2)]


async def test_a_second_tab_takes_the_first_ones_place():
    async with hall() as one, aiohttp.ClientSession() as session:
        first = await Guest(one, session).join()
        await one.until(lambda: one.kinds(SpeakerJoined))
        second = await Guest(one, session).join()
        await first.closed.wait()
        await one.until(lambda: len(one.kinds(SpeakerJoined)) == 2)
        await first.leave()
        await asyncio.sleep(0.1)
        cards = second.last("participants")["participants"]
        await second.leave()
    assert first.socket.close_code == 4409
    assert "another tab" in first.last("error")["message"]
    assert [card["generation"] for card in cards] == [2]
    assert one.kinds(SpeakerLeft)[0].reason == "replaced"


async def test_a_slot_is_used_again_by_who_comes_next():
    async with hall() as one, aiohttp.ClientSession() as session:
        ada = await Guest(one, session, "Ada", PERSON + "a").join()
        bo = await Guest(one, session, "Bo", PERSON + "b").join()
        await ada.until(lambda: ada.last("slots")["slots"][0]["speaker"] == "p2")
        await bo.leave()
        await ada.until(lambda: ada.last("slots")["slots"][0]["speaker"] is None)
        cy = await Guest(one, session, "Cy", PERSON + "c").join()
        await ada.until(lambda: ada.last("slots")["slots"][0]["speaker"] == "p3")
        assert len(ada.last("slots")["slots"]) == 1
        await cy.leave()
        await ada.leave()


async def test_a_vanished_tab_leaves_when_its_connection_ends():
    async with hall() as one, aiohttp.ClientSession() as session:
        ada = await Guest(one, session).join()
        await one.until(lambda: one.kinds(SpeakerJoined))
        ada.socket._response.connection.transport.abort()
        await one.until(lambda: one.kinds(SpeakerLeft))
        await ada.leave()


BAD = [
    ("no JSON", "{", "not JSON"),
    ("an array", "[1]", "not a JSON object"),
    ("unknown", json.dumps({"type": "dance"}), "not understood"),
    ("no SDP", json.dumps({"type": "offer", "sdp": "hello"}), "not SDP"),
    ("half an SDP", json.dumps({"type": "offer", "sdp": "v=0\r\nm=audio x\r\n"}), "not SDP"),
    ("too many lines", json.dumps({"type": "offer", "sdp": "v=0\r\n" + "m=audio 9 X 0\r\n" * 100}), "too large"),
    ("oversized", json.dumps({"type": "offer", "sdp": "x" * 200_000}), "at most"),
]


@pytest.mark.parametrize(("message", "sentence"), [(m, s) for _, m, s in BAD], ids=[name for name, _, _ in BAD])
async def test_a_bad_message_is_refused_in_words_and_harms_nobody(message, sentence):
    async with hall() as one, meeting(one, "Ada") as (ada,), aiohttp.ClientSession() as session:
        bad = await Guest(one, session, "Eve", PERSON + "eve").join(connect=False)
        await bad.socket.send_str(message)
        await asyncio.wait_for(bad.closed.wait(), 5)
        reason = (bad.last("error") or {"message": bad.reason})["message"]
        assert sentence in reason
        assert bad.socket.close_code in (4400, 4413)
        await ada.speak(5)
        await one.until(lambda: len(one.kinds(AudioChunk)) >= 4)
        assert ada.pc.connectionState == "connected"
        await bad.leave()
    assert not one.room._run.running


async def test_an_offer_without_audio_is_refused():
    async with hall() as one, aiohttp.ClientSession() as session:
        guest = await Guest(one, session).join(connect=False)
        guest.pc.addTransceiver(Silent("video"), "sendonly")
        await guest.pc.setLocalDescription(await guest.pc.createOffer())
        await guest.say({"type": "offer", "sdp": guest.pc.localDescription.sdp})
        await asyncio.wait_for(guest.closed.wait(), 5)
        await guest.leave()
    assert "no audio" in guest.last("error")["message"]


@pytest.mark.parametrize(
    "hello",
    [
        {"type": "hello", "name": "Ada", "person": PERSON},
        {"type": "join", "person": PERSON},
        {"type": "join", "name": "  ", "person": PERSON},
        {"type": "join", "name": "Ada", "person": "short"},
        {"type": "join", "name": ["Ada"], "person": PERSON},
    ],
)
async def test_a_bad_join_is_refused_in_words(hello):
    async with hall() as one, aiohttp.ClientSession() as session:
        guest = Guest(one, session)
        guest.hello = hello
        await guest.join(connect=False)
        await asyncio.wait_for(guest.closed.wait(), 5)
        await guest.leave()
    assert guest.last("error")["message"].endswith(".")
    assert not one.kinds(SpeakerJoined)


async def test_a_connection_that_never_comes_about_ends_with_a_reason():
    async with hall(connect_within_s=0.2) as one, aiohttp.ClientSession() as session:
        guest = await Guest(one, session).join(connect=False)
        await asyncio.wait_for(guest.closed.wait(), 5)
        await guest.leave()
    assert "No media connection" in guest.last("error")["message"]


async def test_a_data_channel_flood_ends_that_connection_alone():
    async with hall() as one, meeting(one, "Ada", "Eve") as (ada, eve):
        await eve.until(lambda: eve.channel.readyState == "open")
        for _ in range(3 * KNOCKS_PER_S):  # too many on one side of any full second
            eve.channel.send("x")
        await asyncio.wait_for(eve.closed.wait(), 5)
        assert "Too many" in eve.last("error")["message"]
        assert ada.pc.connectionState == "connected"


async def test_a_full_room_says_so():
    async with hall(largest=1) as one, meeting(one, "Ada"), aiohttp.ClientSession() as session:
        guest = await Guest(one, session, "Bo", PERSON + "b").join(connect=False)
        await asyncio.wait_for(guest.closed.wait(), 5)
        await guest.leave()
    assert "full" in guest.last("error")["message"]


async def test_synthetic_guests_take_part():
    async with hall(guests=2) as one:
        await one.until(lambda: len({chunk.speaker for chunk in one.kinds(AudioChunk)}) == 2)
        await one.until(lambda: one.kinds(Tick))
    assert [joined.speaker for joined in one.kinds(SpeakerJoined)] == ["g1", "g2"]


async def test_an_offer_that_takes_tiny_messages_costs_that_person_alone():
    async with hall() as one, meeting(one, "Ada") as (ada,), aiohttp.ClientSession() as session:
        await one.until(lambda: one.kinds(ListenerJoined))
        eve = Guest(one, session, "Eve", PERSON + "eve")
        eve.tamper = lambda sdp: re.sub(r"max-message-size:\d+", "max-message-size:10", sdp)
        await eve.join()
        await one.until(lambda: len(one.kinds(ListenerJoined)) == 2)
        for speaker in ("p1", "p2"):
            await one.room.send('{"snapshot": true}', to=speaker)
        await asyncio.wait_for(eve.closed.wait(), 5)
        await one.room.send('{"event": true}')
        await ada.until(lambda: len(ada.events) == 2)
        await ada.speak(5)
        await one.until(lambda: len(one.kinds(AudioChunk)) >= 4)
        await eve.leave()
        assert [(left.speaker, left.reason) for left in one.kinds(SpeakerLeft)] == [("p2", "dismissed")]
    assert "takes no messages of this size" in eve.last("error")["message"]


async def test_an_audio_level_id_without_a_short_form_harms_nobody():
    async with hall() as one, meeting(one, "Ada") as (ada,), aiohttp.ClientSession() as session:
        eve = Guest(one, session, "Eve", PERSON + "eve")
        eve.tamper = lambda sdp: re.sub(rf"a=extmap:\d+ ({LEVEL})", r"a=extmap:200 \1", sdp)
        await eve.join()
        await eve.until(lambda: eve.last("slots") and eve.last("slots")["slots"][0]["speaker"] == "p1")
        leg = one.room._here["p2"].slots[0][0]
        mine = one.room._here["p1"].peer._incoming["audio"].level_id
        await ada.speak(10, level=bytes([0xBE, 0xDE, 0, 1, mine << 4, 0x85, 0, 0]))
        await one.until(lambda: len(one.kinds(AudioChunk)) >= 9 and leg.forwarded >= 9)
        assert leg.line.level_id is None
        await eve.leave()


async def test_two_joins_of_one_person_at_once_leave_one(monkeypatch):
    peers = []
    monkeypatch.setattr(embedded, "Peer", lambda *hooks: peers.append(Peer(*hooks)) or peers[-1])
    async with hall() as one, aiohttp.ClientSession() as session:
        first = await Guest(one, session).join()
        twins = [Guest(one, session), Guest(one, session)]
        await asyncio.gather(*[twin.join(connect=False) for twin in twins])
        await one.until(lambda: first.closed.is_set() and any(twin.closed.is_set() for twin in twins))
        (kept,) = [twin for twin in twins if not twin.closed.is_set()]
        await kept.connect()
        await one.until(lambda: len(one.kinds(SpeakerJoined)) == 2)
        assert [peer.pc.connectionState for peer in peers].count("closed") == 2
        assert list(one.room._here) == ["p1"]
        for guest in (first, *twins):
            await guest.leave()
    assert [joined.generation for joined in one.kinds(SpeakerJoined)] == [1, one.room._people._known[PERSON][1]]


async def test_a_flood_of_mutes_is_refused():
    async with hall() as one, meeting(one, "Ada", "Eve") as (ada, eve):
        with suppress(ConnectionError):
            for number in range(3 * KNOCKS_PER_S):  # too many on one side of any full second
                await eve.say({"type": "mute", "muted": number % 2 == 0})
        await asyncio.wait_for(eve.closed.wait(), 5)
        assert "Too many messages" in eve.last("error")["message"]
        assert len(one.kinds(SpeakerMuted, SpeakerUnmuted)) <= 2 * KNOCKS_PER_S
        assert ada.pc.connectionState == "connected"


class Hanging:
    """A signalling socket that takes nothing until it is freed."""

    def __init__(self):
        self.free = asyncio.Event()

    async def send_json(self, message):
        await self.free.wait()

    async def close(self, code, message):
        await self.free.wait()


def hang(monkeypatch, name):
    """Let nothing through to this person."""
    socket, write = Hanging(), Participant.write
    monkeypatch.setattr(
        Participant, "write", lambda self, real, abort: write(self, socket if self.name == name else real, abort)
    )
    return socket


async def test_a_socket_that_hangs_is_cut_off_and_delays_nobody(monkeypatch):
    hang(monkeypatch, "Eve")
    monkeypatch.setattr(participant, "WRITE_S", 1.0)
    async with hall() as one, meeting(one, "Ada", "Bo") as (ada, bo), aiohttp.ClientSession() as session:
        eve = await Guest(one, session, "Eve", PERSON + "eve").join(connect=False)
        await one.until(lambda: "p3" in one.room._here)
        await ada.say({"type": "mute", "muted": True})
        await bo.until(lambda: bo.last("participants")["participants"][0]["muted"])
        assert not eve.closed.is_set()
        await asyncio.wait_for(eve.closed.wait(), 5)
        await one.until(lambda: "p3" not in one.room._here)
        await eve.leave()


async def test_closing_waits_for_no_hanging_socket_or_connection(monkeypatch):
    socket, close = hang(monkeypatch, "Eve"), Peer.close

    async def slow(peer):
        await socket.free.wait()
        await close(peer)

    monkeypatch.setattr(Peer, "close", slow)
    monkeypatch.setattr(participant, "WRITE_S", 60.0)
    monkeypatch.setattr(embedded, "GOODBYE_S", 0.1)
    async with hall() as one, meeting(one, "Ada"), aiohttp.ClientSession() as session:
        eve = await Guest(one, session, "Eve", PERSON + "eve").join(connect=False)
        await one.until(lambda: "p2" in one.room._here)
        begun = time.monotonic()
        await one.room.close()
        assert time.monotonic() - begun < 1.0
        socket.free.set()
        await asyncio.gather(*one.room._aside.running)
        await eve.leave()
    assert [left.reason for left in one.kinds(SpeakerLeft)] == ["closed"]


async def test_an_aiortc_that_is_not_as_expected_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(embedded, "differing", lambda: ("aiortc's receiver has no door",))
    room = EmbeddedRoom(Server(port=0), new_consent(), "hall")
    with pytest.raises(ConfigError, match=r"receiver has no door.*Install"):
        await anext(aiter(room))
    await room.close()


# -- without a network ----------------------------------------------------------------------------------------------


async def test_who_came_before_may_come_again_however_many_came(monkeypatch):
    monkeypatch.setattr(people, "PEOPLE", 1)
    monkeypatch.setattr(embedded, "PEOPLE", 1)
    async with hall() as one:
        one.room._leave(admit(one.room, "Ada"), "left")
        assert admit(one.room, "Ada").generation == 2
        with pytest.raises(RoomError, match="has met 1 people"):
            admit(one.room, "Bo")


async def test_who_is_forgotten_comes_back_as_somebody_new_and_nobody_takes_their_name():
    async with hall() as one:
        ada, bo = admit(one.room, "Ada"), admit(one.room, "Bo")
        one.room._consent(ada, choice("presence"))
        one.room.forget(ada.speaker)
        assert list(one.room._here) == [ada.speaker, bo.speaker]
        one.room._consent(ada, choice("metrics"))  # heard anew, which is for somebody who is known
        assert list(one.room._here) == [bo.speaker]
        again = admit(one.room, "Ada", "metrics")
        assert (again.speaker, again.generation) == ("p3", 1)
        assert admit(one.room, "Cy").speaker == "p4"


@pytest.mark.parametrize(
    ("given", "name"),
    [("\ud800abc", "abc"), ("A\x00\u202eda\x07\n Lo\tve", "Ada Lo ve"), ("\ud800", None), ("\x01 \x02", None)],
)
async def test_a_name_holds_only_what_can_be_shown(given, name):
    async with hall() as one:
        if name is None:
            with pytest.raises(RoomError, match="name of 1 to 60"):
                one.room._admit({"type": "join", "name": given, "person": PERSON})
            return
        admit(one.room, given)
        await one.until(lambda: one.kinds(SpeakerJoined))
    numbering = Numbering("hall", 0, datetime.now(UTC))
    (joined,) = one.kinds(SpeakerJoined)
    assert joined.name == name
    assert f'"{name}"'.encode() in numbering.wrap(joined).as_json().encode()


async def test_what_the_control_api_says_of_consent_holds_here_too():
    async with hall() as one:
        ada = admit(one.room, "Ada")
        for agreed in (False, True, False):
            agree(one.policy, ada.speaker, agreed)
            await one.until(lambda: ada.level is one.policy.level(ada.speaker))
        one.room._consent(ada, choice("emotion"))  # her own word, which is the newest
        assert one.policy.may_hear(ada.speaker)


async def test_who_left_is_on_no_leg_and_late_packets_reach_nobody():
    async with hall() as one:
        ada, bo, cy = (admit(one.room, name) for name in ("Ada", "Bo", "Cy"))
        for kind in ("audio", "video"):
            carry(one.room, ada, [0], kind)
            assert set(ada.legs[kind].values()) <= {leg for other in (bo, cy) for pair in other.slots for leg in pair}
        assert len(bo.sent) == len(cy.sent) == 2
        one.room._leave(ada, "left")
        carry(one.room, ada, [1, 2])
        carry(one.room, bo, [0])
        lines = {leg.line for pair in ada.slots for leg in pair}
        assert not any(lines & set(other.legs[kind]) for other in (bo, cy) for kind in other.legs)
        assert ada not in [*bo.carried.values(), *cy.carried.values()]
        assert [len(other.sent) for other in (ada, bo, cy)] == [0, 2, 3]
