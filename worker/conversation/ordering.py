"""Puts what is known a little late into the order in which it happened."""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from worker.events import (
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeechEnded,
    SpeechMeasured,
    SpeechStarted,
)

Ordered: TypeAlias = SpeakerAnalysed | SpeakerJoined | SpeakerLeft | SpeechEnded | SpeechMeasured | SpeechStarted
"""The events from which figures follow."""

MOST = 10_000
"""Events that wait; the clock stands still where this many do."""

ENDS, OTHERS, STARTS, EMPTY = range(4)
"""Order at one moment: who ends no longer speaks when another starts; what has no length ends after its start."""


class Ordering:
    """Events go in as they become known and come out in the order of `at`, each moment once it is settled.

    What is known later than that happened, for all that follows, at the last settled moment: the clock never goes back.
    """

    def __init__(self) -> None:
        self.now = float("-inf")
        """The last settled moment."""
        self.late = 0
        """Events that were known too late."""
        self.dropped = 0
        """Starts and measures left out because too many waited; an end without a start says nothing."""
        self._heap: list[tuple[float, int, str, int, Ordered]] = []
        self._started: dict[str, tuple[float, float]] = {}
        """When each speaker's newest utterance is said to have started, and when it starts here."""
        self._pushed = 0

    def push(self, event: Ordered) -> None:
        if len(self._heap) >= MOST and isinstance(event, SpeechStarted | SpeechMeasured):
            self.dropped += 1
            return
        self.late += event.at < self.now
        at, rank = max(event.at, self.now), OTHERS
        if isinstance(event, SpeechStarted):
            self._started[event.speaker], rank = (event.at, at), STARTS
        elif isinstance(event, SpeechEnded):
            said, started = self._started.get(event.speaker, (event.started, event.started))
            started = started if said == event.started else event.started
            at, rank = max(at, started), ENDS if at > started else EMPTY
        elif isinstance(event, SpeechMeasured):
            rank = ENDS
        elif isinstance(event, SpeakerLeft):
            self._started.pop(event.speaker, None)
        self._pushed += 1
        heappush(self._heap, (at, rank, event.speaker, self._pushed, event))

    def rewrite(self, speaker: str, change: Callable[[Ordered], Ordered | None]) -> None:
        """Put in the place of each event of somebody that waits what `change` makes of it; None takes it out."""
        heap, self._heap = self._heap, []
        for at, rank, who, number, event in heap:
            if (left := change(event) if who == speaker else event) is not None:
                self._heap.append((at, rank, who, number, left))
        heapify(self._heap)

    def until(self, settled: float) -> Iterator[tuple[float, Ordered]]:
        """Everything up to this moment with when it happened; what comes out is no longer held."""
        self.now = max(self.now, settled)
        while self._heap and self._heap[0][0] <= settled:
            at, _, _, _, event = heappop(self._heap)
            yield at, event

    def waiting(self) -> list[tuple[float, Ordered]]:
        """What is known of the time after the last settled moment, in order."""
        return [(at, event) for at, _, _, _, event in sorted(self._heap, key=lambda item: item[:4])]
