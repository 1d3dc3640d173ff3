"""What people are told before they are asked: made of what the configuration says and the law leaves."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import Field

from worker.privacy.consent import Terms
from worker.privacy.levels import Level

CHOICES: Mapping[Level, tuple[str, str]] = {
    Level.PRESENCE: ("Nothing", "Others see and hear me as ever; nothing of my voice is measured."),
    Level.METRICS: (
        "My talk time",
        "How long I talk, and how turns change between us. Nothing of what I say, or of how I say it.",
    ),
    Level.PROSODY: (
        "My talk time, pace and loudness",
        "Also how loud and how fast I speak, and how far my pitch moves. Nothing is concluded from it.",
    ),
    Level.EMOTION: (
        "My talk time, pace, loudness and tone",
        "Also an estimate of how my voice sounded, such as tense or positive, and how sure that is. It can be wrong.",
    ),
}
"""What a person may choose, lowest first: each includes those before it."""

MEASURED: Mapping[Level, str] = {
    Level.PRESENCE: "It measures nothing of any voice.",
    Level.METRICS: "It measures who speaks, for how long, and how turns change.",
    Level.PROSODY: (
        "It measures who speaks, for how long, how turns change, and how loud, how fast and in how much pitch people"
        " speak."
    ),
    Level.EMOTION: (
        "It measures who speaks, for how long, how turns change, and how loud, how fast and in how much pitch people"
        " speak, and it estimates how voices sounded: a computer's guess from the sound alone, which can be wrong."
    ),
}


class Law(Protocol):
    """The policy of the room."""

    purpose: str

    def level_for(self, role: str) -> Level: ...


class Keeping(Protocol):
    """How long what is made is kept."""

    events_days: float
    prompts_days: float


class Notice:
    """The words and choices of one configuration.

    `operator` runs the conversation, `contact` is whom to ask and where to contest, `seen_by` says who sees what is
    made. `text` replaces the worker's own words. A host application that asks people itself names its words' `version`,
    and its consents by the same.
    """

    def __init__(
        self,
        law: Law,
        keeping: Keeping,
        operator: Annotated[str, Field(max_length=200)] = "",
        contact: Annotated[str, Field(max_length=200)] = "",
        seen_by: Annotated[str, Field(max_length=200)] = "everyone in this room, and who runs it",
        text: Annotated[str, Field(max_length=4000)] = "",
        version: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] = "",
    ) -> None:
        self._law, self._keeping = law, keeping
        self._facts = {"operator": operator, "contact": contact, "seen_by": seen_by}
        self._text, self._version = text, version

    def choices(self, role: str = "") -> list[dict[str, str]]:
        """What a person in this role may choose, lowest first; PRESENCE alone where nothing may be measured."""
        most = self._law.level_for(role)
        return [
            {"level": level.word, "name": name, "hint": hint}
            for level, (name, hint) in CHOICES.items()
            if level <= most
        ]

    def text(self, role: str = "") -> str:
        """The notice in words."""
        facts = self._facts
        parts = [
            f"Undertone listens to this call{' for ' + facts['operator'] if facts['operator'] else ''}.",
            MEASURED[self._law.level_for(role)],
            f"Purpose: {self._law.purpose}." if self._law.purpose else "",
            f"Seen by: {facts['seen_by']}." if facts["seen_by"] else "",
            f"Sound is never stored; what is made of it is kept for {_days(self._keeping.events_days)} at most.",
            "You can say no, or change your mind at any time, and the call goes on as before.",
            "What is kept of you is yours to have, and to have erased.",
            f"Contact: {facts['contact']}." if facts["contact"] else "",
        ]
        return self._text or " ".join(part for part in parts if part)

    def terms(self, role: str = "") -> Terms:
        """What a person in this role is asked to agree to; other words give another version."""
        shown = json.dumps([self.text(role), self.choices(role), self._facts, self._law.purpose], ensure_ascii=False)
        return Terms(self._law.purpose, self._version or hashlib.sha256(shown.encode()).hexdigest()[:12])

    def as_dict(self, role: str = "") -> dict[str, Any]:
        """For pages."""
        terms = self.terms(role)
        return {
            "text": self.text(role),
            "version": terms.text,
            "purpose": terms.purpose,
            **self._facts,
            "events_days": self._keeping.events_days,
            "prompts_days": self._keeping.prompts_days,
        }


def _days(days: float) -> str:
    return "1 day" if days == 1 else f"{days:g} days"
