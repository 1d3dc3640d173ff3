import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.ring import Ring


async def read(ring):
    return [item async for item in ring]


async def test_the_newest_win_and_the_dropped_are_counted():
    ring = Ring(2)
    assert [ring.put(i) for i in range(5)] == [None, None, 0, 1, 2]
    assert (len(ring), ring.dropped) == (2, 3)
    ring.close()
    assert await read(ring) == [3, 4]


async def test_a_reader_waits_for_what_comes():
    ring, found = Ring(4), []

    async def reader():
        async for item in ring:
            found.append(item)

    task = asyncio.create_task(reader())
    for item in "abc":
        await asyncio.sleep(0)
        ring.put(item)
    ring.close()
    await task
    assert found == ["a", "b", "c"]


async def test_a_closed_ring_gives_what_it_holds_and_takes_nothing():
    ring = Ring(3)
    ring.put(1)
    ring.close()
    assert ring.put(2) is None
    assert await read(ring) == [1]
    assert ring.dropped == 0


async def test_clearing_is_not_dropping():
    ring = Ring(3)
    ring.put(1)
    ring.clear()
    ring.put(2)
    ring.close()
    assert await read(ring) == [2]
    assert ring.dropped == 0


async def test_a_reader_may_stop_and_another_go_on():
    ring = Ring(3)
    ring.put(1)
    ring.put(2)
    async for item in ring:
        assert item == 1
        break
    ring.close()
    assert await read(ring) == [2]


async def test_what_waits_may_be_changed_or_taken_out_also_when_it_is_closed():
    ring = Ring(3)
    for item in (1, 2, 3):
        ring.put(item)
    ring.close()
    ring.rewrite(lambda item: None if item == 2 else item * 10)
    assert (await read(ring), ring.dropped) == ([10, 30], 0)


def test_a_ring_without_room_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Ring(0)


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.integers(), max_size=30))
def test_nothing_is_lost_uncounted(size, items):
    ring = Ring(size)
    made_room = [ring.put(item) for item in items]
    ring.close()
    left = asyncio.run(read(ring))
    assert left == items[-size:]
    assert len(left) + ring.dropped == len(items)
    assert made_room[size:] == items[: len(items) - len(left)]
