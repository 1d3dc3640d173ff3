"""A receive-only connection to an SFU: it offers, we answer, and each of its audio lines is heard on its own."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import structlog
from aiortc import RTCIceServer, RTCSessionDescription

from worker.audio import AudioChunk
from worker.audio.ear import UNHEARD, Ear
from worker.audio.rtp import RtpHeader
from worker.errors import RoomError
from worker.rooms.complaints import Complaint
from worker.rooms.webrtc.connection import Connection
from worker.rooms.webrtc.names import Path, usable_path
from worker.rooms.webrtc.peer import LARGEST_SDP, announce, audio_level_id
from worker.rooms.webrtc.stock import StockEar
from worker.rooms.webrtc.transport import Route, Transport

log = structlog.get_logger()

SILENT_S = 4.0
"""Without a datagram of any kind for this long the path is lost: connection checks alone come every second."""
MOST_LINES = 200
"""M-lines that an SFU may offer; one is one speaker, now or earlier."""


class Hearing(Protocol):
    """What turns one line's packets into sound: `Ear`, or `StockEar`."""

    def push(self, header: RtpHeader, data: bytes, now: float) -> list[AudioChunk]: ...

    def tick(self, now: float) -> list[AudioChunk]: ...

    def forget(self) -> None: ...

    def deaf(self, now: float) -> bool: ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What became of the packets so far, by fate."""
        ...

    def close(self) -> None: ...


class Listener:
    """`give` is called with sound as it comes to be known; `clock` tells the room's time in seconds.

    Which speaker a line (a `mid`) carries is the server's to say: `hear` and `ignore` follow that. Lines that nobody
    asked to hear are dropped without being decrypted, but for one packet in 10,000 (see `worker.audio.ear.UNHEARD`).
    """

    def __init__(
        self,
        give: Callable[[list[AudioChunk]], None],
        clock: Callable[[], float],
        path: Path = "own",
        gated: bool = True,
        may_hear: Callable[[str], bool] = lambda _: True,
        servers: Sequence[RTCIceServer] = (),
    ) -> None:
        self.pc = Connection(servers)
        self.transport = Transport()
        self.ears: dict[str, Hearing] = {}
        """By mid, of the lines that are heard."""
        self.path = usable_path(path)
        self._give, self._now, self._gated, self._may_hear = give, clock, gated, may_hear
        self._routes: dict[str, Route] = {}
        self._speakers: dict[str, str] = {}
        self._complaints: defaultdict[str, Complaint] = defaultdict(Complaint)
        self._gone: Counter[str] = Counter()
        """What became of the packets of lines that are heard no more."""
        self._ice: set[str] = set()
        self._negotiating = asyncio.Lock()

    async def answer(self, sdp: str) -> tuple[str, list[str]]:
        """The answer to an offer, and the mids that carry another stream from now on.

        Those are heard no more until `hear` says whose they are, as a new generation: it may be somebody else, who has
        not agreed.

        Raises RoomError when the offer can't be answered: leave and join again.
        """
        if len(sdp) > 4 * LARGEST_SDP or sdp.count("\nm=") > MOST_LINES:
            raise RoomError(f"The SFU's offer is too large: it has more than {MOST_LINES} lines.", "bad_offer")
        ice = set(re.findall(r"^a=ice-ufrag:(\S+)", sdp, re.MULTILINE))
        if not ice:
            raise RoomError("The SFU sent something that is no offer: join again.", "bad_offer")
        if self._ice and not ice & self._ice:
            raise RoomError("The SFU restarted ICE, which aiortc can't follow: join again.", "ice_restart")
        self._ice = ice
        async with self._negotiating:  # an offer that comes meanwhile waits
            try:
                return await self._negotiate(sdp)
            except Exception as error:  # a parser that meets hostile text may raise anything
                kind = type(error).__name__
                raise RoomError(f"The SFU's offer can't be answered ({kind}): join again.", "bad_offer") from error

    async def _negotiate(self, sdp: str) -> tuple[str, list[str]]:
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        lines = [t for t in self.pc.getTransceivers() if t.kind == "audio"]
        if self.path == "own" and lines:
            self.transport.attach(lines[0].receiver.transport)
            for transceiver in lines:
                self._adopt(transceiver)
        for transceiver in self.pc.getTransceivers():
            transceiver.direction = "recvonly" if transceiver.kind == "audio" else "inactive"
        changed = announce(self.transport, self._routes.values(), sdp)
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        if self.path == "own" and lines:
            self.transport.attach(lines[0].receiver.transport)
        for mid in changed:
            self.ignore(mid)
        return str(self.pc.localDescription.sdp), changed

    def _adopt(self, transceiver: Any) -> None:
        mid = transceiver.mid
        level_id = audio_level_id(transceiver)
        opus = next((c for c in transceiver._codecs if c.mimeType.lower() == "audio/opus"), None)
        if opus is None:
            return
        if mid in self._routes:
            self._routes[mid].payload_type, self._routes[mid].level_id = opus.payloadType, level_id
            return
        take = partial(self._take, mid)
        route = Route("audio", mid, opus.payloadType, level_id, transceiver.receiver, take)
        self._routes[mid] = route
        self.transport.route(route)
        self.transport.adopt(route)
        self.transport.report(transceiver.sender._ssrc)

    def hear(self, mid: str, speaker: str) -> None:
        """Hear a line as this speaker's from now on; whoever it carried before is forgotten."""
        self.ignore(mid)
        self._speakers[mid] = speaker
        if self.path == "own":
            self.ears[mid] = Ear(speaker, self._may_hear, self.transport.unseal, self._gated)
            return
        receiver = next((t.receiver for t in self.pc.getTransceivers() if t.mid == mid), None)
        if receiver is None:
            raise RoomError(f"The SFU offered no line {mid}: join again.", "bad_offer")
        self.ears[mid] = StockEar(speaker, receiver, self._give, self._now, self._may_hear)

    def ignore(self, mid: str) -> None:
        """Hear a line no more."""
        self._speakers.pop(mid, None)
        self._complaints.pop(mid, None)
        if (ear := self.ears.pop(mid, None)) is not None:
            self._gone.update(ear.counts)
            ear.close()

    @property
    def counts(self) -> Counter[str]:
        """What became of the packets of all lines so far, by fate; they never fall."""
        counts = Counter(self._gone)
        for ear in self.ears.values():
            counts.update(ear.counts)
        return counts

    def received(self, mid: str) -> int:
        """Packets that have come of the stream that a line carries now, heard or not."""
        route = self._routes.get(mid)
        return route.arrivals.received if route is not None and route.arrivals is not None else 0

    def _take(self, mid: str, header: RtpHeader, data: bytes, now: float) -> None:
        ear = self.ears.get(mid)
        if ear is None:
            self._pass_over(self._routes[mid], data)
        elif chunks := ear.push(header, data, self._now()):
            self._give(chunks)

    def _pass_over(self, route: Route, data: bytes) -> None:
        """Let libsrtp see a packet of a line that nobody asked for, if that is due."""
        if route.arrivals is not None and route.arrivals.received % UNHEARD == 1:
            self.transport.unseal(data)

    def tick(self) -> None:
        """Call every 20-50 ms. Raises RoomError when this connection no longer hears: leave and join again."""
        now = self._now()
        for mid, ear in self.ears.items():
            if chunks := ear.tick(now):
                self._give(chunks)
            self._complaints[mid].look(self._speakers[mid], ear.counts, now)
            if ear.deaf(now):
                raise RoomError(f"Packets of line {mid} come and none can be used: join again.", "deaf")
        if self._silent_s() > SILENT_S:
            raise RoomError(f"Nothing has come from the SFU for {SILENT_S:.0f} s: join again.", "media_lost")
        if self.pc.connectionState in ("failed", "closed"):
            raise RoomError("The media connection to the SFU ended: join again.", "media_lost")

    def _silent_s(self) -> float:
        """Seconds since the last datagram. On the stock path nobody sees them: aiortc gives up after 30 s."""
        watched = self.path == "own" and self.pc.connectionState == "connected"
        return time.monotonic() - self.transport.heard_at if watched else 0.0

    async def close(self) -> None:
        """Ends the connection, even when the caller is cancelled meanwhile."""
        for mid in list(self.ears):
            self.ignore(mid)
        self.transport.close()
        await self.pc.close()
