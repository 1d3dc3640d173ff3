"""One connection of one person to the embedded room: who they are, what they send and what is on its way to them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from aiortc import InvalidStateError

from worker.audio.rtp import RtpHeader
from worker.errors import RoomError
from worker.privacy.consent import Standing
from worker.privacy.levels import Level
from worker.ring import Ring
from worker.rooms.complaints import Complaint
from worker.rooms.forward import KEYFRAME_PAUSE_S, Leg, Throttle
from worker.rooms.webrtc.listener import SILENT_S, Hearing
from worker.rooms.webrtc.peer import Line, Peer

log = structlog.get_logger()

WAITING = 256
"""Signalling messages that may wait for one browser; one that takes none for so long is cut off."""
WRITE_S = 5.0
"""Seconds a browser may take for one signalling message."""
RECENT = 512
"""Video packets kept to be sent again: some seconds of a usual picture. A power of two, as sequence numbers wrap."""
BUFFERED = 256 * 1024
"""Bytes a browser's data channel may be behind before messages to it are dropped and it is given a snapshot."""
KNOCKS_PER_S = 50
"""Messages a browser may send in a second, over signalling and the data channel together."""
REPEATS_PER_S = 500
"""Lost packets that are sent again to one browser in a second."""


@dataclass(eq=False)
class Participant:
    """Everything the room knows of one connection. Nothing here waits but `write`."""

    speaker: str
    name: str
    generation: int
    level: Level
    """How much is made of this voice, as it was last looked at."""
    muted: bool
    ear: Hearing
    peer: Peer | None = None
    channel: Any = None
    greeted: bool = False
    """True once this listener has its snapshot, which comes before any event."""
    behind: bool = False
    """True while messages to its data channel are dropped, because it does not keep up."""
    present: bool = False
    """True once media flows."""
    legs: dict[str, dict[Line, Leg]] = field(default_factory=lambda: {"audio": {}, "video": {}})
    """Legs of other participants that carry this one, by kind."""
    slots: list[tuple[Leg, Leg]] = field(default_factory=list)
    """Pairs of lines towards this participant: one for a voice, one for a picture."""
    carried: dict[int, "Participant"] = field(default_factory=dict)
    """Who is on which slot."""
    keyframes: Throttle = field(default_factory=lambda: Throttle(KEYFRAME_PAUSE_S))
    complaint: Complaint = field(default_factory=Complaint)
    knocks: int = 0
    repeats: int = 0
    _outbox: Ring[dict[str, Any]] = field(default_factory=lambda: Ring(WAITING))
    _recent: dict[int, tuple[RtpHeader, bytes]] = field(default_factory=dict)
    _ending: tuple[int, str] | None = None

    def card(self) -> dict[str, Any]:
        return {
            "speaker": self.speaker,
            "name": self.name,
            "generation": self.generation,
            "analysed": self.level > Level.PRESENCE,
            "level": self.level.word,
            "muted": self.muted,
        }

    def counts(self) -> dict[str, Mapping[str, int]]:
        """What has become of this connection's packets and datagrams so far, by the name of the counter."""
        dropped = self.peer.transport.dropped if self.peer is not None else {}
        return {"undertone_packets": self.ear.counts, "undertone_datagrams_dropped": dropped}

    @property
    def heard(self) -> bool:
        """Whether there is sound of this person to be heard."""
        return self.present and not self.muted

    def towards(self) -> list[Leg]:
        """All lines towards this participant."""
        return [leg for pair in self.slots for leg in pair]

    def knock(self) -> bool:
        """Count a message from this browser; False when there are too many."""
        self.knocks += 1
        return self.knocks <= KNOCKS_PER_S

    def say(self, message: dict[str, Any]) -> None:
        """Send on the signalling socket, in order, without waiting."""
        if self._outbox.put(message) is not None:
            self.dismiss("Your browser does not take messages: join again.", 4504)

    def confirm(self, standing: Standing) -> None:
        """Tell this person what they agreed to, as it is known here, and what holds."""
        said = {"type": "consent", "state": standing.state.value, "agreed": standing.agreed.word}
        self.say({**said, "level": self.level.word})

    def trouble(self, now: float) -> RoomError | None:
        """Why this connection is of no use any more."""
        if self.heard and (self.ear.deaf(now) or (self.peer is not None and self.peer.deaf)):
            return RoomError("Your sound arrives and can't be used: joining again.", "deaf")
        if self.peer is not None and self.peer.silent_s() > SILENT_S:
            return RoomError(f"Nothing has come from you for {SILENT_S:.0f} s: joining again.", "media_lost")
        return None

    def tell(self, message: str, greeting: bool) -> bool:
        """Send on the data channel, to nobody before their greeting; False when it is too full to take this.

        Raises RoomError when it can never take this.
        """
        channel = self.channel
        if channel is None or channel.readyState != "open" or self.behind or not (self.greeted or greeting):
            return True
        if channel.bufferedAmount > BUFFERED:
            self.behind, self.greeted = True, False
            return False
        try:
            channel.send(message)
        except (ValueError, InvalidStateError):
            raise RoomError("Your data channel takes no messages of this size: reload the page.") from None
        self.greeted = True
        return True

    def catches_up(self) -> bool:
        """Whether a data channel that was behind has just become ready for a greeting again."""
        ready = self.behind and self.channel is not None and self.channel.bufferedAmount < BUFFERED // 4
        self.behind = self.behind and not ready
        return ready

    def dismiss(self, sentence: str, code: int = 4400) -> None:
        """Say a last sentence and close the signalling socket; only the first one counts."""
        if self._ending is None:
            self._ending = (code, sentence)
            self._outbox.put({"type": "error", "message": sentence})
            self._outbox.close()

    def leave(self) -> None:
        """Close the signalling socket without a word."""
        self._outbox.close()

    async def write(self, socket: web.WebSocketResponse, abort: Callable[[], None]) -> None:
        """Send what is said until the end of it, then close. A socket that hangs is cut off."""
        try:
            async for message in self._outbox:
                async with asyncio.timeout(WRITE_S):
                    await socket.send_json(message)
            async with asyncio.timeout(WRITE_S):
                code, sentence = self._ending or (1000, "")
                await socket.close(code=code, message=sentence.encode()[:120])
        except (ConnectionError, TimeoutError) as error:
            log.info("signalling socket lost", speaker=self.speaker, reason=type(error).__name__)
            abort()

    def pair_lines(self, on_feedback: Callable[["Participant", int, Leg, Any], Awaitable[None]]) -> None:
        """Make slots of the browser's new lines, a voice and a picture each; `on_feedback` hears of them."""
        if self.peer is None:
            return
        audio, video = ([line for line in self.peer.outgoing if line.kind == kind] for kind in ("audio", "video"))
        for sound, picture in list(zip(audio, video, strict=False))[len(self.slots) :]:
            pair = (Leg(sound, self.peer.transport.send), Leg(picture, self.peer.transport.send))
            for leg in pair:
                leg.line.on_feedback = partial(on_feedback, self, len(self.slots), leg)
            self.slots.append(pair)

    def keep(self, header: RtpHeader, packet: bytes) -> None:
        """Remember a video packet for those who lose it on the way."""
        self._recent[header.sequence % RECENT] = (header, packet)

    def repeat(self, leg: Leg, sequences: list[int], asker: "Participant") -> list[int]:
        """Send lost packets of this source again; returns those that are not at hand."""
        missing = []
        for sequence in sequences:
            header, packet = self._recent.get(sequence % RECENT, (None, b""))
            if header is None or header.sequence != sequence:
                missing.append(sequence)
            elif asker.repeats < REPEATS_PER_S:
                asker.repeats += 1
                leg.forward(header, packet, time.monotonic())
        return missing
