"""Whom an export or an erasure is about, and what must be known of them to find them everywhere."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from worker.prompts import MANAGERS

ERASED = "erased"
"""Stands for everyone who was erased, wherever a fact of somebody else's needs a second person."""
SOMEBODY = "somebody"
"""Stands in a text for the name of somebody who was erased."""


@dataclass(frozen=True)
class Person:
    """One person in one run of a room."""

    speaker: str
    names: frozenset[str] = frozenset()
    """Display names that they had."""
    others: frozenset[str] = frozenset()
    """Display names of everyone else who was there."""
    sides: frozenset[str] = frozenset()
    """Roles that they had."""
    shared: frozenset[str] = frozenset()
    """Roles that anyone else had."""

    def alone_on(self, side: str) -> bool:
        """Whether the figures of a side are theirs alone; so it is held where nobody knows whose else they could be."""
        return side not in self.shared and (side in self.sides or not self.sides)

    def is_in(self, text: str) -> bool:
        """Whether a text has their name or their pseudonym in it, as a word of its own."""
        return self.cut_from(text) != text

    def cut_from(self, text: str) -> str:
        """The text without their name and pseudonym."""
        return without_words(text, {self.speaker, *self.names}, self.others)


def without_words(text: str, words: Collection[str], spared: Collection[str] = ()) -> str:
    """The text with `somebody` in place of each of these words, except within a longer one that is spared."""
    found = sorted({word for word in (*words, *spared) if word.strip()}, key=len, reverse=True)
    if not found:
        return text
    return re.sub("|".join(map(_as_word, found)), lambda one: SOMEBODY if one[0] in words else one[0], text)


def _as_word(word: str) -> str:
    before = r"(?<!\w)" if re.match(r"\w", word) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", word) else ""
    return f"{before}{re.escape(word)}{after}"


@dataclass(frozen=True)
class Whom:
    """The person that `speaker` stands for in these runs of a room; elsewhere it is somebody else."""

    room: str
    speaker: str
    runs: Mapping[int, Person]
    """By epoch."""

    def person(self, room: object, epoch: object) -> Person | None:
        """None where it is somebody else, or nobody."""
        return self.runs.get(epoch) if room == self.room and type(epoch) is int else None


@dataclass(slots=True)
class Seen:
    """What the stores tell of one speaker in one run of a room."""

    names: set[str] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    first: str = ""
    """Time of the first record, in UTC as RFC 3339 says; empty where no record with a time speaks of them."""
    last: str = ""


class Census:
    """Who is in the stores. Filled by them, before anything is given out or erased."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.seen: dict[int, dict[str, Seen]] = {}
        """By epoch and speaker."""
        self.told: set[int] = set()
        """Runs of the room that events tell of."""
        self.closed: set[int] = set()
        """Runs of the room that are known to have ended."""

    def note(self, epoch: int, speakers: Iterable[str], time: object = "") -> None:
        """Somebody is spoken of; stand-ins are nobody."""
        run = self.seen.setdefault(epoch, {})
        for speaker in speakers:
            if speaker in ("", ERASED, MANAGERS):
                continue
            one = run.setdefault(speaker, Seen())
            if isinstance(time, str) and time:
                one.first = min(one.first or time, time)
                one.last = max(one.last, time)

    def call(self, epoch: int, speaker: str, name: object, role: object = "") -> None:
        """Somebody's name and role are told."""
        self.note(epoch, [speaker])
        one = self.seen[epoch].get(speaker, Seen())
        one.names.update([name] if isinstance(name, str) and name else [])
        one.roles.update([role] if isinstance(role, str) and role else [])

    def is_open(self, epochs: Iterable[int]) -> bool:
        """Whether the newest run is one of these, and nothing says that it ended. Recordings are epoch 0."""
        newest = max(self.told, default=0)
        return newest > 0 and newest in set(epochs) - self.closed

    def runs_of(self, speaker: str) -> list[int]:
        """Epochs in which this pseudonym was anyone's."""
        return sorted(epoch for epoch, run in self.seen.items() if speaker in run)

    def whom(self, speaker: str, epochs: Iterable[int]) -> Whom:
        return Whom(self.room, speaker, {epoch: self._person(epoch, speaker) for epoch in epochs})

    def _person(self, epoch: int, speaker: str) -> Person:
        run = self.seen.get(epoch, {})
        one = run.get(speaker, Seen())
        others = [seen for who, seen in run.items() if who != speaker]
        return Person(
            speaker,
            frozenset(one.names),
            frozenset(name for seen in others for name in seen.names) - one.names,
            frozenset(one.roles),
            frozenset(role for seen in others for role in seen.roles),
        )
