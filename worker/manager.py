"""All rooms of this process: each with its own session and sinks, all with the same models."""

import asyncio
import math
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import structlog

from worker.asking import Asking, is_elsewhere
from worker.assembly import SharedModels, Worker
from worker.config import Settings, option_model, settle_room
from worker.errors import ConfigError, RoomError
from worker.mine import Mine
from worker.ops.audit import Audit
from worker.ops.dashboard import Dashboard
from worker.ops.http import Server
from worker.ops.metrics import GAUGES, Metrics
from worker.ops.tokens import Pass
from worker.privacy.consent import Consent, Terms
from worker.privacy.levels import Level
from worker.privacy.policy import Policy
from worker.registry import build, load, split
from worker.rooms import ROOMS, Room
from worker.rooms.rejoining import COUNTERS, Rejoining
from worker.session import Session

REMEMBERED = 100
"""Rooms that have ended and are still told of."""

log = structlog.get_logger()


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
            "feed": _about(self.room).get("feed"),
            "speakers": {
                speaker: {
                    "name": fields["name"],
                    "present": fields["present"],
                    "analysed": self.policy.may_hear(speaker),
                    "level": self.policy.level(speaker).word,
                    **_standing(self.policy, speaker),
                }
                for speaker, fields in speakers.items()
            },
        }


class Rooms:
    """All rooms of this process, and of those that ended the newest."""

    def __init__(
        self, settings: Settings, server: Server, dashboard: Dashboard | None = None, audit: Audit | None = None
    ) -> None:
        self._settings, self._server, self._dashboard, self._audit = settings, server, dashboard, audit
        self._drain_s = settings.drain_s / 3
        self._asking = Asking(settings, audit)
        self._models = SharedModels(settings, self._asking.law.engines())
        self._open: dict[str, OpenRoom] = {}
        self._past: dict[str, dict[str, Any]] = {}
        self._gone: dict[str, Counter[str]] = {name: Counter() for name in (*COUNTERS, *OF_WORKERS)}
        """What was counted in rooms that have ended."""
        self._closing = False
        if audit is not None:
            for model in self._models.describe():
                audit.note("model.loaded", **model)
        self._show(server.metrics)
        server.tell_pages(self._about)
        self._asking.watch(self._follow_law)

    def __len__(self) -> int:
        return len(self._open)

    def _follow_law(self) -> None:
        """The law has changed: it holds for everyone who is here."""
        for one in self._open.values():
            if isinstance(one.policy, Consent):
                one.policy.rule(self._asking.law)
                one.policy.restate(self._asking.notice.terms())

    def kinds(self) -> dict[str, dict[str, Any]]:
        """Rooms that the worker holds or joins, and no recordings, with the JSON Schema of their sections."""
        found = {}
        for kind in ROOMS:
            if not getattr(load(ROOMS, kind), "lockstep", False):
                schema = option_model("room", kind).model_json_schema(ref_template="#/components/schemas/{model}")
                schema["properties"] = {"kind": {"const": kind}, **schema["properties"]}
                found[kind] = schema | {"required": ["kind", *schema.get("required", [])]}
        return found

    def settle(self, section: Mapping[str, Any]) -> dict[str, Any]:
        return settle_room(section)

    async def open(self, section: Mapping[str, Any], give_up_s: float = math.inf) -> str:
        """Open a room and begin to listen; its id. Raises ConfigError, or RoomError when its name is taken.

        A room elsewhere that could not be joined for `give_up_s` seconds, and never was, ends.
        """
        one = await self.prepare(section, give_up_s)
        self.begin(one)
        return one.id

    async def prepare(self, section: Mapping[str, Any], give_up_s: float = math.inf) -> OpenRoom:
        if self._closing:
            raise RoomError("The worker is stopping: ask another.", "full")
        settled = settle_room(section)
        self._spare(settled.get("name"))
        policy = self._asking.policy(settled, lambda: self._run_of(policy))
        room = _make(settled, self._server, policy, give_up_s)
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
        if isinstance(policy, Consent):
            forget = getattr(room, "forget", policy.bar)
            Mine(self._settings, self._server, self._audit, one.worker, policy, forget).mount()
        try:
            await one.worker.check()
        except BaseException:
            await one.part(0.0)
            self._forget(one)
            raise
        return one

    def _run_of(self, policy: Policy) -> tuple[str, int] | None:
        """The name and the epoch of the room with this policy, once it is open."""
        one = next((one for one in self._open.values() if one.policy is policy), None)
        return (one.room.name, one.worker.snapshot.epoch) if one is not None else None

    def _spare(self, name: Any) -> None:
        """Two rooms of one name would mix their events."""
        if any(one.room.name == name for one in self._open.values()):
            raise RoomError("A room of this name is open: leave it first.", "name_taken")

    def _worker(self, room: Room, policy: Policy) -> Worker:
        return Worker(self._settings, self._models, room, policy, self._server, self._dashboard)

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

    def _about(self, name: str) -> Mapping[str, Any]:
        one = next((one for one in self._open.values() if one.room.name == name), None)
        asked = {"notice": self._asking.notice.as_dict(), "levels": self._asking.notice.choices()}
        if one is None:
            return asked
        coach = one.worker.coach
        if coach is None:
            return {**asked, **_about(one.room)}
        seen = self._dashboard is not None and self._dashboard.prompts
        return {
            **asked,
            **_about(one.room),
            "coaching": {"band": coach.band, "snooze_s": coach.snooze_s, "shown": seen},
        }

    async def leave(self, room: str) -> None:
        """Returns when its last event has been delivered. Raises RoomError when there is none."""
        if self._past.pop(room, None) is not None:
            return
        one = self._find(room)
        one.stop.set()
        if one.task is not None:
            await asyncio.wait({one.task})
        self._past.pop(room, None)

    def consent(
        self,
        room: str,
        speaker: str,
        level: Level | None,
        terms: Terms | None = None,
        role: str = "",
        feed: str | None = None,
    ) -> None:
        """Record what somebody who is or was in the room decided, and what they are there. A yes holds only if they are
        still on the feed, if one is named, and only for the terms of this worker. Raises RoomError otherwise.
        """
        one = self._find(room)
        policy = one.policy
        known = isinstance(policy, Consent) and (policy.decided(speaker) or speaker in one.describe()["speakers"])
        if not isinstance(policy, Consent) or not known:
            raise RoomError("Nobody of that id has been in this room.", "no_such_speaker")
        if level is not Level.PRESENCE and feed is not None and not policy.is_present(speaker, feed):
            raise RoomError("This person is on another feed by now: ask whoever is there.", "other_feed")
        if level is not Level.PRESENCE and policy.is_barred(speaker):
            raise RoomError("Their data were erased: nothing is made of them until the room is opened anew.", "erased")
        if level is None:  # nobody agrees to emotion but by its name
            level = min(self._asking.law.wished, Level.PROSODY)
        if not policy.record(speaker, level, "control", terms):
            asked = f"version {policy.terms.text} of the words, for the purpose {policy.terms.purpose!r}"
            raise RoomError(
                f"They agreed to something else than what is asked here: ask them again, {asked}.", "other_terms"
            )
        if role:
            policy.assign(speaker, role)

    def terms(self, partial_terms: Mapping[str, str]) -> Terms:
        """What somebody agreed to, as far as a caller says; the rest is as it is asked here."""
        now = self._asking.notice.terms()
        return Terms(partial_terms.get("purpose", now.purpose), partial_terms.get("text", now.text))

    def grant(self, room: str, holder: Pass, ttl_s: float) -> str:
        """A token for a listener of this run of a room. Raises RoomError when there is none, or ConfigError."""
        one = self._find(room)
        # What is a participant's own needs no key of the operator's.
        tokens = self._server.passes if holder.audience == "participant" else self._server.tokens
        if tokens is None:
            raise ConfigError("this worker signs no tokens: set server.signing_key.")
        if holder.speaker and holder.speaker not in one.describe()["speakers"]:
            raise RoomError("Nobody of that id has been in this room.", "no_such_speaker")
        snapshot = one.worker.snapshot
        return tokens.issue(snapshot.room, snapshot.epoch, holder, ttl_s)

    def _find(self, room: str) -> OpenRoom:
        one = self._open.get(room)
        if one is None:
            raise RoomError("There is no such room.", "no_such_room")
        return one

    async def close(self) -> None:
        """Leave all rooms at once."""
        self._closing = True
        self._asking.close()
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


OF_WORKERS: Mapping[str, Callable[[Worker], Mapping[str, float]]] = {
    "undertone_events_delivered": lambda worker: worker.fanout.delivered,
    "undertone_events_lost": lambda worker: worker.fanout.lost,
    "undertone_conversation_facts": lambda worker: getattr(worker.figures, "counts", {}),
    "undertone_prompts": lambda worker: worker.coach.counts if worker.coach is not None else {},
}


def _counted(one: OpenRoom, name: str) -> Mapping[str, Any]:
    if name in OF_WORKERS:
        return OF_WORKERS[name](one.worker)
    counts: Callable[[str], Mapping[str, int]] | None = getattr(one.room, "counts", None)
    return counts(name) if counts is not None else {}


def _standing(policy: Policy, speaker: str) -> dict[str, str]:
    return {"consent": policy.standing(speaker).state.value} if isinstance(policy, Consent) else {}


def _about(room: Room) -> Mapping[str, Any]:
    """What pages are told of a room elsewhere: `feed`, the worker's own there, and whether a `pin_needed`."""
    about: Mapping[str, Any] = getattr(room, "about", {})
    return about


def _make(section: Mapping[str, Any], server: Server, policy: Policy, give_up_s: float) -> Room:
    """A room that lives elsewhere is joined again after trouble; one that the worker hosts, or a recording, is not."""
    kind, _ = split(ROOMS, section, "room")
    cls = load(ROOMS, kind)
    make = partial(build, ROOMS, section, "room", server=server, policy=policy)
    return Rejoining(make, give_up_s=give_up_s) if is_elsewhere(cls) else make()


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
