"""A line per event."""

import json

import pytest

from tests.fakes import run_of
from worker.errors import ConfigError, SinkError
from worker.sinks.jsonl import JsonlSink


async def write(sink, said):
    for envelope in said:
        await sink.send(envelope)
    await sink.close()


async def test_a_line_per_event_is_there_at_once(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path)
    await sink.send(run_of(1)[0])
    assert json.loads(path.read_text())["seq"] == 1
    await sink.close()


async def test_a_file_is_continued_unless_it_shall_not_be(tmp_path):
    path = tmp_path / "events.jsonl"
    await write(JsonlSink(path), run_of(2))
    await write(JsonlSink(path), run_of(1))
    assert len(path.read_text().splitlines()) == 3
    await write(JsonlSink(path, append=False), run_of(1))
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

    class Full:
        """Writes half of what it is given."""

        def __init__(self, file):
            self.fileno, self.truncate, self.close, self.file = file.fileno, file.truncate, file.close, file

        def write(self, line):
            return self.file.write(line[: len(line) // 2])

    file = sink._file
    monkeypatch.setattr(sink, "_file", Full(file))
    with pytest.raises(SinkError, match=r"events\.jsonl cannot be written .*: free space"):
        await sink.send(half)
    monkeypatch.setattr(sink, "_file", file)
    await write(sink, [after])
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [1, 3]


async def test_a_device_without_space_is_a_sink_error():
    sink = JsonlSink("/dev/full")
    with pytest.raises(SinkError, match="No space left"):
        await sink.send(run_of(1)[0])
    await sink.close()
