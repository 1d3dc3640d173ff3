"""Makes the policy of each room: what the law leaves, what people are asked, and where their answers are noted."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from inspect import signature
from typing import Any

import structlog

from worker.config import Settings
from worker.errors import ConfigError
from worker.ops.audit import Audit
from worker.privacy.consent import Change, Consent, State
from worker.privacy.keeping import Keeping
from worker.privacy.law import Law
from worker.privacy.notice import Notice
from worker.privacy.policy import LARGEST, Policy, Recorded, Withdrawals
from worker.registry import construct, load
from worker.rooms import ROOMS

LONGEST_PAUSE_S = 3600.0
"""Between two looks at a clock that somebody may set."""

log = structlog.get_logger()


def lawful(section: Mapping[str, Any], day: date) -> Law:
    """The policy that this section describes. Raises ConfigError where a worker would not start with it on that day."""
    law: Law = construct(Law, section, "policy", today=day)
    if law.refusal:
        raise ConfigError(law.refusal, "policy_refused")
    return law


class Asking:
    """The law and the notice of this configuration, with everyone's noes.

    Raises ConfigError when nobody's voice may be given the level that is wished for.
    """

    def __init__(self, settings: Settings, audit: Audit | None = None) -> None:
        self._section = dict(settings.policy)
        self.law = lawful(self._section, today())
        self._settings = settings
        self.notice = self._make_notice()
        self._audit = audit
        self._withdrawals = Withdrawals()
        self._watching: asyncio.TimerHandle | None = None

    def _law(self, day: date) -> Law:
        law: Law = construct(Law, self._section, "policy", today=day)
        return law

    def _make_notice(self) -> Notice:
        keeping = construct(Keeping, self._settings.keeping, "keeping")
        notice: Notice = construct(Notice, self._settings.notice, "notice", law=self.law, keeping=keeping)
        return notice

    def policy(self, settled: Mapping[str, Any], run: Callable[[], tuple[str, int] | None]) -> Policy:
        """The policy of a room with this section; `run` gives its name and epoch, once it is open.

        Whoever withdrew from a room elsewhere has, whatever it is called here and however often it is opened.
        """
        cls = load(ROOMS, settled["kind"])
        if getattr(cls, "lockstep", False):
            return Recorded(self.law.level_for(""), self.law.in_call_only(""))
        place = _place(settled) if is_elsewhere(cls) else None

        def changed(change: Change) -> None:
            self._note(change, run())
            if place is not None and change.standing.state is not State.UNKNOWN:
                self._remember(place, change)

        def ruled(speaker: str, role: str) -> None:
            self._note_decision(speaker, role, run())

        withdrawn = self._withdrawals.at(place) if place is not None else ()
        return Consent(self.law, self.notice.terms(), withdrawn, changed, ruled)

    def _note_decision(self, speaker: str, role: str, run: tuple[str, int] | None) -> None:
        if self._audit is not None and run is not None:
            facts = self.law.decision(role)
            facts["purpose"] = slug(facts["purpose"])
            self._audit.note("policy.decided", run[0], speaker, run[1], **facts)

    def _note(self, change: Change, run: tuple[str, int] | None) -> None:
        """Into the audit log; a yes that lapsed is a withdrawal."""
        if self._audit is None or run is None:
            return
        state, agreed = change.standing.state, change.standing.agreed
        kind = "withdrawn" if state is State.UNKNOWN else state.value
        facts = {"by": change.by} | ({"level": agreed.word} if state is State.GRANTED else {})
        if change.terms == self.notice.terms():  # what comes with a no may be anything, and a name too
            facts |= {"purpose": slug(self.law.purpose), "text": self.notice.terms().text}
        self._audit.note(f"consent.{kind}", run[0], change.speaker, run[1], **facts)

    def _remember(self, place: str, change: Change) -> None:
        before = self._withdrawals.forgotten
        self._withdrawals.note(place, change.speaker, change.standing.state is State.GRANTED)
        if before != self._withdrawals.forgotten:
            log.warning("the oldest withdrawal is forgotten: start the worker anew, or ask them again", kept=LARGEST)

    # -- the end of an exemption ----------------------------------------------------------------------------------

    def watch(self, ended: Callable[[], None]) -> None:
        """Call this when a signed exemption has ended, and what it lifted holds again. Needs a running loop."""
        if self.law.until is None:
            return
        end = datetime.combine(self.law.until + timedelta(days=1), time(), UTC)
        left = (end - datetime.now(UTC)).total_seconds()
        if left > 0:
            pause = min(left, LONGEST_PAUSE_S)
            self._watching = asyncio.get_running_loop().call_later(pause, self.watch, ended)
        else:
            self._end_exemption()
            ended()

    def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    def _end_exemption(self) -> None:
        self._section |= {"exemption": None}
        self.law = self._law(today())
        self.notice = self._make_notice()
        log.error("the exemption has ended, and what it lifted holds again")


def today() -> date:
    """In UTC, as exemptions end."""
    return datetime.now(UTC).date()


def is_elsewhere(cls: Any) -> bool:
    """Whether rooms of this class are joined, and not held by the worker or recorded."""
    return not getattr(cls, "lockstep", False) and "server" not in signature(cls).parameters


def slug(text: str) -> str:
    """A purpose as the audit log has it, which holds no sentences."""
    return re.sub(r"[^A-Za-z0-9_.:/{}@+-]+", "-", text)[:200]


def _place(settled: Mapping[str, Any]) -> str:
    return f"{settled.get('url')} {settled.get('room')}" if "url" in settled else str(settled.get("name"))
