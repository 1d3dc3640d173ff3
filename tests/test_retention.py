"""What is due goes from the files that a configuration names, and files are sealed anew."""

import asyncio
import fcntl
import json
import os
import signal
import threading
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.fakes import NOON, envelopes
from tests.support import free_port
from tests.test_sealing import NEW, OLD
from worker.config import settle
from worker.errors import ConfigError
from worker.events import Prompted, SpeechStarted
from worker.ops import retention
from worker.ops.retention import Retention, drop_due, files_of, reseal
from worker.privacy.keeping import Keeping
from worker.privacy.sealing import Seal
from worker.sinks.jsonl import JsonlSink
from worker.supervisor import serve

DAY = 86_400.0
NOW = NOON.timestamp()


def line(day, private=False, **more):
    event = (
        Prompted(0.0, "ada", "r-1", "r", "hint", "Ask.", "Because.", {}, 9.0) if private else SpeechStarted(0.0, "a")
    )
    one = envelopes(event)[0].as_dict() | {"time": (NOON + timedelta(days=day)).isoformat(), "day": day} | more
    return json.dumps(one).encode()


def days(path, seal=None):
    unseal = (seal or Seal()).unseal
    return [json.loads(unseal(one)).get("day") for one in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def fill(path, lines):
    path.write_bytes(b"".join(one + b"\n" for one in lines))


def test_each_line_goes_when_its_days_are_over(path):
    fill(path, [*(line(day) for day in range(4)), *(line(day, private=True) for day in range(20, 27))])
    assert drop_due(path, Keeping(), NOW + 30 * DAY - 1) == 3
    assert days(path) == [0, 1, 2, 3, 23, 24, 25, 26]
    assert drop_due(path, Keeping(), NOW + 31 * DAY) == 2 + 2
    assert days(path) == [2, 3, 25, 26]


def test_in_a_file_that_is_sealed_here_and_there_too_and_what_stays_is_not_touched(path):
    old, both = Seal([OLD]), Keeping(keys=(NEW, OLD))
    lines = [line(0), old.seal(line(1)), line(2), old.seal(line(3)), both.seal.seal(line(4)), line(5)]
    fill(path, lines)
    assert drop_due(path, both, NOW + 32 * DAY) == 3
    assert path.read_bytes().splitlines() == lines[3:]


def test_a_line_without_its_key_leaves_the_file_as_it_is(path):
    fill(path, [line(0), Seal([OLD]).seal(line(1)), line(2)])
    before = path.read_bytes()
    for keys in ((), (NEW,)):
        with pytest.raises(ConfigError, match=r"events\.jsonl is sealed"):
            drop_due(path, Keeping(keys=keys), NOW + 99 * DAY)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["events.jsonl"]


def test_what_is_no_event_goes_with_the_line_before_it(path):
    fill(path, [b"\xff\x00", line(0), b"{", b"[1]", line(9), b"nothing", b"[" * 100_000])
    assert drop_due(path, Keeping(), NOW + 30 * DAY) == 3
    assert path.read_bytes().splitlines() == [b"\xff\x00", line(9), b"nothing", b"[" * 100_000]


def test_dead_letters_go_by_the_event_in_them(path):
    fill(path, [json.dumps({"lost": "x", "reason": "y", "event": json.loads(line(day))}).encode() for day in (0, 5)])
    assert drop_due(path, Keeping(), NOW + 30 * DAY) == 1


def test_the_files_that_a_configuration_names(tmp_path):
    for name in ("a.jsonl", "dead.jsonl", "dead.jsonl.1", "b.jsonl.1"):
        (tmp_path / name).touch()
    sinks = [
        {"kind": "jsonl", "path": tmp_path / "a.jsonl"},
        {"kind": "jsonl", "path": tmp_path / "a.jsonl"},
        {"kind": "jsonl", "path": tmp_path / "b.jsonl"},
        {"kind": "jsonl", "path": "/dev/null"},
        {"kind": "webhook", "url": "https://h/", "dead_letters": tmp_path / "dead.jsonl"},
        {"kind": "webhook", "url": "https://h/"},
        {"kind": "redis"},
        {"kind": "their.own:Sink", "path": tmp_path / "b.jsonl.1"},
    ]
    assert [path.name for path in files_of(sinks)] == ["a.jsonl", "dead.jsonl.1", "dead.jsonl"]


def test_everything_is_sealed_anew_with_the_first_key(path):
    old = Seal([OLD])
    fill(path, [line(0), old.seal(line(1)), b"no event", Seal([NEW]).seal(line(3))])
    assert reseal([path], Seal([NEW, OLD])) == {path: 4}
    unseal = Seal([NEW]).unseal
    assert [unseal(one) for one in path.read_bytes().splitlines()] == [line(0), line(1), b"no event", line(3)]
    assert all(one.startswith(b"sealed:") for one in path.read_bytes().splitlines())
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="does not hold"):
        reseal([path], old)
    with pytest.raises(ConfigError, match=r"keeping\.keys is empty"):
        reseal([path], Seal())
    assert path.read_bytes() == before
    with path.with_name("events.jsonl.new").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=r"events\.jsonl cannot be written anew \(.*\): try again"):
            reseal([path], Seal([NEW]))


@pytest.fixture
def at_once(monkeypatch):
    """Days go by as fast as the loop turns."""
    monkeypatch.setattr(retention, "HOUR_S", 0.0)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_worker_looks_when_it_begins_and_again_and_again_while_its_sink_goes_on(path, at_once, monkeypatch):
    now = [NOW + 30 * DAY]
    monkeypatch.setattr(retention.time, "time", lambda: now[0])
    fill(path, [line(0), line(1), line(2)])
    sink = JsonlSink(path)
    looking = Retention([{"kind": "jsonl", "path": path}], Keeping())
    with capture_logs() as logs:
        looking.begin()
        await until(lambda: days(path) == [1, 2])
        (late,) = envelopes(SpeechStarted(40 * DAY, "ada"))
        await sink.send(late)
        now[0] += DAY
        await until(lambda: len(path.read_bytes().splitlines()) == 2)
        await sink.send(late)
        await looking.close()
    assert [json.loads(one).get("day") for one in path.read_bytes().splitlines()] == [2, None, None]
    assert {entry["event"] for entry in logs} == {"old events dropped"}


async def test_what_cannot_be_done_is_said_and_does_not_keep_the_rest_from_it(path, tmp_path, monkeypatch):
    monkeypatch.setattr(retention.time, "time", lambda: NOW + 99 * DAY)
    other = tmp_path / "other.jsonl"
    fill(path, [Seal([OLD]).seal(line(0))])
    fill(other, [line(0), line(90)])
    sinks = [{"kind": "redis", "url": f"redis://127.0.0.1:{free_port()}/0"}]
    sinks += [{"kind": "jsonl", "path": file} for file in (path, other)]
    with capture_logs() as logs:
        await Retention(sinks, Keeping()).look(files=True)
    assert [entry["log_level"] for entry in logs] == ["warning", "error", "info"]
    assert "Redis does not answer" in logs[0]["reason"]
    assert "is sealed: name a configuration" in logs[1]["reason"]
    assert days(other) == [90]


async def test_redis_is_looked_at_as_well(redis_url, monkeypatch):
    from redis.asyncio import Redis

    async with Redis.from_url(redis_url) as redis:
        await redis.xadd("ut:{quiet}:events", {"event": line(0)}, id="7-1")
        monkeypatch.setattr(retention.time, "time", lambda: NOW + 99 * DAY)
        await Retention([{"kind": "redis", "url": redis_url}], Keeping()).look(files=False)
        assert await redis.keys() == []


async def test_the_end_of_the_worker_is_not_waited_for_until_a_long_file_is_through(path, monkeypatch):
    fill(path, [line(0)] * 200)
    begun = threading.Event()
    looking = Retention([{"kind": "jsonl", "path": path}], Keeping())
    monkeypatch.setattr(retention, "AT_ONCE", 1)
    monkeypatch.setattr(retention, "PAUSE_S", 60.0)
    pause = looking._pause

    def seen():
        begun.set()
        pause()

    monkeypatch.setattr(looking, "_pause", seen)
    looking.begin()
    assert await asyncio.to_thread(begun.wait, 10)
    async with asyncio.timeout(10):
        await looking.close()
        await asyncio.get_running_loop().shutdown_default_executor()
    assert days(path) == [0] * 200


async def test_a_worker_that_is_started_drops_what_is_due_and_seals_what_it_adds(path, tmp_path):
    fill(path, [line(-999), line(0, epoch=0)])
    stop = asyncio.Event()
    settings = settle(
        {
            "room": {"kind": "embedded", "name": "quiet", "guests": 1},
            "sinks": [{"kind": "jsonl", "path": path}],
            "keeping": {"keys": [OLD]},
            "audit": {"path": tmp_path / "audit.jsonl"},
            "server": {"port": 0},
            "drain_s": 1,
        }
    )
    serving = asyncio.create_task(serve(settings, lambda server: stop.set()))
    await asyncio.wait_for(stop.wait(), 30)
    await until(lambda: days(path, Seal([OLD]))[0] == 0)
    await until(lambda: b"sealed:" in path.read_bytes())
    os.kill(os.getpid(), signal.SIGTERM)
    await serving
    recorded, *said = path.read_bytes().splitlines()
    assert recorded == line(0, epoch=0)
    assert said
    assert all(one.startswith(b"sealed:") for one in said)
    assert {read(one)["source"] for one in said} == {"/rooms/quiet"}


def read(sealed):
    return json.loads(Seal([OLD]).unseal(sealed))
