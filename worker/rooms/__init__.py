"""Where voices come from: one file per platform."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from worker.audio import AudioChunk
from worker.events import RoomInterrupted, SpeakerJoined, SpeakerLeft, SpeakerMuted, SpeakerUnmuted

ROOMS = {
    "embedded": "worker.rooms.embedded:EmbeddedRoom",
    "janus": "worker.rooms.janus.room:JanusRoom",
    "replay": "worker.rooms.replay:ReplayRoom",
}


@dataclass(frozen=True, slots=True)
class Tick:
    """The room's clock: every sound before `at` seconds has been given."""

    at: float


@dataclass(frozen=True, slots=True)
class ListenerJoined:
    """Someone who can be sent messages has arrived, or has caught up, and needs the snapshot first."""

    listener: str
    behind: bool = False
    """True when this listener was here before and messages to it were dropped."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A person said what they did with a prompt that was for them; `answer` is one of `worker.prompts.ANSWERS`."""

    speaker: str
    prompt: str
    answer: str


RoomItem: TypeAlias = (
    SpeakerJoined
    | SpeakerLeft
    | SpeakerMuted
    | SpeakerUnmuted
    | AudioChunk
    | Tick
    | ListenerJoined
    | Answered
    | RoomInterrupted
)


class Room(Protocol):
    """A place with speakers. The end of iteration means that the room closed; trouble is a RoomError.

    One that can give a message to one participant and to nobody else has an attribute `addresses` that is True; its
    listeners are named as its speakers are, and its `send` takes `greeting`, false for what must not come before their
    snapshot.
    """

    name: str
    started: datetime
    """Wall-clock time of second 0 on the room's clock."""
    lockstep: bool
    """True when the room waits for its listener: everything before a Tick is answered before more is asked for."""

    def __aiter__(self) -> AsyncIterator[RoomItem]: ...

    async def send(self, message: str, to: str | None = None) -> bool:
        """Give a message to one listener, or to all. False when a listener could not take it."""
        ...

    async def close(self) -> None:
        """End the room; iteration stops after what is under way."""
        ...
