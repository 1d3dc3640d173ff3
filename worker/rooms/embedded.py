"""A small room of its own: browsers meet here, media passes through untouched, and each voice is heard."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

import structlog
from aiohttp import web
from aiortc import InvalidStateError
from pydantic import Field

from worker.audio.ear import Ear
from worker.audio.rtp import RtpHeader
from worker.errors import ConfigError, RoomError
from worker.events import SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted
from worker.ring import Ring
from worker.rooms import ListenerJoined, RoomItem, Tick, guests
from worker.rooms.forward import Leg
from worker.rooms.participant import Participant
from worker.rooms.webrtc.listener import SILENT_S, Hearing
from worker.rooms.webrtc.names import Path, differing
from worker.rooms.webrtc.peer import LARGEST_SDP, Peer, lost_sequences, wants_keyframe
from worker.rooms.webrtc.stock import StockEar

log = structlog.get_logger()

WAITING = 20_000
"""Items that may wait for the session; it takes them at once, so this is reached only by a stuck process."""
BUFFERED = 256 * 1024
"""Bytes a browser's data channel may be behind before messages to it are dropped and it is given a snapshot."""
LARGEST_MESSAGE = 2 * LARGEST_SDP
"""Bytes of one signalling message: an offer, quoted as JSON."""
PEOPLE = 1000
"""Different people a room remembers, so that who comes back keeps their talk time."""
TICK_S = 0.04
"""Seconds between two looks at the clock; also how soon a gap at the end of speech is noticed."""
BEHIND_S = 0.15
"""How far the room's clock stays behind arrival, so that all sound before a Tick has been given."""
GOODBYE_S = 3.0
"""Seconds that connections have to close with the room."""


class Server(Protocol):
    """What this room needs of the worker's HTTP server."""

    def mount(self, room: str, verb: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None: ...

    async def open_socket(self, request: web.Request) -> tuple[web.WebSocketResponse, dict[str, Any]]: ...

    async def receive_object(self, socket: web.WebSocketResponse, largest: int = ...) -> dict[str, Any] | None: ...


class Consent(Protocol):
    """Who agreed to be heard: told by this room, asked by whoever holds sound."""

    def record(self, speaker: str, agreed: bool) -> None: ...

    def may_hear(self, speaker: str) -> bool: ...


class EmbeddedRoom:
    """A room on the worker's own HTTP server: `/v1/rooms/{name}/join` is its door.

    Someone who joined without being analysed is carried to the others like anyone and never decoded. Whatever changes
    who is here, and on whose slot, happens at once, without waiting; only sockets and connections are waited for.
    """

    lockstep = False

    def __init__(
        self,
        server: Server,
        policy: Consent,
        name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "demo",
        guests: Annotated[int, Field(ge=0, le=10)] = 0,
        largest: Annotated[int, Field(ge=1, le=50)] = 12,
        connect_within_s: Annotated[float, Field(gt=0, le=120)] = 15.0,
        receive: Path = "own",
        gate: bool = True,
    ) -> None:
        if guests > largest:
            raise ConfigError("room.guests must not be above room.largest: guests take seats too.")
        self.name = name
        self.started = datetime.now(UTC)
        self._zero = time.monotonic()
        self._largest = largest
        self._connect_within_s = connect_within_s
        self._guests = guests
        self._policy, self._stock, self._gate = policy, receive == "stock", gate
        self._items: Ring[RoomItem] = Ring(WAITING)
        self._people: dict[str, tuple[str, int]] = {}
        """By the browser's secret key: the pseudonym, and how often this person came."""
        self._here: dict[str, Participant] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._asides: set[asyncio.Task[None]] = set()
        self._closing = False
        self._failure: BaseException | None = None
        self._server = server
        server.mount(name, "join", self._door)

    def _now(self) -> float:
        return time.monotonic() - self._zero

    async def __aiter__(self) -> AsyncIterator[RoomItem]:
        if differences := differing():
            raise ConfigError(
                f"The embedded room can't carry media with this aiortc: {'; '.join(differences)}. "
                "Install the versions that constraints.txt names."
            )
        self._run(self._keep_time())
        for number in range(self._guests):
            self._run(self._seat(number))
        async for item in self._items:
            yield item
        if self._failure is not None:
            raise self._failure

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something for as long as the room lasts; if it fails, so does the room."""

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._failure = error
                self._items.close()

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something for one participant; if it fails, that is logged and nobody else's affair."""

        def ended(task: asyncio.Task[None]) -> None:
            self._asides.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("participant task failed", code="bug", exc_info=error)

        task = asyncio.create_task(work)
        self._asides.add(task)
        task.add_done_callback(ended)

    async def _keep_time(self) -> None:
        """Close gaps at the end of speech, tell the time, notice listeners that have caught up."""
        second = 0
        while True:
            await asyncio.sleep(TICK_S)
            now = self._now()
            for one in list(self._here.values()):
                self._watch(one, now)
                if one.behind and one.channel is not None and one.channel.bufferedAmount < BUFFERED // 4:
                    one.behind = False
                    self._items.put(ListenerJoined(one.speaker, behind=True))
                if int(now) != second:
                    one.knocks = one.repeats = 0
                if one.peer is not None and one.peer.flooded:
                    self._dismiss(one, "A message on the data channel is too large: nothing is expected on it.")
            second = int(now)
            self._items.put(Tick(max(0.0, now - BEHIND_S)))

    def _watch(self, one: Participant, now: float) -> None:
        """Hear what is due of one participant, or part with a connection that no longer hears."""
        if one.heard:
            self._give(one.ear.tick(now))
            if one.ear.deaf(now):
                self._lose(one, RoomError("Your sound arrives and can't be used: joining again.", "deaf"))
        if one.peer is not None and one.peer.silent_s() > SILENT_S:
            self._lose(one, RoomError(f"Nothing has come from you for {SILENT_S:.0f} s: joining again.", "media_lost"))

    def _lose(self, one: Participant, error: RoomError) -> None:
        """The page joins again by itself when it is told this."""
        log.warning("participant lost", speaker=one.speaker, code=error.code)
        self._leave(one, "lost")
        one.dismiss(str(error), 4504)

    def _new_ear(self, speaker: str) -> Hearing:
        return Ear(speaker, self._policy.may_hear, gated=self._gate)

    def _give(self, items: list[Any]) -> None:
        for item in items:
            self._items.put(item)

    # -- the door -------------------------------------------------------------------------------------------------

    async def _door(self, request: web.Request) -> web.StreamResponse:
        socket, hello = await self._server.open_socket(request)
        try:
            one = self._admit(hello)
        except RoomError as error:
            await socket.send_json({"type": "error", "message": str(error)})
            await socket.close(code=4400, message=str(error).encode()[:120])
            return socket
        transport = request.transport
        writing = asyncio.create_task(one.write(socket, lambda: transport.abort() if transport else None))
        late = asyncio.get_running_loop().call_later(self._connect_within_s, self._too_late, one)
        try:
            while (message := await self._server.receive_object(socket, LARGEST_MESSAGE)) is not None:
                await self._obey(one, message)
        except RoomError as error:
            one.dismiss(str(error))
        finally:
            late.cancel()
            self._leave(one, "left")
            one.leave()
            await writing
        return socket

    def _admit(self, hello: dict[str, Any]) -> Participant:
        name, person = hello.get("name"), hello.get("person")
        if hello.get("type") != "join" or not isinstance(name, str) or not isinstance(person, str):
            raise RoomError("The first message must be a join with a name and a person key.")
        name = "".join(letter for letter in " ".join(name.split()) if letter.isprintable())[:60].strip()
        if not name or not 8 <= len(person) <= 100:
            raise RoomError("A name of 1 to 60 letters and a person key of 8 to 100 are needed to join.")
        if self._closing:
            raise RoomError("The room is closing.")
        speaker, generation = self._people.get(person) or (f"p{len(self._people) + 1}", 0)
        if (twin := self._here.get(speaker)) is not None:
            self._leave(twin, "replaced")
            twin.dismiss("You opened this room in another tab, so this one was closed.", 4409)
        if len(self._here) >= self._largest or len(self._people) >= PEOPLE:
            raise RoomError(f"The room is full: it holds {self._largest} people.")
        self._people[person] = (speaker, generation + 1)
        analysed, muted = hello.get("analysed") is True, hello.get("muted") is True
        one = Participant(speaker, name, generation + 1, analysed, muted, self._new_ear(speaker))
        self._policy.record(speaker, analysed)
        one.peer = Peer(
            lambda kind, header, packet, now: self._carry(one, kind, header, packet, now),
            lambda kind, report: self._report(one, kind, report),
            self._stock,
        )
        one.peer.pc.on("connectionstatechange", lambda: self._connection_changed(one))
        one.peer.pc.on("datachannel", lambda channel: self._channel_opened(one, channel))
        self._here[speaker] = one
        log.info("participant at the door", speaker=speaker, generation=one.generation)
        one.say({"type": "welcome", "you": speaker, "room": self.name, "wanted": max(1, len(self._here) - 1)})
        return one

    def _too_late(self, one: Participant) -> None:
        if not one.present:
            ice = one.peer.pc.iceConnectionState if one.peer is not None else "none"
            log.warning("no media connection", speaker=one.speaker, ice=ice, within_s=self._connect_within_s)
            one.dismiss(
                f"No media connection came about within {self._connect_within_s:.0f} s: "
                "check that UDP between you and this machine is not blocked.",
                4504,
            )

    async def _obey(self, one: Participant, message: dict[str, Any]) -> None:
        if not one.knock():
            raise RoomError("Too many messages: slow down, then join again.")
        match message:
            case {"type": "offer", "sdp": str(sdp)} if one.peer is not None:
                answer = await one.peer.answer(sdp, 2 + 2 * self._largest + 1)
                one.pair_lines(self._feedback)
                if self._stock and not isinstance(one.ear, StockEar):
                    hears = (self._give, self._now, self._policy.may_hear)
                    one.ear = StockEar(one.speaker, one.peer.voice_receiver, *hears)
                one.say({"type": "answer", "sdp": answer})
                self._assign(one)
            case {"type": "mute", "muted": bool(muted)}:
                self._mute(one, muted)
            case {"type": "analyse", "analysed": bool(analysed)}:
                one.analysed = analysed
                self._policy.record(one.speaker, analysed)
                self._announce()
            case {"type": "leave"}:
                one.leave()
            case _:
                raise RoomError("That message is not understood: send offer, mute, analyse or leave.")

    # -- coming and going -----------------------------------------------------------------------------------------

    def _is_here(self, one: Participant) -> bool:
        return self._here.get(one.speaker) is one

    def _connection_changed(self, one: Participant) -> None:
        state = one.peer.pc.connectionState if one.peer is not None else "closed"
        if state == "connected":
            self._enter(one)
        elif state in ("failed", "closed") and self._is_here(one):
            self._lose(one, RoomError("The media connection was lost: joining again.", "media_lost"))

    def _enter(self, one: Participant) -> None:
        if one.present or not self._is_here(one):
            return
        one.present = True
        self._items.put(SpeakerJoined(self._now(), one.speaker, one.name, one.generation, one.analysed))
        if one.muted:
            self._items.put(SpeakerMuted(self._now(), one.speaker))
        log.info("participant joined", speaker=one.speaker, generation=one.generation, analysed=one.analysed)
        self._announce()

    def _mute(self, one: Participant, muted: bool) -> None:
        if muted == one.muted or not self._is_here(one):
            return
        one.muted = muted
        one.ear.forget()  # nothing said before is heard after, and the pause is no loss
        if one.present:
            self._items.put((SpeakerMuted if muted else SpeakerUnmuted)(self._now(), one.speaker))
            self._announce()

    def _leave(self, one: Participant, reason: str) -> None:
        if not self._is_here(one):
            return
        del self._here[one.speaker]
        one.legs = {"audio": {}, "video": {}}
        one.ear.close()
        for pair in one.slots:
            for leg in pair:
                for other in self._here.values():
                    other.legs[leg.line.kind].pop(leg.line, None)
        if one.present:
            self._items.put(SpeakerLeft(self._now(), one.speaker, reason))
            log.info("participant left", speaker=one.speaker, reason=reason)
        if one.peer is not None:
            self._aside(one.peer.close())
        self._announce()

    def _dismiss(self, one: Participant, sentence: str) -> None:
        self._leave(one, "dismissed")
        one.dismiss(sentence)

    def _announce(self) -> None:
        """Tell everyone who is here and who is on which slot."""
        cards = [one.card() for one in self._here.values() if one.present]
        for one in self._here.values():
            one.say({"type": "participants", "participants": cards})
            self._assign(one)

    # -- media ----------------------------------------------------------------------------------------------------

    def _assign(self, one: Participant) -> None:
        """Give every other participant a slot towards this one; ask for more slots when they run out."""
        if not one.slots or not self._is_here(one):
            return
        others = [other for other in self._here.values() if other.present and other is not one]
        one.carried = {number: other for number, other in one.carried.items() if other in others}
        for other in others:
            free = [number for number in range(len(one.slots)) if number not in one.carried]
            if other in one.carried.values() or not free:
                continue
            one.carried[free[0]] = other
            for leg in one.slots[free[0]]:
                leg.restart()
                other.legs[leg.line.kind][leg.line] = leg
            if other.peer is not None:
                self._aside(self._keyframe(other))
        slots = [
            {
                "audio": sound.line.mid,
                "video": picture.line.mid,
                "speaker": one.carried[number].speaker if number in one.carried else None,
            }
            for number, (sound, picture) in enumerate(one.slots)
        ]
        one.say({"type": "slots", "slots": slots, "wanted": max(len(slots), len(others))})

    def _carry(self, one: Participant, kind: str, header: RtpHeader, packet: bytes, now: float) -> None:
        """One media packet of one participant: to the others first, then to the ear."""
        if not self._is_here(one):
            return
        for leg in one.legs[kind].values():
            leg.forward(header, packet, now)
        if kind == "video":
            one.keep(header, packet)
        elif one.heard:
            self._give(one.ear.push(header, packet, now - self._zero))

    async def _report(self, one: Participant, kind: str, report: Any) -> None:
        """Pass a sender report on to everyone who is sent that sound or picture."""
        for other in list(self._here.values()):
            for pair in other.slots:
                for leg in pair:
                    timestamp = leg.timestamp(report.sender_info.rtp_timestamp)
                    if leg.line in one.legs[kind] and timestamp is not None and other.peer is not None:
                        await other.peer.send_report(leg.line, report, timestamp)

    async def _feedback(self, one: Participant, number: int, leg: Leg, packet: Any) -> None:
        """What a subscriber says of a line, answered or passed on to whom it carries."""
        other = one.carried.get(number)
        if other is None or other.peer is None or not self._is_here(one):
            return
        if wants_keyframe(packet):
            await self._keyframe(other)
        elif lost := leg.source_sequences(lost_sequences(packet)):
            await other.peer.ask_again(leg.line.kind, other.repeat(leg, lost, one))

    async def _keyframe(self, one: Participant) -> None:
        if one.peer is not None and one.keyframes(time.monotonic()):
            await one.peer.ask_keyframe()

    # -- the way back ---------------------------------------------------------------------------------------------

    def _channel_opened(self, one: Participant, channel: Any) -> None:
        channel.on("message", lambda _: self._knocked(one))
        self._knocked(one)
        if channel.label == "undertone" and self._is_here(one):
            one.channel, one.greeted = channel, False
            self._items.put(ListenerJoined(one.speaker))

    def _knocked(self, one: Participant) -> None:
        if not one.knock():
            self._dismiss(one, "Too many messages on the data channel: nothing is expected on it.")

    async def send(self, message: str, to: str | None = None) -> bool:
        """To the data channel of one participant, or of all. False when somebody's was too full to take it."""
        listeners = list(self._here.values()) if to is None else [self._here[to]] if to in self._here else []
        taken = [self._send(one, message, to is not None) for one in listeners]
        return all(taken)

    def _send(self, one: Participant, message: str, greeting: bool) -> bool:
        channel = one.channel
        if channel is None or channel.readyState != "open" or one.behind or not (one.greeted or greeting):
            return True
        if channel.bufferedAmount > BUFFERED:
            one.behind, one.greeted = True, False
            return False
        try:
            channel.send(message)
        except (ValueError, InvalidStateError):
            self._dismiss(one, "Your data channel takes no messages of this size: reload the page.")
            return True
        one.greeted = True
        return True

    async def close(self) -> None:
        self._closing = True
        for one in list(self._here.values()):
            self._leave(one, "closed")
            one.dismiss("The room is closing.", 4503)
        for task in list(self._tasks):
            task.cancel()
        self._items.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._asides:
            await asyncio.wait(self._asides, timeout=GOODBYE_S)

    async def _seat(self, number: int) -> None:
        """A synthetic voice takes part like a person, without a browser."""
        speaker = f"g{number + 1}"
        one = Participant(speaker, guests.NAMES[number % len(guests.NAMES)], 1, True, False, self._new_ear(speaker))
        self._policy.record(speaker, True)
        self._here[speaker] = one
        self._enter(one)
        await guests.speak(number, lambda kind, h, p, now: self._carry(one, kind, h, p, now))
