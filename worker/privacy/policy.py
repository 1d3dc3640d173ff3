"""Whom the worker may hear."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

LARGEST = 10_000
"""Withdrawals of rooms that are kept after they were left."""


class Policy(Protocol):
    """Asked before sound is decoded, and again while any of it is held."""

    def may_hear(self, speaker: str) -> bool: ...


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


class Consent:
    """Nobody is heard who has not agreed; who withdraws is heard no more from that moment on."""

    def __init__(
        self,
        withdrawn: Iterable[str] = (),
        note: Callable[[str, bool], None] | None = None,
        lapsed: Callable[[str], None] | None = None,
    ) -> None:
        """`withdrawn` said no when the room was open before; `note` is told of every answer, `lapsed` of every yes
        that ceased to be somebody's."""
        self._answers: dict[str, bool] = dict.fromkeys(withdrawn, False)
        self._present: dict[str, str] = {}
        self._note, self._lapsed = note, lapsed

    def present(self, speaker: str, person: str) -> None:
        """Somebody is in the room under this name; if it is not who was there before, a yes was not theirs to give.

        A no stays: whoever takes a name on may say yes for themselves.
        """
        if self._present.get(speaker, person) != person and self._answers.get(speaker):
            del self._answers[speaker]
            if self._lapsed is not None:
                self._lapsed(speaker)
        self._present[speaker] = person

    def is_present(self, speaker: str, person: str) -> bool:
        """Whether it was this person who was last here under this name."""
        return self._present.get(speaker) == person

    def record(self, speaker: str, agreed: bool) -> None:
        self._answers[speaker] = agreed
        if self._note is not None:
            self._note(speaker, agreed)

    def decided(self, speaker: str) -> bool:
        """Whether this speaker has answered, yes or no."""
        return speaker in self._answers

    def may_hear(self, speaker: str) -> bool:
        return self._answers.get(speaker, False)


class Recorded:
    """For recordings: whoever has the file answers for it."""

    def may_hear(self, speaker: str) -> bool:
        return True
