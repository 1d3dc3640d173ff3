"""Listeners who come late, come back, and cannot keep up."""

import asyncio
from itertools import zip_longest

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import EPOCH, brief, folded, run_of
from worker.sinks.feed import Feed


async def heard(feed, since=None):
    feed.close()
    return [brief(message) async for message in feed.subscribe(since)]


def fed(said, pushed=None, **options):
    """A feed whose snapshot has all of `said`, and to which `pushed` (all, unless given) have come."""
    feed = Feed(folded([]), **options)
    feed._snapshot = folded(said)
    for envelope in said if pushed is None else pushed:
        feed.push(envelope)
    return feed


async def test_a_new_listener_gets_the_snapshot_then_what_happens():
    said = run_of(5)
    feed = fed(said[:3])
    listener = feed.subscribe()
    assert brief(await anext(listener)) == "snapshot 3"
    for envelope in said[3:]:
        feed.push(envelope)
    feed.close()
    assert [brief(message) async for message in listener] == [4, 5]


async def test_events_that_the_snapshot_already_has_are_not_told_again():
    said = run_of(4)
    feed = fed(said, pushed=said[:2])
    listener = feed.subscribe()
    assert brief(await anext(listener)) == "snapshot 4"
    for envelope in [*said[2:], *run_of(5)[4:]]:
        feed.push(envelope)
    feed.close()
    assert [brief(message) async for message in listener] == [5]


async def test_who_comes_back_gets_what_was_missed():
    assert await heard(fed(run_of(5)), (EPOCH, 2)) == [3, 4, 5]
    assert await heard(fed(run_of(5)), (EPOCH, 5)) == []
    assert await heard(fed(run_of(5)), (EPOCH, 0)) == [1, 2, 3, 4, 5]


async def test_who_was_away_too_long_is_told_so_and_gets_the_snapshot():
    assert await heard(fed(run_of(9), history=3), (EPOCH, 6)) == [7, 8, 9]
    assert await heard(fed(run_of(9), history=3), (EPOCH, 5)) == ["gap 6-9", "snapshot 9"]


async def test_numbers_of_another_run_mean_nothing_here():
    assert await heard(fed(run_of(4)), (EPOCH - 1, 2)) == ["gap 1-4", "snapshot 4"]
    assert await heard(fed(run_of(4)), (EPOCH, 99)) == ["gap 1-4", "snapshot 4"]
    assert await heard(fed([]), (EPOCH - 1, 2)) == ["snapshot 0"]


async def test_a_slow_listener_gets_a_gap_and_goes_on():
    feed = fed([], waiting=2)
    slow, quick = feed.subscribe(), feed.subscribe()
    for listener in (slow, quick):
        assert brief(await anext(listener)) == "snapshot 0"
    told = []
    for envelope in run_of(6):
        feed.push(envelope)
        told.append(brief(await anext(quick)))
    feed.close()
    assert told == [1, 2, 3, 4, 5, 6]
    assert [brief(message) async for message in slow] == ["gap 1-4", 5, 6]


async def test_a_gap_before_the_feed_is_passed_on_from_where_the_listener_is():
    said = run_of(8)
    kept = [*said[:2], said[5].gap_since(2), *said[5:]]
    assert await heard(fed(said, kept), (EPOCH, 0)) == [1, 2, "gap 3-5", 6, 7, 8]
    assert await heard(fed(said, kept), (EPOCH, 4)) == ["gap 5-5", 6, 7, 8]
    assert await heard(fed(said, kept, history=4), (EPOCH, 2)) == ["gap 3-5", 6, 7, 8]


async def test_who_stops_listening_is_forgotten():
    feed = fed(run_of(1))
    listener = feed.subscribe()
    await anext(listener)
    assert len(feed._listeners) == 1
    await listener.aclose()
    assert not feed._listeners


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 12), st.integers(0, 12), st.integers(1, 6), st.integers(1, 6), st.none() | st.integers(0, 14),
    st.lists(st.integers(0, 3), max_size=12),
)  # fmt: skip
def test_a_listener_knows_everything_once_or_knows_that_it_does_not(before, after, history, waiting, since, reads):
    async def play():
        said = run_of(before + after)
        feed = fed(said[:before], history=history, waiting=waiting)
        told, permits = [], asyncio.Semaphore(0)

        async def listen():
            async for message in feed.subscribe(None if since is None else (EPOCH, since)):
                told.append(brief(message))
                await permits.acquire()

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        for envelope, count in zip_longest(said[before:], reads[:after], fillvalue=0):
            feed._snapshot.fold(envelope)
            feed.push(envelope)
            for _ in range(count):
                permits.release()
                await asyncio.sleep(0)
        feed.close()
        for _ in range(before + 2 * after + 3):
            permits.release()
        await asyncio.wait_for(listening, 5)
        return told

    told = asyncio.run(play())
    known = since if since is not None and since <= before else 0
    for message in told:
        if isinstance(message, int):
            assert message == known + 1
            known = message
        elif message.startswith("gap"):
            first, _, last = message.removeprefix("gap ").partition("-")
            assert int(first) == known + 1
            known = int(last)
        else:
            known = max(known, int(message.removeprefix("snapshot ")))
    assert known == before + after
