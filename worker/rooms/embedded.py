"""A small room of its own: browsers meet here, media passes through untouched, and each voice is heard."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from aiohttp import web

from worker.audio.rtp import RtpHeader
from worker.audio.voice import Voice
from worker.errors import RoomError
from worker.events import SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted
from worker.ring import Ring
from worker.rooms import ListenerJoined, RoomItem, Tick, guests
from worker.rooms.forward import KEYFRAME_PAUSE_S, Leg, Throttle
from worker.rooms.rtc import LARGEST_SDP, Line, Peer, lost_sequences, wants_keyframe

log = structlog.get_logger()

WAITING = 20_000
"""Items that may wait for the session; it takes them at once, so this is reached only by a stuck process."""
BUFFERED = 256 * 1024
"""Bytes a browser's data channel may be behind before messages to it are dropped and it is given a snapshot."""
KNOCKS_PER_S = 50
"""Data-channel messages a browser may send in a second; it has no reason to send any."""
LARGEST_MESSAGE = 2 * LARGEST_SDP
"""Bytes of one signalling message: an offer, quoted as JSON."""
TICK_S = 0.1
BEHIND_S = 0.1
"""How far the room's clock stays behind arrival, so that all sound before a Tick has been given."""


class Server(Protocol):
    """What this room needs of the worker's HTTP server."""

    def mount(self, room: str, verb: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None: ...

    async def open_socket(self, request: web.Request) -> tuple[web.WebSocketResponse, dict[str, Any]]: ...

    async def receive_object(self, socket: web.WebSocketResponse, largest: int = ...) -> dict[str, Any] | None: ...


@dataclass(eq=False)
class Participant:
    """One connection of one person."""

    speaker: str
    name: str
    generation: int
    analysed: bool
    muted: bool
    voice: Voice
    socket: web.WebSocketResponse | None = None
    peer: Peer | None = None
    channel: Any = None
    greeted: bool = False
    """True once this listener has its snapshot, which comes before any event."""
    present: bool = False
    legs: dict[str, dict[Line, Leg]] = field(default_factory=lambda: {"audio": {}, "video": {}})
    """Legs of other participants that carry this one, by kind."""
    slots: list[tuple[Leg, Leg]] = field(default_factory=list)
    """Pairs of lines towards this participant: one for a voice, one for a picture."""
    carried: dict[int, str] = field(default_factory=dict)
    """Which speaker is on which slot."""
    keyframes: Throttle = field(default_factory=lambda: Throttle(KEYFRAME_PAUSE_S))
    knocks: int = 0
    behind: bool = False

    def card(self) -> dict[str, Any]:
        return {
            "speaker": self.speaker,
            "name": self.name,
            "generation": self.generation,
            "analysed": self.analysed,
            "muted": self.muted,
        }


class EmbeddedRoom:
    """A room on the worker's own HTTP server: `/v1/rooms/{name}/join` is its door.

    Someone who joined without being analysed is carried to the others like anyone and never decoded.
    """

    lockstep = False

    def __init__(
        self,
        server: Server,
        name: str = "demo",
        guests: int = 0,
        largest: int = 12,
        connect_within_s: float = 15.0,
    ) -> None:
        self.name = name
        self.started = datetime.now(UTC)
        self._zero = time.monotonic()
        self._largest = largest
        self._connect_within_s = connect_within_s
        self._guests = guests
        self._items: Ring[RoomItem] = Ring(WAITING)
        self._people: dict[str, tuple[str, int]] = {}
        self._present: dict[str, Participant] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        server.mount(name, "join", self._door)
        self._server = server

    def _now(self) -> float:
        return time.monotonic() - self._zero

    async def __aiter__(self) -> AsyncIterator[RoomItem]:
        self._spawn(self._keep_time())
        for number in range(self._guests):
            self._spawn(self._seat(number))
        async for item in self._items:
            yield item

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_time(self) -> None:
        """Close gaps at the end of speech, tell the time, notice listeners that have caught up."""
        second = 0
        while True:
            await asyncio.sleep(TICK_S)
            now = self._now()
            for one in list(self._present.values()):
                for chunk in one.voice.tick(now):
                    self._items.put(chunk)
                if one.behind and one.channel is not None and one.channel.bufferedAmount < BUFFERED // 4:
                    one.behind = False
                    self._items.put(ListenerJoined(one.speaker, behind=True))
                if int(now) != second:
                    one.knocks = 0
            second = int(now)
            self._items.put(Tick(max(0.0, now - BEHIND_S)))

    # -- the door -------------------------------------------------------------------------------------------------

    async def _door(self, request: web.Request) -> web.StreamResponse:
        socket, hello = await self._server.open_socket(request)
        one: Participant | None = None
        try:
            one = await self._admit(socket, hello)
            await self._converse(one, socket)
        except RoomError as error:
            await _refuse(socket, str(error))
        finally:
            if one is not None:
                await self._leave(one, "left")
        return socket

    async def _admit(self, socket: web.WebSocketResponse, hello: dict[str, Any]) -> Participant:
        name, person = hello.get("name"), hello.get("person")
        if hello.get("type") != "join" or not isinstance(name, str) or not isinstance(person, str):
            raise RoomError("The first message must be a join with a name and a person key.")
        name = " ".join(name.split())[:60]
        if not name or not 8 <= len(person) <= 100:
            raise RoomError("A name of 1 to 60 letters and a person key of 8 to 100 are needed to join.")
        speaker, generation = self._people.get(person) or (f"p{len(self._people) + 1}", 0)
        twin = self._present.get(speaker)
        if twin is not None:
            await self._leave(twin, "replaced")
            await _refuse(twin.socket, "You opened this room in another tab, so this one was closed.", 4409)
        if len(self._present) >= self._largest or len(self._people) >= 1000:
            raise RoomError(f"The room is full: it holds {self._largest} people.")
        self._people[person] = (speaker, generation + 1)
        analysed, muted = hello.get("analysed") is True, hello.get("muted") is True
        one = Participant(speaker, name, generation + 1, analysed, muted, Voice(speaker), socket)
        one.peer = Peer(lambda kind, h, p, now: self._carry(one, kind, h, p, now), lambda k, r: self._report(one, k, r))
        one.peer.pc.on("connectionstatechange", lambda: self._connection_changed(one))
        one.peer.pc.on("datachannel", lambda channel: self._channel_opened(one, channel))
        self._present[speaker] = one
        wanted = max(1, len(self._present) - 1)
        await _tell(one, {"type": "welcome", "you": speaker, "room": self.name, "wanted": wanted})
        return one

    async def _converse(self, one: Participant, socket: web.WebSocketResponse) -> None:
        """Take a participant's messages until the socket ends; the first offer must lead to a connection in time."""
        deadline = asyncio.get_running_loop().call_later(
            self._connect_within_s, lambda: None if one.present else self._spawn(self._too_late(one))
        )
        try:
            while (message := await self._server.receive_object(socket, LARGEST_MESSAGE)) is not None:
                await self._obey(one, message)
        finally:
            deadline.cancel()

    async def _too_late(self, one: Participant) -> None:
        await _refuse(
            one.socket,
            f"No media connection came about within {self._connect_within_s:.0f} s: "
            "check that UDP between you and this machine is not blocked, then join again.",
        )

    async def _obey(self, one: Participant, message: dict[str, Any]) -> None:
        match message:
            case {"type": "offer", "sdp": str(sdp)} if one.peer is not None:
                answer = await one.peer.answer(sdp, 2 + 2 * self._largest + 1)
                self._make_slots(one)
                await _tell(one, {"type": "answer", "sdp": answer})
                await self._assign(one)
            case {"type": "mute", "muted": bool(muted)}:
                if muted != one.muted:
                    one.muted = muted
                    self._items.put((SpeakerMuted if muted else SpeakerUnmuted)(self._now(), one.speaker))
                    await self._announce()
            case {"type": "leave"}:
                if one.socket is not None:
                    await one.socket.close()
            case _:
                raise RoomError("That message is not understood: send offer, mute or leave.")

    # -- coming and going -----------------------------------------------------------------------------------------

    def _connection_changed(self, one: Participant) -> None:
        state = one.peer.pc.connectionState if one.peer is not None else "closed"
        if state == "connected" and not one.present and self._present.get(one.speaker) is one:
            self._spawn(self._enter(one))
        elif state in ("failed", "closed") and self._present.get(one.speaker) is one:
            self._spawn(self._lost(one))

    async def _lost(self, one: Participant) -> None:
        await self._leave(one, "lost")
        await _refuse(one.socket, "The media connection was lost: join again.", 4504)

    async def _enter(self, one: Participant) -> None:
        one.present = True
        self._items.put(SpeakerJoined(self._now(), one.speaker, one.name, one.generation, one.analysed))
        if one.muted:
            self._items.put(SpeakerMuted(self._now(), one.speaker))
        log.info("participant joined", speaker=one.speaker, generation=one.generation, analysed=one.analysed)
        await self._announce()

    async def _leave(self, one: Participant, reason: str) -> None:
        if self._present.get(one.speaker) is not one:
            return
        del self._present[one.speaker]
        for other in self._present.values():
            for legs in other.legs.values():
                for line in [line for line in legs if one.peer is not None and line in one.peer.outgoing]:
                    del legs[line]
        if one.present:
            self._items.put(SpeakerLeft(self._now(), one.speaker, reason))
            log.info("participant left", speaker=one.speaker, reason=reason)
        if one.peer is not None:
            await one.peer.close()
        await self._announce()

    async def _announce(self) -> None:
        """Tell everyone who is here and who is on which slot."""
        cards = [one.card() for one in self._present.values() if one.present]
        for one in list(self._present.values()):
            await _tell(one, {"type": "participants", "participants": cards})
            await self._assign(one)

    # -- media ----------------------------------------------------------------------------------------------------

    def _make_slots(self, one: Participant) -> None:
        """Pair the browser's new lines: a voice and a picture each."""
        peer = one.peer
        if peer is None:
            return
        audio = [line for line in peer.outgoing if line.kind == "audio"]
        video = [line for line in peer.outgoing if line.kind == "video"]
        for sound, picture in list(zip(audio, video, strict=False))[len(one.slots) :]:
            pair = (Leg(sound, peer.send_rtp), Leg(picture, peer.send_rtp))
            number = len(one.slots)
            for leg in pair:
                leg.line.on_feedback = lambda packet, leg=leg, number=number: self._feedback(one, number, leg, packet)
            one.slots.append(pair)

    async def _assign(self, one: Participant) -> None:
        """Give every other participant a slot towards this one; ask for more slots when they run out."""
        others = {other.speaker: other for other in self._present.values() if other.present and other is not one}
        keys = {f"{other.speaker}/{other.generation}" for other in others.values()}
        for number, key in list(one.carried.items()):
            if key not in keys:
                del one.carried[number]
        for other in others.values():
            key = f"{other.speaker}/{other.generation}"
            free = [number for number in range(len(one.slots)) if number not in one.carried]
            if key in one.carried.values() or not free:
                continue
            one.carried[free[0]] = key
            for leg in one.slots[free[0]]:
                leg.restart()
                other.legs[leg.line.kind][leg.line] = leg
            await self._keyframe(other)
        slots = [
            {
                "audio": sound.line.mid,
                "video": picture.line.mid,
                "speaker": one.carried[number].split("/")[0] if number in one.carried else None,
            }
            for number, (sound, picture) in enumerate(one.slots)
        ]
        if one.slots:
            await _tell(one, {"type": "slots", "slots": slots, "wanted": max(len(slots), len(others))})

    def _carry(self, one: Participant, kind: str, header: RtpHeader, packet: bytes, now: float) -> None:
        """One media packet of one participant: to the others first, then to the ear."""
        for leg in one.legs[kind].values():
            leg.forward(header, packet, now)
        if kind == "audio" and one.present and one.analysed and not one.muted:
            for chunk in one.voice.push(header.sequence, header.timestamp, header.payload(packet), now - self._zero):
                self._items.put(chunk)

    async def _report(self, one: Participant, kind: str, report: Any) -> None:
        for other in list(self._present.values()):
            for pair in other.slots:
                for leg in pair:
                    timestamp = leg.timestamp(report.sender_info.rtp_timestamp)
                    if leg.line in one.legs[kind] and timestamp is not None and other.peer is not None:
                        await other.peer.send_report(leg.line, report, timestamp)

    async def _feedback(self, one: Participant, number: int, leg: Leg, packet: Any) -> None:
        """What a subscriber says of a line, passed on to whom it carries."""
        other = self._present.get(one.carried.get(number, "").split("/")[0])
        if other is None:
            return
        if wants_keyframe(packet):
            await self._keyframe(other)
        elif other.peer is not None and (lost := leg.source_sequences(lost_sequences(packet))):
            await other.peer.ask_again(leg.line.kind, lost)

    async def _keyframe(self, one: Participant) -> None:
        if one.peer is not None and one.keyframes(time.monotonic()):
            await one.peer.ask_keyframe()

    # -- the way back ---------------------------------------------------------------------------------------------

    def _channel_opened(self, one: Participant, channel: Any) -> None:
        if channel.label != "undertone":
            return
        one.channel = channel
        channel.on("message", lambda _: self._knocked(one))
        self._items.put(ListenerJoined(one.speaker))

    def _knocked(self, one: Participant) -> None:
        one.knocks += 1
        if one.knocks == KNOCKS_PER_S:
            log.warning("data channel flood", speaker=one.speaker)
            self._spawn(_refuse(one.socket, "Too many messages on the data channel: nothing is expected on it."))

    async def send(self, message: str, to: str | None = None) -> bool:
        """To the data channel of one participant, or of all. False when somebody's was too full to take it."""
        taken = True
        for one in [self._present[to]] if to in self._present else list(self._present.values()) if to is None else []:
            channel = one.channel
            one.greeted = one.greeted or to is not None
            if channel is None or channel.readyState != "open" or one.behind or not one.greeted:
                continue
            if channel.bufferedAmount > BUFFERED:
                one.behind, taken = True, False
                continue
            channel.send(message)
        return taken

    async def close(self) -> None:
        for one in list(self._present.values()):
            await self._leave(one, "closed")
            await _refuse(one.socket, "The room is closing.", 4503)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._items.close()

    async def _seat(self, number: int) -> None:
        """A synthetic voice takes part like a person, without a browser."""
        speaker = f"g{number + 1}"
        one = Participant(speaker, guests.NAMES[number % len(guests.NAMES)], 1, True, False, Voice(speaker))
        self._present[speaker] = one
        await self._enter(one)
        await guests.speak(number, lambda kind, h, p, now: self._carry(one, kind, h, p, now))


async def _tell(one: Participant, message: dict[str, Any]) -> None:
    """Send on the signalling socket; one that hangs or is gone is the heartbeat's to end, not ours."""
    if one.socket is not None and not one.socket.closed:
        try:
            await asyncio.wait_for(one.socket.send_json(message), 2)
        except (ConnectionError, TimeoutError):
            log.info("signalling message not delivered", speaker=one.speaker)


async def _refuse(socket: web.WebSocketResponse | None, sentence: str, code: int = 4400) -> None:
    """Close a connection with a reason in words."""
    if socket is None or socket.closed:
        return
    try:
        await asyncio.wait_for(socket.send_json({"type": "error", "message": sentence}), 2)
        await asyncio.wait_for(socket.close(code=code, message=sentence.encode()[:120]), 2)
    except (ConnectionError, TimeoutError):
        log.info("signalling socket did not close in time", code=code)
