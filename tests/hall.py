"""An embedded room in this process, and guests of it whom aiortc plays."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import aiohttp
import aioice.ice
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.consenting import TERMS
from tests.consenting import consent as new_consent
from worker.audio.rtp import RtpHeader, parse
from worker.events import SpeakerJoined
from worker.ops.http import Server
from worker.rooms import guests
from worker.rooms.embedded import EmbeddedRoom
from worker.rooms.webrtc.peer import Line

PERSON = "a-person-key-of-their-own"


@pytest.fixture(autouse=True)
def _loopback(monkeypatch):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


class Hall:
    """An embedded room on a free port, with a note of everything it gives."""

    def __init__(self, **options):
        self.server, self.policy = Server(port=0), new_consent()
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


def choice(level="emotion"):
    """How much a person agrees to, as their page says it."""
    return {"level": level, "text": TERMS.text}


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
        self.hello = {"type": "join", "name": name, "person": person} | choice() | hello
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
        before = len(hall.kinds(SpeakerJoined))
        people = [await Guest(hall, session, name, f"{PERSON} {name}").join() for name in named]
        await hall.until(lambda: len(hall.kinds(SpeakerJoined)) >= before + len(named))  # our end stands last
        try:
            yield people
        finally:
            for one in people:
                await one.leave()


def vanish(guest):
    """No datagram comes from this guest any more; its signalling socket stays."""
    for protocol in guest.connection._protocols:
        protocol.transport.sendto = lambda data, address: None


def admit(room, name, level="emotion"):
    """Someone whose media flows; what is sent to them is in `sent`."""
    one = room._admit({"type": "join", "name": name, "person": f"{PERSON} {name}"} | choice(level))
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
