"""Places one sender's RTP timestamps on the room's clock."""

from math import inf

WATCH_S = 2.0
"""Seconds over which a sender must never have been in time to count as having stood still; a burst of jitter is
shorter."""
STOOD_S = 0.1
"""Least lateness that is corrected so; less is the network's."""


class RtpClock:
    """Unwraps 32-bit timestamps and keeps their distances; the first packet's arrival is where they start.

    Media can't arrive before it was spoken: a packet that seems to come early moves the origin back. One that seems
    more than `late_s` late is a sender whose timestamps jumped, and starts anew at its arrival. A sender that is late
    for `WATCH_S` on end had its timestamps stand still for a while, and is moved forward by as much.
    """

    def __init__(self, rate: int = 48_000, late_s: float = 2.0) -> None:
        self._rate, self._late_s = rate, late_s
        self._last: int | None = None
        self._unwrapped = 0
        self._origin = 0.0
        self._least, self._since = inf, 0.0

    def place(self, timestamp: int, arrival: float) -> float:
        """Seconds on the room's clock at which this packet's sound begins; `arrival` is on that clock too."""
        if self._last is None:
            self._last = timestamp
            self._origin = self._since = arrival
        step = (timestamp - self._last + 0x80000000) % 0x100000000 - 0x80000000
        self._last = timestamp
        self._unwrapped += step
        start = self._origin + self._unwrapped / self._rate
        return start + self._correction(arrival - start, arrival)

    def _correction(self, late: float, arrival: float) -> float:
        """How far the origin must move, having moved it."""
        self._least = min(self._least, late)
        if not 0 <= late <= self._late_s:
            move = late
        elif arrival - self._since < WATCH_S:
            return 0.0
        else:
            move = self._least if self._least > STOOD_S else 0.0
        self._origin += move
        self._least, self._since = inf, arrival
        return move
