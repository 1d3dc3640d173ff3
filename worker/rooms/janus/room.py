"""A Janus VideoRoom that the worker joins as one more participant, who sends no sound and no picture."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import structlog
from pydantic import Field

from worker.errors import ConfigError, RoomError
from worker.events import SpeakerJoined, SpeakerLeft
from worker.privacy.consent import Terms
from worker.ring import Ring
from worker.rooms import ListenerJoined, RoomItem, Tick
from worker.rooms.hello import read_choice
from worker.rooms.host import Consent
from worker.rooms.janus.api import Api, Reply, data_of
from worker.rooms.janus.publisher import DataPublisher
from worker.rooms.janus.roster import Feed, FeedId, Happened, Roster
from worker.rooms.janus.subscriber import Subscriber, Subscribers, Voice
from worker.rooms.tasks import Tasks
from worker.rooms.webrtc.listener import Listener
from worker.rooms.webrtc.names import Path
from worker.rooms.webrtc.turn import Turn, check_turn
from worker.secrets import reveal

log = structlog.get_logger()

WAITING = 20_000
"""Items that may wait for the session; it takes them at once, so this is reached only by a stuck process."""
TICK_S = 0.04
"""Seconds between two looks at the clock; also how soon a change of consent is noticed."""
BEHIND_S = 0.15
"""How far the room's clock stays behind arrival, so that all sound before a Tick has been given."""
STALL_S = 0.1
"""A longer pause between two looks is our own, and counts no more than this against Janus."""
AGAIN_S = 0.5
"""Pause before a feed is asked for again that was not up yet."""
REASON_S = 0.5
"""When media ends, signalling has so long to say why: it may be that we were kicked."""
GREETING_S = 5.0
"""Pause between two snapshots for whoever came meanwhile: Janus does not say who subscribes to us."""
GOODBYE_S = 2.0
EVERYONE = "everyone"
SIGNAL = "undertone"
"""Key of a publisher's metadata that holds their choice: a `level`, and the version of the `text` that they read."""


class JanusRoom:
    """One stay in a room: one attempt to join, and the first trouble ends it with a RoomError whose code says what.

    Who may not be heard is not subscribed to, so that their sound is not sent to this machine.
    """

    lockstep = False

    def __init__(
        self,
        policy: Consent,
        url: str,
        room: int | str,
        name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = "",
        display: str = "Undertone (AI analysis)",
        pin: str = "",
        token: str = "",
        room_token: str = "",
        api_secret: str = "",
        feed: int | str | None = None,
        identity: Annotated[str, Field(pattern=r"^(display|feed|metadata\.\w{1,64})$")] = "display",
        consent: Literal["each", "host", "metadata"] = "each",
        listen_only: bool = False,
        notice_by: str = "",
        per_speaker: bool = False,
        connect_within_s: Annotated[float, Field(gt=0, le=120)] = 10.0,
        receive: Path = "own",
        gate: bool = True,
        turn_url: str = "",
        turn_username: str = "",
        turn_password: str = "",
        turn_secret: str = "",
    ) -> None:
        turn = {"turn_url": turn_url, "turn_username": turn_username, "turn_password": turn_password}
        told = {"display": display, "listen_only": listen_only, "notice_by": notice_by}
        self.check_options({"url": url, "turn_secret": turn_secret} | told | turn)
        self.name = name or re.sub(r"[^A-Za-z0-9_-]", "-", str(room))[:64]
        self.started = datetime.now(UTC)
        self._zero = time.monotonic()
        self._policy, self._consent = policy, consent
        pin, token, room_token = reveal(pin), reveal(token), reveal(room_token)
        secrets = {"token": token, "apisecret": reveal(api_secret)}
        self._api = Api(url, {key: value for key, value in secrets.items() if value}, self._fail)
        admission = {"pin": pin, "token": room_token or token}
        self._admission: dict[str, Any] = {"request": "join", "room": room}
        self._admission |= {key: value for key, value in admission.items() if value}
        self._entry: dict[str, Any] = {"ptype": "publisher", "display": display}
        self._entry |= {} if feed is None else {"id": feed}
        self._turn = Turn(turn_url, turn_username, turn_password, turn_secret)
        self._hearing = (receive, gate)
        self._within_s = connect_within_s
        self._roster = Roster(f"{url} {room}", identity, self._agreed)
        self._run = Tasks(self._broke)
        self._subscribers = Subscribers(self._subscriber, self._run, per_speaker)
        self._back = None if listen_only else DataPublisher(self._opened, self._turn.servers(), connect_within_s)
        self._feed: FeedId | None = None
        self._open = False
        self._greeted_at = 0.0
        self._items: Ring[RoomItem] = Ring(WAITING)
        self._changed = asyncio.Event()
        self._settled: dict[FeedId, Voice] = {}
        self._subscribe_as: dict[str, Any] = {}
        self._failure: BaseException | None = None
        self._closing: asyncio.Task[None] | None = None

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError for an address that is none, and for listening without anybody being told what listens."""
        parts = urlsplit(options["url"])
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ConfigError("url must be the address of Janus' WebSocket: ws://host:8188 or wss://host/path.")
        if options.get("listen_only") and not str(options.get("notice_by", "")).strip():
            raise ConfigError(
                "listen_only hides the worker from the room: say in notice_by who tells everyone there that they are "
                "analysed, and where."
            )
        if "undertone" not in str(options.get("display", "Undertone")).lower():
            raise ConfigError(
                'display is what people see of the worker: it must say what that is, with "Undertone" in it.'
            )
        check_turn(options)

    def _now(self) -> float:
        return time.monotonic() - self._zero

    # -- coming and going -----------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[RoomItem]:
        self._run(self._join())
        async for item in self._items:
            yield item
        if self._failure is not None:
            raise self._failure

    async def _join(self) -> None:
        await self._api.open()
        handle = await self._api.attach(self._told)
        joined = await self._api.message(handle, self._admission | self._entry)
        if joined.get("videoroom") != "joined":
            raise RoomError("Janus let us in with words that are not understood: look at its version.", "not_janus")
        self._subscribe_as = self._admission | {"ptype": "subscriber", "use_msid": False, "autoupdate": False}
        if isinstance(joined.get("private_id"), int):
            self._subscribe_as["private_id"] = joined["private_id"]
        self._feed = joined.get("id")
        log.info("joined a Janus room", listen_only=self._back is None)
        self._run(self._keep_time())
        self._run(self._tend())
        if self._back is not None:
            self._run(self._back.publish(self._api, handle))

    def _subscriber(self) -> Subscriber:
        path, gated = self._hearing
        listener = Listener(self._give, self._now, path, gated, self._policy.may_hear, self._turn.servers())
        return Subscriber(self._api, self._subscribe_as, listener, self._within_s)

    def _broke(self, error: BaseException) -> None:
        """Something of ours ended; if it is media, signalling may be about to say why."""
        if isinstance(error, RoomError) and error.code == "media_lost":
            asyncio.get_running_loop().call_later(REASON_S, self._fail, error)
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """The stay is over; only the first reason counts."""
        if self._failure is None and self._closing is None:
            self._failure = error
            self._items.close()

    async def close(self) -> None:
        if self._closing is None:
            self._items.close()
            self._closing = asyncio.create_task(self._leave())
        await asyncio.shield(self._closing)

    async def _leave(self) -> None:
        await self._run.cancel()
        ending = [self._subscribers.close(), *([self._back.close()] if self._back is not None else [])]
        parting = [asyncio.create_task(one) for one in ending]
        await self._api.close()
        await asyncio.wait(parting, timeout=GOODBYE_S)

    # -- who is there ---------------------------------------------------------------------------------------------

    def _told(self, reply: Reply) -> None:
        """Everything that Janus says on the handle with which we joined, in order."""
        data, now = data_of(reply), self._now()
        if reply.get("janus") == "detached":
            self._fail(RoomError("Janus ended our stay: join again.", "signalling_lost"))
        elif reply.get("janus") == "hangup":
            self._broke(RoomError("Janus ended the data connection: join again.", "media_lost"))
        elif data.get("videoroom") == "destroyed":
            self._fail(RoomError("The room was closed.", "room_closed"))
        elif data.get("leaving") == "ok" and data.get("reason") == "kicked":
            self._fail(RoomError("We were sent out of the room.", "kicked"))
        else:
            self._happened(self._roster.announce(data.get("publishers"), now))
            for gone in (data.get("unpublished"), data.get("leaving"), data.get("kicked")):
                self._happened(self._roster.leave(gone, now))
            if data.get("videoroom") == "talking":  # of rooms with `audiolevel_event`
                self._happened(self._roster.talks(data.get("id"), data.get("mid"), now))
            if (word := data.get("moderation")) in ("muted", "unmuted"):
                self._happened(self._roster.moderate(data.get("id"), data.get("mid"), word == "muted", now))

    def _agreed(self, speaker: str, feed: Feed) -> bool:
        """A display name is anybody's to take, so that a yes holds for the feed it was given for, and no other."""
        self._policy.present(speaker, str(feed.id))
        if self._consent == "host" and not self._policy.decided(speaker):
            self._policy.record(speaker, None, "host")
        elif self._consent == "metadata":
            self._heed(speaker, feed.metadata.get(SIGNAL))
        return self._policy.may_hear(speaker)

    def _heed(self, speaker: str, said: Any) -> None:
        """What the page of a publisher says of their choice, if it says anything that is one."""
        with suppress(RoomError):
            choice = read_choice(said if isinstance(said, dict) else {})
            terms = Terms(self._policy.terms.purpose, choice.text)
            self._policy.record(speaker, choice.level, "platform", terms)

    def _happened(self, events: list[Happened]) -> None:
        for event in events:
            self._items.put(event)
            if isinstance(event, SpeakerJoined):
                self._greeted_at = min(self._greeted_at, self._now() - GREETING_S + 1.0)  # they may listen soon
                log.info("participant joined", speaker=event.speaker, generation=event.generation)
            elif isinstance(event, SpeakerLeft):
                log.info("participant left", speaker=event.speaker, reason=event.reason)

    # -- who is heard ---------------------------------------------------------------------------------------------

    def _give(self, chunks: list[Any]) -> None:
        for chunk in chunks:
            self._roster.hear(chunk)
            self._items.put(chunk)

    def _wanted(self) -> dict[FeedId, Voice]:
        return {
            person.heard.id: Voice(person.heard.mid, person.speaker, person.generation)
            for person in self._roster.people
            if person.heard is not None and not person.heard.disabled and self._policy.may_hear(person.speaker)
        }

    async def _tend(self) -> None:
        """Subscribe to those who may be heard, and to nobody else."""
        while True:
            self._changed.clear()
            self._settled = self._wanted()
            if not await self._subscribers.settle(self._settled):
                asyncio.get_running_loop().call_later(AGAIN_S, self._changed.set)
            await self._changed.wait()

    async def _keep_time(self) -> None:
        """Look after everyone, and tell the time."""
        last = self._now()
        while True:
            await asyncio.sleep(TICK_S)
            now = self._now()
            self._api.watch(min(now - last, STALL_S))
            last = now
            self._subscribers.tick()
            self._happened(self._roster.replace_silent(self._subscribers.silent, now))
            if self._wanted() != self._settled:
                self._changed.set()
            self._greet(now)
            self._items.put(Tick(max(0.0, now - BEHIND_S)))

    # -- the way back ---------------------------------------------------------------------------------------------

    def _opened(self, behind: bool) -> None:
        self._open, self._greeted_at = True, self._now()
        self._items.put(ListenerJoined(EVERYONE, behind))

    def _greet(self, now: float) -> None:
        """Everyone gets the snapshot from time to time, because nobody tells us of those who come to listen."""
        if self._back is not None:
            self._back.tick()
            if self._open and now - self._greeted_at >= GREETING_S:
                self._greeted_at = now
                self._items.put(ListenerJoined(EVERYONE))

    async def send(self, message: str, to: str | None = None) -> bool:
        """To everyone who subscribed to our data. False when it can't be taken, and always when listening only."""
        return self._back is not None and self._back.send(message)

    @property
    def crowded(self) -> bool:
        return self._back is not None and self._back.crowded

    @property
    def about(self) -> Mapping[str, Any]:
        """What pages are told: which feed is really ours, once we publish one, and whether the room asks for a PIN."""
        return {"feed": self._feed if self._back is not None else None, "pin_needed": "pin" in self._admission}

    def counts(self, name: str) -> Mapping[str, int]:
        """What has become of everyone's packets or datagrams so far, those of who left included."""
        return self._subscribers.counts(name)
