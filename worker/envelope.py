"""What stands around an event when it is told: where it is from, its number, and who may have it."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from worker.events import PREFIX, Event, Gap
from worker.prompts import audience_of


def epoch_of(started: datetime) -> int:
    """The number of a run of a room that began then: milliseconds since 1970."""
    return round(started.timestamp() * 1000)


def _rounded(value: Any) -> Any:
    """Numbers as far as they mean something: a tenth of a millisecond, or of a thousandth."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event with what every listener needs around it; CloudEvents 1.0 attribute names."""

    event: Event
    room: str
    seq: int
    """Rises by one per event of a room, epoch and audience; a hole is always announced by a Gap."""
    epoch: int
    """Which run of the worker numbered this; rises when a room is opened anew."""
    time: datetime
    """Wall-clock time of the event's `at`."""
    audience: str = ""
    """Who alone may have it: a speaker, `managers`, `participants`, or `participants/` and one of them; empty for
    everyone. Each has its own numbers."""
    _text: list[str] = field(default_factory=list, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        data = _rounded(asdict(self.event))
        return {
            "specversion": "1.0",
            "id": ":".join((self.room, str(self.epoch), *([self.audience] if self.audience else []), str(self.seq))),
            "source": f"/rooms/{self.room}",
            "type": PREFIX + self.event.type,
            **({"subject": data["speaker"]} if "speaker" in data else {}),
            "time": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "seq": self.seq,
            "epoch": self.epoch,
            **({"audience": self.audience} if self.audience else {}),
            "data": data,
        }

    def as_json(self) -> str:
        """One line of JSON; made once, however many listeners there are."""
        if not self._text:
            self._text.append(json.dumps(self.as_dict(), separators=(",", ":"), ensure_ascii=False, allow_nan=False))
        return self._text[0]

    def gap_since(self, last: int) -> "Envelope":
        """The Gap that stands for every event of its audience between `last` and this one."""
        gap = Gap(at=self.event.at, from_seq=last + 1, to_seq=self.seq - 1)
        return Envelope(gap, self.room, self.seq - 1, self.epoch, self.time, self.audience)


class Numbering:
    """Puts a room's events into envelopes, in order and without holes.

    Each audience has numbers of its own: nobody learns from a hole that somebody else was told something.
    """

    def __init__(self, room: str, epoch: int, started: datetime) -> None:
        self._last: Counter[str] = Counter()
        self._room, self._epoch, self._started = room, epoch, started

    @property
    def last(self) -> int:
        """The number of the last event for everyone."""
        return self._last[""]

    def wrap(self, event: Event, audience: str = "") -> Envelope:
        """For this audience; without one, for whom the event itself names."""
        audience = audience or audience_of(event)
        self._last[audience] += 1
        time = self._started + timedelta(seconds=event.at)
        return Envelope(event, self._room, self._last[audience], self._epoch, time, audience)
