"""How many people a meeting's figures are of; where they are too few, only its name and time are told."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

SMALLEST = 5
"""People; the usual floor under statistics of teams."""
MOST = 0.75
"""Of all speech: the group of a meeting is as large as it was for so much of it. Our own choice: with less somebody
who came for a moment would open what few said among themselves, with more a late comer would close an hour."""

Data = Mapping[str, Any]
Record = Mapping[str, Any]


class Group:
    """Counts who is in a room and analysed, from the room's events."""

    def __init__(self) -> None:
        self._here: dict[str, bool] = {}
        """Whether somebody is in the room and analysed."""
        self._spoken: Counter[int] = Counter()
        """Seconds of speech, by how many analysed people were there."""
        self._over = False

    def fold(self, kind: str, data: Data) -> None:
        """Take in the next event."""
        speaker = data.get("speaker", "")
        match kind:
            case "speaker.joined.v1":
                self._here[speaker] = bool(data.get("analysed", True))
            case "speaker.left.v1":
                self._here[speaker] = False
            case "speaker.analysed.v1":
                self._here[speaker] = data["analysed"]
            case "speech.ended.v1":
                # That they joined may no longer be held where this is read: whoever was heard was there, and analysed.
                self._here.setdefault(speaker, True)
                self._spoken[sum(self._here.values())] += data["at"] - data["started"]
            case "room.closed.v1":
                self._over = True

    def size(self) -> int:
        """Analysed people: of a meeting that is over those who were there for most of what was said, so that leavers
        do not count; of one that goes on no more than are there now."""
        needed, so_far = MOST * self._spoken.total(), 0.0
        usual = 0
        for size in sorted(self._spoken, reverse=True):
            so_far += self._spoken[size]
            usual = size
            if so_far >= needed:
                break
        if self._over:
            return usual
        now = sum(self._here.values())
        return min(now, usual) if self._spoken else now


def withheld(record: Record, smallest: int) -> dict[str, Any]:
    """What is told of a meeting of too few: its name and its time."""
    kept = {key: record[key] for key in ("room", "epoch", "started", "at", "closed")}
    return {**kept, "withheld": {"smallest": smallest}}


def in_order(record: Record) -> dict[str, Any]:
    """The same, with people everywhere in the order in which they came, so that no figure ranks them."""
    ids = list(record["people"])
    ordered = {key: _by(ids, record[key]) for key in ("talk", "speech", "speaking", "emotion")}
    figures = record["figures"]
    if figures is not None:
        tables = {
            key: {row: _by(ids, counts) for row, counts in _by(ids, figures[key]).items()}
            for key in ("interrupted_by", "floor")
            if key in figures
        }
        ordered["figures"] = {**figures, "speakers": _by(ids, figures["speakers"]), **tables}
    return {**record, **ordered}


def _by(ids: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    known = {one: values[one] for one in ids if one in values}
    return known | {one: values[one] for one in values if one not in known}
