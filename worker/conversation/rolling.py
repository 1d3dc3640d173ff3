"""What happened within a window that moves with time: seconds, counts and medians, each in bounded memory."""

from bisect import bisect_left, insort
from collections import deque

MOST = 4096
"""What one of these holds at most; people who begin to speak once a second for an hour stay below it."""


class RollingSeconds:
    """How much of the last `window_s` seconds some intervals cover. They come in order of time and do not overlap."""

    def __init__(self, window_s: float, most: int = MOST) -> None:
        self._window_s = window_s
        self._held: deque[tuple[float, float]] = deque(maxlen=most)

    def add(self, start: float, end: float) -> None:
        """One interval; where it begins at the end of the last one, that one grows."""
        if self._held and self._held[-1][1] == start:
            start = self._held.pop()[0]
        self._held.append((start, end))

    def total(self, now: float, since: float | None = None) -> float:
        """Seconds of the window that ends at `now`, which no interval exceeds; one more may go on `since` then.

        It is summed anew each time, so that it is the same to the last bit however often it is asked for.
        """
        edge = now - self._window_s
        while self._held and self._held[0][1] <= edge:
            self._held.popleft()
        seconds = sum(end - max(start, edge) for start, end in self._held)
        return seconds if since is None else seconds + now - max(since, edge)


class RollingCount:
    """How often something happened, in all and within the last `window_s` seconds."""

    def __init__(self, window_s: float, most: int = MOST) -> None:
        self.all = 0
        self._window_s = window_s
        self._times: deque[float] = deque(maxlen=most)

    def add(self, at: float) -> None:
        self.all += 1
        self._times.append(at)

    def recent(self, now: float) -> int:
        while self._times and self._times[0] <= now - self._window_s:
            self._times.popleft()
        return len(self._times)


class RollingMedian:
    """The median of the newest values: at most `most`, and of the last `window_s` seconds where one is given."""

    def __init__(self, window_s: float = float("inf"), most: int = MOST) -> None:
        self._window_s, self._most = window_s, most
        self._values: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def add(self, at: float, value: float) -> None:
        self._values.append((at, value))
        insort(self._sorted, value)
        if len(self._values) > self._most:
            self._drop()

    def median(self, now: float, least: int) -> float | None:
        """None where there are fewer than `least` values."""
        while self._values and self._values[0][0] <= now - self._window_s:
            self._drop()
        count = len(self._sorted)
        if count < least:
            return None
        return (self._sorted[(count - 1) // 2] + self._sorted[count // 2]) / 2

    def _drop(self) -> None:
        _, value = self._values.popleft()
        del self._sorted[bisect_left(self._sorted, value)]
