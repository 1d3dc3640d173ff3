"""Many rooms in one process, with written rooms."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.test_control import Deaf, Scripted
from worker.assembly import RoomWatch
from worker.audio import RATE, AudioChunk
from worker.audio.windows import Window
from worker.config import settle
from worker.emotion import Emotion
from worker.emotion.drift import DriftWatch
from worker.errors import ConfigError, RoomError
from worker.events import SpeakerJoined
from worker.manager import Rooms
from worker.ops.http import Server
from worker.privacy.consent import Consent
from worker.privacy.levels import Level
from worker.privacy.policy import Recorded
from worker.rooms import Tick
from worker.rooms.rejoining import Rejoining

HERE = "tests.test_manager"


class Counted(Deaf):
    """A voice model that notes how many there are, and who asked it together."""

    made, largest = 0, 0

    def __init__(self):
        type(self).made += 1

    def predict(self, batch):
        type(self).largest = max(self.largest, len(batch))
        return super().predict(batch)


class Talking(Scripted):
    """A room elsewhere where a second of sound is heard."""

    async def __aiter__(self):
        self.policy.record("ada", Level.METRICS, "page")
        yield SpeakerJoined(0.0, "ada", "Ada")
        for number in range(50):
            yield AudioChunk("ada", number * 0.02, np.zeros(RATE // 50, np.float32))
            await asyncio.sleep(0)
        await self._closed.wait()

    def counts(self, name):
        return {"decoded": 50} if name == "undertone_packets" else {}


class Broken(Scripted):
    async def __aiter__(self):
        yield Tick(0.0)
        raise ZeroDivisionError


class Tape(Scripted):
    """A recording that never ends."""

    lockstep = True

    def __init__(self, policy=None):
        super().__init__(policy, room="tape")


class Picky:
    """A sink that finds out that it can't work."""

    async def check(self):
        raise ConfigError("The password is wrong: correct it.")

    async def send(self, envelope):
        pass

    async def close(self):
        pass


class Faulty(Picky):
    async def check(self):
        pass

    async def send(self, envelope):
        raise ZeroDivisionError


@asynccontextmanager
async def rooms_of(**sections):
    server = Server(port=0)
    settings = settle({"vad": {"kind": f"{HERE}:Counted"}, "emotion": None, "control": {}, "drain_s": 3} | sections)
    rooms = Rooms(settings, server)
    try:
        yield rooms, server
    finally:
        await rooms.close()


def room(kind="Talking", name="a", **more):
    return {"kind": f"{HERE}:{kind}", **({"room": name} if kind != "Tape" else {}), **more}


def states(rooms):
    return [(one["name"], one["state"], one["reason"]) for one in rooms.describe()]


async def test_all_rooms_ask_the_same_models():
    Counted.made = 0
    async with rooms_of() as (rooms, server):
        for name in "abcdef":
            await rooms.open(room(name=name))
        async with asyncio.timeout(10):
            while Counted.largest < 2:
                await asyncio.sleep(0.01)
        assert Counted.made == 1
        left = rooms.describe()[0]["id"]
        await rooms.leave(left)
        figures = server.metrics.text().decode()
        assert 'undertone_packets_total{fate="decoded"} 300.0' in figures  # of a room that was left, too
        assert figures.count("undertone_sound_dropped_seconds_total{") == 5


async def test_what_the_coach_and_the_figures_count_is_read_also_of_rooms_that_were_left():
    async with rooms_of(coaching={"rules": ["sales"]}) as (rooms, server):
        for name in "ab":
            await rooms.open(room(name=name))
        for one in rooms._open.values():
            one.worker.coach.counts.update(said=2, minute=1)
            one.worker.figures._ordering.late = 3
        await rooms.leave(rooms.describe()[0]["id"])
        figures = server.metrics.text().decode()
    for name, fate, count in [("prompts", "said", 4), ("prompts", "minute", 2), ("conversation_facts", "late", 6)]:
        assert f'undertone_{name}_total{{fate="{fate}"}} {count}.0' in figures
    assert 'undertone_conversation_facts_total{fate="dropped"} 0.0' in figures


async def test_a_bug_ends_one_room_with_its_trace():
    async with rooms_of() as (rooms, _):
        with capture_logs() as logs:
            await rooms.open(room("Broken"))
            await rooms.open(room(name="b"))
            async with asyncio.timeout(10):
                while len(rooms) > 1:
                    await asyncio.sleep(0.01)
        assert states(rooms) == [("room-a", "failed", "bug"), ("room-b", "open", None)]
        assert [entry["code"] for entry in logs if entry["log_level"] == "error"] == ["bug"]


async def test_a_sink_that_breaks_ends_no_other_room():
    async with rooms_of(sinks=[{"kind": f"{HERE}:Faulty"}]) as (rooms, _):
        one = await rooms.open(room())
        with capture_logs():
            await rooms.leave(one)
        assert len(rooms) == 0


async def test_a_room_whose_sinks_do_not_work_is_not_opened():
    async with rooms_of(sinks=[{"kind": f"{HERE}:Picky"}]) as (rooms, _):
        for _ in range(2):
            with pytest.raises(ConfigError, match="password"):
                await rooms.open(room())
            assert len(rooms) == 0


async def test_rooms_elsewhere_are_joined_again_and_others_are_not():
    async with rooms_of() as (rooms, _):
        for section in (room(), {"kind": "embedded"}, room("Tape")):
            await rooms.open(section)
        elsewhere, hosted, tape = rooms._open.values()
        assert [isinstance(one.room, Rejoining) for one in (elsewhere, hosted, tape)] == [True, False, False]
        assert [type(one.policy) for one in (elsewhere, hosted, tape)] == [Consent, Consent, Recorded]
        with pytest.raises(RoomError) as caught:
            rooms.consent(tape.id, "s1", False)
        assert caught.value.code == "no_such_speaker"


async def test_a_worker_that_stops_opens_nothing_more():
    async with rooms_of() as (rooms, _):
        prepared = await rooms.prepare(room())
        await rooms.close()
        assert prepared.room._room._closed.is_set()
        with pytest.raises(RoomError) as caught:
            await rooms.open(room(name="b"))
        assert caught.value.code == "full"


async def test_of_rooms_that_ended_only_the_newest_are_told_of_and_nobody_in_them(monkeypatch):
    monkeypatch.setattr("worker.manager.REMEMBERED", 2)
    async with rooms_of() as (rooms, _):
        for name in "abc":
            await rooms.open(room("Broken", name))
        with capture_logs():
            async with asyncio.timeout(10):
                while len(rooms):
                    await asyncio.sleep(0.01)
        assert [one["name"] for one in rooms.describe()] == ["room-b", "room-c"]
        assert [one["speakers"] for one in rooms.describe()] == [{}, {}]


def test_the_same_pseudonym_in_two_rooms_is_two_people():
    watch = DriftWatch(windows=50, speakers=2)
    window = Window(0.0, 1.0, np.zeros(RATE, np.float32), 1.0, False)
    for number in range(60):
        RoomWatch(watch, f"room-{number % 2}").push(window, 0, "p1", Emotion(0.5, 0.9), "fake")
    assert watch.reference is not None
