"""How much a person can bear: caps, cool-downs, and what the answers to prompts teach, for all rules in one place."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.errors import ConfigError
from worker.prompts import ANSWERS

MINUTE_S, HOUR_S = 60.0, 3600.0
SLOWEST = 8.0
"""Times its own cool-down that a rule waits at most after answers that say "not now"."""
UNHELPFUL = 2
"""Answers "not helpful" after which a rule is silent for this person until the call ends."""


@dataclass(slots=True)
class _Lesson:
    """One rule and one person."""

    last: float
    cooldown_s: float
    factor: float = 1.0
    unhelpful: int = 0


@dataclass(slots=True)
class _Person:
    """One addressee: when they were told something, and what they answered."""

    told: deque[float] = field(default_factory=deque)
    """Moments within the last hour."""
    snoozed_until: float = 0.0
    lessons: dict[str, _Lesson] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    """The rules of the newest prompts that have not been answered, by the prompts' names."""


class Hygiene:
    """Says what holds a prompt back. Raises ConfigError for limits that no prompt could pass, or that limit nothing.

    Whoever left, and was told nothing for an hour, is forgotten, so that what is kept has a bound.
    """

    def __init__(self, per_minute: int, per_hour: int, cooldown_s: float, snooze_s: float) -> None:
        if per_minute < 1 or per_hour < 1 or cooldown_s < 0 or snooze_s < 0:
            raise ConfigError("per_minute and per_hour must be 1 or more, and no time below 0.")
        self._per_minute, self._per_hour = per_minute, per_hour
        self._cooldown_s, self._snooze_s = cooldown_s, snooze_s
        self._people: dict[str, _Person] = {}

    def __len__(self) -> int:
        return len(self._people)

    def holds_back(self, to: str, rule: str, at: float) -> str | None:
        """Why this person is not to be told this now: `silenced`, `snoozed`, `cool_down`, `minute` or `hour`."""
        person = self._people.get(to)
        if person is None:
            return None
        lesson = person.lessons.get(rule)
        if lesson is not None and lesson.unhelpful >= UNHELPFUL:
            return "silenced"
        if at < person.snoozed_until:
            return "snoozed"
        if lesson is not None and at < lesson.last + lesson.cooldown_s * lesson.factor:
            return "cool_down"
        if sum(told > at - MINUTE_S for told in person.told) >= self._per_minute:
            return "minute"
        return "hour" if sum(told > at - HOUR_S for told in person.told) >= self._per_hour else None

    def said(self, to: str, rule: str, prompt: str, at: float, cooldown_s: float | None) -> None:
        """Record that a person was told something; `cooldown_s` is the rule's own, if it has one."""
        person = self._people.setdefault(to, _Person())
        person.told.append(at)
        while person.told[0] <= at - HOUR_S:
            person.told.popleft()
        if len(person.asked) >= self._per_hour:
            del person.asked[next(iter(person.asked))]
        person.asked[prompt] = rule
        cooldown_s = self._cooldown_s if cooldown_s is None else cooldown_s
        lesson = person.lessons.setdefault(rule, _Lesson(at, cooldown_s))
        lesson.last, lesson.cooldown_s = at, cooldown_s

    def answered(self, to: str, prompt: str, answer: str, at: float) -> str | None:
        """Learn from an answer; the rule it was about, or None when it was no answer to a prompt of this person's."""
        person = self._people.get(to)
        if person is None or answer not in ANSWERS or (rule := person.asked.pop(prompt, None)) is None:
            return None
        lesson = person.lessons[rule]
        if answer == "snoozed":
            person.snoozed_until = at + self._snooze_s
        else:
            lesson.factor = min(SLOWEST, lesson.factor * 2)
            lesson.unhelpful += answer == "not_helpful"
        return rule

    def forget(self, at: float, absent: Callable[[str], bool]) -> None:
        """Let go of those who left and were told nothing for an hour."""
        self._people = {
            to: person
            for to, person in self._people.items()
            if not absent(to) or at < max(person.snoozed_until, person.told[-1] + HOUR_S)
        }
