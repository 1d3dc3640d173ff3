"""What every place has in which something of a person may be kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from worker.data.person import Census, Whom
from worker.errors import UndertoneError


class Unreached(UndertoneError):
    """A store could not be reached, or not changed: the operator must see to it and ask again."""

    code = "unreached"

    def __init__(self, message: str, tally: "Tally | None" = None) -> None:
        """`tally` is what was done before."""
        super().__init__(message)
        self.tally = tally


@dataclass(slots=True)
class Tally:
    """What an erasure did in one store."""

    gone: int = 0
    """Records that were of them alone."""
    cut: int = 0
    """Records of several people, of which their part was taken out."""
    unread: int = 0
    """Lines that are no record of the worker; they were left as they are."""
    places: list[str] = field(default_factory=list)
    """Which records: `<epoch>-<seq>`, with the audience between for what is for one alone."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what to look at besides."""

    @property
    def records(self) -> int:
        return self.gone + self.cut

    def note(self, place: str, gone: bool) -> None:
        """One record more, which is gone or was cut."""
        self.places.append(place)
        self.gone += gone
        self.cut += not gone

    def add(self, other: "Tally") -> None:
        self.gone, self.cut, self.unread = self.gone + other.gone, self.cut + other.cut, self.unread + other.unread
        self.places += other.places
        self.notes += [note for note in other.notes if note not in self.notes]


class Store(Protocol):
    """A place where records are kept. Each method may raise Unreached; none changes anything of anybody else's."""

    name: str
    """A word, for receipts and for the audit log."""

    async def look(self, census: Census) -> None:
        """Tell the census who is in it."""
        ...

    async def export(self, whom: Whom) -> list[dict[str, Any]]:
        """What is kept about somebody, each record cut to what is about them."""
        ...

    async def erase(self, whom: Whom) -> Tally:
        """Take somebody out; when it returns they are out, and asking again changes nothing."""
        ...


def ranges(places: Iterable[str]) -> list[str]:
    """Places with runs of numbers drawn together: `7-1`, `7-2`, `7-3`, `7-9` are `7-1..3` and `7-9`."""
    rows: dict[str, list[int]] = {}
    for place in dict.fromkeys(places):
        before, _, number = place.rpartition("-")
        rows.setdefault(before, []).append(int(number))
    found = []
    for before, numbers in rows.items():
        runs: list[list[int]] = []
        for one in sorted(numbers):
            if runs and one == runs[-1][-1] + 1:
                runs[-1][1:] = [one]
            else:
                runs.append([one])
        found += [f"{before}-{'..'.join(map(str, run))}" for run in runs]
    return found
