"""Watches the figures of a conversation, and tells a participant what to do next when a rule asks for it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from worker.coaching.expressions import Value
from worker.coaching.files import load
from worker.coaching.hygiene import Hygiene
from worker.coaching.names import people
from worker.coaching.rules import Rule
from worker.coaching.triggers import Due, Triggers
from worker.errors import ConfigError
from worker.events import Event, PromptAnswered, Prompted
from worker.figures import Figures
from worker.prompts import MANAGERS

EVERY_S = 0.35
"""Between two looks at the figures: two in a row that agree, the ticks between them, and how far a live room's clock
stays behind, are within a second."""
FORGET_S = 60.0
SEVERITIES = ("strong", "hint", "info")
"""In the order in which they are said."""


class Conversation(Protocol):
    """Whoever knows the figures, fresh as of the room's last tick."""

    def figures(self) -> Figures: ...


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Something that a rule asked for and that was not said, at least not then."""

    at: float
    to: str
    rule: str
    reason: str
    """`speaking`, `silenced`, `snoozed`, `cool_down`, `minute`, `hour`; `expired` when it was given up for good."""


class Coach:
    """An observer whose prompts are for one person each, or for the managers, and for nobody else.

    `rules` are packs that come with the worker, or files. A condition that looks at figures must hold in two looks in
    a row, `EVERY_S` apart, or for the rule's own `hold_s`. Then `Hygiene` decides whether it is said. While it does
    not allow it, what is still true waits, and so does an event for `expires_s`. While the addressee speaks it waits,
    but for no more than `expires_s` after it was last true. `managers` and `emotion` are what the operator allows:
    without them rules for managers, and rules that need to know how a voice sounds, are left out. `band` is the share
    of the talk that is usual in this kind of call; pages show it beside a person's own. Raises ConfigError for rules
    with a mistake in them.
    """

    def __init__(
        self,
        conversation: Conversation,
        rules: list[str],
        managers: bool = False,
        emotion: bool = False,
        per_minute: int = 1,
        per_hour: int = 6,
        rule_cooldown_s: float = 300.0,
        wait_while_speaking: bool = True,
        expires_s: float = 10.0,
        snooze_s: float = 600.0,
        band: tuple[float, float] | None = None,
    ) -> None:
        if expires_s <= 0:
            raise ConfigError("expires_s must be above 0.")
        if band is not None and not 0 <= band[0] < band[1] <= 1:
            raise ConfigError("band must be two shares, the lower first, such as [0.4, 0.6].")
        loaded = load(rules)
        self.unused = {rule.name: why for rule in loaded if (why := _unused(rule, managers, emotion))}
        """Rules that are left out, and the option that does so."""
        self.on_tone = frozenset(rule.name for rule in loaded if rule.needs == "emotion")
        """Rules whose prompts, and the answers to them, tell how a voice sounded."""
        self.counts: Counter[str] = Counter()
        """How often something was `said`, or held back for one of the reasons of `HeldBack`; `dropped` are events that
        rules wait for, and that came faster than they were looked at."""
        self.held_back: Callable[[HeldBack], None] | None = None
        """Is told of all that is held back, once for each reason."""
        self._conversation = conversation
        self._triggers = Triggers([rule for rule in loaded if rule.name not in self.unused], self.counts)
        self.band, self.snooze_s = band, snooze_s
        self._hygiene = Hygiene(per_minute, per_hour, rule_cooldown_s, snooze_s)
        self._wait, self._expires_s = wait_while_speaking, expires_s
        self._next = self._looked = self._forget_at = 0.0

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError for rules that cannot be read, and for limits that make no sense."""
        Coach(_Nobody(), **options)

    def push(self, event: Event) -> Iterable[Event]:
        self._triggers.push(event)
        return ()

    def tick(self, at: float) -> Iterable[Event]:
        if at >= self._next:
            self._next, self._looked = at + EVERY_S, at
            self._triggers.look(self._conversation.figures(), at, lambda due: self._hygiene_of(due, at) is None)
        if at >= self._forget_at:
            self._forget_at = at + FORGET_S
            self._hygiene.forget(at, lambda to: to != MANAGERS and to not in self._triggers.here)
        return list(self._say(at))  # at every tick: a pause for breath is shorter than the time between two looks

    def close(self, at: float) -> Iterable[Event]:
        return ()

    def answer(self, who: str, prompt: str, answer: str, at: float) -> Iterable[Event]:
        """Learn what somebody did with a prompt of theirs; an answer to any other is passed over.

        `who` is a speaker or `managers`; `answer` is `dismissed`, `snoozed` or `not_helpful`.
        """
        rule = self._hygiene.answered(who, prompt, answer, at)
        return [PromptAnswered(at, prompt, who, rule, answer)] if rule is not None else []

    def _say(self, at: float) -> Iterator[Event]:
        """At most one prompt for each addressee, the weightiest and then the oldest first."""
        told: set[str] = set()
        waiting = self._triggers.due.values()
        for due in sorted(waiting, key=lambda due: (SEVERITIES.index(due.rule.severity), due.since)):
            capped = self._hygiene_of(due, at)
            past = capped is not None and due.event is None and due.true_at < self._looked
            if past or at - due.true_at > self._expires_s:
                self._note(due, "expired", at)
                del self._triggers.due[due.rule.name, due.to, due.me]
            elif due.to not in told:
                reason = capped or self._speaking(due)
                if reason is None:
                    told.add(due.to)
                    yield self._prompt(due, at)
                else:
                    self._note(due, reason, at)

    def _hygiene_of(self, due: Due, at: float) -> str | None:
        return self._hygiene.holds_back(due.to, due.rule.name, at)

    def _speaking(self, due: Due) -> str | None:
        speaks = due.to != MANAGERS and self._triggers.here[due.to].speaking
        return "speaking" if speaks and self._wait else None

    def _note(self, due: Due, reason: str, at: float) -> None:
        if reason in due.held:
            return
        due.held.add(reason)
        self.counts[reason] += 1
        if self.held_back is not None:
            self.held_back(HeldBack(at, due.to, due.rule.name, reason))

    def _prompt(self, due: Due, at: float) -> Prompted:
        rule, name = due.rule, f"{due.to}.{at * 1000:.0f}"
        self._hygiene.said(due.to, rule.name, name, at, rule.cooldown_s)
        self._triggers.said(due)
        self.counts["said"] += 1
        shown = dict(due.values)
        for named in ("me.name", *(f"event.{one}" for one in (people(rule.on) if rule.on is not None else ()))):
            if (person := self._triggers.here.get(str(shown.get(named)))) is not None:
                shown[named] = person.name
        text, reason = rule.text.filled(shown), rule.reason.filled(shown)
        numbers = {one: _rounded(due.values[one]) for one in rule.when.names}
        return Prompted(at, name, due.to, rule.name, rule.severity, text, reason, numbers, self._expires_s)


class _Nobody:
    """A conversation that is only there to check options with."""

    def figures(self) -> Figures:
        return Figures()


def _unused(rule: Rule, managers: bool, emotion: bool) -> str | None:
    if rule.audience == MANAGERS and not managers:
        return "managers"
    return "emotion" if rule.needs == "emotion" and not emotion else None


def _rounded(value: Value) -> Value:
    return round(value, 4) if isinstance(value, float) else value
