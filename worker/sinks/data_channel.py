"""Tells everyone in the room, over the room's own data channels."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from worker.envelope import Envelope
from worker.errors import RoomError, SinkError
from worker.events import ConversationMeasured, Gap, TalkTime
from worker.prompts import IN_CALL, LETTERS, MANAGERS, addressee, is_in_call
from worker.sinks.delivery import Change
from worker.sinks.snapshot import Snapshot

LARGEST = 60_000
"""Bytes of a message; not all browsers take 64 kB."""


class Speaks(Protocol):
    """The part of a room that carries messages.

    One with an attribute `addresses` that is True knows its listeners by their speakers and takes `greeting` as well:
    false for a message that must not come before a listener's snapshot.
    """

    async def send(self, message: str, to: str | None = None, **how: Any) -> bool: ...


class DataChannelSink:
    """Sends every event to all who listen in the room.

    A listener that cannot keep up is the room's affair: the room drops what it cannot carry and reports the listener
    anew, so that it is welcomed with a snapshot again. Listeners skip events whose `seq` their snapshot already has.

    What is for one person alone goes to that listener alone, where the room can tell them apart, and else nowhere; who
    comes back is given the newest of it again, but for what rests on a tone that is left to those in the call.
    """

    deadline_s = 2.0
    private = in_call = True

    def __init__(self, room: Speaks, snapshot: Snapshot) -> None:
        self._room = room
        self._snapshot = snapshot
        self._missed: int | None = None
        """Number of the first of the newest run of events that somebody could not take."""
        self._all_took = True
        self._addresses = getattr(room, "addresses", False) is True
        self._letters: deque[Envelope] = deque(maxlen=LETTERS)

    async def welcome(self, listener: str, behind: bool = False) -> None:
        """Give the present state to one listener, and before it the Gap if events were dropped on the way to it.

        Never raises for a listener that left meanwhile.
        """
        if behind and self._missed is not None:
            await self._room.send(self._snapshot.gap_since(self._missed - 1).as_json(), to=listener)
        await self._room.send(self._snapshot.as_json(LARGEST), to=listener)
        for letter in self._letters:
            if letter.audience == listener:
                await self._tell(letter)

    async def send(self, envelope: Envelope) -> None:
        """Raises SinkError when the room failed, or is crowded and this is a tick that the next one makes up for."""
        event = envelope.event
        if isinstance(event, TalkTime) and getattr(self._room, "crowded", False):
            raise SinkError("the room is crowded: a tick of talk time was left out so that facts pass", "crowded")
        try:
            if envelope.audience == IN_CALL:
                await self._room.send(envelope.as_json())
                return
            if envelope.audience:
                await self._post(envelope)
                return
            taken = await self._room.send(self._fitting(envelope))
        except RoomError as error:
            raise SinkError(str(error), "data_channel") from error
        if not taken and self._all_took:
            self._missed = event.from_seq if isinstance(event, Gap) else envelope.seq
        self._all_took = taken

    def _fitting(self, envelope: Envelope) -> str:
        """Its JSON, of figures as much as there is room for. Raises SinkError for any other that is too large."""
        text = envelope.as_json()
        if len(text.encode()) <= LARGEST:
            return text
        if isinstance(envelope.event, ConversationMeasured):
            for event in ever_less(envelope.event, self._snapshot.present()):
                text = replace(envelope, event=event, _text=[]).as_json()
                if len(text.encode()) <= LARGEST:
                    return text
        raise SinkError(f"an event of {len(text.encode())} bytes is too large for browsers", "too_large")

    async def _post(self, letter: Envelope) -> None:
        if self._addresses and letter.audience != MANAGERS:
            if not is_in_call(letter.audience):
                self._letters.append(letter)
            await self._tell(letter)

    async def _tell(self, letter: Envelope) -> None:
        await self._room.send(letter.as_json(), to=addressee(letter.audience), greeting=False)

    def held(self) -> list[Envelope]:
        return list(self._letters)

    def rewrite(self, change: Change) -> None:
        kept = [left for letter in self._letters if (left := change(letter)) is not None]
        self._letters.clear()
        self._letters.extend(kept)

    async def close(self) -> None:
        """The room closes its channels itself."""


def ever_less(event: ConversationMeasured, present: Collection[str]) -> Iterator[ConversationMeasured]:
    """The figures without those who left, then without who did what to whom, then only of those who talked most."""
    here = {who: figures for who, figures in event.speakers.items() if who in present}
    yield replace(event, speakers=here, interrupted_by=_of(here, event.interrupted_by), floor=_of(here, event.floor))
    ranked = sorted(here, key=lambda who: here[who].talk_s, reverse=True)
    while ranked:
        yield replace(event, speakers={who: here[who] for who in ranked}, interrupted_by={}, floor={})
        ranked = ranked[: len(ranked) * 9 // 10]


def _of(people: Collection[str], matrix: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {
        one: {other: count for other, count in counts.items() if other in people}
        for one, counts in matrix.items()
        if one in people
    }
