"""Decides what it was when somebody came in on a speaker: a back-channel, an interruption, or two at once."""

from dataclasses import dataclass

from worker.conversation.turns import Table, TurnRules
from worker.events import BackChannel, Event, Interrupted, Overlapped


@dataclass(slots=True, eq=False)
class Entry:
    """One utterance of `by` that came in on another speaker."""

    by: str
    on: str
    started: float
    held: bool
    """Whether the other one spoke, and had had the floor long enough to be interrupted."""
    paused: float
    """When the other one last stopped; infinite while they speak."""
    joint_since: float | None
    """Since when both speak."""
    first_joint: float
    overlap_s: float = 0.0
    stopped: float | None = None
    """When the other one stopped while this one spoke."""
    ended: float | None = None
    watched: bool = True
    """Whether it may still be an interruption."""


class Overlaps:
    """Is told by the Floor who starts and stops, in order of time."""

    def __init__(self, rules: TurnRules, table: Table) -> None:
        self._rules, self._table = rules, table
        self._entries: list[Entry] = []

    def start(self, at: float, speaker: str) -> list[Event]:
        """`speaker` is about to speak."""
        said: list[Event] = []
        for entry in [one for one in self._entries if one.on == speaker]:
            entry.paused = float("inf")
            if entry.ended is not None:
                self._entries.remove(entry)
                said.append(BackChannel(entry.started, entry.by, entry.on, entry.ended - entry.started))
            elif not self._table.holds(entry.by):  # then it is the other who comes in
                entry.joint_since = at
                entry.first_joint = min(entry.first_joint, at)
        if (on := self._in_on(speaker)) is not None:
            self._entries.append(self._entry(at, speaker, on))
        return said

    def _in_on(self, speaker: str) -> str | None:
        """Who is come in on: who has the floor and speaks, else who has spoken longest, else who has it and pauses."""
        table = self._table
        holder = table.turn.speaker if table.turn is not None else None
        if holder == speaker:
            return None
        if table.speaking and holder not in table.speaking:
            return min(table.speaking, key=lambda other: (table.speaking[other], other))
        return holder

    def _entry(self, at: float, by: str, on: str) -> Entry:
        turn, speaks = self._table.turn, on in self._table.speaking
        held = speaks and turn is not None and turn.speaker == on and at - turn.since >= self._rules.yields_s
        paused = float("inf") if speaks or turn is None else turn.until
        joint = at if speaks else None
        return Entry(by, on, at, held, paused, joint, at if speaks else float("inf"))

    def stop(self, at: float, speaker: str) -> list[Event]:
        """`speaker` has stopped."""
        said: list[Event] = []
        for entry in list(self._entries):
            if entry.on == speaker:
                said += self._on_stopped(entry, at)
            elif entry.by == speaker and entry.ended is None:
                said += self._by_stopped(entry, at)
        return said

    def _on_stopped(self, entry: Entry, at: float) -> list[Event]:
        entry.paused = at
        if entry.joint_since is None:
            return []
        self._part(entry, at)
        entry.stopped = at
        return self._resolve(entry) if at - entry.started > self._rules.yields_s else []

    def _by_stopped(self, entry: Entry, at: float) -> list[Event]:
        self._part(entry, at)
        if at - entry.started >= self._rules.back_channel_s:
            return self._resolve(entry)
        if entry.on in self._table.speaking:
            self._entries.remove(entry)
            return [BackChannel(entry.started, entry.by, entry.on, at - entry.started)]
        entry.ended = at
        return []

    def due(self) -> float:
        """When the next one is decided if nobody starts or stops."""
        return min((self._due(entry) for entry in self._entries), default=float("inf"))

    def _due(self, entry: Entry) -> float:
        if entry.ended is not None:
            return entry.paused + self._rules.bridge_s
        return entry.started + self._rules.interruption_s if entry.watched else float("inf")

    def advance(self, at: float) -> list[Event]:
        """Decide what is due at this moment."""
        said: list[Event] = []
        for entry in [one for one in self._entries if self._due(one) <= at]:
            entry.watched = False
            if entry.ended is None and self._cut_off(entry):
                self._entries.remove(entry)
                said.append(Interrupted(entry.started, entry.on, entry.by, entry.overlap_s))
            elif entry.ended is not None or self._changed(entry):
                said += self._resolve(entry)
        return said

    def _cut_off(self, entry: Entry) -> bool:
        """In time: who stops later than that is taken for having finished, see `_on_stopped`."""
        enough = entry.stopped is not None and entry.overlap_s >= self._rules.overlap_s
        return entry.held and enough and self._table.holds(entry.by)

    def passed(self) -> list[Event]:
        """The floor passed: who was waited for does not go on."""
        said: list[Event] = []
        for entry in [one for one in self._entries if one.ended is not None]:
            if entry.on not in self._table.speaking and not self._table.holds(entry.on):
                said += self._resolve(entry)
        return said

    def forget(self, speaker: str) -> None:
        """Nothing is decided of what this one took part in."""
        self._entries = [entry for entry in self._entries if speaker not in (entry.by, entry.on)]

    def close(self) -> list[Event]:
        return [event for entry in list(self._entries) for event in self._resolve(entry)]

    def _part(self, entry: Entry, at: float) -> None:
        if entry.joint_since is not None:
            entry.overlap_s += at - entry.joint_since
            entry.joint_since = None

    def _resolve(self, entry: Entry) -> list[Event]:
        """It was neither interruption nor back-channel."""
        self._entries.remove(entry)
        if entry.overlap_s == 0 or (self._changed(entry) and entry.overlap_s < self._rules.overlap_s):
            return []
        return [Overlapped(entry.first_joint, entry.by, entry.on, entry.overlap_s)]

    def _changed(self, entry: Entry) -> bool:
        """Whether the other one has stopped, be it that they came in again."""
        return entry.on not in self._table.speaking or self._table.holds(entry.by)
