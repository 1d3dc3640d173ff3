"""A browser's connection to the embedded room: it offers, we answer, its media is passed on and its voice heard."""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiortc import RTCSessionDescription
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)
from aiortc.sdp import SessionDescription

from worker.audio.ear import DEAF_PACKETS, DEAF_S
from worker.audio.rtp import RtpHeader
from worker.errors import RoomError
from worker.rooms.webrtc.connection import Connection
from worker.rooms.webrtc.transport import Route, Transport

CODECS = {"audio": "audio/opus", "video": "video/vp8"}
"""The one codec per kind that every browser speaks, so that packets fit every other browser as they are."""
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
LARGEST_SDP = 64 * 1024


@dataclass(eq=False)
class Line:
    """One m-line of the SDP that we may send on: what a forwarder needs."""

    kind: str
    mid: str
    payload_type: int
    ssrc: int
    level_id: int | None
    on_feedback: Callable[[Any], Awaitable[None]] | None = None


class Peer:
    """`on_rtp(kind, header, packet, now)` is called for every media packet, decrypted, in order of arrival;
    `on_report(kind, report)` for its sender reports.
    """

    def __init__(
        self,
        on_rtp: Callable[[str, RtpHeader, bytes, float], None],
        on_report: Callable[[str, RtcpSrPacket], Awaitable[None]],
        stock: bool = False,
    ) -> None:
        """`stock` leaves aiortc's own decoder of the voice in place, for who gives packets to it."""
        self.pc = Connection()
        self.outgoing: list[Line] = []
        """Lines we may send on, in the order the browser made them."""
        self.transport = Transport()
        self.voice_receiver: Any = None
        """aiortc's receiver of the voice, once there is one."""
        self._on_rtp, self._on_report, self._stock = on_rtp, on_report, stock
        self._incoming: dict[str, Route] = {}
        self._own_ssrc: dict[str, int] = {}
        self._known: set[str] = set()
        self._unopened, self._opened_at = 0, time.monotonic()
        """Packets of the voice since one could be decrypted, and when that was."""

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
        dtls = transceivers[0].receiver.transport
        self.transport.attach(dtls)
        for transceiver in transceivers:
            self._adopt(transceiver)
        announce(self.transport, self._incoming.values(), sdp)
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        self.transport.attach(dtls)
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
        level_id = audio_level_id(transceiver)
        if not 0 <= transceiver._codecs[0].payloadType < 128:
            raise ValueError("a payload type has seven bits")
        payload_type = transceiver._codecs[0].payloadType
        if transceiver._offerDirection == "sendonly":
            line = Line(kind, mid, payload_type, transceiver.sender._ssrc, level_id)
            transceiver.direction = "sendonly"
            transceiver.sender._stream_id = f"slot{len(self.outgoing) // 2}"
            transceiver.sender.send = partial(_register_sender, transceiver.sender)
            transceiver.sender._handle_rtcp_packet = partial(_feedback, line)
            self.outgoing.append(line)
        elif kind not in self._incoming:
            transceiver.direction = "recvonly"
            take = partial(self._take, kind)
            route = self._incoming[kind] = Route(kind, mid, payload_type, level_id, transceiver.receiver, take)
            self.transport.route(route)
            self._own_ssrc[kind] = transceiver.sender._ssrc
            if kind == "audio":
                self.voice_receiver = transceiver.receiver
            if kind == "video" or not self._stock:
                self.transport.adopt(route)
                self.transport.report(transceiver.sender._ssrc)
            handle = transceiver.receiver._handle_rtcp_packet
            transceiver.receiver._handle_rtcp_packet = partial(self._reported, kind, handle)
        else:
            transceiver.direction = "inactive"  # a second microphone or camera: one voice per person

    async def _reported(self, kind: str, handle: Callable[[Any], Awaitable[None]], packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            await handle(packet)
            await self._on_report(kind, packet)

    def _take(self, kind: str, header: RtpHeader, data: bytes, now: float) -> None:
        packet = self.transport.unseal(data)
        if packet is None:
            self._unopened += kind == "audio"
            return
        if kind == "audio":
            self._unopened, self._opened_at = 0, now
        self._on_rtp(kind, header, packet, now)

    async def send_report(self, line: Line, report: RtcpSrPacket, timestamp: int) -> None:
        """Pass on another peer's sender report, so that sound and picture stay together."""
        info = report.sender_info
        copy = RtcpSenderInfo(info.ntp_timestamp, timestamp & 0xFFFFFFFF, info.packet_count, info.octet_count)
        await self.transport.send_rtcp(RtcpSrPacket(ssrc=line.ssrc, sender_info=copy))

    async def ask_keyframe(self) -> None:
        """Ask this peer for a whole picture."""
        video = self._incoming.get("video")
        if video is not None and video.ssrc is not None:
            ours = self._own_ssrc["video"]
            await self.transport.send_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=ours, media_ssrc=video.ssrc))

    async def ask_again(self, kind: str, sequences: list[int]) -> None:
        """Ask this peer for packets that were lost on their way to somebody."""
        route = self._incoming.get(kind)
        if route is not None and route.ssrc is not None and sequences:
            packet = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=self._own_ssrc[kind], media_ssrc=route.ssrc)
            packet.lost = sorted(set(sequences))  # aiortc packs them in rising order only
            await self.transport.send_rtcp(packet)

    def silent_s(self) -> float:
        """Seconds since the last datagram of any kind; 0 until the connection stands."""
        return time.monotonic() - self.transport.heard_at if self.pc.connectionState == "connected" else 0.0

    @property
    def deaf(self) -> bool:
        """Whether the voice's packets have been coming for 3 s of which none could be decrypted."""
        return self._unopened > DEAF_PACKETS and time.monotonic() - self._opened_at > DEAF_S

    @property
    def flooded(self) -> bool:
        """Whether a data-channel message has grown past what this end announced that it takes."""
        return self.pc.sctp is not None and self.pc.sctp._advertised_rwnd < 0

    async def close(self) -> None:
        """Ends the connection, even when the caller is cancelled meanwhile."""
        self.transport.close()
        await self.pc.close()


def audio_level_id(transceiver: Any) -> int | None:
    """Under which id a line's packets carry their audio level (RFC 6464); None where they don't."""
    # an id beyond these has no one-byte form (RFC 8285, 4.2), and ours to others would be malformed
    return next((x.id for x in transceiver._headerExtensions if x.uri == LEVEL and 0 < x.id < 15), None)


def announce(transport: Transport, routes: Iterable[Route], sdp: str) -> list[str]:
    """Tell the transport which SSRCs an offer names for which line; the mids whose stream is another one now."""
    description = SessionDescription.parse(sdp)
    named = {media.rtp.muxId: {source.ssrc for source in media.ssrc} for media in description.media}
    ids = (x.id for media in description.media for x in media.rtp.headerExtensions if x.uri == MID)
    transport.mid_id = next((number for number in ids if 0 < number < 15), None)
    changed = [route.mid for route in routes if transport.announce(route, named.get(route.mid, set()))]
    transport.hand_over()
    return changed


async def _register_sender(sender: Any, parameters: Any) -> None:
    """In place of RTCRtpSender.send: feedback is routed, nothing is encoded."""
    sender.transport._register_rtp_sender(sender, parameters)


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
