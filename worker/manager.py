"""All rooms of this process: each with its own session and sinks, all with the same models."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

import structlog

from worker.audio.windows import Window, Windows
from worker.batch import Batcher
from worker.config import Settings, option_model, settle_room
from worker.conversation import OBSERVERS
from worker.emotion import ENGINES, Emotion
from worker.emotion.drift import DriftWatch
from worker.emotion.smoothing import Smoother
from worker.errors import RoomError
from worker.events import Event, Numbering
from worker.ops.http import Server
from worker.ops.metrics import GAUGES, Metrics
from worker.privacy.policy import Consent, Policy, Recorded
from worker.registry import build, construct, load, split
from worker.rooms import ROOMS, Room
from worker.rooms.rejoining import COUNTERS, Rejoining
from worker.session import Session
from worker.sinks import SINKS, Sink
from worker.sinks.fanout import Fanout
from worker.sinks.snapshot import Snapshot
from worker.speaker import Models, Speaker
from worker.vad import VADS
from worker.vad.segmenter import Segmenter

REMEMBERED = 100
"""Rooms that have ended and are still told of."""

log = structlog.get_logger()


class SharedModels:
    """The models, one thread each, that all rooms of a process share."""

    def __init__(self, settings: Settings) -> None:
        vad = build(VADS, settings.vad, "vad")
        self.engine = build(ENGINES, settings.emotion, "emotion") if settings.emotion else None
        self.watch: DriftWatch = construct(DriftWatch, settings.drift, "drift")
        self._name = str(settings.emotion["kind"]) if settings.emotion else "none"
        self._vad: Batcher[Any, Any] = Batcher(vad.predict, "vad")
        self._emotion: Batcher[Any, Any] | None = None
        if self.engine is not None:
            self._emotion = Batcher(self.engine.predict, "emotion")

    def of(self, room: str) -> Models:
        return Models(self._vad, self._emotion, self._name, _Watch(self.watch, room))

    def close(self) -> None:
        self._vad.close()
        if self._emotion is not None:
            self._emotion.close()


class _Watch:
    """One room's view of the watch: the same pseudonym in two rooms is two people."""

    def __init__(self, watch: DriftWatch, room: str) -> None:
        self._watch, self._room = watch, room

    def push(self, window: Window, place: int, speaker: str, emotion: Emotion, engine: str) -> Sequence[Event]:
        return self._watch.push(window, place, f"{self._room}\n{speaker}", emotion, engine)


class Worker:
    """One room with its session and its sinks."""

    def __init__(
        self, settings: Settings, models: SharedModels, room: Room, policy: Policy, server: Server | None
    ) -> None:
        self._settings = settings
        epoch = round(room.started.timestamp() * 1000)
        self._models = models.of(room.name)
        self.snapshot = Snapshot(room.name, epoch)
        self.sinks: list[Sink] = [
            build(SINKS, section, f"sinks.{number}", room=room, snapshot=self.snapshot, server=server)
            for number, section in enumerate(settings.sinks)
        ]
        self.fanout = Fanout(self.snapshot, self.sinks)
        observers = [build(OBSERVERS, s, f"conversation.{n}") for n, s in enumerate(settings.conversation)]
        numbering = Numbering(room.name, epoch, room.started)
        self.session = Session(room, policy, self._make_speaker, observers, numbering, self.fanout)

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


class OpenRoom:
    """A room of many: what lives in it, and how it ended."""

    def __init__(self, kind: str, room: Room, policy: Policy, worker: Worker) -> None:
        self.id = secrets.token_hex(6)
        self.kind, self.room, self.policy, self.worker = kind, room, policy, worker
        self.stop = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.failure: Exception | None = None
        self._ended = False

    async def live(self, drain_s: float) -> None:
        """From joining until the last event is delivered; what it ended with is kept in `failure`."""
        try:
            await self._keep(until_told(self.worker.session, self.room, self.stop, drain_s))
        finally:
            await self._keep(self.part(drain_s))
            self._ended = True

    async def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self.failure = self.failure or error
            if not isinstance(error, RoomError):
                log.exception("room failed", code="bug")

    async def part(self, within_s: float) -> None:
        self.stop.set()
        try:
            await self.room.close()
        finally:
            await self.worker.fanout.close(within_s)

    @property
    def state(self) -> str:
        if self.failure is not None:
            return "failed"
        if self._ended or self.stop.is_set():
            return "ended" if self._ended else "leaving"
        return self.room.state if isinstance(self.room, Rejoining) else "open"

    def describe(self) -> dict[str, Any]:
        """What may be told of it; its settings, secrets among them, may not."""
        lost = self.room.interruptions if isinstance(self.room, Rejoining) else Counter[str]()
        reason = getattr(self.failure, "code", "bug") if self.failure is not None else None
        speakers: dict[str, dict[str, Any]] = self.worker.snapshot.as_dict()["data"]["speakers"]
        return {
            "id": self.id,
            "name": self.room.name,
            "kind": self.kind,
            "state": self.state,
            "reason": reason or (self.room.reason if isinstance(self.room, Rejoining) else None),
            "started": self.room.started.isoformat(timespec="milliseconds"),
            "interruptions": lost.total(),
            "speakers": {
                speaker: {
                    "name": fields["name"],
                    "present": fields["present"],
                    "analysed": self.policy.may_hear(speaker),
                }
                for speaker, fields in speakers.items()
            },
        }


class Rooms:
    """All rooms of this process, and of those that ended the newest."""

    def __init__(self, settings: Settings, server: Server) -> None:
        self._settings, self._server = settings, server
        self._drain_s = settings.drain_s / 3
        self._models = SharedModels(settings)
        self._open: dict[str, OpenRoom] = {}
        self._past: dict[str, dict[str, Any]] = {}
        self._gone: dict[str, Counter[str]] = {name: Counter() for name in (*COUNTERS, *FATES)}
        """What was counted in rooms that have ended."""
        self._closing = False
        self._show(server.metrics)

    def __len__(self) -> int:
        return len(self._open)

    def kinds(self) -> dict[str, dict[str, Any]]:
        """Rooms that the worker holds or joins, and no recordings, with the JSON Schema of their sections."""
        found = {}
        for kind in ROOMS:
            if not _is_recording(load(ROOMS, kind)):
                schema = option_model("room", kind).model_json_schema(ref_template="#/components/schemas/{model}")
                schema["properties"] = {"kind": {"const": kind}, **schema["properties"]}
                found[kind] = schema | {"required": ["kind", *schema.get("required", [])]}
        return found

    def settle(self, section: Mapping[str, Any]) -> dict[str, Any]:
        return settle_room(section)

    async def open(self, section: Mapping[str, Any]) -> str:
        """Open a room and begin to listen; its id. Raises ConfigError, or RoomError when its name is taken."""
        one = await self.prepare(section)
        self.begin(one)
        return one.id

    async def prepare(self, section: Mapping[str, Any]) -> OpenRoom:
        if self._closing:
            raise RoomError("The worker is stopping: ask another.", "full")
        settled = settle_room(section)
        self._spare(settled.get("name"))
        policy, room = _make(settled, self._server)
        try:
            self._spare(room.name)
        except RoomError:
            await room.close()
            raise
        try:
            one = OpenRoom(str(settled["kind"]), room, policy, self._worker(room, policy))
        except BaseException:
            await room.close()
            self._server.unmount(room.name)
            raise
        self._open[one.id] = one
        try:
            await one.worker.check()
        except BaseException:
            await one.part(0.0)
            self._forget(one)
            raise
        return one

    def _spare(self, name: Any) -> None:
        """Two rooms of one name would mix their events."""
        if any(one.room.name == name for one in self._open.values()):
            raise RoomError("A room of this name is open: leave it first.", "name_taken")

    def _worker(self, room: Room, policy: Policy) -> Worker:
        return Worker(self._settings, self._models, room, policy, self._server)

    def begin(self, one: OpenRoom) -> None:
        one.task = asyncio.create_task(one.live(self._drain_s), name=f"room {one.id}")
        one.task.add_done_callback(lambda _: self._forget(one))

    def _forget(self, one: OpenRoom) -> None:
        del self._open[one.id]
        self._server.unmount(one.room.name)
        for name, counts in self._gone.items():
            counts.update(_counted(one, name))
        self._past[one.id] = one.describe() | {"speakers": {}}
        while len(self._past) > REMEMBERED:
            del self._past[next(iter(self._past))]

    def describe(self) -> list[dict[str, Any]]:
        return [*self._past.values(), *(one.describe() for one in self._open.values())]

    async def leave(self, room: str) -> None:
        """Returns when its last event has been delivered. Raises RoomError when there is none."""
        if self._past.pop(room, None) is not None:
            return
        one = self._find(room)
        one.stop.set()
        if one.task is not None:
            await asyncio.wait({one.task})
        self._past.pop(room, None)

    def consent(self, room: str, speaker: str, analysed: bool) -> None:
        """Record what somebody who is or was in the room decided. Raises RoomError when there is none."""
        one = self._find(room)
        if not isinstance(one.policy, Consent) or speaker not in one.describe()["speakers"]:
            raise RoomError("Nobody of that id has been in this room.", "no_such_speaker")
        one.policy.record(speaker, analysed)

    def _find(self, room: str) -> OpenRoom:
        one = self._open.get(room)
        if one is None:
            raise RoomError("There is no such room.", "no_such_room")
        return one

    async def close(self) -> None:
        """Leave all rooms at once."""
        self._closing = True
        for one in self._open.values():
            one.stop.set()
        unbegun = [one for one in self._open.values() if one.task is None]
        for one in unbegun:
            await one.part(0.0)
        if running := [one.task for one in self._open.values() if one.task is not None]:
            await asyncio.wait(running)
        self._models.close()

    # -- figures --------------------------------------------------------------------------------------------------

    def _show(self, metrics: Metrics) -> None:
        """Make what is counted readable."""
        for name in self._gone:
            metrics.read(name, partial(self._summed, name))
        metrics.read("undertone_sound_dropped_seconds", lambda: self._by_room("dropped_s"))
        metrics.read("undertone_windows_skipped", lambda: self._by_room("skipped"))
        metrics.read("undertone_drift_alarms", self._models.watch.alarms)
        for name in GAUGES:
            metrics.read(name, partial(self._models.watch.figures, name))
        if (answered := getattr(self._models.engine, "counts", None)) is not None:
            metrics.read("undertone_model_windows", answered)

    def _summed(self, name: str) -> Mapping[str, float]:
        counts = Counter(self._gone[name])
        for one in self._open.values():
            counts.update(_counted(one, name))
        return counts

    def _by_room(self, name: str) -> Mapping[str, float]:
        return {one.room.name: getattr(one.worker.session, name) for one in self._open.values()}


FATES: Mapping[str, Callable[[Fanout], Mapping[str, float]]] = {
    "undertone_events_delivered": lambda fanout: fanout.delivered,
    "undertone_events_lost": lambda fanout: fanout.lost,
}


def _counted(one: OpenRoom, name: str) -> Mapping[str, Any]:
    if name in FATES:
        return FATES[name](one.worker.fanout)
    counts: Callable[[str], Mapping[str, int]] | None = getattr(one.room, "counts", None)
    return counts(name) if counts is not None else {}


def _is_recording(cls: Any) -> bool:
    return bool(getattr(cls, "lockstep", False))


def _make(section: Mapping[str, Any], server: Server) -> tuple[Policy, Room]:
    """A room that lives elsewhere is joined again after trouble; one that the worker hosts, or a recording, is not."""
    kind, _ = split(ROOMS, section, "room")
    cls = load(ROOMS, kind)
    recording = _is_recording(cls)
    policy = Recorded() if recording else Consent()
    make = partial(build, ROOMS, section, "room", server=server, policy=policy)
    elsewhere = not recording and "server" not in signature(cls).parameters
    return policy, Rejoining(make) if elsewhere else make()


async def until_either(stop: asyncio.Event, task: asyncio.Task[None] | None) -> None:
    """Until `stop` is set, or the task has ended, if there is one."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, task} if task is not None else {stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()


async def until_told(session: Session, room: Room, stop: asyncio.Event, drain_s: float) -> None:
    """Run the session until it ends by itself or `stop` is set; then let it say its last events."""
    running = asyncio.create_task(session.run())
    try:
        await until_either(stop, running)
    except asyncio.CancelledError:
        running.cancel()
        raise
    await drain(room, running, drain_s)


async def drain(room: Room, running: asyncio.Task[None], within_s: float) -> None:
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
