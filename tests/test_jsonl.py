"""A line per event."""

import asyncio
import fcntl
import json
import os

import pytest

from tests.fakes import run_of
from tests.test_sealing import NEW, OLD
from worker.errors import ConfigError, SinkError
from worker.privacy.keeping import Keeping
from worker.privacy.sealing import Seal
from worker.report.sources import from_file
from worker.sinks import jsonl
from worker.sinks.jsonl import JsonlSink


async def write_all(sink, said):
    for envelope in said:
        await sink.send(envelope)
    await sink.close()


async def test_a_line_per_event_is_there_at_once(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path)
    await sink.send(run_of(1)[0])
    assert json.loads(path.read_text())["seq"] == 1
    assert path.stat().st_mode & 0o777 == 0o600
    await sink.close()


async def test_a_file_is_continued_unless_it_shall_not_be(tmp_path):
    path = tmp_path / "events.jsonl"
    await write_all(JsonlSink(path), run_of(2))
    await write_all(JsonlSink(path), run_of(1))
    assert len(path.read_text().splitlines()) == 3
    await write_all(JsonlSink(path, append=False), run_of(1))
    assert len(path.read_text().splitlines()) == 1


def test_a_place_that_cannot_be_written_is_named_at_once(tmp_path):
    with pytest.raises(ConfigError, match=r"folder .*nowhere does not exist: create it"):
        JsonlSink(tmp_path / "nowhere" / "events.jsonl")
    with pytest.raises(ConfigError, match="Is a directory"):
        JsonlSink(tmp_path)


async def test_a_full_disk_costs_the_event_and_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path)
    whole, half, after = run_of(3)
    await sink.send(whole)
    write = os.write
    with monkeypatch.context() as full:
        full.setattr("worker.lines.os.write", lambda file, line: write(file, line[: len(line) // 2]))
        with pytest.raises(SinkError, match=r"events\.jsonl cannot be written .*: free space"):
            await sink.send(half)
    await write_all(sink, [after])
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [1, 3]


async def test_with_a_key_nothing_can_be_read_without_it(tmp_path):
    path = tmp_path / "events.jsonl"
    await write_all(JsonlSink(path), run_of(1))
    await write_all(JsonlSink(path, keeping=Keeping(keys=(OLD,))), run_of(2))
    await write_all(JsonlSink(path, keeping=Keeping(keys=(NEW, OLD))), run_of(3))
    plain, *sealed = path.read_bytes().splitlines()
    assert b"speech.started" in plain
    assert b"speech.started" not in b"".join(sealed)
    assert [one["seq"] for one in from_file(path, Seal([OLD, NEW]).unseal)] == [1, 1, 2, 1, 2, 3]
    with pytest.raises(
        ConfigError, match=r"events\.jsonl, line 4 is sealed with a key that keeping\.keys does not hold"
    ):
        list(from_file(path, Seal([OLD]).unseal))
    with pytest.raises(ConfigError, match=r"line 2 is sealed: name a configuration"):
        list(from_file(path, Seal().unseal))


async def test_a_file_that_begins_under_a_key_that_is_missing_is_not_written_to(tmp_path):
    path = tmp_path / "events.jsonl"
    await write_all(JsonlSink(path, keeping=Keeping(keys=(OLD,))), run_of(1))
    for keeping in (Keeping(), Keeping(keys=(NEW,))):
        with pytest.raises(ConfigError, match=r"events\.jsonl is sealed"):
            JsonlSink(path, keeping=keeping)
    JsonlSink(path, append=False, keeping=Keeping(keys=(NEW,)))


async def test_a_sealed_line_that_a_crash_tore_is_passed_over_and_taken_away(tmp_path):
    path, keeping = tmp_path / "events.jsonl", Keeping(keys=(OLD,))
    await write_all(JsonlSink(path, keeping=keeping), run_of(2))
    path.write_bytes(path.read_bytes()[:-20])
    assert [one["seq"] for one in from_file(path, keeping.seal.unseal)] == [1]
    await write_all(JsonlSink(path, keeping=keeping), run_of(3)[2:])
    assert [one["seq"] for one in from_file(path, keeping.seal.unseal)] == [1, 3]


async def test_a_file_that_is_held_is_waited_for_and_not_forever(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    sink, (first, second) = JsonlSink(path), run_of(2)
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        sending = asyncio.create_task(sink.send(first))
        await asyncio.sleep(0.02)
        assert path.read_bytes() == b""
        fcntl.flock(other, fcntl.LOCK_UN)
        await sending
        fcntl.flock(other, fcntl.LOCK_EX)
        monkeypatch.setattr(jsonl, "ATTEMPTS", 2)
        with pytest.raises(SinkError, match="is held by another process"):
            await sink.send(second)
    await sink.close()
    assert len(path.read_bytes().splitlines()) == 1


async def test_a_device_without_space_is_a_sink_error():
    sink = JsonlSink("/dev/full")
    with pytest.raises(SinkError, match="No space left"):
        await sink.send(run_of(1)[0])
    await sink.close()
