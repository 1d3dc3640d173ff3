"""Puts one sender's packets in order and names the lost ones."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Packet:
    """An RTP payload in its place."""

    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """A packet that never came; the one after it may carry a copy of its sound."""

    following: bytes | None


class Reorder:
    """A window over sequence numbers, bounded in packets and in seconds.

    A sequence gap is a loss. A jump beyond `jump` packets, or as many late ones in a row, is a sender that started
    over. Sizes are those that carried every frame at 10 % loss with at most 80 ms of delay.
    """

    def __init__(self, window: int = 3, wait_s: float = 0.06, jump: int = 50) -> None:
        self._window, self._wait_s, self._jump = window, wait_s, jump
        self._next: int | None = None
        self._pending: dict[int, Packet] = {}
        self._since = 0.0
        self._late = 0

    def push(self, sequence: int, packet: Packet, now: float) -> Iterator[Packet | Lost]:
        """What can be said after this packet, in order. `now` is in seconds on any steady clock."""
        if self._next is None:
            self._next = sequence
        ahead = (sequence - self._next) & 0xFFFF
        self._late = self._late + 1 if ahead >= 0x8000 else 0
        if 0 < self._late <= self._jump:
            return
        if self._late or ahead > self._jump:
            self._pending.clear()
            self._next, self._late, ahead = sequence, 0, 0
        if not self._pending:
            self._since = now
        self._pending[sequence] = packet
        yield from self._ready(now)
        if len(self._pending) >= self._window:
            yield from self._give_up(now)

    def tick(self, now: float) -> Iterator[Packet | Lost]:
        """Closes a gap that has waited too long, even when nothing arrives any more."""
        if self._pending and now - self._since > self._wait_s:
            yield from self._give_up(now)

    def _ready(self, now: float) -> Iterator[Packet]:
        while self._next is not None and (packet := self._pending.pop(self._next, None)) is not None:
            self._next = (self._next + 1) & 0xFFFF
            self._since = now
            yield packet

    def _give_up(self, now: float) -> Iterator[Packet | Lost]:
        while self._pending and self._next is not None and self._next not in self._pending:
            self._next = (self._next + 1) & 0xFFFF
            following = self._pending.get(self._next)
            yield Lost(following.payload if following else None)
        yield from self._ready(now)
