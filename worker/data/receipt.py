"""Asks every store, and says what each answered: the file that is given out, and the receipt of an erasure."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from worker.data.person import Census, Whom
from worker.data.records import written
from worker.data.stores import Store, Tally, Unreached, ranges

T = TypeVar("T")


@dataclass(slots=True)
class Answer:
    """What became of one store."""

    store: str
    tally: Tally = field(default_factory=Tally)
    failed: str = ""
    """Why it could not be reached, in a sentence."""
    said: str = ""
    """What was done, where counting records does not say it."""

    def as_dict(self) -> dict[str, Any]:
        tally = self.tally
        counts = {"store": self.store, "erased": tally.gone, "cut": tally.cut, "unread": tally.unread}
        notes = {"notes": tally.notes} if tally.notes else {}
        failed = {"failed": self.failed} if self.failed else {}
        return {**counts, "records": ranges(tally.places), **notes, **failed}

    def sentence(self) -> str:
        """For whoever asked."""
        if self.failed:
            return f"{self.store}: NOT done: {self.failed}"
        if self.said:
            return f"{self.store}: {self.said}"
        tally = self.tally
        unread = f" {tally.unread} lines are no records, and were left as they are." if tally.unread else ""
        notes = "".join(f" {note}" for note in tally.notes)
        if not tally.records:
            return f"{self.store}: nothing was kept there.{unread}{notes}"
        return f"{self.store}: {tally.gone} records erased, {tally.cut} kept without this person.{unread}{notes}"


@dataclass(slots=True)
class Receipt:
    """That somebody's data were erased: where, how much, and what is left to do. It holds no name and nothing said."""

    room: str
    speaker: str
    epochs: list[int]
    at: datetime
    answers: list[Answer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences on what lies outside of what was asked."""

    @property
    def complete(self) -> bool:
        """False while it must be done again, because a store could not be reached."""
        return not any(answer.failed for answer in self.answers)

    @property
    def records(self) -> int:
        return sum(answer.tally.records for answer in self.answers)

    def as_dict(self) -> dict[str, Any]:
        return {
            "room": self.room,
            "participant": self.speaker,
            "epochs": self.epochs,
            "erased_at": _moment(self.at),
            "complete": self.complete,
            "stores": [answer.as_dict() for answer in self.answers],
            "notes": self.notes,
        }


async def look(stores: Iterable[Store], room: str) -> tuple[Census, dict[str, str]]:
    """Who is in the stores of a room; and of those that could not be reached why, by name."""
    census = Census(room)
    failed: dict[str, str] = {}
    for store in stores:
        _, why = await _ask(lambda store=store: store.look(census))  # type: ignore[misc]
        if why:
            failed[store.name] = why
    return census, failed


async def erase(stores: Sequence[Store], whom: Whom, at: datetime, unseen: Mapping[str, str] = {}) -> Receipt:
    """Take somebody out of every store; one that can't be reached holds up no other.

    `unseen` are those of which `look` could not tell who is in them, with the reason: these are not touched.
    """
    receipt = Receipt(whom.room, whom.speaker, sorted(whom.runs), at)
    for store in stores:
        if store.name in unseen:
            receipt.answers.append(Answer(store.name, failed=unseen[store.name]))
            continue
        try:
            receipt.answers.append(Answer(store.name, await store.erase(whom)))
        except Unreached as error:
            receipt.answers.append(Answer(store.name, error.tally or Tally(), str(error)))
    return receipt


@dataclass(slots=True)
class Copy:
    """Everything that is kept of somebody, for themself."""

    document: dict[str, Any]
    records: int
    stores: list[str]
    """Those that were asked and answered."""
    failed: dict[str, str]
    """Why a store could not be reached, by its name."""


async def export(stores: Sequence[Store], whom: Whom, at: datetime, unseen: Mapping[str, str] = {}) -> Copy:
    """What every store holds of somebody, each record once with the stores that hold it; `unseen` as in `erase`."""
    held: dict[bytes, dict[str, Any]] = {}
    failed = dict(unseen)
    for store in stores:
        if store.name in unseen:
            continue
        found, why = await _ask(lambda store=store: store.export(whom))  # type: ignore[misc]
        if why:
            failed[store.name] = why
        for record in found or []:
            entry = held.setdefault(written(record), {"kept_in": [], "record": record})
            if store.name not in entry["kept_in"]:
                entry["kept_in"].append(store.name)
    names = sorted({name for person in whom.runs.values() for name in person.names})
    document = {
        "room": whom.room,
        "participant": whom.speaker,
        "epochs": sorted(whom.runs),
        "names": names,
        "exported_at": _moment(at),
        "complete": not failed,
        "not_reached": failed,
        "records": list(held.values()),
    }
    return Copy(document, len(held), [store.name for store in stores if store.name not in failed], failed)


async def _ask(question: Callable[[], Awaitable[T]]) -> tuple[T | None, str]:
    try:
        return await question(), ""
    except Unreached as error:
        return None, str(error)


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
