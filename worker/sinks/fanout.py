"""Hands every event of a room to every sink, each with a queue of its own."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from worker.envelope import Envelope
from worker.sinks import Sink
from worker.sinks.delivery import Change, Outlet
from worker.sinks.snapshot import Snapshot

CROWDED = 200
"""Events waiting for one sink from which on a recording waits for it."""
SETTLE_S = 10.0


class Fanout:
    """Keeps the snapshot and hands every event to every sink's own queue.

    What is for one audience is in no snapshot, and only sinks whose `private` is True are given it: they see to it that
    nobody else has it. What is for those in the call goes to sinks whose `in_call` is True, and is kept nowhere.
    """

    def __init__(self, snapshot: Snapshot, sinks: Sequence[Sink]) -> None:
        self.snapshot, self.sinks = snapshot, sinks
        self._outlets = [Outlet(sink) for sink in sinks]
        self._left_out: dict[str, Change] = {}
        """By speaker."""

    @property
    def delivered(self) -> dict[str, float]:
        """Events that were taken, by sink."""
        return _summed((outlet.name, outlet.delivered) for outlet in self._outlets)

    @property
    def lost(self) -> dict[str, float]:
        """Events that were dropped or refused, by sink."""
        return _summed((outlet.name, outlet.lost) for outlet in self._outlets)

    def put(self, envelope: Envelope) -> None:
        for change in self._left_out.values():
            if (left := change(envelope)) is None:
                return
            envelope = left
        if not envelope.audience:
            self.snapshot.fold(envelope)
        for outlet in self._outlets:
            if outlet.takes(envelope.audience):
                outlet.put(envelope)

    def held(self) -> list[Envelope]:
        """Every event that waits, is under way, or is held by a sink; one may be there several times."""
        return [envelope for outlet in self._outlets for envelope in outlet.held()]

    async def leave_out(self, speaker: str, change: Change, within_s: float) -> int:
        """Let `change` decide what stays, without a speaker, of every event that is held and of all that still come.

        What is under way is past that: it is waited for. Returns how many of these that `change` would alter were not
        taken within that time.
        """
        self._left_out[speaker] = change
        for outlet in self._outlets:
            outlet.rewrite(change)
        busy = [outlet for outlet in self._outlets if outlet.under_way is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for outlet in busy:
                    await outlet.passed()
        for outlet in busy:
            outlet.rewrite(change)  # what was under way may be in a sink's memory by now
        return sum(one is not None and change(one) is not one for one in (outlet.under_way for outlet in busy))

    async def welcome(self, listener: str, behind: bool) -> None:
        for sink in self.sinks:
            if (greet := getattr(sink, "welcome", None)) is not None:
                await greet(listener, behind)

    async def settle(self) -> None:
        """Wait until every sink has caught up; a sink that stands still is waited for no longer than `SETTLE_S`."""
        if not any(outlet.waiting > CROWDED for outlet in self._outlets):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                for outlet in self._outlets:
                    await outlet.caught_up()

    async def close(self, within_s: float) -> int:
        """Flush every sink at once; returns how many events were left over. Raises what broke a sink, after all."""
        closing = (outlet.close(within_s) for outlet in self._outlets)
        results = await asyncio.gather(*closing, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result for result in results if isinstance(result, int))


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, float]:
    """By name; several sinks may be of one kind."""
    sums: dict[str, float] = {}
    for name, count in counts:
        sums[name] = sums.get(name, 0) + count
    return sums
