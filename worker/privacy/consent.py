"""How much each person agreed to have made of their voice, and how much of that the law leaves."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from worker.privacy.levels import Level


class Law(Protocol):
    """The policy of the room."""

    @property
    def wished(self) -> Level: ...

    def level_for(self, role: str) -> Level: ...

    def in_call_only(self, role: str) -> bool: ...


class State(StrEnum):
    """Where somebody stands. Only GRANTED is heard."""

    UNKNOWN = "unknown"
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Terms:
    """What people are asked to agree to: a yes to other words or for another purpose is none."""

    purpose: str = ""
    text: str = ""
    """The version of the words."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody said last."""

    state: State = State.UNKNOWN
    agreed: Level = Level.PRESENCE
    """What they agreed to, of which the law may leave less."""


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody's new standing."""

    speaker: str
    standing: Standing
    by: str
    """How it came: `page`, `control`, `platform` (its own signal), `host` (who asked everyone), `guest`; `replaced` or
    `restated` for a yes that ceased to be theirs."""
    terms: Terms | None
    """What was agreed to, as far as it is known."""


class Consent:
    """Nobody is heard who has not agreed, nor at more than they agreed to; a no holds from that moment on.

    A yes is one person's, to these terms: it lapses when somebody else comes under its speaker, and when the terms
    change. A no stays until the person says yes. Pure: asked of each packet, it looks up one number.
    """

    def __init__(
        self,
        law: Law,
        terms: Terms = Terms(),
        withdrawn: Iterable[str] = (),
        changed: Callable[[Change], None] | None = None,
        ruled: Callable[[str, str], None] | None = None,
    ) -> None:
        """`withdrawn` said no when the room was open before. `changed` is told of every new standing, `ruled` of every
        speaker's role, as the policy decides by it."""
        self.terms = terms
        self._law = law
        self._standings = dict.fromkeys(withdrawn, Standing(State.WITHDRAWN))
        self._levels: dict[str, Level] = {}
        self._withdrawals: Counter[str] = Counter()
        self._barred: set[str] = set()
        self._roles: dict[str, str] = {}
        self._present: dict[str, str] = {}
        self._changed, self._ruled = changed, ruled

    def present(self, speaker: str, person: str, role: str = "") -> None:
        """Somebody is in the room under this name. If it is not who was there before, a yes was not theirs to give, and
        their role was not said of them: it holds on only where it is stricter than what is told of nobody."""
        if self._present.get(speaker, person) != person:
            self.lapse(speaker, "replaced")
            if self._law.level_for("") < self._law.level_for(self._roles.get(speaker, "")):
                self.assign(speaker, "")
        self._present[speaker] = person
        if role or speaker not in self._roles:
            self.assign(speaker, role)

    def is_present(self, speaker: str, person: str) -> bool:
        """Whether it was this person who was last here under this name."""
        return self._present.get(speaker) == person

    def assign(self, speaker: str, role: str) -> None:
        """Say what somebody is in this conversation; the law judges them by it from now on."""
        if self._roles.get(speaker) != role:
            self._roles[speaker] = role
            self._weigh(speaker)
            if self._ruled is not None:
                self._ruled(speaker, role)

    def record(self, speaker: str, level: Level | None, by: str, terms: Terms | None = None) -> bool:
        """Somebody's answer: how much they agree to, PRESENCE for no; None for as much as the room wishes for.

        A yes to other `terms` than those that hold, or of who is barred, changes nothing, and gives False. Without
        `terms` nobody knows what was shown.
        """
        agreed = self._law.wished if level is None else level
        if agreed is Level.PRESENCE:
            said_yes = self.standing(speaker).state in (State.GRANTED, State.WITHDRAWN)
            self._stand(speaker, Standing(State.WITHDRAWN if said_yes else State.DENIED), by, terms)
            return True
        if speaker in self._barred or (terms is not None and terms != self.terms):
            return False
        self._stand(speaker, Standing(State.GRANTED, agreed), by, terms)
        return True

    def bar(self, speaker: str) -> None:
        """Nothing more is to be made of this voice here, whatever is said: who was erased, and could only come back
        under the same name, would be heard with nobody seeing it."""
        self.record(speaker, Level.PRESENCE, "page")
        self._barred.add(speaker)

    def is_barred(self, speaker: str) -> bool:
        return speaker in self._barred

    def lapse(self, speaker: str, by: str) -> None:
        """A yes is somebody's no more; they are asked anew."""
        if self.standing(speaker).state is State.GRANTED:
            self._stand(speaker, Standing(), by, None)

    def restate(self, terms: Terms) -> None:
        """Ask everyone anew who agreed to other terms."""
        if terms != self.terms:
            self.terms = terms
            for speaker in list(self._standings):
                self.lapse(speaker, "restated")

    def rule(self, law: Law) -> None:
        """From now on another law holds, as when an exemption has ended."""
        self._law = law
        for speaker in self._standings:
            self._weigh(speaker)

    def standing(self, speaker: str) -> Standing:
        return self._standings.get(speaker, Standing())

    def decided(self, speaker: str) -> bool:
        """Whether this speaker has answered, yes or no."""
        return self.standing(speaker).state is not State.UNKNOWN

    def level(self, speaker: str) -> Level:
        """How much may be made of this voice now."""
        return self._levels.get(speaker, Level.PRESENCE)

    def withdrawals(self, speaker: str) -> int:
        """How often this voice has ceased to be heard, for whatever reason."""
        return self._withdrawals[speaker]

    def may_hear(self, speaker: str) -> bool:
        return speaker in self._levels

    def in_call_only(self, speaker: str) -> bool:
        """Whether how this voice sounded is for those in the call, and for nothing that keeps it or sums it up."""
        return self._law.in_call_only(self._roles.get(speaker, ""))

    def _stand(self, speaker: str, standing: Standing, by: str, terms: Terms | None) -> None:
        if standing == self._standings.get(speaker):
            return
        self._standings[speaker] = standing
        self._weigh(speaker)
        if self._changed is not None:
            self._changed(Change(speaker, standing, by, terms))

    def _weigh(self, speaker: str) -> None:
        """Work out what is asked of each packet; only those who may be heard are in it."""
        level = min(self.standing(speaker).agreed, self._law.level_for(self._roles.get(speaker, "")))
        if level > Level.PRESENCE:
            self._levels[speaker] = level
        elif self._levels.pop(speaker, None) is not None:
            self._withdrawals[speaker] += 1
