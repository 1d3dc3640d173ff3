"""A small room of its own: browsers meet here, media passes through untouched, and each voice is heard."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from aiohttp import WSCloseCode, web
from pydantic import Field

from worker.audio.ear import Ear
from worker.audio.rtp import RtpHeader
from worker.envelope import epoch_of
from worker.errors import ConfigError, RoomError
from worker.events import SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted
from worker.privacy.consent import Terms
from worker.privacy.levels import Level
from worker.prompts import read_answer
from worker.ring import Ring
from worker.rooms import Answered, ListenerJoined, RoomItem, Tick, guests
from worker.rooms.exchange import Exchange
from worker.rooms.hello import Choice, read_choice, read_hello
from worker.rooms.host import Consent, Server
from worker.rooms.participant import Participant
from worker.rooms.people import PEOPLE, People
from worker.rooms.tasks import Tasks
from worker.rooms.webrtc.listener import Hearing
from worker.rooms.webrtc.names import Path, differing
from worker.rooms.webrtc.peer import LARGEST_SDP, Peer
from worker.rooms.webrtc.stock import StockEar

log = structlog.get_logger()

WAITING = 20_000
"""Items that may wait for the session; it takes them at once, so this is reached only by a stuck process."""
LARGEST_MESSAGE = 2 * LARGEST_SDP
"""Bytes of one signalling message: an offer, quoted as JSON."""
TICK_S = 0.04
"""Seconds between two looks at the clock; also how soon a gap at the end of speech is noticed."""
BEHIND_S = 0.15
"""How far the room's clock stays behind arrival, so that all sound before a Tick has been given."""
GOODBYE_S = 3.0
"""Seconds that connections have to close with the room."""


class EmbeddedRoom:
    """A room on the worker's own HTTP server: `/v1/rooms/{name}/join` is its door.

    Someone who joined without being analysed is carried to the others like anyone and never decoded. Whatever changes
    who is here, and on whose slot, happens at once, without waiting; only sockets and connections are waited for.
    """

    lockstep = False
    addresses = True

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
        self._people = People()
        self._roles: dict[str, str] = {}
        """What somebody is in this call, by speaker; of nobody else is it known."""
        self._run = Tasks(self._fail)
        self._aside = Tasks(lambda error: log.error("participant task failed", code="bug", exc_info=error))
        """For one participant each: nobody else's affair."""
        self._exchange = Exchange(self._aside)
        self._here = self._exchange.here
        self._gone: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Counts of connections that have ended."""
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
        if self._guests:
            self._run(self._seat(self._guests))
        async for item in self._items:
            yield item
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: BaseException) -> None:
        """What the whole room depends on has failed."""
        self._failure = error
        self._items.close()

    async def _keep_time(self) -> None:
        """Look after everyone, and tell the time."""
        second = 0
        while True:
            await asyncio.sleep(TICK_S)
            now = self._now()
            for one in list(self._here.values()):
                if int(now) != second:
                    one.knocks = one.repeats = 0
                if one.catches_up():
                    self._items.put(ListenerJoined(one.speaker, behind=True))
                self._watch(one, now)
            second = int(now)
            self._items.put(Tick(max(0.0, now - BEHIND_S)))

    def _watch(self, one: Participant, now: float) -> None:
        """Close a gap at the end of speech; part with a connection that no longer hears, or that harms."""
        if self._policy.level(one.speaker) is not one.level:
            self._heed(one)  # somebody else said so: the control API
        if one.heard:
            self._give(one.ear.tick(now))
            one.complaint.look(one.speaker, one.ear.counts, now)
        if (trouble := one.trouble(now)) is not None:
            self._lose(one, trouble)
        elif one.peer is not None and one.peer.flooded:
            self._dismiss(one, "A message on the data channel is too large: nothing is expected on it.")

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
            if socket.close_code == WSCloseCode.ABNORMAL_CLOSURE and self._exchange.holds(one):
                self._lose(one, RoomError("The signalling socket was lost: joining again.", "signalling_lost"))
            self._leave(one, "left")
            one.leave()
            await writing
        return socket

    def _admit(self, hello: dict[str, Any]) -> Participant:
        said = read_hello(hello)
        if self._closing:
            raise RoomError("The room is closing.")
        if (twin := self._here.get(self._people.speaker(said.person) or "")) is not None:
            self._leave(twin, "replaced")
            twin.dismiss("You opened this room in another tab, so this one was closed.", 4409)
        if self._people.full(said.person):
            raise RoomError(f"The room has met {PEOPLE} people: new ones can join after a restart.")
        if len(self._here) >= self._largest:
            raise RoomError(f"The room is full: it holds {self._largest} people.")
        speaker, generation = self._people.meet(said.person)
        self._policy.present(speaker, speaker)
        if said.choice is None or not self._record(speaker, said.choice):
            self._policy.lapse(speaker, "restated")  # who comes back answers anew
        level = self._policy.level(speaker)
        one = Participant(speaker, said.name, generation, level, said.muted, self._new_ear(speaker))
        one.peer = Peer(
            lambda kind, header, packet, now: self._carry(one, kind, header, packet, now),
            lambda kind, report: self._exchange.report(one, kind, report),
            self._stock,
        )
        one.peer.pc.on("connectionstatechange", lambda: self._connection_changed(one))
        one.peer.pc.on("datachannel", lambda channel: self._channel_opened(one, channel))
        self._here[speaker] = one
        log.info("participant at the door", speaker=speaker, generation=one.generation)
        one.say({"type": "welcome", "you": speaker, "room": self.name, "wanted": max(1, len(self._here) - 1)})
        one.confirm(self._policy.standing(speaker))
        return one

    def _too_late(self, one: Participant) -> None:
        if not one.present:
            ice = one.peer.pc.iceConnectionState if one.peer is not None else "none"
            log.warning("no media connection", speaker=one.speaker, ice=ice, within_s=self._connect_within_s)
            within = f"No media connection came about within {self._connect_within_s:.0f} s"
            one.dismiss(f"{within}: check that UDP between you and this machine is not blocked.", 4504)

    async def _obey(self, one: Participant, message: dict[str, Any]) -> None:
        if not one.knock():
            raise RoomError("Too many messages: slow down, then join again.")
        match message:
            case {"type": "offer", "sdp": str(sdp)} if one.peer is not None:
                answer = await one.peer.answer(sdp, 2 + 2 * self._largest + 1)
                if self._exchange.holds(one):  # others may have taken their place meanwhile
                    self._agreed(one, one.peer, answer)
            case {"type": "mute", "muted": bool(muted)}:
                self._mute(one, muted)
            case {"type": "consent"}:
                self._consent(one, message)
            case {"type": "pass"}:
                token = self._server.pass_for(self.name, epoch_of(self.started), one.speaker)
                one.say({"type": "pass", "token": token})
            case {"type": "coaching"}:
                self._answer(one, message)
            case {"type": "leave"}:
                one.leave()
            case _:
                raise RoomError("That message is not understood: send offer, mute, consent, pass, coaching or leave.")

    def _agreed(self, one: Participant, peer: Peer, answer: str) -> None:
        """Lines are known: the worker's and the browser's agree on what is sent on which."""
        if self._stock and not isinstance(one.ear, StockEar):
            one.ear = StockEar(one.speaker, peer.voice_receiver, self._give, self._now, self._policy.may_hear)
        one.say({"type": "answer", "sdp": answer})
        self._exchange.pair_lines(one)

    def _answer(self, one: Participant, message: dict[str, Any]) -> None:
        """Nobody answers for another: the speaker is who the connection belongs to."""
        try:
            prompt, answer = read_answer(message)
        except ValueError as error:
            raise RoomError(str(error)) from None
        if self._exchange.holds(one):
            self._items.put(Answered(one.speaker, prompt, answer))

    # -- coming and going -----------------------------------------------------------------------------------------

    def _connection_changed(self, one: Participant) -> None:
        state = one.peer.pc.connectionState if one.peer is not None else "closed"
        if state == "connected":
            self._enter(one)
        elif state in ("failed", "closed") and self._exchange.holds(one):
            self._lose(one, RoomError("The media connection was lost: joining again.", "media_lost"))

    def _enter(self, one: Participant) -> None:
        if one.present or not self._exchange.holds(one):
            return
        one.present = True
        role = self._roles.get(one.speaker, "")
        heard = one.level > Level.PRESENCE
        self._items.put(SpeakerJoined(self._now(), one.speaker, one.name, one.generation, heard, role))
        if one.muted:
            self._items.put(SpeakerMuted(self._now(), one.speaker))
        log.info("participant joined", speaker=one.speaker, generation=one.generation, level=one.level.word)
        self._exchange.announce()

    def _consent(self, one: Participant, message: dict[str, Any]) -> None:
        """Somebody's own answer, which holds from now on."""
        choice = read_choice(message)
        if self._exchange.holds(one):  # a connection that was replaced no longer speaks for the person
            self._record(one.speaker, choice)
            self._heed(one)

    def _record(self, speaker: str, choice: Choice) -> bool:
        terms = Terms(self._policy.terms.purpose, choice.text)
        return self._policy.record(speaker, choice.level, "page", terms)

    def _heed(self, one: Participant) -> None:
        """From now on this much is made of a voice; where that is nothing, what is held of it is dropped at once."""
        one.level = self._policy.level(one.speaker)
        if one.level is Level.PRESENCE:
            one.ear.forget()
        log.info("participant decided", speaker=one.speaker, level=one.level.word)
        one.confirm(self._policy.standing(one.speaker))
        if one.level > Level.PRESENCE and self._people.is_forgotten(one.speaker):
            self._leave(one, "left")
            one.dismiss("What was known of you was erased: you come back as somebody new.", 4504)
        self._exchange.announce()

    def forget(self, speaker: str) -> None:
        """Who was erased: when they come back, or agree to be heard again, they are somebody new."""
        self._people.forget(speaker)

    def _mute(self, one: Participant, muted: bool) -> None:
        if muted == one.muted or not self._exchange.holds(one):
            return
        one.muted = muted
        one.ear.forget()  # nothing said before is heard after, and the pause is no loss
        if one.present:
            self._items.put((SpeakerMuted if muted else SpeakerUnmuted)(self._now(), one.speaker))
            self._exchange.announce()

    def _leave(self, one: Participant, reason: str) -> None:
        if not self._exchange.holds(one):
            return
        self._exchange.remove(one)
        one.ear.close()
        for name, counts in one.counts().items():
            self._gone[name].update(counts)
        if one.present:
            self._items.put(SpeakerLeft(self._now(), one.speaker, reason))
            log.info("participant left", speaker=one.speaker, reason=reason)
        if one.peer is not None:
            self._aside(one.peer.close())
        self._exchange.announce()

    def _dismiss(self, one: Participant, sentence: str) -> None:
        self._leave(one, "dismissed")
        one.dismiss(sentence)

    def _carry(self, one: Participant, kind: str, header: RtpHeader, packet: bytes, now: float) -> None:
        """One media packet of one participant: to the others first, then to the ear."""
        if not self._exchange.holds(one):
            return
        self._exchange.carry(one, kind, header, packet, now)
        if kind == "audio" and one.heard:
            self._give(one.ear.push(header, packet, now - self._zero))

    # -- the way back ---------------------------------------------------------------------------------------------

    def _channel_opened(self, one: Participant, channel: Any) -> None:
        channel.on("message", lambda message: self._heard(one, message))
        self._knocked(one)
        if channel.label == "undertone" and self._exchange.holds(one):
            one.channel, one.greeted = channel, False
            self._items.put(ListenerJoined(one.speaker))

    def _heard(self, one: Participant, message: Any) -> None:
        """A choice, or an answer to a prompt; whatever else comes is only counted."""
        self._knocked(one)
        with suppress(ValueError, RecursionError, RoomError):
            if isinstance(message, str) and isinstance(said := json.loads(message), dict):
                (self._consent if said.get("type") == "consent" else self._answer)(one, said)

    def _knocked(self, one: Participant) -> None:
        if not one.knock():
            self._dismiss(one, "Too many messages on the data channel: nothing is expected on it.")

    async def send(self, message: str, to: str | None = None, greeting: bool = True) -> bool:
        """To the data channel of one participant, or of all. False when somebody's was too full to take it.

        What goes to one participant is their greeting, before which they get nothing, unless `greeting` is false.
        """
        listeners = list(self._here.values()) if to is None else [self._here[to]] if to in self._here else []
        taken = [self._tell(one, message, to is not None and greeting) for one in listeners]
        return all(taken)

    def _tell(self, one: Participant, message: str, greeting: bool) -> bool:
        try:
            return one.tell(message, greeting)
        except RoomError as error:
            self._dismiss(one, str(error))
            return True

    def counts(self, name: str) -> Mapping[str, int]:
        """What has become of everyone's packets or datagrams so far, those of who left included."""
        counts = Counter(self._gone[name])
        for one in self._here.values():
            counts.update(one.counts()[name])
        return counts

    async def close(self) -> None:
        self._closing = True
        for one in list(self._here.values()):
            self._leave(one, "closed")
            one.dismiss("The room is closing.", 4503)
        self._items.close()
        await self._run.cancel()
        await self._aside.wait(GOODBYE_S)

    async def _seat(self, count: int) -> None:
        """Synthetic guests take part like people, without browsers."""
        talking = [guests.guest(number) for number in range(count)]
        seated = []
        for number, guest in enumerate(talking, 1):
            speaker = f"g{number}"
            self._policy.present(speaker, speaker, guest.role)
            self._policy.record(speaker, guest.agrees, "guest")
            one = Participant(speaker, guest.name, 1, self._policy.level(speaker), False, self._new_ear(speaker))
            seated.append(one)
            self._here[speaker], self._roles[speaker] = one, guest.role
            self._enter(one)
        await guests.converse(talking, lambda place, h, p, now: self._carry(seated[place], "audio", h, p, now))
