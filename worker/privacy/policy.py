"""Whom the worker may hear."""

from typing import Protocol


class Policy(Protocol):
    """Asked before sound is decoded, and again while any of it is held."""

    def may_hear(self, speaker: str) -> bool: ...


class Consent:
    """Nobody is heard who has not agreed; who withdraws is heard no more from that moment on."""

    def __init__(self) -> None:
        self._agreed: set[str] = set()

    def record(self, speaker: str, agreed: bool) -> None:
        if agreed:
            self._agreed.add(speaker)
        else:
            self._agreed.discard(speaker)

    def may_hear(self, speaker: str) -> bool:
        return speaker in self._agreed


class Recorded:
    """For recordings: whoever has the file answers for it."""

    def may_hear(self, speaker: str) -> bool:
        return True
