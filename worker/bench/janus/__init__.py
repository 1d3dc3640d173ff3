"""The worker in a room of a real Janus, with real Chromium where people see something: all on one machine."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from worker import supervisor
from worker.asking import today
from worker.audio import AudioChunk
from worker.bench.janus.notes import open_rooms, said
from worker.bench.latency import Stamps, converse, figures, spread
from worker.bench.policy import EVERYTHING
from worker.config import read, settle
from worker.events import PREFIX, RoomInterrupted, SpeakerLeft, SpeechStarted, TalkTime
from worker.manager import Rooms
from worker.ops import logs
from worker.ops.http import Server
from worker.ops.janus import ROOM, LocalJanus
from worker.privacy.consent import Consent
from worker.privacy.law import Law
from worker.rooms.janus.room import JanusRoom

SPEAKERS = 20
ALWAYS = (4.0, 4.0)
QUARTER = (2.0, 8.0)
OFTEN = (0.7, 1.4)
"""Seconds of speech, and from one beginning to the next."""
SETTLE_S = 5.0
PATIENCE_S = 60.0


def run(quick: bool) -> dict[str, Any]:
    """Everything takes about five minutes."""
    found: dict[str, Any] = {}
    logs.setup(level="error")
    with LocalJanus() as janus:
        found["tile"] = {"bar_p95_ms": 400} | asyncio.run(_tile(janus, 3 if quick else 60))
        with _people(janus, SPEAKERS, *ALWAYS):
            times = [asyncio.run(_join(janus)) for _ in range(2 if quick else 20)]
            found["join_20_speakers_s"] = {"bar": 2} | spread_s(times)
        with _people(janus, SPEAKERS, *QUARTER):
            found["cpu_20_speakers"] = {"bar_cores": 0.6} | _cores(janus, 5.0 if quick else 60.0)
        with _people(janus, 2, *OFTEN):
            found |= asyncio.run(_troubled(janus, 1 if quick else 10))
        with _people(janus, 1, *ALWAYS):
            found["joins_and_leaves"] = {"bar": "within 5 %"} | _stays(janus, *((5, 10) if quick else (50, 500)))
    return found | {"measured": datetime.now(UTC).date().isoformat()}


def spread_s(values: Any) -> dict[str, float]:
    """p50, p95 and the largest, in seconds."""
    milliseconds = [1000 * one for one in values]
    several = milliseconds if len(milliseconds) > 1 else 2 * milliseconds
    return {name: round(value / 1000, 3) for name, value in spread(several).items()}


@contextmanager
def _people(janus: LocalJanus, count: int, talk_s: float, cycle_s: float) -> Iterator[None]:
    """That many people in the room, who come back when Janus does."""
    arguments = [janus.url, *map(str, (ROOM, count, talk_s, cycle_s))]
    command = [sys.executable, "-m", "worker.bench.janus.people", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    assert process.stdout is not None
    try:
        if process.stdout.readline() != b"here\n":
            raise RuntimeError("the people did not get into the room; their own words are above")
        yield
    finally:
        process.communicate(timeout=PATIENCE_S)


async def _tile(janus: LocalJanus, onsets: int) -> dict[str, Any]:
    """As the bench `latency`, with Janus between the browsers and the worker."""
    Stamps.notes.clear()
    started = asyncio.get_running_loop().create_future()
    settings = settle(
        {
            "room": {"kind": "janus", "url": janus.url, "room": ROOM},
            "policy": EVERYTHING,
            "sinks": [{"kind": "data_channel"}, {"kind": "websocket"}, {"kind": "worker.bench.latency:Stamps"}],
            "server": {"port": 0, "janus_url": janus.url, "janus_room": ROOM},
            "control": {},
            "logs": {"level": "error"},
        }
    )
    serving = asyncio.create_task(supervisor.serve(settings, started.set_result))
    try:
        server: Server = await asyncio.wait_for(started, PATIENCE_S)
        spoken, seen = await converse(f"http://localhost:{server.port}", onsets)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    return figures(spoken, Stamps.notes, seen)


async def _join(janus: LocalJanus) -> float:
    """Seconds from setting out for a room to having heard everyone in it."""
    policy = Consent(Law(today()))
    room, heard, begun = JanusRoom(policy, janus.url, ROOM, consent="host"), set(), time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for item in room:
                if isinstance(item, AudioChunk):
                    heard.add(item.speaker)
                if len(heard) == SPEAKERS:
                    return time.monotonic() - begun
    finally:
        await room.close()
    raise RuntimeError("the room ended")


def _cores(janus: LocalJanus, seconds: float) -> dict[str, Any]:
    """Processor time over wall time of `undertone run` in a process of its own, everything in it."""
    with TemporaryDirectory() as folder:
        config, report = Path(folder, "config.yaml"), Path(folder, "events.jsonl")
        settings: dict[str, Any] = {
            "room": {"kind": "janus", "url": janus.url, "room": ROOM, "consent": "host"},
            "policy": EVERYTHING,
            "sinks": [{"kind": "data_channel"}, {"kind": "jsonl", "path": str(report)}],
            "server": {"port": 0},
            "logs": {"level": "warning"},
        }
        config.write_text(yaml.safe_dump(settings))
        engine = (read(config).emotion or {"kind": "none"})["kind"]
        process = subprocess.Popen([sys.executable, "-m", "worker", "run", str(config)])  # noqa: S603
        try:
            while process.poll() is None and not (report.exists() and "speech.started" in report.read_text()):
                time.sleep(0.2)
            time.sleep(SETTLE_S)
            begun, work = time.monotonic(), _worked(process.pid)
            time.sleep(seconds)
            cores = (_worked(process.pid) - work) / (time.monotonic() - begun)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
        events = [json.loads(line) for line in report.read_text().splitlines()]
    talk = [event for event in events if event["type"] == PREFIX + TalkTime.type][-1]["data"]
    spoken = sum(one["seconds"] for one in talk["speakers"].values())
    return {
        "cores": round(cores, 3),
        "engine": engine,
        "seconds": seconds,
        "talking": round(spoken / talk["at"] / SPEAKERS, 3),
        "emotions": sum(event["type"].startswith(f"{PREFIX}emotion.") for event in events),
    }


def _worked(pid: int) -> float:
    """Seconds of processor time that a process has used, in all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _troubled(janus: LocalJanus, rounds: int) -> dict[str, Any]:
    async with open_rooms() as rooms:
        killed = [await _killed(janus, rooms, number) for number in range(rounds)]
        stopped = [await _stopped(janus, rooms, number) for number in range(rounds)]
    back, speech = zip(*killed, strict=True)
    return {
        "killed_and_restarted": {"bar_p95_s": 10, "back_s": spread_s(back), "speech_s": spread_s(speech)},
        "stopped_noticed_s": {"bar": 5} | spread_s(stopped),
    }


async def _killed(janus: LocalJanus, rooms: Rooms, number: int) -> tuple[float, float]:
    """Seconds from Janus' death, after which it is started at once, to the worker's first event, and to the first that
    says somebody speaks. People come back as soon as they can.

    Each time it is another stay, because pauses grow from one interruption of a stay to the next.
    """
    room = await _heard(janus, rooms, f"killed{number}")
    at = time.monotonic()
    janus.kill()
    await asyncio.to_thread(janus.start)
    back = await said(RoomInterrupted, at)
    speech = await said(SpeechStarted, back)
    await rooms.leave(room)
    return back - at, speech - at


async def _stopped(janus: LocalJanus, rooms: Rooms, number: int) -> float:
    """Seconds from SIGSTOP to Janus until the worker says that everyone left because it hangs."""
    room = await _heard(janus, rooms, f"stopped{number}")
    at = time.monotonic()
    janus.signal(signal.SIGSTOP)
    noticed = await said(SpeakerLeft, at, reason="hung")
    janus.kill()
    await asyncio.to_thread(janus.start)
    await rooms.leave(room)
    return noticed - at


async def _heard(janus: LocalJanus, rooms: Rooms, name: str) -> str:
    """A new stay, once somebody speaks in it."""
    begun = time.monotonic()
    section = {"kind": "janus", "url": janus.url, "room": ROOM, "name": name, "consent": "host"}
    room = await rooms.open(section)
    await said(SpeechStarted, begun, name)
    return room


def _stays(janus: LocalJanus, warming: int, stays: int) -> dict[str, Any]:
    """What joining and leaving over and over leaves behind."""
    arguments = [janus.url, *map(str, (ROOM, warming, stays))]
    command = [sys.executable, "-m", "worker.bench.janus.stays", *arguments]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    memory = found["after"]["memory_mb"] / found["before"]["memory_mb"] - 1
    return found | {"memory_growth": round(memory, 3), "seconds": round(found["seconds"], 1)}
