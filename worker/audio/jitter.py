"""Puts one sender's packets in order and names the lost ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lost(Generic[T]):
    """Packets that never came, in a row."""

    count: int
    following: T
    """The packet after them, which comes next; it may carry a copy of the last lost one's sound."""


class Reorder(Generic[T]):
    """A window over sequence numbers, bounded in packets and in seconds.

    A sequence gap is a loss. A jump beyond `jump` packets, or as many late ones in a row, is a sender that started
    over. Sizes are those that carried every frame at 10 % loss with at most 80 ms of delay.
    """

    def __init__(self, window: int = 3, wait_s: float = 0.06, jump: int = 50) -> None:
        self.late = 0
        """Packets that came after their place was given up, or came twice."""
        self._window, self._wait_s, self._jump = window, wait_s, jump
        self._next: int | None = None
        self._pending: dict[int, tuple[T, float]] = {}
        """By sequence number: what waits for those before it, and when it came."""
        self._since = 0.0
        """When the first gap became the first one."""
        self._late_in_a_row = 0

    def push(self, sequence: int, packet: T, now: float) -> Sequence[T | Lost[T]]:
        """What can be said after this packet, in order. `now` is in seconds on any steady clock."""
        if sequence == self._next and not self._pending:
            self._next = (sequence + 1) & 0xFFFF
            self._late_in_a_row = 0
            return (packet,)
        if self._next is None:
            self._next = sequence
        ahead = (sequence - self._next) & 0xFFFF
        given: list[T | Lost[T]] = []
        if ahead >= 0x8000:
            self.late += 1
            self._late_in_a_row += 1
            if self._late_in_a_row <= self._jump:
                return ()
        if ahead > self._jump:
            given += self._start_over(sequence)
        self._late_in_a_row = 0
        if not self._pending or sequence == self._next:
            self._since = now
        self._pending.setdefault(sequence, (packet, now))
        self._give_ready(given)
        self._give_overdue(given, now)
        return given

    def tick(self, now: float) -> Sequence[T | Lost[T]]:
        """Gives what has waited too long, even when nothing arrives any more."""
        given: list[T | Lost[T]] = []
        if self._pending:
            self._give_overdue(given, now)
        return given

    def _start_over(self, sequence: int) -> list[T]:
        """What still waits is given as it is: nobody knows what lies between it and the new beginning."""
        ahead = self._next or 0
        waiting = [self._pending[number][0] for number in sorted(self._pending, key=lambda n: (n - ahead) & 0xFFFF)]
        self._pending.clear()
        self._next = sequence
        return waiting

    def _give_ready(self, given: list[T | Lost[T]]) -> None:
        while self._next is not None and (waiting := self._pending.pop(self._next, None)) is not None:
            self._next = (self._next + 1) & 0xFFFF
            given.append(waiting[0])

    def _give_overdue(self, given: list[T | Lost[T]], now: float) -> None:
        while self._pending and (len(self._pending) >= self._window or now - self._since > self._wait_s):
            self._give_up(given)
            self._since = min((came for _, came in self._pending.values()), default=now)

    def _give_up(self, given: list[T | Lost[T]]) -> None:
        """The gap in front of the first waiting packet is a loss."""
        ahead = self._next or 0
        first = min(self._pending, key=lambda n: (n - ahead) & 0xFFFF)
        given.append(Lost((first - ahead) & 0xFFFF, self._pending[first][0]))
        self._next = first
        self._give_ready(given)
