"""Whom the worker may hear."""

from typing import Protocol


class Policy(Protocol):
    """Asked before sound is decoded, and again while any of it is held."""

    def may_hear(self, speaker: str) -> bool: ...


class Consent:
    """Nobody is heard who has not agreed; who withdraws is heard no more from that moment on."""

    def __init__(self) -> None:
        self._answers: dict[str, bool] = {}

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
