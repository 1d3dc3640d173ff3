"""Places one sender's RTP timestamps on the room's clock."""

from math import inf

STOOD_S = 0.1
"""Least lateness that is corrected; less is the network's."""
WATCH_S = 2.0
"""Seconds over which a sender must never have been in time to count as late for good: a clock that runs slow, a longer
path. A burst of jitter is shorter."""
PAUSED_S = 0.2
"""The same after a single step into lateness: what a stalled network held back comes at once and catches up, while a
sender whose timestamps stood still in a pause goes on at the pace of speech."""
CAUGHT_UP_S = 0.01
"""Less lateness from one packet to the next: the network is catching up."""


class RtpClock:
    """Unwraps 32-bit timestamps and keeps their distances; the first packet's arrival is where they start.

    Media can't arrive before it was spoken: a packet that seems to come early moves the origin back. One that seems
    more than `late_s` late is a sender whose timestamps jumped, and starts anew at its arrival. A sender that stays
    late has its origin moved forward by as much, and so that its sound has left a hole where it paused.
    """

    def __init__(self, rate: int = 48_000, late_s: float = 2.0) -> None:
        self._rate, self._late_s = rate, late_s
        self._last: int | None = None
        self._unwrapped = 0
        self._origin = 0.0
        self._late = 0.0
        self._watch(0.0, WATCH_S)

    def place(self, timestamp: int, arrival: float) -> float:
        """Seconds on the room's clock at which this packet's sound begins; `arrival` is on that clock too."""
        if self._last is None:
            self._last = timestamp
            self._origin = arrival
            self._watch(arrival, WATCH_S)
        step = (timestamp - self._last + 0x80000000) % 0x100000000 - 0x80000000
        self._last = timestamp
        self._unwrapped += step
        start = self._origin + self._unwrapped / self._rate
        return start + self._correction(arrival - start, arrival)

    def _watch(self, arrival: float, for_s: float) -> None:
        self._least, self._since, self._for = inf, arrival, for_s

    def _correction(self, late: float, arrival: float) -> float:
        """How far the origin must move, having moved it."""
        before, self._late = self._late, late
        if not 0 <= late <= self._late_s:
            return self._move(late, arrival)
        if late - before >= STOOD_S:
            self._watch(arrival, PAUSED_S)
        elif self._for == PAUSED_S and late < before - CAUGHT_UP_S:
            self._watch(arrival, WATCH_S)
        self._least = min(self._least, late)
        if arrival - self._since < self._for:
            return 0.0
        return self._move(self._least if self._least >= STOOD_S else 0.0, arrival)

    def _move(self, by: float, arrival: float) -> float:
        self._origin += by
        self._late -= by
        self._watch(arrival, WATCH_S)
        return by
