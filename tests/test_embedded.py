"""The embedded room against real WebRTC clients and against everything a client can do wrong."""

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import aiohttp
import aioice.ice
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from structlog.testing import capture_logs

from worker.audio import AudioChunk
from worker.audio.rtp import RtpHeader, parse
from worker.errors import ConfigError, RoomError
from worker.events import Numbering, SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted
from worker.ops.http import Server
from worker.privacy.policy import Consent
from worker.rooms import ListenerJoined, Tick, embedded, guests, participant
from worker.rooms.embedded import EmbeddedRoom
from worker.rooms.participant import KNOCKS_PER_S, Participant
from worker.rooms.webrtc.listener import SILENT_S
from worker.rooms.webrtc.peer import LEVEL, Line, Peer

PERSON = "a-person-key-of-their-own"


@pytest.fixture(autouse=True)
def _loopback(monkeypatch):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


class Hall:
    """An embedded room on a free port, with a note of everything it gives."""

    def __init__(self, **options):
        self.server, self.policy = Server(port=0), Consent()
        self.room = EmbeddedRoom(self.server, self.policy, "hall", **options)
        self.items, self.latest = [], {}

    async def collect(self):
        async for item in self.room:
            self.items.append(item)
            self.latest[type(item)] = time.monotonic()

    def kinds(self, *kinds):
        return [item for item in self.items if isinstance(item, kinds)]

    async def until(self, condition, within_s=10):
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def hall(**options):
    one = Hall(**options)
    await one.server.start()
    task = asyncio.create_task(one.collect())
    try:
        yield one
    finally:
        await one.room.close()
        await task
        await one.server.stop()


class Silent(MediaStreamTrack):
    """A track that never says anything; tests send packets of their own."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    async def recv(self):
        await asyncio.sleep(3600)


class Guest:
    """A browser's part, played by aiortc."""

    def __init__(self, hall, session, name="Ada", person=PERSON, **hello):
        self.hello = {"type": "join", "name": name, "person": person, "analysed": True} | hello
        self.url = f"http://127.0.0.1:{hall.server.port}/v1/rooms/hall/join"
        self.session = session
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.messages, self.events, self.received = [], [], {}
        self.closed = asyncio.Event()
        self.tamper, self.options = (lambda sdp: sdp), {}

    async def join(self, connect=True):
        self.socket = await self.session.ws_connect(self.url, **self.options)
        await self.say(self.hello)
        self.reader = asyncio.create_task(self.read())
        if connect:
            await self.connect()
        return self

    async def connect(self):
        self.channel = self.pc.createDataChannel("undertone")
        self.channel.on("message", lambda text: self.events.append(json.loads(text)))
        self.pc.addTransceiver(Silent("audio"), "sendonly")
        self.pc.addTransceiver(Silent("video"), "sendonly")
        for kind in ("audio", "video"):
            self.pc.addTransceiver(kind, "recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await self.say({"type": "offer", "sdp": self.tamper(self.pc.localDescription.sdp)})
        await self.until(lambda: self.pc.connectionState == "connected")

    async def read(self):
        while (message := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
            said = json.loads(message.data)
            self.messages.append(said)
            if said["type"] == "answer":
                await self.pc.setRemoteDescription(RTCSessionDescription(said["sdp"], "answer"))
        self.reason = message.extra
        self.closed.set()

    async def say(self, message):
        await self.socket.send_json(message)

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.02)

    def last(self, kind):
        return next((m for m in reversed(self.messages) if m["type"] == kind), None)

    async def speak(self, count, level=b"", pause_s=0.005, empty=()):
        """Real Opus packets, as a browser would send them; `level` is a header extension. Some may hold nothing."""
        sender = self.pc.getTransceivers()[0].sender
        start = bytes([0x90 if level else 0x80, 96])
        for number, (header, payload) in enumerate(_some(count)):
            first = start + header.sequence.to_bytes(2, "big") + header.timestamp.to_bytes(4, "big")
            first += sender._ssrc.to_bytes(4, "big") + level
            await sender.transport._send_rtp(first + (b"" if number in empty else payload))
            await asyncio.sleep(pause_s)

    @property
    def connection(self):
        return self.pc.getTransceivers()[0].sender.transport.transport._connection

    async def leave(self):
        await self.pc.close()
        await self.socket.close()
        self.reader.cancel()


def _some(count):
    stream = guests.numbered(guests.packets(0), 30)
    return [next(stream) for _ in range(count)]


@asynccontextmanager
async def meeting(hall, *named):
    async with aiohttp.ClientSession() as session:
        people = [await Guest(hall, session, name, f"{PERSON} {name}").join() for name in named]
        try:
            yield people
        finally:
            for one in people:
                await one.leave()


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


async def test_who_is_not_analysed_is_carried_and_never_decoded():
    async with hall() as one, aiohttp.ClientSession() as session:
        quiet = await Guest(one, session, analysed=False).join()
        await one.until(lambda: one.kinds(SpeakerJoined))
        await quiet.speak(20)
        await asyncio.sleep(0.2)
        await quiet.leave()
    assert one.kinds(SpeakerJoined)[0].analysed is False
    assert one.kinds(AudioChunk) == []


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
    assert [joined.generation for joined in one.kinds(SpeakerJoined)] == [1, one.room._people[PERSON][1]]


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


# -- consent ----------------------------------------------------------------------------------------------------------


async def test_a_withdrawn_consent_is_followed_within_100_ms_and_may_be_given_again():
    async with hall() as one, meeting(one, "Ada", "Bo") as (ada, bo):
        await bo.until(lambda: bo.last("slots") and bo.last("slots")["slots"][0]["speaker"] == "p1")
        speaking = asyncio.create_task(ada.speak(70, pause_s=0.02))
        await one.until(lambda: len(one.kinds(AudioChunk)) >= 10)
        withdrawn = time.monotonic()
        await ada.say({"type": "analyse", "analysed": False})
        await bo.until(lambda: not card(bo, "p1")["analysed"])
        await asyncio.sleep(0.3)
        ear, leg = one.room._here["p1"].ear, one.room._here["p2"].slots[0][0]
        assert one.latest[AudioChunk] - withdrawn < 0.1
        decoded, forwarded, heard = ear.decoded, leg.forwarded, len(one.kinds(AudioChunk))
        await asyncio.sleep(0.1)
        assert (ear.decoded, len(one.kinds(AudioChunk))) == (decoded, heard)
        assert leg.forwarded > forwarded  # carried on to the others
        await ada.say({"type": "analyse", "analysed": True})
        await one.until(lambda: len(one.kinds(AudioChunk)) > heard + 5)
        await speaking


def card(guest, speaker):
    return next(one for one in guest.last("participants")["participants"] if one["speaker"] == speaker)


# -- watchdogs --------------------------------------------------------------------------------------------------------


def vanish(guest):
    """No datagram comes from this guest any more; its signalling socket stays."""
    for protocol in guest.connection._protocols:
        protocol.transport.sendto = lambda data, address: None


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


async def test_an_aiortc_that_is_not_as_expected_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(embedded, "differing", lambda: ("aiortc's receiver has no door",))
    room = EmbeddedRoom(Server(port=0), Consent(), "hall")
    with pytest.raises(ConfigError, match=r"receiver has no door.*Install"):
        await anext(aiter(room))
    await room.close()


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


def admit(room, name, analysed=True):
    """Someone whose media flows; what is sent to them is in `sent`."""
    one = room._admit({"type": "join", "name": name, "person": f"{PERSON} {name}", "analysed": analysed})
    one.sent = []
    one.peer.transport.send = lambda data: one.sent.append(parse(data)) or True
    one.peer.outgoing += [Line(kind, f"{kind}{n}", 96, 10 * n, None) for n in (1, 2) for kind in ("audio", "video")]
    room._exchange.pair_lines(one)
    room._enter(one)
    return one


def carry(room, one, numbers, kind="audio", level=None):
    for number in numbers:
        header = RtpHeader(111, False, number, number * 960, 1, level, 0, False)
        room._carry(one, kind, header, _some(number + 1)[-1][1], time.monotonic())


async def test_who_came_before_may_come_again_however_many_came(monkeypatch):
    monkeypatch.setattr(embedded, "PEOPLE", 1)
    async with hall() as one:
        one.room._leave(admit(one.room, "Ada"), "left")
        assert admit(one.room, "Ada").generation == 2
        with pytest.raises(RoomError, match="has met 1 people"):
            admit(one.room, "Bo")


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


async def test_who_never_agreed_is_never_decoded():
    async with hall() as one:
        ada, bo = admit(one.room, "Ada", analysed=False), admit(one.room, "Bo")
        carry(one.room, ada, range(20))
        assert (ada.ear.decoded, len(bo.sent)) == (0, 20)
    assert not one.kinds(AudioChunk)


async def test_what_waits_in_the_ear_is_dropped_with_the_consent():
    async with hall() as one:
        ada = admit(one.room, "Ada")
        carry(one.room, ada, [0, 1, 3])  # 3 waits for 2
        one.room._analyse(ada, False)
        one.room._analyse(ada, True)
        carry(one.room, ada, [40])
        await one.until(lambda: len(one.kinds(AudioChunk)) == 3)
        assert (ada.ear.decoded, ada.ear.lost) == (3, 0)


async def test_a_replaced_tab_does_not_speak_for_the_person():
    async with hall() as one:
        old = admit(one.room, "Ada")
        new = admit(one.room, "Ada", analysed=False)
        one.room._analyse(old, True)
        assert not one.policy.may_hear("p1")
        assert not new.analysed


@pytest.mark.parametrize(("gate", "decoded"), [(True, 0), (False, 20)])
async def test_silence_is_decoded_only_without_the_gate(gate, decoded):
    async with hall(gate=gate) as one:
        ada = admit(one.room, "Ada")
        carry(one.room, ada, range(20), level=127)
        assert ada.ear.decoded == decoded
