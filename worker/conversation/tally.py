"""Counts turns, floor changes, response gaps, interruptions and back-channels, as they are decided."""

from collections import Counter
from dataclasses import dataclass

from worker.conversation.rolling import RollingCount, RollingMedian
from worker.events import BackChannel, Event, Interrupted, TurnEnded, TurnStarted

LEAST_GAPS = 3
"""Of whose median something can be said (judgement)."""
PERSON_GAPS = 1024
"""Of one person, whose median is taken; the newest."""


@dataclass(slots=True)
class Tally:
    """Of one person, or of the room."""

    turns: int
    interruptions: RollingCount
    interrupted: RollingCount
    gaps: RollingMedian
    recent_gaps: RollingMedian
    back_channels: int = 0
    longest_run_s: float = 0.0

    def gap_s(self, now: float) -> float | None:
        return self.gaps.median(now, LEAST_GAPS)

    def recent_gap_s(self, now: float) -> float | None:
        return self.recent_gaps.median(now, LEAST_GAPS)


class Tallies:
    """Is told what the Floor says."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self.room = self._tally()
        self.floor_changes = RollingCount(window_s)
        self.people: dict[str, Tally] = {}
        self.interrupted_by: dict[str, Counter[str]] = {}
        self.floor: dict[str, Counter[str]] = {}

    def _tally(self) -> Tally:
        seconds = self._window_s
        gaps = RollingMedian(most=PERSON_GAPS), RollingMedian(seconds, PERSON_GAPS)
        return Tally(0, RollingCount(seconds), RollingCount(seconds), *gaps)

    def of(self, speaker: str) -> Tally:
        return self.people.setdefault(speaker, self._tally())

    def push(self, event: Event) -> None:
        match event:
            case TurnStarted():
                self._turn(event)
            case TurnEnded():
                one = self.of(event.speaker)
                one.longest_run_s = max(one.longest_run_s, event.at - event.started)
            case Interrupted():
                self.room.interruptions.add(event.at)
                self.of(event.by).interruptions.add(event.at)
                self.of(event.speaker).interrupted.add(event.at)
                self.interrupted_by.setdefault(event.speaker, Counter())[event.by] += 1
            case BackChannel():
                self.of(event.speaker).back_channels += 1

    def _turn(self, event: TurnStarted) -> None:
        one = self.of(event.speaker)
        one.turns += 1
        if event.previous is None or event.previous == event.speaker:
            return
        self.floor_changes.add(event.at)
        self.floor.setdefault(event.previous, Counter())[event.speaker] += 1
        if event.gap_s is not None:
            for gaps in (self.room.gaps, self.room.recent_gaps, one.gaps, one.recent_gaps):
                gaps.add(event.at, event.gap_s)

    def forget(self, speaker: str) -> None:
        """Nothing is told of this one any more; the room's counts stay."""
        self.people.pop(speaker, None)
        for matrix in (self.interrupted_by, self.floor):
            matrix.pop(speaker, None)
            for counts in matrix.values():
                counts.pop(speaker, None)
