"""The worker's only thread: a blocking predict(batch) made awaitable, one item at a time."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

X = TypeVar("X")
Y = TypeVar("Y")


class Batcher(Generic[X, Y]):
    """One thread owns the model. While it works, items wait; when it is free it takes all that wait.

    There is no batching delay to tune: an idle model answers at once with a batch of one.
    An error of `predict` reaches every caller of that batch and the next batch still runs.
    """

    def __init__(self, predict: Callable[[Sequence[X]], Sequence[Y]], name: str, largest: int = 32) -> None:
        self._predict = predict
        self._largest = largest
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: list[tuple[X, asyncio.Future[Y]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: X) -> Y:
        answer: asyncio.Future[Y] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while waiting := [pair for pair in self._waiting if not pair[1].done()]:
                batch, self._waiting = waiting[: self._largest], waiting[self._largest :]
                await self._answer([item for item, _ in batch], [future for _, future in batch])
            self._waiting.clear()
        finally:
            self._running = None

    async def _answer(self, items: list[X], futures: list[asyncio.Future[Y]]) -> None:
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._predict, items)
            if len(answers) != len(items):
                raise ValueError(f"{len(answers)} answers to {len(items)} items")
        except Exception as error:
            for future in futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, answer in zip(futures, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    def close(self) -> None:
        """The batch in hand is still answered; items after it are refused with RuntimeError."""
        self._thread.shutdown(wait=False)
