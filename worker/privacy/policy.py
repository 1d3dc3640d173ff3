"""Whom the worker may hear."""

from typing import Protocol


class Policy(Protocol):
    """Asked before sound is decoded, and again while any of it is held."""

    def may_hear(self, speaker: str) -> bool: ...


class Consent:
    """Nobody is heard who has not agreed; who withdraws is heard no more from that moment on."""

    def __init__(self) -> None:
        self._answers: dict[str, bool] = {}
        self._present: dict[str, str] = {}

    def present(self, speaker: str, person: str) -> None:
        """Somebody is in the room under this name; if it is not who was there before, a yes was not theirs to give.

        A no stays: whoever takes a name on may say yes for themselves.
        """
        if self._present.get(speaker, person) != person and self._answers.get(speaker):
            del self._answers[speaker]
        self._present[speaker] = person

    def record(self, speaker: str, agreed: bool) -> None:
        self._answers[speaker] = agreed

    def decided(self, speaker: str) -> bool:
        """Whether this speaker has answered, yes or no."""
        return speaker in self._answers

    def may_hear(self, speaker: str) -> bool:
        return self._answers.get(speaker, False)


class Recorded:
    """For recordings: whoever has the file answers for it."""

    def may_hear(self, speaker: str) -> bool:
        return True
