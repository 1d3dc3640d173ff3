"""Work that goes on beside whoever began it."""

import asyncio

from worker.rooms.tasks import Tasks


async def fail():
    raise ZeroDivisionError


async def test_a_failure_is_told_and_the_others_go_on():
    told, done = [], asyncio.Event()
    tasks = Tasks(told.append)
    tasks(fail())
    tasks(done.wait())
    await asyncio.sleep(0.01)
    assert [type(error) for error in told] == [ZeroDivisionError]
    assert len(tasks.running) == 1
    done.set()
    await tasks.wait(5)
    assert not tasks.running


async def test_cancelling_is_no_failure_and_is_waited_for():
    told, ended = [], []
    tasks = Tasks(told.append)

    async def last_word():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    tasks(last_word())
    await asyncio.sleep(0)
    await tasks.cancel()
    assert (told, ended, tasks.running) == ([], [True], set())


async def test_waiting_ends_in_time():
    tasks = Tasks(lambda error: None)
    await tasks.wait(5)
    tasks(asyncio.sleep(60))
    await tasks.wait(0.01)
    assert len(tasks.running) == 1
    await tasks.cancel()
