"""Answers who asks for what is kept of one person, be it that person or the operator: a copy, or that it be erased."""

from collections.abc import Callable, Sequence
from datetime import datetime

from worker.data.noting import AuditStore, note_erasure, note_export
from worker.data.person import Census, Whom
from worker.data.receipt import Answer, Copy, Receipt, erase, export, look
from worker.data.stores import Store
from worker.ops.audit import Audit

OPERATOR = "operator"
PARTICIPANT = "participant"
OPEN = (
    "nothing says that this run of the room has ended, so a worker may hold this person in memory and write more of"
    " them: let them erase it on its page, or erase again once the room has closed. If that worker crashed, its memory"
    " is gone."
)

Choose = Callable[[Census], Whom]
"""Says whom it is about, of those who were found; may raise ConfigError."""


async def people_of(stores: Sequence[Store], room: str, audit: Audit | None = None) -> tuple[Census, dict[str, str]]:
    """Who is in these stores and in the audit log; and of those that could not be reached why, by name."""
    return await look(_with(audit, stores), room)


async def copy_of(
    stores: Sequence[Store], room: str, choose: Choose, at: datetime, by: str, audit: Audit | None = None
) -> Copy:
    """All that these stores and the audit log hold of one person. Raises Unreached where it can't be noted."""
    census, unseen = await people_of(stores, room, audit)
    whom = choose(census)
    copy = await export(_with(audit, stores), whom, at, unseen)
    if audit is not None:
        await note_export(audit, whom, copy, by)
    return copy


async def erasure_of(
    stores: Sequence[Store], room: str, choose: Choose, at: datetime, by: str, audit: Audit | None = None
) -> Receipt:
    """Erase one person from these stores, one after another, and then from the audit log."""
    census, unseen = await people_of(stores, room, audit)
    whom = choose(census)
    receipt = await erase(stores, whom, at, unseen)
    if by == OPERATOR and census.is_open(whom.runs):  # a participant asks the worker that has the room in memory
        receipt.answers.append(Answer("worker", failed=OPEN))
    if audit is not None:
        await note_erasure(audit, whom, receipt, by)
    return receipt


def _with(audit: Audit | None, stores: Sequence[Store]) -> list[Store]:
    return [*stores, *([AuditStore(audit)] if audit is not None else [])]
