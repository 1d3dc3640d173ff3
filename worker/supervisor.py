"""Puts a worker together from its settings, runs it, and ends it in order."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import structlog

from worker.audio.windows import Windows
from worker.batch import Batcher
from worker.config import Settings
from worker.conversation import OBSERVERS
from worker.emotion import ENGINES, EmotionModel
from worker.emotion.drift import DriftWatch
from worker.emotion.smoothing import Smoother
from worker.errors import RoomError
from worker.events import Envelope, Numbering
from worker.ops.http import Server
from worker.ops.metrics import GAUGES, Metrics
from worker.privacy.policy import Consent, Policy, Recorded
from worker.registry import build, construct
from worker.rooms import ROOMS, Room
from worker.session import Session
from worker.sinks import SINKS, Sink
from worker.sinks.delivery import Outlet
from worker.sinks.snapshot import Snapshot
from worker.speaker import Models, Speaker
from worker.vad import VADS
from worker.vad.segmenter import Segmenter

CROWDED = 200
"""Events waiting for one sink from which on a recording waits for it."""
SETTLE_S = 10.0

log = structlog.get_logger()


class Fanout:
    """Keeps the snapshot and hands every event to every sink's own queue."""

    def __init__(self, snapshot: Snapshot, sinks: Sequence[Sink]) -> None:
        self._snapshot = snapshot
        self._sinks = sinks
        self._outlets = [Outlet(sink) for sink in sinks]

    @property
    def delivered(self) -> dict[str, float]:
        """Events that were taken, by sink."""
        return _summed((outlet.name, outlet.delivered) for outlet in self._outlets)

    @property
    def lost(self) -> dict[str, float]:
        """Events that were dropped or refused, by sink."""
        return _summed((outlet.name, outlet.lost) for outlet in self._outlets)

    def put(self, envelope: Envelope) -> None:
        self._snapshot.fold(envelope)
        for outlet in self._outlets:
            outlet.put(envelope)

    async def welcome(self, listener: str, behind: bool) -> None:
        for sink in self._sinks:
            if (greet := getattr(sink, "welcome", None)) is not None:
                await greet(listener, behind)

    async def settle(self) -> None:
        """Wait until every sink has caught up; a sink that stands still is waited for no longer than `SETTLE_S`."""
        if not any(outlet.waiting > CROWDED for outlet in self._outlets):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                for outlet in self._outlets:
                    await outlet.caught_up()

    async def close(self, within_s: float) -> int:
        """Flush every sink at once; returns how many events were left over. Raises what broke a sink, after all."""
        closing = (outlet.close(within_s) for outlet in self._outlets)
        results = await asyncio.gather(*closing, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result for result in results if isinstance(result, int))


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, float]:
    """By name; several sinks may be of one kind."""
    sums: dict[str, float] = {}
    for name, count in counts:
        sums[name] = sums.get(name, 0) + count
    return sums


class Worker:
    """One room with its models and sinks; `open` builds it, `run` lives it, `close` flushes it."""

    def __init__(self, settings: Settings, room: Room, policy: Policy, server: Server | None) -> None:
        self._settings = settings
        epoch = round(room.started.timestamp() * 1000)
        self.room = room
        vad = build(VADS, settings.vad, "vad")
        engine = build(ENGINES, settings.emotion, "emotion") if settings.emotion else None
        self._batchers: list[Batcher[Any, Any]] = [Batcher(vad.predict, "vad")]
        if engine is not None:
            self._batchers.append(Batcher(engine.predict, "emotion"))
        name = str(settings.emotion["kind"]) if settings.emotion else "none"
        self._watch: DriftWatch = construct(DriftWatch, settings.drift, "drift")
        felt = self._batchers[1] if engine is not None else None
        self._models = Models(self._batchers[0], felt, name, self._watch)
        snapshot = Snapshot(room.name, epoch)
        self.sinks: list[Sink] = [
            build(SINKS, section, f"sinks.{number}", room=room, snapshot=snapshot, server=server)
            for number, section in enumerate(settings.sinks)
        ]
        self._fanout = Fanout(snapshot, self.sinks)
        observers = [build(OBSERVERS, s, f"conversation.{n}") for n, s in enumerate(settings.conversation)]
        numbering = Numbering(room.name, epoch, room.started)
        self.session = Session(room, policy, self._make_speaker, observers, numbering, self._fanout)
        if server is not None:
            self._show(server.metrics, engine)

    def _show(self, metrics: Metrics, engine: EmotionModel | None) -> None:
        """Make what is counted readable."""
        metrics.read("undertone_sound_dropped_seconds", lambda: {self.room.name: self.session.dropped_s})
        metrics.read("undertone_windows_skipped", lambda: {self.room.name: self.session.skipped})
        metrics.read("undertone_events_delivered", lambda: self._fanout.delivered)
        metrics.read("undertone_events_lost", lambda: self._fanout.lost)
        metrics.read("undertone_drift_alarms", self._watch.alarms)
        for name in GAUGES:
            metrics.read(name, partial(self._watch.figures, name))
        if (answered := getattr(engine, "counts", None)) is not None:
            metrics.read("undertone_model_windows", answered)
        if (counts := getattr(self.room, "counts", None)) is not None:
            for name in ("undertone_packets", "undertone_datagrams_dropped"):
                metrics.read(name, partial(counts, name))

    def _make_speaker(self, speaker: str) -> Speaker:
        return Speaker(
            speaker,
            self._models,
            construct(Segmenter, self._settings.segmenter, "segmenter", speaker=speaker),
            construct(Windows, self._settings.windows, "windows"),
            construct(Smoother, self._settings.smoothing, "smoothing"),
        )

    async def check(self) -> None:
        """Ask each sink that can tell whether it will work. Raises ConfigError when the operator must act."""
        for sink in self.sinks:
            if (check := getattr(sink, "check", None)) is not None:
                await check()

    async def close(self, within_s: float) -> int:
        left = await self._fanout.close(within_s)
        for batcher in self._batchers:
            batcher.close()
        return left


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
    with stop_signals() as stop:
        room: Room = build(ROOMS, settings.room, "room", progress=progress)
        worker = Worker(settings, room, Recorded(), None)
        try:
            await worker.check()
            await _until_told(worker, room, stop, settings.drain_s)
        finally:
            await worker.close(settings.drain_s)
            await room.close()
    return worker.session


async def serve(settings: Settings, ready: Callable[[Server], None] | None = None) -> None:
    """Serve one room until it closes or the process is told to stop, then end within `drain_s`.

    `ready` is called once everyone may come in.
    """
    with stop_signals() as stop:
        server: Server = construct(Server, settings.server, "server")
        policy = Consent()
        room: Room = build(ROOMS, settings.room, "room", server=server, policy=policy)
        worker = Worker(settings, room, policy, server)
        try:
            await worker.check()
            await server.start()
            log.info("listening", address=f"http://{server.host}:{server.port}")
            server.ready = True
            if ready is not None:
                ready(server)
            await _until_told(worker, room, stop, settings.drain_s / 3, server)
        finally:
            await room.close()
            await worker.close(settings.drain_s / 3)
            await server.stop()


async def _until_told(
    worker: Worker, room: Room, stop: asyncio.Event, drain_s: float, server: Server | None = None
) -> None:
    """Run the session until it ends by itself or `stop` is set; then let it say its last events."""
    running = asyncio.create_task(worker.session.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        running.cancel()
        raise
    finally:
        stopping.cancel()
    if server is not None:
        server.ready, server.reason = False, "draining"
    if stop.is_set():
        log.info("draining; once more to stop at once", within_s=drain_s)
    await _drain(room, running, drain_s)


async def _drain(room: Room, running: asyncio.Task[None], within_s: float) -> None:
    """Close the room and let the session say its last events."""
    try:
        async with asyncio.timeout(within_s):
            await room.close()
            await asyncio.shield(running)
    except TimeoutError:
        running.cancel()
        await asyncio.wait({running}, timeout=1)
        log.warning("session did not end in time", within_s=within_s)
    except RoomError as error:
        log.error("room failed", code=error.code, reason=str(error))
        raise
