"""Decides by the sender's audio level (RFC 6464) which packets are worth decoding."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

TICKS = 48_000
"""RTP ticks of Opus in a second (RFC 7587, 4.1)."""
OPEN = 60
"""-dBov: anything louder than this may be speech in a quiet room. Browsers' speech reads 10 to 50."""
LOUD = 35
"""-dBov: anything louder than this is decoded, however loud the room is."""
MARGIN = 9
"""dB that speech stands out of steady noise: more than the noise itself varies from packet to packet."""
HANGOVER = TICKS // 2
PRE_ROLL = TICKS // 5
HELD = 10
"""Packets of pre-roll, 200 ms of the usual 20 ms."""
MEMORY = 3 * TICKS // 2
"""Half of the time over which the quietest packet tells the room's noise: words leave gaps well below 3 s."""


class Gate(Generic[T]):
    """One speaker's packets in order go in; those to decode come out, with 200 ms from before each opening.

    Levels are in -dBov as on the wire: 0 is the loudest, 127 is digital silence. A packet without a level opens. The
    voice flag beside the level is not used: browsers set it on silence too. The sender chooses the level, so this
    saves work and protects nothing.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.threshold = OPEN
        """-dBov; louder packets open the gate. It follows steady noise, so that the gate closes in a noisy room too."""
        self._before: deque[tuple[int, T]] = deque(maxlen=HELD)
        self._loud_at = 0
        self._quietest, self._earlier = 0, 127
        self._half_at: int | None = None

    def passes(self, level: int | None) -> bool:
        """Whether a packet of this level would be decoded now."""
        return self.is_open or level is None or level < self.threshold

    def push(self, item: T, level: int | None, timestamp: int) -> Sequence[T]:
        """The items to decode now. `timestamp` is the packet's, in RTP ticks."""
        if level is None or level < self.threshold:
            self._loud_at = timestamp
            opening = not self.is_open
            self.is_open = True
            if level is not None:
                self._follow(level, timestamp)
            return [*self._pre_roll(timestamp), item] if opening else (item,)
        self._follow(level, timestamp)
        if self.is_open and (timestamp - self._loud_at) & 0xFFFFFFFF <= HANGOVER:
            return (item,)
        self.is_open = False
        self._before.append((timestamp, item))
        return ()

    def lost(self, item: T, timestamp: int) -> Sequence[T]:
        """The same for a stand-in of lost packets, in front of the packet with this `timestamp`."""
        if self.is_open:
            return (item,)
        self._before.append((timestamp, item))
        return ()

    def _pre_roll(self, timestamp: int) -> list[T]:
        items = [item for at, item in self._before if (timestamp - at) & 0xFFFFFFFF <= PRE_ROLL]
        self._before.clear()
        return items

    def _follow(self, level: int, timestamp: int) -> None:
        """Minimum statistics: the quietest packet of the last 1.5 to 3 s is the room's noise."""
        if self._half_at is None:
            self._half_at = timestamp
        gone = (timestamp - self._half_at) & 0xFFFFFFFF
        if gone > MEMORY:
            self._half_at, self._earlier = timestamp, self._quietest if gone <= 2 * MEMORY else 127
            self._quietest = level
        elif level > self._quietest:
            self._quietest = level
        else:
            return
        self.threshold = min(OPEN, max(LOUD, max(self._quietest, self._earlier) - MARGIN))
