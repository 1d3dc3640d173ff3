"""A peer against a plain aiortc client in this process, and the private names it leans on."""

import asyncio
import fractions
import random
import socket
import struct
from contextlib import suppress

import av
import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.rtp import RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket, RtcpSrPacket

from worker.audio.opus import OpusDecoder
from worker.audio.rtp import RtpHeader
from worker.errors import RoomError
from worker.rooms.forward import Leg
from worker.rooms.webrtc.peer import CODECS, LARGEST_SDP, Peer, lost_sequences, wants_keyframe


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


class Tone(MediaStreamTrack):
    """440 Hz in real time."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self._number = 0

    async def recv(self):
        await asyncio.sleep(0.02)
        at = np.arange(self._number * 960, (self._number + 1) * 960)
        sound = (8000 * np.sin(2 * np.pi * 440 * at / 48_000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, fractions.Fraction(1, 48_000), self._number * 960
        self._number += 1
        return frame


def unexpected(*_):
    raise AssertionError("nothing was expected")


class Call:
    """A client that sends and receives sound and picture, and the peer that answers it."""

    def __init__(self):
        self.rtp, self.reports, self.messages = [], [], []
        self.client = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.peer = Peer(lambda *packet: self.rtp.append(packet), self._report)
        self.peer.pc.on("datachannel", self._channel_opened)

    async def _report(self, kind, report):
        self.reports.append((kind, report))

    def _channel_opened(self, channel):
        channel.on("message", self.messages.append)
        channel.send("hello")

    async def connect(self):
        self.client.addTransceiver(Tone(), "sendonly")
        self.client.addTransceiver(VideoStreamTrack(), "sendonly")
        self.client.addTransceiver("audio", "recvonly")
        self.client.addTransceiver("video", "recvonly")
        self.channel = self.client.createDataChannel("undertone")
        self.received = []
        self.channel.on("message", self.received.append)
        await self.offer()
        await until(lambda: self.peer.pc.connectionState == "connected")

    async def offer(self):
        await self.client.setLocalDescription(await self.client.createOffer())
        answer = await self.peer.answer(self.client.localDescription.sdp, 5)
        await self.client.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self):
        await self.client.close()
        await self.peer.close()

    def throw(self, data):
        """Send a datagram past all protocols, from an address that nobody knows."""
        pair = self.client.getTransceivers()[0].sender.transport.transport._connection._nominated[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(data, pair.remote_addr)

    def heard(self, kind):
        return [(header, packet) for name, header, packet, _ in self.rtp if name == kind]


async def until(true, within_s=10.0):
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


@pytest.fixture
async def call():
    one = Call()
    await one.connect()
    yield one
    await one.close()


async def test_media_arrives_decrypted_and_in_the_room_codecs(call):
    await until(lambda: len(call.heard("audio")) >= 20 and len(call.heard("video")) >= 5)
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(header.payload(packet)) for header, packet in call.heard("audio")])
    spectrum = np.abs(np.fft.rfft(sound[3200:6400]))
    assert np.argmax(spectrum) * 5 == pytest.approx(440, abs=10)
    assert not call.peer.transport.dropped
    answered = call.peer.pc.localDescription.sdp
    assert "VP8/90000" in answered
    assert "H264" not in answered
    assert "PCMU" not in answered


async def test_no_codec_and_no_thread_runs(call):
    await until(lambda: call.heard("audio"))
    receivers = [t.receiver for t in call.peer.pc.getTransceivers()]
    assert all(r._RTCRtpReceiver__decoder_thread is None for r in receivers)
    assert [line.kind for line in call.peer.outgoing] == ["audio", "video"]
    assert len({line.mid for line in call.peer.outgoing}) == 2


async def test_the_data_channel_goes_both_ways(call):
    await until(lambda: call.received == ["hello"])
    call.channel.send("knock")
    await until(lambda: call.messages == ["knock"])


async def test_receiver_reports_reach_the_sender_and_sender_reports_reach_us(call):
    await until(lambda: call.reports)
    kind, report = call.reports[0]
    assert kind in CODECS
    assert isinstance(report, RtcpSrPacket)
    sender = call.client.getTransceivers()[0].sender
    found = []
    async with asyncio.timeout(10):
        while not found:
            found = [s for s in (await sender.getStats()).values() if s.type == "remote-inbound-rtp"]
            await asyncio.sleep(0.05)
    assert found[0].packetsLost == 0


async def test_what_is_sent_on_a_line_is_heard_there(call):
    await until(lambda: len(call.heard("audio")) >= 3)
    line = call.peer.outgoing[0]
    leg = Leg(line, call.peer.transport.send)
    track = next(t.receiver.track for t in call.client.getTransceivers() if t.mid == line.mid)

    sent = 0
    frame = asyncio.create_task(track.recv())
    async with asyncio.timeout(10):
        while not frame.done():
            for header, packet in call.heard("audio")[sent:]:
                leg.forward(header, packet, asyncio.get_running_loop().time())
                sent += 1
            await asyncio.sleep(0.02)
    assert frame.result().sample_rate == 48_000
    assert leg.forwarded == sent


async def test_feedback_comes_to_the_line_it_is_about(call):
    said = []

    async def feedback(packet):
        said.append(packet)

    call.peer.outgoing[1].on_feedback = feedback
    ssrc = call.peer.outgoing[1].ssrc
    dtls = call.client.getTransceivers()[0].sender.transport
    await dtls._send_rtp(bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=ssrc)))
    nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=ssrc)
    nack.lost = [12, 13, 500]
    await dtls._send_rtp(bytes(nack))
    await until(lambda: len(said) >= 2)
    assert any(wants_keyframe(packet) for packet in said)
    assert [lost_sequences(packet) for packet in said if lost_sequences(packet)] == [[12, 13, 500]]


async def test_a_keyframe_and_a_lost_packet_are_asked_of_the_sender(call, monkeypatch):
    await until(lambda: len(call.heard("video")) >= 3)
    sender = call.client.getTransceivers()[1].sender
    asked = []

    async def handle(packet):
        asked.append(packet)

    monkeypatch.setattr(sender, "_handle_rtcp_packet", handle)
    last = call.heard("video")[-1][0]
    await call.peer.ask_keyframe()
    await call.peer.ask_again("video", [last.sequence])
    await call.peer.ask_again("video", [])
    await until(lambda: any(map(wants_keyframe, asked)) and any(map(lost_sequences, asked)))
    assert {
        packet.media_ssrc for packet in asked if not isinstance(packet, RtcpSrPacket) and hasattr(packet, "media_ssrc")
    } == {last.ssrc}


async def test_packets_lost_across_the_wrap_are_asked_for(call, monkeypatch):
    await until(lambda: call.heard("video"))
    asked = []

    async def handle(packet):
        asked.extend(lost_sequences(packet))

    monkeypatch.setattr(call.client.getTransceivers()[1].sender, "_handle_rtcp_packet", handle)
    await call.peer.ask_again("video", [65535, 0])
    await until(lambda: set(asked) == {65535, 0})


async def test_a_second_offer_keeps_what_was_agreed(call):
    await until(lambda: call.heard("audio"))
    before = list(call.peer.outgoing)
    call.client.addTransceiver("audio", "recvonly")
    await call.client.setLocalDescription(await call.client.createOffer())
    answer = await call.peer.answer(call.client.localDescription.sdp, 6)
    await call.client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    assert call.peer.outgoing[:2] == before
    assert len(call.peer.outgoing) == 3
    count = len(call.rtp)
    await until(lambda: len(call.rtp) > count + 20)


HEAD = struct.pack("!BBHLL", 0x80, 0, 1, 1, 1)
STUN_WITH_A_BROKEN_ATTRIBUTE = bytes.fromhex("0001 0008 2112a442") + bytes(12) + bytes.fromhex("0024 0001 00000000")
"""PRIORITY of one octet."""
MEDIA_LIKE_STUN = bytes.fromhex("8060 0008 00000001 00000001") + bytes(8) + bytes.fromhex("0024 0001 00000000")
"""Its number is its length less 20."""


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x80",
        b"\x80\x6f",  # media of three octets is no header
        HEAD,
        b"\x90\x60" + HEAD[2:] + b"\xbe\xde\xff\xff",
        b"\x80\x60" + HEAD[2:] + b"forged, so that it cannot be authentic",
        b"\x80\x60" + bytes(20_000),
        b"\x80\xc8" + b"\x00\x06" + bytes(24),  # RTCP under no key
        b"\x16\xfe\xfd" + bytes(20),  # DTLS that is none
        b"\x00" * 30,
        b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),  # STUN without a user
        STUN_WITH_A_BROKEN_ATTRIBUTE,
        MEDIA_LIKE_STUN,
        b"\xff" * 1200,
    ],
    ids=range(14),
)
async def test_a_strange_datagram_harms_nothing(call, datagram):
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["message"]))
    await until(lambda: call.heard("audio"))
    payload_type = call.heard("audio")[0][0].payload_type
    if datagram[1:2] == b"\x60":
        datagram = datagram[:1] + bytes([payload_type]) + datagram[2:]
    call.throw(datagram)
    count = len(call.rtp)
    await until(lambda: len(call.rtp) > count + 20)
    assert call.peer.pc.connectionState == "connected"
    assert faults == []
    assert sum(call.peer.transport.dropped.values()) <= 1


async def test_media_before_the_keys_is_dropped():
    peer = Peer(unexpected, unexpected)
    assert not peer.transport.send(HEAD)
    await peer.ask_keyframe()
    await peer.close()


async def test_too_long_to_send_is_not_sent(call):
    await until(lambda: call.heard("audio"))
    header = RtpHeader(111, False, 1, 1, 1, None, 12, False)
    leg = Leg(call.peer.outgoing[0], call.peer.transport.send)
    leg.forward(header, bytes(60_000), 0.0)
    assert leg.forwarded == 0
    leg.forward(header, bytes(100), 0.0)
    assert leg.forwarded == 1


async def offered(*kinds):
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in kinds:
        client.addTransceiver(kind, "recvonly")
    client.createDataChannel("undertone")
    await client.setLocalDescription(await client.createOffer())
    sdp = client.localDescription.sdp
    await client.close()
    return sdp


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "hello",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        "\x00\xff" * 200,
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:x\r\n",
    ],
)
async def test_what_is_no_offer_is_refused_in_a_sentence(sdp):
    peer = Peer(unexpected, unexpected)
    with pytest.raises(RoomError, match=r"offer.*: (reload|offer an audio line).*\.$"):
        await peer.answer(sdp, 5)
    await peer.close()


async def test_an_offer_without_audio_is_refused():
    peer = Peer(unexpected, unexpected)
    with pytest.raises(RoomError, match="no audio"):
        await peer.answer(await offered("video"), 5)
    await peer.close()


@pytest.mark.parametrize("change", [lambda sdp: sdp + "a=x\r\n" * LARGEST_SDP, lambda sdp: sdp])
async def test_an_offer_that_is_too_large_is_refused(change):
    peer = Peer(unexpected, unexpected)
    with pytest.raises(RoomError, match="too large"):
        await peer.answer(change(await offered(*["audio"] * 6)), 5)
    assert peer.pc.remoteDescription is None
    await peer.close()


async def test_an_offer_in_another_codec_is_refused():
    peer = Peer(unexpected, unexpected)
    sdp = (await offered("audio")).replace("opus/48000/2", "speex/32000")
    with pytest.raises(RoomError, match="use a current browser"):
        await peer.answer(sdp, 5)
    await peer.close()


@pytest.mark.parametrize("seed", range(20))
async def test_a_damaged_offer_is_answered_or_refused(seed):
    """Lines left out, doubled, cut and spoilt by a written seed."""
    chance, lines = random.Random(seed), (await offered("audio", "video")).split("\r\n")
    for _ in range(6):
        at = chance.randrange(len(lines))
        damage = [[], [lines[at]] * 2, [lines[at][: len(lines[at]) // 2]], [lines[at].replace(":", " ").upper()]]
        lines[at : at + 1] = chance.choice(damage)
    peer = Peer(unexpected, unexpected)
    with suppress(RoomError):
        assert (await peer.answer("\r\n".join(lines), 5)).startswith("v=0")
    await peer.close()


async def test_closing_survives_its_callers_cancellation(call):
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["message"]))
    closing = [asyncio.create_task(call.peer.close()) for _ in range(2)]
    await asyncio.sleep(0)
    closing[1].cancel()
    await asyncio.wait(closing)
    await call.peer.close()
    assert closing[0].exception() is None
    assert call.peer.pc.connectionState == "closed"
    assert faults == []
