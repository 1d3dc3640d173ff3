"""What a participant may ask for themself while they are in a room: a copy of their data, and that it be erased."""

from collections.abc import Sequence
from datetime import datetime

from worker.data.noting import AuditStore, note_erasure, note_export
from worker.data.receipt import Copy, Receipt, erase, export, look
from worker.data.stores import Store
from worker.ops.audit import Audit

BY = "participant"


async def own_copy(
    stores: Sequence[Store], room: str, speaker: str, epoch: int, at: datetime, audit: Audit | None = None
) -> Copy:
    """All that these stores hold of one person in one run of a room. Raises Unreached where it can't be noted."""
    every = _with(audit, stores)
    census, unseen = await look(every, room)
    whom = census.whom(speaker, [epoch])
    copy = await export(every, whom, at, unseen)
    if audit is not None:
        await note_export(audit, whom, copy, BY)
    return copy


async def own_erasure(
    stores: Sequence[Store], room: str, speaker: str, epoch: int, at: datetime, audit: Audit | None = None
) -> Receipt:
    """Erase one person of one run of a room from these stores, of which what is in memory comes first."""
    census, unseen = await look(_with(audit, stores), room)
    whom = census.whom(speaker, [epoch])
    receipt = await erase(stores, whom, at, unseen)
    if audit is not None:
        await note_erasure(audit, whom, receipt, BY)
    return receipt


def _with(audit: Audit | None, stores: Sequence[Store]) -> list[Store]:
    return [*stores, *([AuditStore(audit)] if audit is not None else [])]
