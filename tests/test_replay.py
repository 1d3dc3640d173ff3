"""Recordings as a room."""

import asyncio
import time
import wave
from datetime import UTC, datetime

import numpy as np
import pytest
from structlog.testing import capture_logs

from worker.audio import RATE, AudioChunk
from worker.errors import ConfigError
from worker.events import SpeakerJoined, SpeakerLeft
from worker.rooms import ROOMS, Tick
from worker.rooms.replay import ReplayRoom


def write(path, seconds, channels=1):
    """Channel c holds the constant (c + 1) / 10."""
    path.parent.mkdir(exist_ok=True)
    sound = np.repeat([(np.arange(channels) + 1) / 10], round(seconds * RATE), axis=0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


async def play(room):
    return [item async for item in room]


def plain(item):
    """An item as something that can be compared."""
    if isinstance(item, AudioChunk):
        return item.speaker, round(item.start, 6), len(item.samples), round(float(item.samples.mean()), 3)
    return item


async def test_each_file_is_a_speaker_and_leaves_when_it_ends(tmp_path):
    files = [write(tmp_path / "ada.wav", 0.25), write(tmp_path / "bo.wav", 0.1, channels=3)]
    assert [plain(item) for item in await play(ReplayRoom(files))] == [
        SpeakerJoined(0.0, "s1", "ada"),
        SpeakerJoined(0.0, "s2", "bo"),
        ("s1", 0.0, 1600, 0.1),
        ("s2", 0.0, 1600, 0.2),
        SpeakerLeft(0.1, "s2", "ended"),
        Tick(0.1),
        ("s1", 0.1, 1600, 0.1),
        Tick(0.2),
        ("s1", 0.2, 800, 0.1),
        SpeakerLeft(0.25, "s1", "ended"),
        Tick(0.25),
    ]


async def test_each_channel_of_one_file_is_a_speaker(tmp_path):
    items = await play(ReplayRoom([write(tmp_path / "call.wav", 0.1, channels=10)]))
    assert items[1] == SpeakerJoined(0.0, "s2", "call, channel 2")
    assert [plain(item) for item in items[10:20]] == [(f"s{n}", 0.0, 1600, n / 10) for n in range(1, 11)]
    assert items[20:] == [*(SpeakerLeft(0.1, f"s{n}", "ended") for n in range(1, 11)), Tick(0.1)]


async def test_channels_can_be_one_speaker(tmp_path):
    items = await play(ReplayRoom([write(tmp_path / "call.wav", 0.1, channels=3)], channels_as_speakers=False))
    assert plain(items[1]) == ("s1", 0.0, 1600, 0.2)


async def test_equal_names_are_told_apart(tmp_path):
    files = [write(tmp_path / folder / "ada.wav", 0.1) for folder in "xyz"]
    joined = [item.name for item in await play(ReplayRoom(files)) if isinstance(item, SpeakerJoined)]
    assert joined == ["ada", "ada (2)", "ada (3)"]


async def test_the_same_files_give_the_same_items(tmp_path):
    files = [write(tmp_path / "ada.wav", 1.234), write(tmp_path / "bo.wav", 0.777)]
    first = [plain(item) for item in await play(ReplayRoom(files))]
    room = ReplayRoom(files)
    assert [plain(item) for item in await play(room)] == first
    assert [plain(item) for item in await play(room)] == first
    assert (room.lockstep, room.started) == (True, datetime(1970, 1, 1, tzinfo=UTC))


async def test_progress_reaches_its_end(tmp_path):
    done = []
    files = [write(tmp_path / "ada.wav", 0.2), write(tmp_path / "bo.wav", 0.3)]
    await play(ReplayRoom(files, progress=lambda at, total: done.append((at, total))))
    assert done == [(0.1, 0.3), (0.2, 0.3), (0.3, 0.3)]


async def test_real_time_gives_no_block_before_its_end(tmp_path):
    begun, early = time.monotonic(), []
    room = ReplayRoom([write(tmp_path / "ada.wav", 0.3)], realtime=True)
    async for item in room:
        if isinstance(item, Tick):
            early.append(item.at - (time.monotonic() - begun))
    assert len(early) == 3
    assert max(early) <= 0


async def test_a_slow_listener_loses_nothing_in_real_time(tmp_path):
    room, heard = ReplayRoom([write(tmp_path / "ada.wav", 0.2)], realtime=True, block_s=0.02), 0
    async for item in room:
        if isinstance(item, AudioChunk):
            heard += len(item.samples)
            if item.start == 0:
                await asyncio.sleep(0.15)
    assert heard == 0.2 * RATE
    assert room.behind_s > 0.1


async def test_close_ends_a_wait(tmp_path):
    room = ReplayRoom([write(tmp_path / "ada.wav", 60)], realtime=True, block_s=10)
    reading = asyncio.create_task(play(room))
    await asyncio.sleep(0)
    await room.close()
    assert await asyncio.wait_for(reading, 2) == [SpeakerJoined(0.0, "s1", "ada")]
    assert await room.send("hello") is True


async def test_a_damaged_file_is_told_without_its_name(tmp_path):
    path = tmp_path / "ada.wav"
    write(path, 1.0)
    room = ReplayRoom([path])
    room._recordings[0].duration_s = 3.0
    with capture_logs() as logs:
        await play(room)
    assert [entry["event"] for entry in logs] == ["A recording stops after 1.0 s of 3.0 s."]
    assert "ada" not in str(logs)


@pytest.mark.parametrize("options", [{"files": []}, {"block_s": 0.0}, {"block_s": float("nan")}])
def test_wrong_options_are_refused(tmp_path, options):
    with pytest.raises(ConfigError, match=r"^replay.*\.$"):
        ReplayRoom(**{"files": [write(tmp_path / "ada.wav", 0.1)], **options})


def test_it_stands_in_the_table():
    assert ROOMS["replay"] == f"{ReplayRoom.__module__}:{ReplayRoom.__name__}"
