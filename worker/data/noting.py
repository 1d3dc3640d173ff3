"""The audit log's part: it is told of every export and erasure, and erased people are unlinked from it."""

import asyncio
from typing import Any

from worker.data.person import Census, Whom
from worker.data.receipt import Answer, Copy, Receipt
from worker.data.stores import Tally, Unreached
from worker.ops.audit import Audit
from worker.privacy.audit import AuditError

NAME = "audit"
WAIT_S = 10.0
"""Seconds that the disk may take for a note."""


class AuditStore:
    """Who is noted in an audit log. Its entries stay; what links them to a person is erased by `note_erasure`."""

    name = NAME

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def look(self, census: Census) -> None:
        try:
            known = await asyncio.to_thread(self._audit.ledger.known, census.room)
        except (OSError, AuditError) as error:
            raise _unreached(error) from None
        for who in known:
            census.note(who.epoch, [who.speaker])

    async def export(self, whom: Whom) -> list[dict[str, Any]]:
        """The pseudonym that stands for them: with it their entries are found in the log."""
        try:
            known = await asyncio.to_thread(self._audit.ledger.known, whom.room)
        except (OSError, AuditError) as error:
            raise _unreached(error) from None
        return [
            {"audit": {"pseudonym": pseudonym, "epoch": who.epoch}}
            for who, pseudonym in known.items()
            if who.speaker == whom.speaker and who.epoch in whom.runs
        ]

    async def erase(self, whom: Whom) -> Tally:
        """Nothing yet: the log is told of the erasure first, under the same pseudonym."""
        return Tally()


async def note_export(audit: Audit, whom: Whom, copy: Copy, by: str) -> None:
    """`by` is `operator` or `participant`. Returns when it is on the disk, or raises Unreached."""
    await _note(audit, "export", whom, copy.stores, copy.records, by)


async def note_erasure(audit: Audit, whom: Whom, receipt: Receipt, by: str) -> None:
    """Note it; and if nothing is left to do, unlink the person from the log. Adds what became of it to the receipt."""
    try:
        names = [answer.store for answer in receipt.answers if not answer.failed]
        await _note(audit, "erasure", whom, names, receipt.records, by)
        if not receipt.complete:
            raise Unreached("who this is can still be told from it, until the erasure is complete.")
        gone = [await asyncio.to_thread(audit.ledger.forget, whom.room, whom.speaker, run) for run in whom.runs]
        said = "its entries stay, and nothing tells any more whom they are of."
        receipt.answers.append(Answer(NAME, Tally(sum(gone)), said=said))
    except (OSError, AuditError) as error:
        receipt.answers.append(Answer(NAME, failed=str(_unreached(error))))
    except Unreached as error:
        receipt.answers.append(Answer(NAME, failed=str(error)))


async def _note(audit: Audit, kind: str, whom: Whom, stores: list[str], records: int, by: str) -> None:
    for epoch in sorted(whom.runs):
        audit.note(kind, whom.room, whom.speaker, epoch, stores=stores, records=records, by=by)
    try:
        async with asyncio.timeout(WAIT_S):
            await audit.settle()
    except TimeoutError:
        raise Unreached("the audit log could not be written: free space on its disk.") from None


def _unreached(error: OSError | AuditError) -> Unreached:
    reason = f"its files cannot be read or written ({error.strerror})" if isinstance(error, OSError) else str(error)
    return Unreached(f"the audit log: {reason.rstrip('.')}.")
