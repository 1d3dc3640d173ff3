"""Places one sender's RTP timestamps on the room's clock."""


class RtpClock:
    """Unwraps 32-bit timestamps and keeps their distances; the first packet's arrival is where they start.

    Media can't arrive before it was spoken: a packet that seems to come early moves the origin back. One that seems
    more than `late_s` late is a sender whose timestamps jumped, and starts anew at its arrival.
    """

    def __init__(self, rate: int = 48_000, late_s: float = 2.0) -> None:
        self._rate, self._late_s = rate, late_s
        self._last: int | None = None
        self._unwrapped = 0
        self._origin = 0.0

    def place(self, timestamp: int, arrival: float) -> float:
        """Seconds on the room's clock at which this packet's sound begins; `arrival` is on that clock too."""
        if self._last is None:
            self._last = timestamp
            self._origin = arrival
        step = (timestamp - self._last + 0x80000000) % 0x100000000 - 0x80000000
        self._last = timestamp
        self._unwrapped += step
        start = self._origin + self._unwrapped / self._rate
        if not 0 <= arrival - start <= self._late_s:
            self._origin += arrival - start
            return arrival
        return start
