"""Starts a worker from its settings, and ends it in order."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from worker.asking import Asking
from worker.assembly import SharedModels, Worker
from worker.config import Settings
from worker.manager import Rooms, until_either, until_told
from worker.ops.audit import Audit, Noted
from worker.ops.dashboard import Dashboard
from worker.ops.http import Server
from worker.ops.retention import Retention
from worker.privacy.keeping import Keeping
from worker.registry import build, construct, load
from worker.rooms import ROOMS, Room
from worker.session import Session

log = structlog.get_logger()


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and Ctrl-C set; a second one of them is left to the system, and ends the process."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def told() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, told)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def replay(settings: Settings, progress: Callable[[float, float], None] | None = None) -> Session:
    """Run a recording through the whole chain, or as much of it as there is time for until the process is told to
    stop; returns its session with its counters."""
    assert settings.room is not None, "replay names its files"
    with stop_signals() as stop:
        room: Room = build(ROOMS, settings.room, "room", progress=progress)
        asking = Asking(settings)
        models = SharedModels(settings, asking.law.engines([""]))
        worker = Worker(settings, models, room, asking.policy(settings.room, lambda: None), None)
        try:
            await worker.check()
            await until_told(worker.session, room, stop, settings.drain_s)
        finally:
            await worker.fanout.close(settings.drain_s)
            models.close()
            await room.close()
    return worker.session


async def serve(settings: Settings, ready: Callable[[Server], None] | None = None) -> None:
    """Serve rooms until the process is told to stop, then end within `drain_s`. Without the section `control` it also
    ends with its one room; raises what that ended with.

    `ready` is called once everyone may come in.
    """
    with stop_signals() as stop:
        server: Server = construct(Server, settings.server, "server")
        keeping: Keeping = construct(Keeping, settings.keeping, "keeping")
        retention = Retention(settings.sinks, keeping)
        audit: Audit | None = None
        if settings.audit is not None:
            audit = construct(Audit, settings.audit, "audit", keeping=keeping)
        doors = Noted(server, audit) if audit is not None else server
        dashboard: Dashboard | None = None
        if settings.dashboard is not None:
            dashboard = construct(Dashboard, settings.dashboard, "dashboard", server=doors, keeping=keeping)
        rooms = Rooms(settings, server, dashboard, audit)
        try:
            if settings.control is not None:
                construct(
                    load({}, "worker.ops.control:Control"), settings.control, "control", server=doors, rooms=rooms
                )
            first = await rooms.prepare(settings.room) if settings.room is not None else None
            retention.begin()
            await server.start()
            log.info("listening", address=f"http://{server.host}:{server.port}")
            server.ready = True
            if ready is not None:
                ready(server)
            if first is not None:
                rooms.begin(first)
            await until_either(stop, first.task if first is not None and settings.control is None else None)
            server.ready, server.reason = False, "draining"
            if stop.is_set():
                log.info("draining; once more to stop at once", within_s=settings.drain_s / 3)
        finally:
            await retention.close()
            await rooms.close()
            await server.stop()
            if audit is not None:
                await audit.close()
    if first is not None and first.failure is not None and settings.control is None:
        raise first.failure
