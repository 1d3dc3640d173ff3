"""Sinks that are slow, fail, hang or are broken, and a session that does not notice."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.fakes import LOST, FakeSink, brief, run_of
from worker.errors import SinkError
from worker.events import Gap
from worker.sinks.delivery import Outlet


async def deliver(sink, said, size=None):
    outlet = Outlet(sink, size)
    for envelope in said:
        outlet.put(envelope)
    undelivered = await outlet.close(1.0)
    return outlet, undelivered


async def test_everything_arrives_in_order_and_the_sink_is_closed():
    sink = FakeSink()
    outlet, undelivered = await deliver(sink, run_of(5))
    assert [brief(said) for said in sink.said] == [1, 2, 3, 4, 5]
    assert sink.closed
    assert (undelivered, outlet.lost, outlet.delivered) == (0, 0, 5)


async def test_what_a_slow_sink_misses_becomes_one_gap():
    sink = FakeSink()
    outlet = Outlet(sink, size=3)
    sink.gate.clear()
    said = run_of(10)
    outlet.put(said[0])
    await asyncio.sleep(0)
    for envelope in said[1:]:
        outlet.put(envelope)
    assert (outlet.waiting, outlet.lost) == (4, 6)
    sink.gate.set()
    assert await outlet.close(1.0) == 0
    assert [brief(one) for one in sink.said] == [1, "gap 2-7", 8, 9, 10]


async def test_a_lost_event_and_a_lost_gap_are_announced_by_the_next_gap():
    sink = FakeSink([None, LOST, LOST])
    with capture_logs() as logs:
        outlet, undelivered = await deliver(sink, run_of(5))
    assert [brief(said) for said in sink.said] == [1, "gap 2-3", 4, 5]
    assert (undelivered, outlet.lost, outlet.failures) == (0, 2, {"sink": 2})
    assert logs[0]["event"] == "sink_failed"
    assert logs[0]["reason"] == "it did not work"


async def test_a_sink_that_always_fails_does_not_fill_the_log():
    sink = FakeSink([SinkError("no", "full")] * 100)
    with capture_logs() as logs:
        outlet, _ = await deliver(sink, run_of(100))
    assert outlet.failures == {"full": 100}
    assert [entry["failures"] for entry in logs] == [1, 2, 4, 8, 16, 32, 64]


async def test_a_sink_that_hangs_loses_only_its_own_event():
    class Hanging(FakeSink):
        deadline_s = 0.02

        async def send(self, envelope):
            if envelope.seq == 2:
                await asyncio.Event().wait()
            await super().send(envelope)

    sink = Hanging()
    outlet, undelivered = await deliver(sink, run_of(2) + run_of(4)[2:])
    assert undelivered == 0
    # the Gap bears number 2 as well, and hangs too, until number 3 is in it
    assert [brief(said) for said in sink.said] == [1, "gap 2-3", 4]
    assert outlet.failures == {"sink_timeout": 2}


async def test_closing_ends_in_time_and_counts_what_is_left():
    sink = FakeSink()
    sink.gate.clear()
    sink.deadline_s = None
    with capture_logs() as logs:
        outlet = Outlet(sink)
        for envelope in run_of(5):
            outlet.put(envelope)
        undelivered = await outlet.close(0.02)
    assert (undelivered, sink.closed) == (5, True)
    assert {"event": "events_undelivered", "sink": "FakeSink", "count": 5, "log_level": "warning"} in logs


async def test_a_bug_in_one_sink_surfaces_and_leaves_the_others_alone():
    broken, sound = FakeSink([None, ZeroDivisionError("bug")]), FakeSink()
    with capture_logs() as logs:
        outlets = [Outlet(broken), Outlet(sound)]
        for envelope in run_of(4):
            for outlet in outlets:
                outlet.put(envelope)
        with pytest.raises(ZeroDivisionError):
            await outlets[0].close(1.0)
        assert await outlets[1].close(1.0) == 0
    assert (broken.closed, outlets[0].waiting) == (True, 3)
    assert [brief(said) for said in sound.said] == [1, 2, 3, 4]
    assert [entry["code"] for entry in logs if entry["event"] == "sink_broken"] == ["bug"]


async def test_a_sink_that_joins_late_has_missed_nothing():
    sink = FakeSink()
    await deliver(sink, run_of(5)[3:])
    assert [brief(said) for said in sink.said] == [4, 5]


async def test_a_sink_says_how_many_events_may_wait():
    sink = FakeSink()
    sink.waiting = 2
    outlet, _ = await deliver(sink, run_of(5))
    assert [brief(said) for said in sink.said] == ["gap 1-3", 4, 5]
    assert outlet.lost == 3


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), max_size=12), st.lists(st.integers(0, 4), max_size=8), st.integers(1, 4))
def test_a_listener_never_sees_a_silent_hole(faults, bursts, size):
    async def play():
        sink = FakeSink([LOST if fault else None for fault in faults])
        outlet = Outlet(sink, size)
        said = iter(run_of(sum(bursts)))
        for burst in bursts:
            for _ in range(burst):
                outlet.put(next(said))
            await asyncio.sleep(0)
        assert await outlet.close(1.0) == 0
        return sink.said, outlet

    with capture_logs():
        said, outlet = asyncio.run(play())
    known = 0
    for envelope in said:
        first = envelope.event.from_seq if isinstance(envelope.event, Gap) else envelope.seq
        assert first == known + 1
        known = envelope.seq
    assert outlet.delivered == sum(not isinstance(envelope.event, Gap) for envelope in said)
    assert outlet.delivered + outlet.lost == sum(bursts)
