"""Whom a room has met: each person has one pseudonym, however often they come."""

from itertools import count

PEOPLE = 1000
"""Different people a room meets: each keeps their talk time when they come back, and nobody's number is given anew."""


class People:
    """By the secret key of each person's browser, at most `PEOPLE`."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, int]] = {}
        """The pseudonym, and how often this person came."""
        self._numbers = count(1)
        self._forgotten: set[str] = set()

    def speaker(self, person: str) -> str | None:
        """The pseudonym of who was here before."""
        known = self._known.get(person)
        return known[0] if known is not None else None

    def full(self, person: str) -> bool:
        """Whether this person is new and one too many."""
        return person not in self._known and len(self._known) + len(self._forgotten) >= PEOPLE

    def meet(self, person: str) -> tuple[str, int]:
        """Their pseudonym, and for which time they come. Nobody's is given to another."""
        speaker, times = self._known.get(person) or (f"p{next(self._numbers)}", 0)
        self._known[person] = speaker, times + 1
        return self._known[person]

    def forget(self, speaker: str) -> None:
        """Who comes with this person's key from now on is somebody new."""
        self._known = {person: known for person, known in self._known.items() if known[0] != speaker}
        self._forgotten.add(speaker)

    def is_forgotten(self, speaker: str) -> bool:
        return speaker in self._forgotten
