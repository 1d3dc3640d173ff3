"""What the law leaves of what a configuration wishes to make of people's voices."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from worker.privacy.exemption import Exemption, public_key, read
from worker.privacy.levels import ENGINES, LEVELS, MADE, Level
from worker.privacy.table import (
    ALIASES,
    CONDITIONS,
    CONTEXTS,
    EU,
    EXEMPTED,
    FOR_EMOTION,
    LIFTED,
    PLACES,
    ROLES,
    RULES,
    STANDS_FOR,
    TABLE,
    WORDS,
    Basis,
    Context,
    Place,
    Role,
    Row,
    Words,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One person in one conversation. What is not one of the known words counts as unknown."""

    places: tuple[str, ...]
    """Where people are, and where what is made of their voices is used."""
    context: str
    role: str
    purpose: str = ""
    basis: str = ""
    exemption: Exemption | None = None
    """One that was found to be signed and in force."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The most that may be made of one person's voice and words."""

    rows: tuple[Row, ...]
    """Every line that holds for this person."""
    missing: tuple[str, ...] = ()
    """What is not stated and would have to be for emotion."""

    @property
    def highest(self) -> Level:
        return min(row.highest for row in self.rows)

    @property
    def words(self) -> Words:
        return min((row.words for row in self.rows), key=WORDS.index)

    @property
    def conditions(self) -> tuple[str, ...]:
        """What must be done besides, by the names of `CONDITIONS`."""
        return tuple(dict.fromkeys(condition for row in self.rows for condition in row.conditions))

    @property
    def must_not_change(self) -> bool:
        return any(row.must_not_change for row in self.rows)

    def rules(self, level: Level = Level.EMOTION) -> tuple[str, ...]:
        """The rules that forbid this level, or that allow it where none does."""
        forbidding = tuple(dict.fromkeys(row.rule for row in self.rows if row.highest < level))
        return forbidding or tuple(dict.fromkeys(row.rule for row in self.rows))

    def sentence(self, level: Level = Level.EMOTION) -> str:
        """The first of these rules in words."""
        rule = self.rules(level)[0]
        return RULES[rule] + (f" Missing: {', '.join(self.missing)}." if rule == "unstated" else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something is made of a person's voice or words, and which rule says so."""

    what: str
    words: str
    """What that is."""
    on: bool
    rule: str
    sentence: str


def decide(case: Case) -> Verdict:
    """The lines that hold for somebody, of which the strictest decides. Pure: the same case has the same verdict."""
    rows = list(_rows(case))
    missing = tuple(_missing(case))
    if missing:
        rows.append(_cap("unstated"))
    if any(row.places == EU for row in rows) and case.basis != "explicit_consent" and not _exempt(case):
        rows.append(_cap("gdpr_9"))
    return Verdict(tuple(rows), missing)


def _rows(case: Case) -> Iterator[Row]:
    """The lines of the table that hold."""
    places = {place if place in PLACES else "unknown" for place in case.places} or {"unknown"}
    context = case.context if case.context in CONTEXTS else "unknown"
    contexts = {context, *STANDS_FOR.get(context, ())}
    for row in TABLE:
        if places & {*row.places} and contexts & {*row.contexts} and _role(case.role) in row.roles:
            yield EXEMPTED if row.rule in LIFTED and _exempt(case) else row


def _role(role: str) -> str:
    role = ALIASES.get(role, role)
    return role if role in ROLES else "unknown"


def _exempt(case: Case) -> bool:
    return case.exemption is not None and case.exemption.purpose == case.purpose


def _missing(case: Case) -> Iterator[str]:
    if not case.places or any(place not in PLACES or place == "unknown" for place in case.places):
        yield "jurisdiction"
    if case.context not in CONTEXTS or case.context == "unknown":
        yield "context"
    if not case.purpose:
        yield "purpose"
    if not case.basis:
        yield "basis"
    if _role(case.role) == "unknown":
        yield "role"


def _cap(rule: str) -> Row:
    """Stands for what is asked before emotion, whatever the table says."""
    return Row(PLACES, CONTEXTS, ROLES, Level.PROSODY, "opt_in", rule)


class Law:
    """The policy of one room: what it wishes for, and for each role what the law leaves of it.

    Made when the room opens, and from then on nothing loosens it; on the day after `until` it must be made anew.
    """

    def __init__(
        self,
        today: date,
        level: Literal["presence", "metrics", "prosody", "emotion"] = "metrics",
        jurisdiction: Place = "unknown",
        used_in: tuple[Place, ...] = (),
        context: Context = "unknown",
        role: Role = "unknown",
        purpose: str = "",
        basis: Basis = "",
        exemption: Path | None = None,
        exemption_key: str = "",
    ) -> None:
        """Raises ConfigError when an exemption is named that does not hold."""
        signed = read(exemption, exemption_key, purpose, today) if exemption is not None else None
        self.wished, self.purpose = LEVELS[level], purpose.strip()
        self._role = role
        self._stated = {"jurisdiction": jurisdiction, "context": context, "purpose": self.purpose}
        self.until = signed.expires if signed is not None else None
        """The last day on which the exemption holds, in UTC; None where there is none."""
        case = Case((jurisdiction, *used_in), context, role, self.purpose, basis, signed)
        self._verdicts = {one: decide(replace(case, role=one)) for one in (*ROLES, *ALIASES)}
        self._verdicts[""] = self._verdicts[role]
        self._levels = {one: min(self.wished, verdict.highest) for one, verdict in self._verdicts.items()}
        self._strictest = self._levels["unknown"]

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError when an exemption is named and no key, or none that can be one."""
        if options.get("exemption") is not None:
            public_key(options.get("exemption_key", ""))

    def level_for(self, role: str) -> Level:
        """How much is made of the voice of a person in this role; `""` is the configuration's own."""
        return self._levels.get(role, self._strictest)

    def verdict_for(self, role: str) -> Verdict:
        """What the law says of this role, whatever the configuration wishes."""
        return self._verdicts.get(role, self._verdicts["unknown"])

    def in_call_only(self, role: str) -> bool:
        """Whether how a voice sounded may be shown to those in the call alone, and is not to be kept or summed up."""
        return "live_user_only" in self.verdict_for(role).conditions

    def decision(self, role: str) -> dict[str, str]:
        """What was decided for this role, and by which rule, in the words of the audit log."""
        level, verdict = self.level_for(role), self.verdict_for(role)
        rule = verdict.rules(Level(level + 1))[0] if level < self.wished else "level"
        return {"level": level.word, "rule": rule, "role": role or self._role, **self._stated}

    def engines(self, roles: Iterable[str] = ROLES) -> frozenset[str]:
        """Which of `vad`, `prosody` and `emotion` may be made at all in a room where these roles may turn up."""
        highest = max(self.level_for(role) for role in roles)
        return frozenset(name for name, level in ENGINES.items() if level <= highest)

    @property
    def refusal(self) -> str:
        """A sentence for the operator where nobody's voice may be given the level that is wished for; else empty."""
        verdicts = [self._verdicts[role] for role in ("", *ROLES)]
        highest = max(verdict.highest for verdict in verdicts)
        if highest >= self.wished:
            return ""
        # A role that no ban concerns shows what the operator can do; where there is none, the ban is the answer.
        free = [verdict for verdict in verdicts if not verdict.must_not_change]
        verdict = min(free, key=lambda one: len(one.missing), default=verdicts[0])
        rule, sentence = verdict.rules(self.wished)[0], verdict.sentence(self.wished)
        unknown = [f"policy.{key}" for key in ("jurisdiction", "context") if key in verdict.missing]
        advice = f"State {' and '.join(unknown)}, unknown counts as the strictest; or set" if unknown else "Or set"
        return f"policy.level {self.wished.word} is refused ({rule}): {sentence} {advice} it to {highest.word}."

    def explain(self, role: str = "") -> list[Finding]:
        """What is made of the voice and the words of a person in this role, and which rule says so."""
        verdict, level = self.verdict_for(role), self.level_for(role)
        found = []
        for what, (needed, words) in MADE.items():
            rule, sentence = "level", f"policy.level is {self.wished.word}."
            if needed > verdict.highest or (needed is Level.EMOTION and needed <= level):
                rule, sentence = verdict.rules(needed)[0], verdict.sentence(needed)
            found.append(Finding(what, words, needed <= level, rule, sentence))
        strictest = next(row for row in verdict.rows if row.words == verdict.words)
        rule = strictest.rule if verdict.words == "off" else "no_reader"
        return [*found, Finding("text_sentiment", "positive or negative, from the words", False, rule, RULES[rule])]

    def conditions(self, role: str = "") -> list[str]:
        """What whoever runs the worker must do before a person in this role is heard, as far as they are to be."""
        level = self.level_for(role)
        needless = {*FOR_EMOTION} if level < Level.EMOTION else set()
        needless |= {"no_mood"} if level < Level.PROSODY else set()
        held = [one for one in self.verdict_for(role).conditions if one not in needless]
        asked = [] if "explicit_consent" in held else ["consent"]
        names = dict.fromkeys(["notice", *asked, *held]) if level > Level.PRESENCE else {}
        return [CONDITIONS[name] for name in names]
