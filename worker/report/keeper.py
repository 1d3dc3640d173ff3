"""Keeps a room's record up to date in memory, as one more listener."""

from collections import deque
from collections.abc import Callable

from worker.envelope import Envelope
from worker.report.meeting import Meeting

RECENT = 2000
"""Newest events that are held for pages that follow: minutes, for the busiest rooms."""


class Keeper:
    """A sink. With `prompts` the record holds what people were told; without, nobody's prompts reach it."""

    def __init__(self, room: str, epoch: int, prompts: bool) -> None:
        self.meeting = Meeting(room, epoch)
        self.open = True
        self.private = prompts
        self._recent: deque[Envelope] = deque(maxlen=RECENT)
        self._changed = -1
        """Number of the last event when the past was last changed: whoever is not beyond it holds what is no more."""

    async def send(self, envelope: Envelope) -> None:
        self.meeting.fold(envelope.as_dict())
        if not envelope.audience:
            self._recent.append(envelope)

    def since(self, seq: int) -> list[Envelope] | None:
        """The events for everyone after this one; None where not all of them are held, or the room has closed."""
        if seq >= self.meeting.seq and seq > self._changed and self.open:
            return []
        found = [one for one in self._recent if one.seq > seq]
        return found if found and found[0].seq == seq + 1 and seq > self._changed else None

    def held(self) -> list[Envelope]:
        return list(self._recent)

    def rewrite(self, change: Callable[[Envelope], Envelope | None]) -> None:
        kept = [left for one in self._recent if (left := change(one)) is not None]
        self._recent.clear()
        self._recent.extend(kept)
        self._changed = self.meeting.seq

    async def close(self) -> None:
        self.open = False
        self._recent.clear()
