"""One peer's WebRTC connection with RTP taken out of aiortc's hands; the only file that touches its private parts.

aiortc keeps SDP, ICE, DTLS, RTCP parsing and SCTP. RTP is decrypted here and handed on as it comes.
"""

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)
from pylibsrtp import Error as SrtpError

from worker.audio.rtp import RtpHeader, parse
from worker.errors import RoomError

CODECS = {"audio": "audio/opus", "video": "video/vp8"}
"""The one codec per kind that every browser speaks, so that packets fit every other browser as they are."""
CLOCK = {"audio": 48_000, "video": 90_000}
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
LARGEST_SDP = 64 * 1024
LONGEST_QUEUE = 500
"""Datagrams that may wait for aiortc (DTLS, RTCP, data channel); more is a flood, and is dropped and counted."""


@dataclass(eq=False)
class Line:
    """One m-line of the SDP: what a forwarder needs to send on it, or to ask its sender for."""

    kind: str
    mid: str
    payload_type: int
    ssrc: int
    level_id: int | None
    on_feedback: Callable[[Any], Awaitable[None]] | None = None


@dataclass(eq=False)
class Incoming:
    """What this peer sends on one m-line."""

    line: Line
    receiver: Any
    ssrc: int | None = None
    statistics: StreamStatistics | None = None
    seen: Any = field(default_factory=SimpleNamespace)
    """Stands for a packet where aiortc's statistics want one: they read its number and timestamp."""


class Peer:
    """A browser's connection: it offers, we answer.

    `on_rtp(kind, header, packet, now)` is called for every media packet, decrypted, in order of arrival;
    `on_report(kind, report)` for its sender reports.
    """

    def __init__(
        self,
        on_rtp: Callable[[str, RtpHeader, bytes, float], None],
        on_report: Callable[[str, RtcpSrPacket], Awaitable[None]],
    ) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.outgoing: list[Line] = []
        """Lines we may send on, in the order the browser made them."""
        self.dropped = 0
        """Datagrams dropped as malformed, foreign or too many."""
        self._on_rtp, self._on_report = on_rtp, on_report
        self._incoming: dict[str, Incoming] = {}
        self._known: set[str] = set()
        self._dtls: Any = None

    async def answer(self, sdp: str, most_lines: int) -> str:
        """Take an offer and return the answer. Raises RoomError with a sentence for the person who sent it."""
        if len(sdp) > LARGEST_SDP or sdp.count("\nm=") > most_lines:
            raise RoomError("The offer is too large: offer one microphone, one camera and the slots asked for.")
        try:
            return await self._negotiate(sdp)
        except RoomError:
            raise
        except Exception as error:  # a parser that meets hostile text may raise anything
            raise RoomError(f"The offer is not SDP that can be answered ({type(error).__name__}): reload.") from error

    async def _negotiate(self, sdp: str) -> str:
        if not sdp.startswith("v=0"):
            raise ValueError("no version line")
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        transceivers = self.pc.getTransceivers()
        if not any(t.kind == "audio" for t in transceivers):
            raise RoomError("The offer has no audio: offer an audio line, even without a microphone.")
        for transceiver in transceivers:
            self._adopt(transceiver)
        self._hook(transceivers[0].receiver.transport)
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        for protocol in self._dtls.transport._connection._protocols:
            self._guard(protocol)
        return str(self.pc.localDescription.sdp)

    def _adopt(self, transceiver: Any) -> None:
        """Point an m-line at us: packets in and feedback out, without aiortc's codecs, threads and timers."""
        kind, mid = transceiver.kind, transceiver.mid
        transceiver._codecs = [c for c in transceiver._codecs if c.mimeType.lower() == CODECS[kind]]
        if not transceiver._codecs:
            raise RoomError("The browser offers neither Opus nor VP8: use a current browser.")
        if mid in self._known:
            return
        self._known.add(mid)
        # an id beyond these has no one-byte form (RFC 8285, 4.2), and ours to others would be malformed
        level_id = next((x.id for x in transceiver._headerExtensions if x.uri == LEVEL and 0 < x.id < 15), None)
        if not 0 <= transceiver._codecs[0].payloadType < 128:
            raise ValueError("a payload type has seven bits")
        line = Line(kind, mid, transceiver._codecs[0].payloadType, transceiver.sender._ssrc, level_id)
        if transceiver._offerDirection == "sendonly":
            transceiver.direction = "sendonly"
            transceiver.sender._stream_id = f"slot{len(self.outgoing) // 2}"
            transceiver.sender.send = partial(_register_sender, transceiver.sender)
            transceiver.sender._handle_rtcp_packet = partial(_feedback, line)
            self.outgoing.append(line)
        elif kind not in self._incoming:
            transceiver.direction = "recvonly"
            incoming = self._incoming[kind] = Incoming(line, transceiver.receiver)
            transceiver.receiver.receive = partial(_register_receiver, incoming)
            handle = transceiver.receiver._handle_rtcp_packet
            transceiver.receiver._handle_rtcp_packet = partial(self._reported, kind, handle)
        else:
            transceiver.direction = "inactive"  # a second microphone or camera: one voice per person

    async def _reported(self, kind: str, handle: Callable[[Any], Awaitable[None]], packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            await handle(packet)
            await self._on_report(kind, packet)

    def _hook(self, dtls: Any) -> None:
        if self._dtls is None:
            self._dtls = dtls
            dtls.transport._connection.data_received = self._received

    def _guard(self, protocol: Any) -> None:
        """Only STUN may reach aioice: it takes media whose number happens to fit for STUN, and fails on its content."""
        if "datagram_received" in vars(protocol):
            return
        take = protocol.datagram_received

        def datagram_received(data: bytes, address: Any) -> None:
            if not data or data[0] > 3:
                self._received(data, 1)
                return
            try:
                take(data, address)
            except (struct.error, IndexError, KeyError, TypeError, ValueError):
                self.dropped += 1  # STUN whose attributes are not what they say

        protocol.datagram_received = datagram_received

    def _received(self, data: bytes, component: int) -> None:
        """Every datagram that is not STUN (RFC 7983): media is ours, the rest goes on to aiortc."""
        if len(data) < 2:
            self.dropped += 1
            return
        if not 127 < data[0] < 192 or 192 <= data[1] <= 223:
            queue = self._dtls.transport._connection._queue
            if queue.qsize() < LONGEST_QUEUE:
                queue.put_nowait((data, component))
            else:
                self.dropped += 1
            return
        self._media(data)

    def _media(self, data: bytes) -> None:
        incoming = next((i for i in self._incoming.values() if i.line.payload_type == data[1] & 127), None)
        header = parse(data, incoming.line.level_id) if incoming else None
        if incoming is None or header is None or self._dtls._rx_srtp is None:
            self.dropped += 1
            return
        try:
            packet = self._dtls._rx_srtp.unprotect(data)
        except (SrtpError, ValueError):
            self.dropped += 1  # forged, repeated, under another key, or longer than any path carries
            return
        self._count(incoming, header)
        self._on_rtp(incoming.line.kind, header, packet, time.monotonic())

    def _count(self, incoming: Incoming, header: RtpHeader) -> None:
        """Keeps aiortc's receiver reports true, from which the browser sets its bit rate."""
        if incoming.ssrc != header.ssrc:
            streams = incoming.receiver._RTCRtpReceiver__remote_streams
            streams.clear()
            self._dtls._rtp_router.ssrc_table.pop(incoming.ssrc, None)
            incoming.ssrc = header.ssrc
            incoming.statistics = streams[header.ssrc] = StreamStatistics(CLOCK[incoming.line.kind])
            self._dtls._rtp_router.ssrc_table[header.ssrc] = incoming.receiver
        if incoming.statistics is not None:
            incoming.seen.sequence_number, incoming.seen.timestamp = header.sequence, header.timestamp
            incoming.statistics.add(incoming.seen)

    def send_rtp(self, data: bytes) -> bool:
        """Encrypt and send a media packet now; False when there is no connection to send it on."""
        if self._dtls is None or self._dtls._tx_srtp is None:
            return False
        pair = self._dtls.transport._connection._nominated.get(1)
        if pair is None:
            return False
        try:
            protected = self._dtls._tx_srtp.protect(data)
        except (SrtpError, ValueError):
            return False  # older than the replay window: nobody waits for it any more; or too long
        pair.protocol.transport.sendto(protected, pair.remote_addr)
        return True

    async def send_report(self, line: Line, report: RtcpSrPacket, timestamp: int) -> None:
        """Pass on another peer's sender report, so that sound and picture stay together."""
        info = report.sender_info
        copy = RtcpSenderInfo(info.ntp_timestamp, timestamp & 0xFFFFFFFF, info.packet_count, info.octet_count)
        await self._send_rtcp(RtcpSrPacket(ssrc=line.ssrc, sender_info=copy))

    async def ask_keyframe(self) -> None:
        """Ask this peer for a whole picture."""
        video = self._incoming.get("video")
        if video is not None and video.ssrc is not None:
            await self._send_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=video.line.ssrc, media_ssrc=video.ssrc))

    async def ask_again(self, kind: str, sequences: list[int]) -> None:
        """Ask this peer for packets that were lost on their way to somebody."""
        incoming = self._incoming.get(kind)
        if incoming is not None and incoming.ssrc is not None and sequences:
            packet = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=incoming.line.ssrc, media_ssrc=incoming.ssrc)
            packet.lost = sorted(set(sequences))  # aiortc packs them in rising order only
            await self._send_rtcp(packet)

    async def _send_rtcp(self, packet: Any) -> None:
        """Best effort: a path that is just ending must not end whoever asked for this."""
        if self._dtls is not None and self.pc.connectionState == "connected":
            try:
                await self._dtls._send_rtp(bytes(packet))
            except (ConnectionError, SrtpError, ValueError):
                self.dropped += 1

    @property
    def flooded(self) -> bool:
        """Whether a data-channel message has grown past what this end announced that it takes."""
        return self.pc.sctp is not None and self.pc.sctp._advertised_rwnd < 0

    async def close(self) -> None:
        """Ends the connection, even when the caller is cancelled meanwhile: aiortc cannot be closed by half."""
        await asyncio.shield(self.pc.close())


async def _register_sender(sender: Any, parameters: Any) -> None:
    """In place of RTCRtpSender.send: feedback is routed, nothing is encoded."""
    sender.transport._register_rtp_sender(sender, parameters)


async def _register_receiver(incoming: Incoming, parameters: Any) -> None:
    """In place of RTCRtpReceiver.receive: receiver reports go out, nothing is decoded and no thread runs."""
    receiver = incoming.receiver
    receiver.transport._register_rtp_receiver(receiver, parameters)
    if not receiver._RTCRtpReceiver__started:
        receiver._RTCRtpReceiver__rtcp_task = asyncio.ensure_future(receiver._run_rtcp())
        receiver._RTCRtpReceiver__started = True


async def _feedback(line: Line, packet: Any) -> None:
    """What the far end says of a line we send on."""
    if line.on_feedback is not None:
        await line.on_feedback(packet)


def wants_keyframe(packet: Any) -> bool:
    return isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR)


def lost_sequences(packet: Any) -> list[int]:
    """Sequence numbers that the far end misses; empty when it says something else."""
    if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
        return list(packet.lost)
    return []
