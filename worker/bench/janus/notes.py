"""The worker's own rooms, in this process, with a note of every event and when it was said."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from worker.config import settle
from worker.envelope import Envelope
from worker.events import Event
from worker.manager import Rooms
from worker.ops.http import Server

LOOK_S = 0.005
PATIENCE_S = 60.0


class Notes:
    """A sink."""

    said: list[tuple[float, str, Event]] = []
    """(when, on the steady clock; the room's name; what)."""

    def __init__(self, room: Any) -> None:
        self._room = room.name

    async def send(self, envelope: Envelope) -> None:
        self.said.append((time.monotonic(), self._room, envelope.event))

    async def close(self) -> None:
        """Nothing to close."""


@asynccontextmanager
async def open_rooms() -> AsyncIterator[Rooms]:
    """Rooms with the worker's default models."""
    Notes.said.clear()
    settings = settle({"sinks": [{"kind": "data_channel"}, {"kind": f"{__name__}:Notes"}], "control": {}})
    rooms = Rooms(settings, Server(port=0))
    try:
        yield rooms
    finally:
        await rooms.close()


async def said(
    kind: type[Event] | tuple[type[Event], ...], since: float, room: str | None = None, reason: str = ""
) -> float:
    """When an event of this kind was first said after `since`; waits for it. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for at, where, event in list(Notes.said):
                wanted = room in (None, where) and getattr(event, "reason", "").startswith(reason)
                if at > since and wanted and isinstance(event, kind):
                    return at
            await asyncio.sleep(LOOK_S)
