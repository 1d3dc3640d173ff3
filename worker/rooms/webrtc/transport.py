"""One DTLS transport's datagrams: what is not meant for us is dropped, media is routed, the rest goes on to aiortc."""

import asyncio
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aioice.ice
from aiortc.rtp import RtcpSrPacket
from pylibsrtp import Error as SrtpError

from worker.audio.rtp import RtpHeader, extension, parse
from worker.rooms.webrtc.reports import Arrivals, keep_reporting

CLOCK = {"audio": 48_000, "video": 90_000}
LONGEST_QUEUE = 500
"""Datagrams that may wait for aiortc (DTLS, RTCP, data channel); more is a flood."""
PATHS = 16
"""Addresses of the far end that are remembered: it may change between its networks."""
LEARNED, LEARNED_PER_S = 32, 1.0
"""Streams that nobody announced and that are taken by their MID or payload type, at once and in the long run: libsrtp
keeps something of each for ever."""
HEARTBEAT_S = 1
"""Pause between two checks of ICE consent (RFC 7675), whose answers show that a path on which nobody speaks still
stands. aioice's own 5 s would let a lost path pass for a silent one for too long."""
UNANSWERED = 20
"""Checks in a row without an answer after which aioice gives a path up: 30 s as in RFC 7675, as it waits 0.5 s for
each. Its own 6 would part with a crowded path, on which answers take longer, after 9 s."""


def prepare() -> None:
    """Make every connection of this process check its path often enough to notice a loss within 5 s, and be patient."""
    aioice.ice.CONSENT_INTERVAL = HEARTBEAT_S
    aioice.ice.CONSENT_FAILURES = UNANSWERED


@dataclass(eq=False)
class Route:
    """One m-line that we receive on, and who takes its packets."""

    kind: str
    mid: str
    payload_type: int
    level_id: int | None
    receiver: Any
    """aiortc's receiver, to which it hands the sender's reports."""
    take: Callable[[RtpHeader, bytes, float], None]
    """Called with each packet as it came, still encrypted, and `time.monotonic()`."""
    arrivals: Arrivals | None = None
    """Of the stream that is being received."""
    adopted: bool = False
    """Whether we report what arrives, instead of aiortc."""
    announced: set[int] = field(default_factory=set)
    """SSRCs that the far end's last offer names for this line."""

    @property
    def ssrc(self) -> int | None:
        """Of the stream that is being received."""
        return self.arrivals.ssrc if self.arrivals is not None else None


class Transport:
    """Stands between aioice and aiortc on one connection. Nothing that anyone sends ends it or makes it raise."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        """Datagrams dropped, by reason."""
        self.heard_at = time.monotonic()
        """When the last datagram came from the far end; its connection checks count."""
        self.mid_id: int | None = None
        self._dtls: Any = None
        self._connection: Any = None
        self._routes: dict[str, Route] = {}
        self._streams: dict[int, Route] = {}
        self._reporting: asyncio.Task[None] | None = None
        self._paths: set[Any] = set()
        """Addresses that the far end has proved its own, as asyncio gives them."""
        self._learned, self._learned_at = 0.0, 0.0

    # -- set-up ---------------------------------------------------------------------------------------------------

    def attach(self, dtls: Any) -> None:
        """Take this transport's datagrams; call it again after each gathering, for the sockets that are new."""
        if self._dtls is None:
            self._dtls, self._connection = dtls, dtls.transport._connection
            self._connection.data_received = self._received
        for protocol in self._connection._protocols:
            self._guard(protocol)

    def route(self, route: Route) -> None:
        """Receive on an m-line, from now on or as newly offered."""
        if self._routes.get(route.mid) is not route:
            self._forget(self._routes.get(route.mid))
            self._routes[route.mid] = route

    def announce(self, route: Route, ssrcs: set[int]) -> bool:
        """The SSRCs that an offer names for a route; True when its stream is another one from now on."""
        route.announced = ssrcs
        if not ssrcs or route.ssrc is None or route.ssrc in ssrcs:
            return False
        self._forget(route)
        return True

    def hand_over(self) -> None:
        """Call it once all lines of an offer are announced: a stream named for another line than before goes there."""
        named = {ssrc for route in self._routes.values() for ssrc in route.announced}
        for ssrc, route in list(self._streams.items()):
            if ssrc in named - route.announced:
                self._forget(route)

    def _guard(self, protocol: Any) -> None:
        """Only STUN may reach aioice: it takes media whose number happens to fit for STUN, and fails on its content."""
        if "datagram_received" in vars(protocol):
            return
        take = protocol.datagram_received

        def datagram_received(data: bytes, address: Any) -> None:
            from_path = address in self._paths or self._is_path(address)
            if data and data[0] > 3:
                if from_path:
                    self._received(data, 1)
                else:
                    self.dropped["foreign"] += 1
                return
            try:
                if data:
                    take(data, address)
                    if from_path:
                        self.heard_at = time.monotonic()
                    return
            except (struct.error, IndexError, KeyError, TypeError, ValueError):
                pass  # STUN whose attributes are not what they say
            self.dropped["malformed"] += 1

        protocol.datagram_received = datagram_received

    def _is_path(self, address: Any) -> bool:
        """Whether the far end proved that this address is its own; before it has proved any, all may be."""
        if not self._connection._nominated:
            return True
        pairs = [*self._connection._nominated.values(), *self._connection._check_list]
        proved = {pair.remote_addr for pair in pairs if pair.state.name == "SUCCEEDED"}
        known = (address[0], address[1]) in proved  # of IPv6 there are two more
        if known and len(self._paths) < PATHS:
            self._paths.add(address)
        return known

    def adopt(self, route: Route) -> None:
        """Let aiortc's receiver of this line decode nothing, run no thread, and hand us what the sender reports."""

        async def receive(parameters: Any) -> None:
            route.receiver.transport._register_rtp_receiver(route.receiver, parameters)

        async def handle_rtcp(packet: Any) -> None:
            if isinstance(packet, RtcpSrPacket) and route.arrivals is not None and packet.ssrc == route.ssrc:
                route.arrivals.reported(packet.sender_info.ntp_timestamp, time.monotonic())

        route.receiver.receive, route.receiver._handle_rtcp_packet = receive, handle_rtcp
        route.adopted = True

    def report(self, ssrc: int) -> None:
        """Tell the far end from now on what arrives. `ssrc` is one of our own."""
        if self._reporting is None:
            work = keep_reporting(ssrc, self._arrivals, self.send_rtcp, time.monotonic)
            self._reporting = asyncio.create_task(work)

    def _arrivals(self) -> list[Arrivals]:
        return [route.arrivals for route in self._routes.values() if route.adopted and route.arrivals is not None]

    def close(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()

    # -- receiving ------------------------------------------------------------------------------------------------

    def _received(self, data: bytes, component: int) -> None:
        """Every datagram that is not STUN (RFC 7983): media is ours, the rest goes on to aiortc.

        For media this is the busiest function of the worker, and longer than others for that.
        """
        if len(data) < 12 or not 19 < data[0] < 192:
            self.dropped["malformed"] += 1
            return
        now = self.heard_at = time.monotonic()
        if data[0] < 128 or 191 < data[1] < 209:
            if self._connection._queue.qsize() < LONGEST_QUEUE:
                self._connection._queue.put_nowait((data, component))
            else:
                self.dropped["flood"] += 1
        elif 208 < data[1] < 224:
            self.dropped["malformed"] += 1  # RTCP that aiortc would take for media, and might fail on
        elif (route := self._streams.get(int.from_bytes(data[8:12])) or self._learn(data, now)) is not None:
            header = parse(data, route.level_id)
            if header is None or header.payload_type != route.payload_type or route.arrivals is None:
                self.dropped["malformed"] += 1
                return
            route.arrivals.count(header.sequence, header.timestamp, now)
            route.take(header, data, now)

    def _learn(self, data: bytes, now: float) -> Route | None:
        """The route of an SSRC seen for the first time: as offered, else by its MID, else by the one that fits."""
        header = parse(data)
        if header is None:
            self.dropped["malformed"] += 1
            return None
        announced = next((r for r in self._routes.values() if header.ssrc in r.announced), None)
        route = announced or self._fitting(data, header)
        if route is None or route.payload_type != header.payload_type or not (announced or self._may_learn(now)):
            self.dropped["unknown"] += 1
            return None
        if announced:
            return self._open_stream(route, header.ssrc)
        if self.unseal(data) is not None:
            self._open_stream(route, header.ssrc)  # from its next packet on: this one is spent on proving itself
        return None

    def _open_stream(self, route: Route, ssrc: int) -> Route:
        self._forget(route)
        route.arrivals = Arrivals(ssrc, CLOCK[route.kind])
        self._streams[ssrc] = route
        self._dtls._rtp_router.ssrc_table[ssrc] = route.receiver
        return route

    def _fitting(self, data: bytes, header: RtpHeader) -> Route | None:
        mid = extension(data, self.mid_id) if self.mid_id else None
        if mid is not None:
            return self._routes.get(mid.decode("ascii", "replace"))
        fitting = [r for r in self._routes.values() if r.payload_type == header.payload_type]
        return fitting[0] if len(fitting) == 1 else None

    def _may_learn(self, now: float) -> bool:
        self._learned = max(0.0, self._learned - LEARNED_PER_S * (now - self._learned_at))
        self._learned_at = now
        if self._learned > LEARNED - 1:
            return False
        self._learned += 1
        return True

    def _forget(self, route: Route | None) -> None:
        """A line's stream ends: one line carries one at a time."""
        if route is not None and route.ssrc is not None:
            self._streams.pop(route.ssrc, None)
            self._dtls._rtp_router.ssrc_table.pop(route.ssrc, None)
            route.arrivals = None

    def unseal(self, data: bytes) -> bytes | None:
        """Decrypt a packet; None when it is forged, repeated, under another key or longer than any path carries."""
        try:
            opened: bytes = self._dtls._rx_srtp.unprotect(data)
            return opened
        except (SrtpError, ValueError, AttributeError):
            self.dropped["forged"] += 1
            return None

    # -- sending --------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        """Encrypt and send a media packet now; False when there is no connection to send it on."""
        pair = (
            self._connection._nominated.get(1) if self._dtls is not None and self._dtls._tx_srtp is not None else None
        )
        if pair is None:
            return False
        try:
            protected = self._dtls._tx_srtp.protect(data)
        except (SrtpError, ValueError):
            return False  # older than the replay window: nobody waits for it any more; or too long
        pair.protocol.transport.sendto(protected, pair.remote_addr)
        return True

    async def send_rtcp(self, packet: Any) -> None:
        """Best effort: a path that is just ending must not end whoever asked for this."""
        if self._dtls is not None and self._dtls.state == "connected":
            try:
                await self._dtls._send_rtp(bytes(packet))
            except (ConnectionError, SrtpError, ValueError):
                self.dropped["unsent"] += 1
