"""What everyone who holds sound asks, and the noes that outlive a room."""

from collections import OrderedDict
from typing import Protocol

from worker.privacy.levels import Level

LARGEST = 10_000
"""Withdrawals of rooms that are kept after they were left."""


class Policy(Protocol):
    """Asked before sound is decoded, and again while any of it is held."""

    def may_hear(self, speaker: str) -> bool:
        """Whether the level is above PRESENCE."""
        ...

    def level(self, speaker: str) -> Level: ...

    def withdrawals(self, speaker: str) -> int:
        """How often this voice has ceased to be heard, also where it is heard again by now."""
        ...

    def in_call_only(self, speaker: str) -> bool:
        """Whether how this voice sounded is for those in the call, and for nothing that keeps it or sums it up."""
        ...


class Withdrawals:
    """Everyone's no, by place, so that it holds when a room is opened anew; a later yes takes it back.

    Of more than `largest` the oldest are forgotten, which `forgotten` counts.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        self.forgotten = 0
        self._largest = largest
        self._all: OrderedDict[tuple[str, str], None] = OrderedDict()

    def note(self, place: str, speaker: str, agreed: bool) -> None:
        self._all.pop((place, speaker), None)
        if not agreed:
            self._all[place, speaker] = None
        if len(self._all) > self._largest:
            self._all.popitem(last=False)
            self.forgotten += 1

    def at(self, place: str) -> list[str]:
        """Who said no there."""
        return [speaker for where, speaker in self._all if where == place]


class Recorded:
    """For recordings: whoever has the file answers for it, and the law holds all the same."""

    def __init__(self, level: Level, in_call_only: bool = False) -> None:
        self._level, self._in_call_only = level, in_call_only

    def may_hear(self, speaker: str) -> bool:
        return self._level > Level.PRESENCE

    def level(self, speaker: str) -> Level:
        return self._level

    def withdrawals(self, speaker: str) -> int:
        return 0

    def in_call_only(self, speaker: str) -> bool:
        return self._in_call_only
