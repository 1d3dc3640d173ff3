"""Work that goes on beside whoever began it, and whose failure somebody is told of."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Tasks:
    """Calling it with a coroutine runs that. `failed` is called with whatever error one of them ends with."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self.running: set[asyncio.Task[None]] = set()
        self._failed = failed

    def __call__(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def cancel(self) -> None:
        """End them all, and wait until they have."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)

    async def wait(self, within_s: float) -> None:
        """Wait until none is left, or for so long."""
        if self.running:
            await asyncio.wait(self.running, timeout=within_s)
