"""Which rules ask for something to be said, and of whom."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from worker.coaching.expressions import Value
from worker.coaching.names import OCCASIONS, people
from worker.coaching.rules import OTHERS, Rule
from worker.events import (
    ConversationMeasured,
    Event,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeechEnded,
    SpeechStarted,
)
from worker.figures import Figures
from worker.prompts import MANAGERS

WAITING = 1000
"""Occasions that may wait for the next look; the oldest make room, and are counted."""

Key = tuple[str, str, str]
"""Rule, addressee, and whom it is about."""


@dataclass(slots=True)
class Person:
    """Somebody who is in the room."""

    name: str
    role: str
    analysed: bool
    speaking: bool = False


@dataclass(slots=True)
class Streak:
    """For how long a rule's condition has held of one person."""

    since: float
    looks: int = 0
    said: bool = False


@dataclass(slots=True)
class Due:
    """What should be said, from the first moment on that it should."""

    rule: Rule
    to: str
    me: str
    since: float
    true_at: float
    """When it was last true."""
    values: Mapping[str, Value]
    """Of every name in the rule; people as their pseudonyms."""
    event: Event | None
    held: set[str] = field(default_factory=set)
    """Why it was held back so far."""


class Triggers:
    """Holds each rule's condition against the figures, and against the events that it waits for.

    A condition of figures must hold in two looks in a row, or for the rule's `hold_s`. What is wanted stays in `due`
    until somebody takes it out.
    """

    def __init__(self, rules: Sequence[Rule], counts: Counter[str]) -> None:
        self.here: dict[str, Person] = {}
        self.due: dict[Key, Due] = {}
        self._rules, self._counts = rules, counts
        self._streaks: dict[Key, Streak] = {}
        self._occasions: list[Event] = []
        self._waits_for = tuple({rule.on for rule in rules if rule.on is not None})
        self._window_s: float | None = None

    def push(self, event: Event) -> None:
        match event:
            case SpeakerJoined():
                self.here[event.speaker] = Person(event.name, event.role, event.analysed)
            case SpeakerLeft():
                self.here.pop(event.speaker, None)
                self._drop(event.speaker)
            case SpeakerAnalysed(speaker=speaker) if speaker in self.here:
                self.here[speaker].analysed = event.analysed
                self.here[speaker].speaking &= event.analysed
                self._drop(speaker)
            case SpeechStarted(speaker=speaker) | SpeechEnded(speaker=speaker) if speaker in self.here:
                self.here[speaker].analysed = True  # whoever agreed only after they joined
                self.here[speaker].speaking = isinstance(event, SpeechStarted)
            case ConversationMeasured():
                self._window_s = event.window_s
        if isinstance(event, self._waits_for):
            self._occasions.append(event)
            if len(self._occasions) > WAITING:
                del self._occasions[0]
                self._counts["dropped"] += 1

    def look(self, figures: Figures, at: float, again: Callable[[Due], bool]) -> None:
        """Hold all rules against the figures of this moment; `again` says whether what was said may be said again."""
        occasions, self._occasions = self._occasions, []
        known = [who for who in figures.people if who in self.here and self.here[who].analysed]
        for rule in self._rules:
            if rule.on is None:
                for me in [""] if rule.of_the_room else known:
                    self._watch(self._made(rule, me, figures, None, at), again)
                continue
            for event in occasions:
                if isinstance(event, rule.on):
                    for me in _subjects(rule, event, known):
                        due = self._made(rule, me, figures, event, at)
                        if rule.when.holds(due.values):
                            self._want(due)

    def said(self, due: Due) -> None:
        """Take out what has been said."""
        del self.due[_key(due)]
        if (streak := self._streaks.get(_key(due))) is not None:
            streak.said = True

    def _watch(self, due: Due, again: Callable[[Due], bool]) -> None:
        rule, key = due.rule, _key(due)
        if not rule.when.holds(due.values):
            self._streaks.pop(key, None)
            return
        streak = self._streaks.setdefault(key, Streak(due.true_at))
        streak.looks += 1
        ripe = streak.looks >= 2 if rule.hold_s is None else due.true_at - streak.since >= rule.hold_s
        if ripe and (not streak.said or again(due)):
            self._want(due)

    def _want(self, due: Due) -> None:
        if (older := self.due.get(_key(due))) is not None:
            due.since, due.held = older.since, older.held
        self.due[_key(due)] = due

    def _made(self, rule: Rule, me: str, figures: Figures, event: Event | None, at: float) -> Due:
        to = MANAGERS if rule.audience == MANAGERS else me
        return Due(rule, to, me, at, at, self._values(rule, me, figures, event), event)

    def _values(self, rule: Rule, me: str, figures: Figures, event: Event | None) -> dict[str, Value]:
        here = self.here.get(me)
        scopes = {
            "me": figures.people.get(me),
            "room": figures.room,
            "side": figures.sides.get(here.role) if here is not None else None,
            "event": event,
        }
        special: dict[str, Value] = {
            "me.role": here.role if here is not None else "",
            "me.name": me,
            "event.role": getattr(self.here.get(getattr(event, "speaker", "")), "role", ""),
            "window_s": self._window_s,
        }
        values: dict[str, Value] = {}
        for name in rule.names:
            scope, _, attribute = name.partition(".")
            values[name] = special[name] if name in special else getattr(scopes[scope], attribute, None)
        return values

    def _drop(self, speaker: str) -> None:
        """Nothing that waits may be said to, or of, somebody who is not there, or who agrees to less by now."""
        self._streaks = {key: streak for key, streak in self._streaks.items() if speaker not in key[1:]}
        self.due = {key: due for key, due in self.due.items() if speaker not in (*key[1:], *_named(due.event))}
        self._occasions = [event for event in self._occasions if speaker not in _named(event)]


def _key(due: Due) -> Key:
    return due.rule.name, due.to, due.me


def _subjects(rule: Rule, event: Event, known: Iterable[str]) -> list[str]:
    """Whom a rule is about when an event happens."""
    if rule.of_the_room:
        return [""]
    if rule.me == OTHERS:
        return [who for who in known if who != getattr(event, "speaker", None)]
    return [who for who in known if who == getattr(event, rule.me or "")]


def _named(event: Event | None) -> tuple[str, ...]:
    """Everyone whom an event speaks of."""
    named = people(type(event)) if type(event) in OCCASIONS.values() else ()
    return tuple(getattr(event, name) for name in named)
