"""Says in the log that a speaker's packets can't be used, as often as a person can read."""

from collections.abc import Mapping
from math import inf

import structlog

log = structlog.get_logger()

PAUSE_S = 10.0
UNUSABLE = ("corrupt", "refused", "forged")


class Complaint:
    """One connection's; `look` at its counts as often as you like."""

    def __init__(self) -> None:
        self._said_at, self._said = -inf, 0

    def look(self, speaker: str, counts: Mapping[str, int], now: float) -> None:
        """Log the counts when they have risen, at most every 10 s. `now` is in seconds on any steady clock."""
        unusable = {name: counts.get(name, 0) for name in UNUSABLE}
        total = sum(unusable.values())
        if total > self._said and now - self._said_at >= PAUSE_S:
            self._said_at, self._said = now, total
            log.warning("packets can't be used", speaker=speaker, **unusable)
