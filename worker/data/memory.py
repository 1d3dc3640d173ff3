"""What a running room holds of somebody in memory: histories, what waits for a sink, the dashboard's record."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from worker.data.envelopes import without_envelope
from worker.data.person import Census, Whom
from worker.data.records import about_meeting, about_message, learn, learn_meeting, place, without_meeting
from worker.data.stores import Tally, Unreached
from worker.envelope import Envelope
from worker.report.keeper import Keeper
from worker.sinks.fanout import Fanout

WAIT_S = 5.0
"""Seconds in which a sink may finish what it has in hand."""
AT_ONCE = 20
"""Events that are looked at without letting others run."""


class MemoryStore:
    """The sinks of one open room; from the event loop alone.

    What is erased stays out until the room closes: whatever the room still says of this person, such as their part of
    the talk time, reaches no sink and no snapshot any more.
    """

    name = "memory"

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    async def look(self, census: Census) -> None:
        async for envelope in self._held():
            learn(envelope.as_dict(), census)
        for keeper in self._keepers():
            learn_meeting(keeper.meeting.as_dict(), census)
        learn(self._fanout.snapshot.as_dict(), census)

    async def export(self, whom: Whom) -> list[dict[str, Any]]:
        found = [
            about_message(envelope.as_dict(), whom)
            async for envelope in self._held()
            if without_envelope(envelope, whom) is not envelope
        ]
        found.append(about_message(self._fanout.snapshot.as_dict(), whom))
        found += [about_meeting(keeper.meeting.as_dict(), whom) for keeper in self._keepers()]
        return [own for own in found if own is not None]

    async def erase(self, whom: Whom) -> Tally:
        seen: dict[str, bool] = {}
        async for envelope in self._held():
            left = without_envelope(envelope, whom)
            if left is not envelope:
                seen[place(envelope.as_dict())] = left is None
        self._fanout.snapshot.erase(whom.speaker)
        for sink in self._fanout.sinks:
            getattr(sink, "forget", lambda speaker: None)(whom.speaker)
        under_way = await self._fanout.leave_out(whom.speaker, lambda one: without_envelope(one, whom), WAIT_S)
        for keeper in self._keepers():
            keeper.meeting.erase(whom.speaker, lambda record: without_meeting(record, whom))
        gone = sum(seen.values())
        tally = Tally(gone, len(seen) - gone, places=list(seen))
        if under_way:
            raise Unreached(f"{under_way} events that speak of this person are on their way to a sink.", tally)
        return tally

    async def _held(self) -> AsyncIterator[Envelope]:
        """Everything that is held now; others may run in between, since it can be much."""
        for number, envelope in enumerate(self._fanout.held()):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            yield envelope

    def _keepers(self) -> list[Keeper]:
        return [sink for sink in self._fanout.sinks if isinstance(sink, Keeper)]
