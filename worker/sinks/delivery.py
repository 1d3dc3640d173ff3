"""Stands between a session and one sink: the session never waits, the sink never sees a silent hole."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import structlog

from worker.envelope import Envelope
from worker.errors import SinkError
from worker.prompts import IN_CALL, is_in_call
from worker.ring import Ring
from worker.sinks import Sink

WAITING = 1000
"""Events that wait for a sink before the oldest is dropped, unless its `waiting` says otherwise."""
DEADLINE_S = 5.0
"""Seconds a sink may take for one event, unless its `deadline_s` says otherwise; None is a sink that ends by itself."""
CLOSE_S = 1.0
"""Seconds a sink may take to close, after its events."""

Change: TypeAlias = Callable[[Envelope], Envelope | None]
"""Answers what stays of an event, itself where all of it does, None where nothing does."""

log = structlog.get_logger()


class Outlet:
    """A sink with its own queue and its own task. Needs a running loop.

    Events arrive in order. Before the first event after a loss (the queue was full, or the sink raised SinkError) the
    sink is given the Gap that names what is missing; as long as the Gap itself is not taken, nothing follows it.
    Any other exception of a sink is a bug: it is logged, ends this outlet alone and `close` raises it.
    """

    def __init__(self, sink: Sink, size: int | None = None) -> None:
        self.name = type(sink).__name__
        self._in_call = getattr(sink, "in_call", False) is True
        self._private = getattr(sink, "private", False) is True
        self.delivered = 0
        self.failures: Counter[str] = Counter()
        """SinkErrors so far, by code."""
        self._sink = sink
        self._deadline: float | None = getattr(sink, "deadline_s", DEADLINE_S)
        self._ring: Ring[Envelope] = Ring(size if size is not None else int(getattr(sink, "waiting", WAITING)))
        self._keep: Callable[[Envelope, str], None] | None = getattr(sink, "keep", None)
        self._put = 0
        self.under_way: Envelope | None = None
        """What its sink is being given."""
        self._last: dict[str, int] = {}
        """Number of the last event that was taken, by audience."""
        self._idle = asyncio.Event()
        self._moved = asyncio.Event()
        """Another one for each event; set when that has been taken or lost."""
        self._task = asyncio.create_task(self._run(), name=f"outlet {self.name}")
        self._task.add_done_callback(self._ended)

    def takes(self, audience: str) -> bool:
        """Whether its sink may be given what is for this audience; empty is everyone."""
        alone = audience not in ("", IN_CALL)
        return (self._private or not alone) and (self._in_call or not is_in_call(audience))

    def put(self, envelope: Envelope) -> None:
        """Hand over an event; never blocks."""
        self._last.setdefault(envelope.audience, envelope.seq - 1)
        self._put += 1
        self._idle.clear()
        oldest = self._ring.put(envelope)
        if oldest is not None:
            self._lose(oldest, "too many events waited")

    @property
    def waiting(self) -> int:
        """Events in the queue or under way."""
        return len(self._ring) + (self.under_way is not None)

    def held(self) -> list[Envelope]:
        """What waits or is under way, and what its sink holds after it took it."""
        under_way = [self.under_way] if self.under_way is not None else []
        return [*under_way, *self._ring.waiting(), *getattr(self._sink, "held", list)()]

    def rewrite(self, change: Change) -> None:
        """Put in the place of each of these what `change` makes of it, None for nothing; a hole is told as a Gap. What
        is under way is past changing: see `passed`."""
        self._ring.rewrite(change)
        getattr(self._sink, "rewrite", lambda change: None)(change)

    async def passed(self) -> None:
        """Wait until what is under way has been taken or lost; the caller sets the deadline."""
        if self.under_way is not None and not self._task.done():
            await self._moved.wait()

    async def caught_up(self) -> None:
        """Wait until nothing waits; the caller sets the deadline."""
        if self.waiting:
            await self._idle.wait()

    @property
    def lost(self) -> int:
        """Events that were dropped or refused."""
        return self._put - self.delivered - self.waiting

    async def _run(self) -> None:
        async for envelope in self._ring:
            self.under_way = envelope
            await self._deliver(envelope)
            self.under_way = None
            self._moved.set()
            self._moved = asyncio.Event()
            if not len(self._ring):
                self._idle.set()

    async def _deliver(self, envelope: Envelope) -> None:
        last = self._last[envelope.audience]
        if envelope.seq > last + 1:
            if not await self._send(envelope.gap_since(last)):
                self._lose(envelope, "it did not even take word that others were lost")
                return
            self._last[envelope.audience] = envelope.seq - 1
        if await self._send(envelope):
            self._last[envelope.audience] = envelope.seq
            self.delivered += 1

    async def _send(self, envelope: Envelope) -> bool:
        try:
            async with asyncio.timeout(self._deadline):
                await self._sink.send(envelope)
        except TimeoutError:
            self._failed(SinkError(f"took longer than {self._deadline} s", "sink_timeout"))
            return False
        except SinkError as error:
            self._failed(error)
            return False
        return True

    def _lose(self, envelope: Envelope, reason: str) -> None:
        if self._keep is not None:
            try:
                self._keep(envelope, reason)
            except SinkError as error:
                self._failed(error)

    def _failed(self, error: SinkError) -> None:
        self.failures[error.code] += 1
        count = self.failures[error.code]
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th …: a sink that always fails does not fill the log
            log.warning("sink_failed", sink=self.name, code=error.code, failures=count, reason=str(error))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("sink_broken", sink=self.name, code="bug", exc_info=error)

    async def close(self, within_s: float) -> int:
        """Deliver what waits, for at most `within_s` seconds, then close the sink, for at most `CLOSE_S` more.

        Returns how many events were still waiting or under way. Raises what broke the sink, if something did.
        """
        self._ring.close()
        await asyncio.wait({self._task}, timeout=within_s)
        undelivered = self.waiting
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=CLOSE_S)
        left = [] if self.under_way is None else [self.under_way]
        for envelope in [*left, *self._ring.waiting()]:
            self._lose(envelope, "the room closed before it was taken")
        if undelivered:
            log.warning("events_undelivered", sink=self.name, count=undelivered)
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._sink.close()
        except TimeoutError:
            self._failed(SinkError(f"took longer than {CLOSE_S} s to close", "sink_timeout"))
        except SinkError as error:
            self._failed(error)
        if self._task.done() and not self._task.cancelled() and (bug := self._task.exception()) is not None:
            raise bug
        return undelivered
