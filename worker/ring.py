"""The worker's only queue: bounded, the newest wins, what is dropped is counted."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Ring(Generic[T]):
    """Holds at most `size` of the newest items; `put` never blocks. One reader, one event loop."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a ring holds at least one item")
        self.dropped = 0
        self._items: deque[T] = deque()
        self._size = size
        self._closed = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> T | None:
        """Add an item; returns the oldest one if it had to make room. A closed ring takes nothing."""
        if self._closed:
            return None
        oldest = None
        if len(self._items) == self._size:
            oldest = self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self._changed.set()
        return oldest

    def waiting(self) -> list[T]:
        """A copy of what is held, the oldest first."""
        return list(self._items)

    def rewrite(self, change: Callable[[T], T | None]) -> None:
        """Put in the place of each item what `change` makes of it; None takes it out, uncounted."""
        self._items = deque(left for item in self._items if (left := change(item)) is not None)

    def clear(self) -> None:
        """Forget what waits, uncounted: nobody wants it any more."""
        self._items.clear()

    def close(self) -> None:
        """Let the reader finish what is held, then stop."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            while self._items:
                yield self._items.popleft()
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()
