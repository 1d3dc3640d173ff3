"""An embedded room of a whole worker in this process, whose decoders and models are watched."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from worker.bench.consent.tagged import Decoded, spying
from worker.config import settle
from worker.manager import Rooms
from worker.ops import logs
from worker.ops.http import Server
from worker.privacy.levels import Level
from worker.registry import construct, load
from worker.session import Session
from worker.speaker import Models, Speaker

NAME = "bench"
CALL = {
    "level": "emotion",
    "jurisdiction": "eu",
    "context": "customer_call",
    "role": "customer",
    "purpose": "a measurement",
    "basis": "explicit_consent",
}
"""A section `policy` under which people may agree to everything, so that every engine is made and at work."""


@dataclass
class Place:
    """Where people go."""

    address: str
    id: str
    decoded: Decoded
    windows: dict[str, list[tuple[str, float, int]]] = field(default_factory=lambda: {"vad": [], "engine": []})
    """What was given to models: whose, when, how many samples."""


def sections(**more: Any) -> dict[str, Any]:
    return {
        "room": {"kind": "embedded", "name": NAME, "largest": 50, "connect_within_s": 60.0},
        "policy": CALL,
        "server": {"port": 0},
        "logs": {"level": "error"},
        **more,
    }


@asynccontextmanager
async def opened() -> AsyncIterator[Place]:
    """The room with its listeners and the control API, reached on the loopback interface."""
    settings = settle(sections(sinks=[{"kind": "websocket"}], control={}))
    assert settings.room is not None, "it is named above"
    assert settings.control is not None, "so is this"
    logs.setup(**settings.logs.model_dump())
    server = construct(Server, settings.server, "server")
    with spying() as decoded, patch("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"]):
        rooms = Rooms(settings, server)
        construct(load({}, "worker.ops.control:Control"), settings.control, "control", server=server, rooms=rooms)
        try:
            one = await rooms.prepare(settings.room)
            place = Place("", one.id, decoded)
            _watch(one.worker.session, place)
            await server.start()
            place.address = f"http://127.0.0.1:{server.port}"
            server.ready = True
            rooms.begin(one)
            yield place
        finally:
            await rooms.close()
            await server.stop()


def _watch(session: Session, place: Place) -> None:
    """Every speaker's models note when they are given sound, and whose."""
    make = session._make_speaker

    def watched(name: str, level: Level) -> Speaker:
        speaker = make(name, level)
        models = speaker._models
        vad, engine = (_noting(each, name, place.windows[part]) for each, part in _parts(models))
        speaker._models = replace(models, vad=vad, engine=engine)
        return speaker

    session._make_speaker = watched


def _parts(models: Models) -> tuple[tuple[Any, str], tuple[Any, str]]:
    return (models.vad, "vad"), (models.engine, "engine")


def _noting(model: Callable[[Any], Awaitable[Any]] | None, name: str, notes: list[tuple[str, float, int]]) -> Any:
    if model is None:
        return None

    def call(item: Any) -> Awaitable[Any]:
        notes.append((name, time.monotonic(), len(item[0])))
        return model(item)

    return call


async def told(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    """The lines of a process until it ends. Raises RuntimeError when it failed."""
    assert process.stdout is not None, "its output is read"
    async for line in process.stdout:
        yield line.decode()
    if await process.wait():
        raise RuntimeError("the people ended early; their own words are above")
