"""A whole worker: a recording with the real models, and a process that is told to stop."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from datetime import UTC, datetime

import pytest
import yaml
from aiohttp import ClientSession

from tests.consenting import OPEN
from tests.speech import DATA
from tests.support import free_port
from worker.batch import Batcher
from worker.config import settle
from worker.errors import ConfigError, RoomError
from worker.events import SpeakerJoined
from worker.manager import drain
from worker.rooms import Tick
from worker.supervisor import replay, serve


def settings(path, files=("anna", "ben"), **more):
    sections = {
        "policy": {"level": "emotion", **OPEN},
        "room": {"kind": "replay", "files": [str(DATA / f"{name}.ogg") for name in files]},
        "sinks": [{"kind": "jsonl", "path": str(path), "append": False}],
    }
    return settle(sections | more)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def kinds(events):
    return [event["type"].removeprefix("io.undertone.") for event in events]


async def test_the_same_recording_gives_the_same_events_byte_for_byte(tmp_path):
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    progress = []
    session = await replay(settings(first), lambda done, total: progress.append((done, total)))
    await replay(settings(second))
    assert first.read_bytes() == second.read_bytes()
    assert session.dropped_s == 0
    assert progress[-1][0] == pytest.approx(progress[-1][1], abs=0.1)
    events = lines(first)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert kinds(events)[:3] == ["room.opened.v1", "speaker.joined.v1", "speaker.joined.v1"]
    assert kinds(events)[-1] == "room.closed.v1"
    assert {"speech.started.v1", "speech.ended.v1", "talk_time.v1"} <= set(kinds(events))
    assert {event["subject"] for event in events if "speech" in event["type"]} == {"s1", "s2"}


async def test_without_emotion_the_rest_is_the_same(tmp_path):
    with_it, without = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    await replay(settings(with_it, ["anna"]))
    await replay(settings(without, ["anna"], emotion=None))

    def rest(path):
        return [(event["type"], event["data"]) for event in lines(path) if ".emotion." not in event["type"]]

    assert len(lines(with_it)) > len(lines(without))
    assert rest(with_it) == rest(without)


LEVELS = {
    "presence": set(),
    "metrics": {"speech.started.v1", "talk_time.v1"},
    "prosody": {"speech.started.v1", "talk_time.v1", "speech.measured.v1"},
    "emotion": {"speech.started.v1", "talk_time.v1", "speech.measured.v1", "emotion"},
}


@pytest.mark.parametrize("level", LEVELS)
async def test_nothing_above_the_level_is_ever_said_or_even_made(tmp_path, level, monkeypatch):
    made = []
    monkeypatch.setattr("worker.assembly.Batcher", lambda predict, name: made.append(name) or Batcher(predict, name))
    path = tmp_path / "1.jsonl"
    await replay(settings(path, ["anna"], policy={"level": level, **OPEN}))
    said = {"emotion" if kind.startswith("emotion") else kind for kind in kinds(lines(path))}
    assert said & LEVELS["emotion"] == LEVELS[level]
    assert made == {"presence": [], "emotion": ["vad", "emotion"]}.get(level, ["vad"])


async def test_a_level_that_the_law_leaves_to_nobody_is_refused_at_the_start(tmp_path):
    forbidden = {**OPEN, "jurisdiction": "eu", "context": "work", "role": "employee", "level": "emotion"}
    with pytest.raises(ConfigError, match="eu_5_1_f") as error:
        await replay(settings(tmp_path / "1.jsonl", policy=forbidden))
    assert error.value.code == "policy_refused"


async def test_a_recording_that_is_none_is_named(tmp_path):
    (tmp_path / "note.wav").write_text("hello")
    with pytest.raises(ConfigError, match=r"note\.wav"):
        await replay(settings(tmp_path / "1.jsonl", [], room={"kind": "replay", "files": [tmp_path / "note.wav"]}))


# -- serving ----------------------------------------------------------------------------------------------------------


class Failing:
    """A live room whose platform goes away."""

    lockstep = False
    name = "quiet"

    def __init__(self):
        self.started, self.closed = datetime.now(UTC), False

    async def __aiter__(self):
        yield SpeakerJoined(0.0, "ada", "Ada")
        yield Tick(1.0)
        raise RoomError("The platform has closed it: try again later.", "room_closed")

    async def send(self, message, to=None):
        return True

    async def close(self):
        self.closed = True


async def test_a_room_that_fails_ends_the_worker_in_order(tmp_path):
    out = tmp_path / "out.jsonl"
    one = settings(out, room={"kind": "tests.test_supervisor:Failing"}, server={"port": 0})
    with pytest.raises(RoomError, match="try again later"):
        await serve(one)
    assert kinds(lines(out))[-1] == "room.closed.v1"
    assert lines(out)[-1]["data"]["reason"] == "failed"


class Stuck(Failing):
    """A live room that does not end when it is closed."""

    async def __aiter__(self):
        yield SpeakerJoined(0.0, "ada", "Ada")
        await asyncio.Event().wait()


async def test_what_does_not_end_is_ended():
    room = Stuck()

    async def session():
        async for _ in room:
            pass

    running = asyncio.create_task(session())
    await asyncio.sleep(0)
    await drain(room, running, 0.05)
    assert room.closed
    assert running.cancelled()


class Worker:
    """`serve` in a process of its own."""

    def __init__(self, folder, drain_s=10.0, room=None, **more):
        self.out, self.port = folder / "out.jsonl", free_port()
        self.config = folder / "worker.yaml"
        sections = {
            "room": room or {"kind": "embedded", "guests": 1},
            "sinks": [{"kind": "jsonl", "path": str(self.out)}],
            "server": {"port": self.port},
            "drain_s": drain_s,
        }
        self.config.write_text(yaml.safe_dump(sections | more))

    async def __aenter__(self):
        code = (
            "import asyncio, sys; from pathlib import Path; from worker.config import read;"
            "from worker.supervisor import serve;"
            "asyncio.run(serve(read(Path(sys.argv[1])), lambda server: print('ready', flush=True)))"
        )
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error::RuntimeWarning", "-c", code, str(self.config),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."},
        )  # fmt: skip
        async with asyncio.timeout(60):
            while (line := await self.process.stdout.readline()) != b"ready\n":
                assert line, await self.process.stderr.read()
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def stop(self, number):
        """Seconds it took, and what it printed."""
        began = time.monotonic()
        self.process.send_signal(number)
        printed = await asyncio.wait_for(self.process.communicate(), 60)
        return time.monotonic() - began, b"".join(printed).decode()


async def spoken(out):
    async with asyncio.timeout(30):
        while not out.exists() or b"speech.started" not in out.read_bytes():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_is_told_to_stop_says_its_last_words(tmp_path, number):
    async with Worker(tmp_path) as worker:
        await spoken(worker.out)
        seconds, printed = await worker.stop(number)
    assert worker.process.returncode == 0, printed
    assert seconds < 10
    assert "Traceback" not in printed
    assert "never" not in printed
    said = kinds(lines(worker.out))
    assert said[-1] == "room.closed.v1"
    after = said[len(said) - said[::-1].index("speaker.left.v1") :]
    assert after[0] == "talk_time.v1"
    assert after[-3:] == ["conversation.v1", "engagement.v1", "room.closed.v1"]
    assert said.count("speech.started.v1") == said.count("speech.ended.v1")


async def test_a_worker_with_a_stuck_room_ends_within_its_bound(tmp_path):
    async with Worker(tmp_path, drain_s=3.0, room={"kind": "tests.test_supervisor:Stuck"}) as worker:
        seconds, printed = await worker.stop(signal.SIGTERM)
    assert worker.process.returncode == 0, printed
    assert seconds < 3 + 1
    assert "did not end in time" in printed
    assert kinds(lines(worker.out))[-1] == "room.closed.v1"


async def test_a_worker_with_a_control_api_holds_many_rooms_and_outlives_them(tmp_path):
    room = {"kind": "tests.test_supervisor:Failing"}
    async with Worker(tmp_path, room=room, control={}) as worker:
        async with ClientSession(f"http://127.0.0.1:{worker.port}/v1/") as session:
            for name in ("hall", "lobby"):
                body = {"room": {"kind": "embedded", "name": name, "guests": 1}}
                async with session.post("rooms", json=body) as answer:
                    assert answer.status == 201
            async with session.get("rooms") as answer:
                states = {one["name"]: (one["state"], one["reason"]) for one in (await answer.json())["rooms"]}
        assert states == {"quiet": ("failed", "room_closed"), "hall": ("open", None), "lobby": ("open", None)}
        await spoken(worker.out)
        seconds, printed = await worker.stop(signal.SIGTERM)
    assert worker.process.returncode == 0, printed
    assert seconds < 10
    assert "Traceback" not in printed
    for name in ("quiet", "hall", "lobby"):
        said = [line for line in lines(worker.out) if line["source"] == f"/rooms/{name}"]
        assert kinds(said)[-1] == "room.closed.v1"
        assert [line["seq"] for line in said] == list(range(1, len(said) + 1))


async def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one = settings(tmp_path / "1.jsonl", room={"kind": "embedded"}, server={"port": port})
        with pytest.raises(ConfigError, match=str(port)):
            await serve(one)
