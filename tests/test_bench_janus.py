"""The arithmetic of the Janus figures, and the people they are taken with."""

import asyncio
import os
import time

import pytest

from tests.janus import own_janus as own_janus
from tests.janus import stay, until
from worker.bench import janus as bench
from worker.bench.janus import notes
from worker.bench.janus.people import Person
from worker.events import SpeakerLeft, SpeechStarted


def test_a_single_figure_is_its_own_spread():
    assert bench.spread_s([0.25]) == {"p50": 0.25, "p95": 0.25, "max": 0.25}
    assert bench.spread_s([1.0, 2.0, 3.0])["p50"] == 2.0


def test_processor_time_of_a_process_is_read_with_all_its_threads():
    before = bench._worked(os.getpid())
    until_s = time.process_time() + 0.1
    while time.process_time() < until_s:
        pass
    assert bench._worked(os.getpid()) - before == pytest.approx(0.1, abs=0.05)


async def test_an_event_is_found_by_its_kind_its_room_and_its_reason(monkeypatch):
    monkeypatch.setattr(
        notes.Notes,
        "said",
        [
            (1.0, "one", SpeechStarted(0.0, "p1")),
            (2.0, "other", SpeechStarted(0.0, "p1")),
            (3.0, "one", SpeakerLeft(0.0, "p1", "left")),
            (4.0, "one", SpeakerLeft(0.0, "p1", "hung")),
        ],
    )
    assert await notes.said(SpeechStarted, 0.0) == 1.0
    assert await notes.said(SpeechStarted, 1.0) == 2.0
    assert await notes.said(SpeechStarted, 0.0, "other") == 2.0
    assert await notes.said(SpeakerLeft, 0.0, reason="hung") == 4.0
    monkeypatch.setattr(notes, "PATIENCE_S", 0.02)
    with pytest.raises(TimeoutError):
        await notes.said(SpeechStarted, 2.0)


async def test_people_come_back_when_janus_does(own_janus):
    server = own_janus()
    one = Person(server.url, 1234, 0, 1, 4.0, 4.0)
    living = asyncio.create_task(one.live())
    try:
        for _ in range(2):
            async with stay(server.url, 1234) as worker:
                await until(lambda: worker.sound("Person 0"))
                assert worker.heard_s("Person 0") > 0
            server.kill()
            server.start()
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
