"""A room elsewhere that is joined again after trouble: one clock and the same speakers throughout."""

import asyncio
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import structlog

from worker.audio import AudioChunk
from worker.errors import ConfigError, RoomError
from worker.events import RoomInterrupted, SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted
from worker.rooms import ListenerJoined, Room, RoomItem, Tick

log = structlog.get_logger()

FINAL = frozenset(
    {
        "auth_failed",
        "consent_revoked",
        "duplicate",
        "e2ee",
        "gave_up",
        "kicked",
        "not_admitted",
        "room_closed",
        "stopped_by_user",
    }
)
"""Codes after which joining again is pointless, or unwelcome."""
FINAL_AT_FIRST = frozenset({"not_janus", "room_not_found"})
"""Codes that name a wrong address, as long as it was never right; later they may be a server that is starting."""
PASSING = frozenset({"duplicate", "room_not_found"})
"""Codes that pass when they meet who comes back: our own stay from before may linger for a while, and whoever made the
room may make it again."""
TRIES = 10
"""How often in a row they may be met, in about a minute."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Between them pauses double, and each is a random part of that: many workers do not come back at once."""
STEADY_S = 30.0
"""A room that was heard for this long ends a row of failures."""
CLOSE_S = 3.0
"""Seconds that a room in trouble has to close."""
TICK_S = 1.0
"""Seconds between two looks at the clock while there is no room."""
COUNTERS = ("undertone_packets", "undertone_datagrams_dropped")


class Rejoining:
    """`make` gives a room for one attempt, with a clock of its own; a RoomError from it is followed by the next one.

    Speakers keep their ids, which are the inner rooms' to give; their generations rise over all of them. Whoever was
    there when the room was lost leaves with the error's code as the reason, and once the room is back it says so.
    `now`, `sleep` and `chance` (at least 0, below 1) are for tests.
    """

    lockstep = False

    def __init__(
        self,
        make: Callable[[], Room],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        give_up_s: float = math.inf,
    ) -> None:
        """`give_up_s`: seconds after which trying ends if the room was never heard."""
        self.state: Literal["joining", "open", "interrupted"] = "joining"
        self.reason: str | None = None
        """The code of what it has lost the room by, or could not join it for."""
        self.interruptions: Counter[str] = Counter()
        """How often the room was lost after it had been heard, by code."""
        self._make, self._monotonic, self._sleep, self._chance = make, now, sleep, chance
        self._give_up_s = give_up_s
        self._zero = self._begun = now()
        self._room: Room | None = make()
        self.name, self.started = self._room.name, self._room.started
        self._at = self._offset = 0.0
        self._generations: dict[str, int] = {}
        self._here: dict[str, None] = {}
        self._listeners: set[str] = set()
        self._behind: set[str] = set()
        """Listeners who were here before the room was lost, and have not come back yet."""
        self._lost: tuple[float, str] | None = None
        self._attempts = self._failures = self._passing = 0
        self._gone: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._closing = False
        self._pausing: asyncio.Future[None] | None = None

    def _now(self) -> float:
        """Seconds on the room's clock; never less than what has been said."""
        return max(self._at, self._monotonic() - self._zero)

    async def __aiter__(self) -> AsyncIterator[RoomItem]:
        failure: RoomError | None = None
        while not self._closing:
            failure = None
            try:
                async for item in self._room if self._room is not None else self._join_again():
                    for said in self._pass_on(item):
                        yield said
            except RoomError as error:
                failure = error
            for left in self._all_leave(failure.code if failure else "closed"):
                yield left
            if failure is None or self._closing or self._is_final(failure.code):
                break
            if self.state == "joining" and self._now() >= self._give_up_s:
                sentence = (
                    f"The room could not be joined within {self._give_up_s:.0f} s ({failure.code}): open it anew."
                )
                failure = RoomError(sentence, "gave_up")
                break
            pause = self._lose(failure)
            await self._part()
            async for tick in self._wait(pause):
                yield tick
        if failure is not None and not self._closing:
            raise failure

    def _join_again(self) -> Room:
        self._attempts += 1
        self._begun = self._monotonic()
        self._offset = self._now()
        try:
            self._room = self._make()
        except ConfigError as error:  # a secret's file that is being replaced, for one
            raise RoomError(str(error), error.code) from error
        return self._room

    def _pass_on(self, item: RoomItem) -> Iterator[RoomItem]:
        """What the inner room gave, on this room's clock; nothing of people who are not here."""
        yield from self._arrive()
        match item:
            case AudioChunk():
                if item.speaker in self._here:
                    yield replace(item, start=item.start + self._offset) if self._offset else item
            case SpeakerJoined():
                if item.speaker in self._here:
                    yield self._leave(SpeakerLeft(item.at, item.speaker, "replaced"))
                self._here[item.speaker] = None
                generation = max(item.generation, self._generations.get(item.speaker, 0) + 1)
                self._generations[item.speaker] = generation
                yield replace(item, at=self._said(item.at), generation=generation)
            case SpeakerLeft():
                if item.speaker in self._here:
                    yield self._leave(item)
            case SpeakerMuted() | SpeakerUnmuted():
                if item.speaker in self._here:
                    yield replace(item, at=self._said(item.at))
            case Tick():
                yield Tick(self._said(item.at))
            case ListenerJoined():
                behind = item.behind or item.listener in self._behind
                self._behind.discard(item.listener)
                self._listeners.add(item.listener)
                yield replace(item, behind=behind)
            case _:
                yield item

    def _arrive(self) -> Iterator[RoomInterrupted]:
        """Anything that a room gives shows that it has been joined."""
        lost, attempts, self.reason = self._lost, self._attempts, None
        self._lost, self._attempts, self._passing, self.state = None, 0, 0, "open"
        if lost is not None:
            since, reason = lost
            self._at = self._now()
            log.info("room joined again", seconds=round(self._at - since, 3), attempts=attempts)
            yield RoomInterrupted(self._at, self._at - since, reason, attempts)

    def _said(self, at: float) -> float:
        self._at = max(self._at, at + self._offset)
        return self._at

    def _leave(self, item: SpeakerLeft) -> SpeakerLeft:
        del self._here[item.speaker]
        return replace(item, at=self._said(item.at))

    def _all_leave(self, reason: str) -> Iterator[SpeakerLeft]:
        if self._here:
            self._at = self._now()
        for speaker in list(self._here):
            del self._here[speaker]
            yield SpeakerLeft(self._at, speaker, reason)

    def _is_final(self, code: str) -> bool:
        back = self.state == "interrupted" and code in PASSING
        self._passing = self._passing + 1 if back else 0
        if back:
            return self._passing >= TRIES
        return code in FINAL or (self.state == "joining" and code in FINAL_AT_FIRST)

    def _lose(self, failure: RoomError) -> float:
        """Note what happened; returns how long to wait, in seconds."""
        self.reason = failure.code
        if self.state == "open":
            self.state = "interrupted"
            self.interruptions[failure.code] += 1
            self._lost = self._now(), failure.code
            self._behind, self._listeners = self._behind | self._listeners, set()
            if self._monotonic() - self._begun >= STEADY_S:
                self._failures = 0
        pause = self._chance() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        log.warning("room lost", code=failure.code, reason=str(failure), again_in_s=round(pause, 1))
        return pause

    async def _part(self) -> None:
        """Close a room that is in trouble anyway."""
        room, self._room = self._room, None
        if room is None:
            return
        for name in COUNTERS:
            self._gone[name].update(_counts(room, name))
        try:
            async with asyncio.timeout(CLOSE_S):
                await room.close()
        except (TimeoutError, RoomError) as error:
            log.warning("a lost room did not close", code=getattr(error, "code", "hung"))

    async def _wait(self, pause_s: float) -> AsyncIterator[Tick]:
        """The clock goes on, so that listeners see that the worker is there."""
        while pause_s > 0 and not self._closing:
            self._pausing = asyncio.ensure_future(self._sleep(min(pause_s, TICK_S)))
            try:
                await asyncio.wait({self._pausing})
            finally:
                self._pausing.cancel()
            pause_s -= TICK_S
            self._at = self._now()
            yield Tick(self._at)

    async def send(self, message: str, to: str | None = None) -> bool:
        """False while there is no room to send it in."""
        return await self._room.send(message, to) if self._room is not None else False

    def counts(self, name: str) -> Mapping[str, int]:
        """What has become of packets or datagrams so far, those of rooms that were lost included."""
        counts = Counter(self._gone[name])
        if self._room is not None:
            counts.update(_counts(self._room, name))
        return counts

    @property
    def about(self) -> Mapping[str, Any]:
        """What pages are told of the room; nothing while there is none."""
        return getattr(self._room, "about", {})

    @property
    def crowded(self) -> bool:
        return bool(getattr(self._room, "crowded", False))

    async def close(self) -> None:
        self._closing = True
        if self._pausing is not None:
            self._pausing.cancel()
        if self._room is not None:
            await self._room.close()


def _counts(room: Room, name: str) -> Mapping[str, int]:
    counts: Callable[[str], Mapping[str, int]] | None = getattr(room, "counts", None)
    return counts(name) if counts is not None else {}
