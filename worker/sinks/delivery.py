"""Stands between a session and one sink: the session never waits, the sink never sees a silent hole."""

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog

from worker.envelope import Envelope
from worker.errors import SinkError
from worker.ring import Ring
from worker.sinks import Sink

WAITING = 1000
"""Events that wait for a sink before the oldest is dropped, unless its `waiting` says otherwise."""
DEADLINE_S = 5.0
"""Seconds a sink may take for one event, unless its `deadline_s` says otherwise; None is a sink that ends by itself."""
CLOSE_S = 1.0
"""Seconds a sink may take to close, after its events."""

log = structlog.get_logger()


class Outlet:
    """A sink with its own queue and its own task. Needs a running loop.

    Events arrive in order. Before the first event after a loss (the queue was full, or the sink raised SinkError) the
    sink is given the Gap that names what is missing; as long as the Gap itself is not taken, nothing follows it.
    Any other exception of a sink is a bug: it is logged, ends this outlet alone and `close` raises it.
    """

    def __init__(self, sink: Sink, size: int | None = None) -> None:
        self.name = type(sink).__name__
        self.private = getattr(sink, "private", False) is True
        """Whether it may be given what is for one audience alone."""
        self.delivered = 0
        self.failures: Counter[str] = Counter()
        """SinkErrors so far, by code."""
        self._sink = sink
        self._deadline: float | None = getattr(sink, "deadline_s", DEADLINE_S)
        self._ring: Ring[Envelope] = Ring(size if size is not None else int(getattr(sink, "waiting", WAITING)))
        self._keep: Callable[[Envelope, str], None] | None = getattr(sink, "keep", None)
        self._put = 0
        self._in_hand: Envelope | None = None
        self._last: dict[str, int] = {}
        """Number of the last event that was taken, by audience."""
        self._idle = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"outlet {self.name}")
        self._task.add_done_callback(self._ended)

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
        return len(self._ring) + (self._in_hand is not None)

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
            self._in_hand = envelope
            await self._deliver(envelope)
            self._in_hand = None
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
        left = [] if self._in_hand is None else [self._in_hand]
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
