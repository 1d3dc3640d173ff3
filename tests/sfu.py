"""An SFU in this process: it offers lines and sends real Opus on them by written patterns, in time that is data."""

import asyncio
import re
import socket
import struct
from contextlib import asynccontextmanager, suppress
from functools import cache

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.speech import speech as said
from worker.audio.opus import OpusDecoder
from worker.rooms.webrtc.listener import Listener
from worker.rooms.webrtc.peer import LEVEL, MID

STEP_S = 0.02
COUNT = 150
"""Packets of the sentence that most tests say: 3 s."""


@cache
def speech(count):
    """Packets of 20 ms from within a sentence."""
    sound = said("anna")
    return encode(sound[: len(sound) // 320 * 320], 16_000)[150 : 150 + count]


@cache
def copied(count):
    """The same speech, where each packet carries a copy of the one before it."""
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(payload) for payload in speech(count)])
    return encode(sound, 16_000, fec="1", packet_loss="10")


@cache
def tone(hertz, count):
    """A tone as packets of 20 ms."""
    return encode(0.25 * np.sin(2 * np.pi * hertz * np.arange(count * 960) / 48_000), 48_000)


def encode(sound, rate, **options):
    codec = av.CodecContext.create("libopus", "w")
    codec.bit_rate, codec.format, codec.layout, codec.sample_rate = 32_000, "s16", "mono", rate
    codec.options = {"application": "voip", **options}
    said = []
    for number, part in enumerate((sound * 32_767).astype(np.int16).reshape(-1, rate // 50)):
        frame = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, number * len(part)
        said += [bytes(packet) for packet in codec.encode(frame)]
    return said


def element(number, content):
    """One element of a header extension (RFC 8285, one-byte form)."""
    return bytes([number << 4 | len(content) - 1]) + content


class Mute(MediaStreamTrack):
    """A track on which aiortc's own sender finds nothing to send."""

    kind = "audio"

    async def recv(self):
        await asyncio.sleep(3600)


class Sfu:
    """Sends on its lines to one listener; `now` is the room's clock, which moves by `speak` and `pass_s`.

    Packet `number` of a line is spoken at second `number * STEP_S` of the stay.
    """

    def __init__(self, path="own", lines=1, gated=False, may_hear=lambda _: True):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.zero = self.now = 100.0
        self.chunks = []
        self.listener = Listener(self.chunks.extend, lambda: self.now, path, gated, may_hear)
        self.ssrcs = []
        self._lines = lines
        self._stock = path == "stock"

    async def connect(self, edit=lambda sdp: sdp):
        for _ in range(self._lines):
            self.pc.addTransceiver(Mute(), "sendonly")
        self.ssrcs = [t.sender._ssrc for t in self.pc.getTransceivers()]
        await self.offer(edit)
        for mid in self.mids:
            self.listener.hear(mid, f"s{mid}")
        await until(lambda: {self.pc.connectionState, self.listener.pc.connectionState} == {"connected"})

    @property
    def mids(self):
        return [t.mid for t in self.pc.getTransceivers()]

    @property
    def dtls(self):
        return self.pc.getTransceivers()[0].sender.transport

    @property
    def ports(self):
        """Of the listener's sockets."""
        connection = self.listener.pc.getTransceivers()[0].receiver.transport.transport._connection
        return [protocol.transport.get_extra_info("sockname") for protocol in connection._protocols]

    async def offer(self, edit=lambda sdp: sdp):
        """Offer all lines with the SSRCs of now; the mids that the listener says have changed."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = self.pc.localDescription.sdp
        for transceiver, ssrc in zip(self.pc.getTransceivers(), self.ssrcs, strict=True):
            sdp = sdp.replace(f"a=ssrc:{transceiver.sender._ssrc} ", f"a=ssrc:{ssrc} ")
        answer, changed = await self.listener.answer(edit(sdp))
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return changed

    def extension_id(self, uri):
        return next(x.id for x in self.pc.getTransceivers()[0]._headerExtensions if x.uri == uri)

    def packet(self, number, payload, line=0, ssrc=None, level=None, mid=None, elements=b"", first=0x80):
        """A whole RTP packet; `elements` go into its header extension as they are."""
        if level is not None:
            elements += element(self.extension_id(LEVEL), bytes([level]))
        if mid is not None:
            elements += element(self.extension_id(MID), mid.encode())
        if elements:
            elements += bytes(-len(elements) % 4)
            elements = struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements
            first |= 0x10
        kind = self.pc.getTransceivers()[line]._codecs[0].payloadType
        ssrc = self.ssrcs[line] if ssrc is None else ssrc
        stamp = number * 960 & 0xFFFFFFFF
        return struct.pack("!BBHLL", first, kind, number & 0xFFFF, stamp, ssrc) + elements + payload

    async def send(self, *datagrams):
        """Encrypt and send, and let the listener take each before the next."""
        for data in datagrams:
            with suppress(ConnectionError):  # a real sender would notice as little
                await self.dtls._send_rtp(data)
            for _ in range(4):
                await asyncio.sleep(0)

    async def speak(self, numbers, payloads, line=0, **options):
        """The packets of these numbers in this order; payload 0 is that of number 0."""
        for number in numbers:
            self.now = max(self.now, self.zero + number * STEP_S)
            await self.send(self.packet(number, payloads[number], line, **options))
            if self._stock:
                await asyncio.sleep(0.001)  # for aiortc's decoder thread

    async def speak_and_tick(self, numbers, payloads, **options):
        for number in numbers:
            await self.speak([number], payloads, **options)
            self.listener.tick()

    async def pass_s(self, seconds):
        """Nothing is sent for so long; the listener is given its ticks."""
        for _ in range(round(seconds / 0.05)):
            self.now += 0.05
            self.listener.tick()
            await asyncio.sleep(0)
        await self.settle()

    async def settle(self):
        """Until aiortc's decoder thread has nothing more to give."""
        if self._stock:
            seen = -1
            while seen != len(self.chunks):
                seen = len(self.chunks)
                await asyncio.sleep(0.1)

    def throw(self, data):
        """Send a datagram from an address that nobody knows."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            for address in self.ports:
                one.sendto(data, address)

    def fall_silent(self):
        """Nothing leaves this end any more, and nobody is told."""
        for protocol in self.dtls.transport._connection._protocols:
            protocol.transport.sendto = lambda *_: None

    # -- what was heard -------------------------------------------------------------------------------------------

    def of(self, line=0):
        return [chunk for chunk in self.chunks if chunk.speaker == f"s{self.mids[line]}"]

    def sound(self, line=0):
        return np.concatenate([chunk.samples for chunk in self.of(line)] or [np.zeros(0, np.float32)])

    def heard_s(self, line=0):
        return len(self.sound(line)) / 16_000

    def reached_s(self, line=0):
        """How far into the stay sound has come, holes included."""
        chunks = self.of(line)
        return chunks[-1].end - chunks[0].start if chunks else 0.0

    async def close(self):
        await self.listener.close()
        await self.pc.close()


@asynccontextmanager
async def sfu(path="own", lines=1, edit=lambda sdp: sdp, **options):
    one = Sfu(path, lines, **options)
    try:
        await one.connect(edit)
        yield one
    finally:
        await one.close()


def without_ssrcs(sdp):
    return re.sub(r"a=ssrc[^\r]*\r\n", "", sdp)


async def until(true, within_s=10.0):
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


def either(reason):
    """Both paths; aiortc's own is known to fail, and must, else the test says nothing."""
    stock = pytest.param("stock", marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))
    return pytest.mark.parametrize("path", ["own", stock])


@pytest.fixture(autouse=True)
def _loopback(monkeypatch):
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


def whole(payloads):
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(payload) for payload in payloads])


async def speak_after(one, first, line=0, count=50):
    """Seconds heard of `count` packets from number `first` on, as the last seconds of the sentence reach the ear."""
    await one.settle()
    before = one.heard_s(line)
    await one.speak(range(first, first + count), speech(COUNT), line)
    await one.settle()
    return one.heard_s(line) - before
