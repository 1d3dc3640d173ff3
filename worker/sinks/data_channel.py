"""Tells everyone in the room, over the room's own data channels."""

from typing import Protocol

from worker.errors import RoomError, SinkError
from worker.events import Envelope
from worker.sinks.snapshot import Snapshot


class Speaks(Protocol):
    """The part of a room that carries messages."""

    async def send(self, message: str, to: str | None = None) -> bool: ...


class DataChannelSink:
    """Sends every event to all who listen in the room.

    A listener that cannot keep up is the room's affair: the room drops what it cannot carry and reports the listener
    anew, so that it is welcomed with a snapshot again. Listeners skip events whose `seq` their snapshot already has.
    """

    deadline_s = 2.0

    def __init__(self, room: Speaks, snapshot: Snapshot) -> None:
        self._room = room
        self._snapshot = snapshot
        self._missed: Envelope | None = None
        """The first of the newest run of events that somebody could not take."""
        self._all_took = True

    async def welcome(self, listener: str, behind: bool = False) -> None:
        """Give the present state to one listener, and before it the Gap if events were dropped on the way to it.

        Never raises for a listener that left meanwhile.
        """
        if behind and self._missed is not None:
            await self._room.send(self._snapshot.gap_since(self._missed.seq - 1).as_json(), to=listener)
        await self._room.send(self._snapshot.as_json(), to=listener)

    async def send(self, envelope: Envelope) -> None:
        try:
            taken = await self._room.send(envelope.as_json())
        except RoomError as error:
            raise SinkError(str(error), "data_channel") from error
        if not taken and self._all_took:
            self._missed = envelope
        self._all_took = taken

    async def close(self) -> None:
        """The room closes its channels itself."""
