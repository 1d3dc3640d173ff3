import asyncio
import threading

import pytest

from worker.batch import Batcher


class Model:
    """Doubles numbers; holds each batch until `free` is set. Below zero it fails."""

    def __init__(self):
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.free = threading.Event()
        self.free.set()

    def predict(self, batch):
        self.batches.append(list(batch))
        self.threads.add(threading.get_ident())
        assert self.free.wait(10)
        if min(batch) < 0:
            raise ArithmeticError("below zero")
        return [2 * x for x in batch]


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def batcher(model):
    batcher = Batcher(model.predict, "test", largest=3)
    yield batcher
    model.free.set()
    batcher.close()


async def started(model, batches=1):
    """Until the model works on its n-th batch."""
    async with asyncio.timeout(10):
        while len(model.batches) < batches:
            await asyncio.sleep(0.001)


async def held(model, batcher, *items):
    """The model is at work on 0 while `items` wait: their tasks, and the first one's."""
    model.free.clear()
    first = asyncio.create_task(batcher(0))
    await started(model)
    tasks = [asyncio.create_task(batcher(item)) for item in items]
    await asyncio.sleep(0)
    return first, tasks


async def test_an_idle_model_answers_at_once(model, batcher):
    assert await batcher(4) == 8
    assert await batcher(5) == 10
    assert model.batches == [[4], [5]]


async def test_what_waits_is_taken_together_and_answered_to_its_caller(model, batcher):
    first, tasks = await held(model, batcher, 1, 2, 3, 4, 5)
    model.free.set()
    assert await asyncio.gather(first, *tasks) == [0, 2, 4, 6, 8, 10]
    assert model.batches == [[0], [1, 2, 3], [4, 5]]
    assert len(model.threads) == 1
    assert threading.get_ident() not in model.threads


async def test_an_error_reaches_its_batch_alone(model, batcher):
    first, tasks = await held(model, batcher, 1, -1, 2, 3)
    model.free.set()
    answers = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, ArithmeticError, ArithmeticError, ArithmeticError, int]


async def test_who_no_longer_waits_is_not_worked_for(model, batcher):
    first, (second, third) = await held(model, batcher, 1, 2)
    second.cancel()
    await asyncio.sleep(0)
    model.free.set()
    assert await asyncio.gather(first, third) == [0, 4]
    assert model.batches == [[0], [2]]


async def test_who_leaves_during_the_work_harms_nobody(model, batcher):
    first, (second,) = await held(model, batcher, 1)
    first.cancel()
    await asyncio.sleep(0)
    model.free.set()
    assert await second == 2


async def test_a_model_that_answers_too_little_is_an_error():
    batcher = Batcher(lambda batch: [], "test")
    with pytest.raises(ValueError, match="0 answers to 1 items"):
        await batcher(1)
    batcher.close()


async def test_closing_answers_the_batch_in_hand_and_refuses_the_rest(model, batcher):
    first, (second,) = await held(model, batcher, 1)
    batcher.close()
    model.free.set()
    assert await first == 0
    with pytest.raises(RuntimeError):
        await second
