"""How long a hint takes from when its condition holds to its addressee, and what four hours of talk leave behind."""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import time
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from worker import supervisor
from worker.bench.latency import spread
from worker.coaching.coach import Coach
from worker.config import settle
from worker.conversation.dynamics import Dynamics
from worker.conversation.engagement import Engagements
from worker.conversation.talk_time import TalkTimes
from worker.envelope import Envelope, Numbering
from worker.events import (
    PREFIX,
    ConversationMeasured,
    Event,
    Prompted,
    SpeakerJoined,
    SpeechEnded,
    SpeechMeasured,
    SpeechStarted,
)
from worker.ops.http import Server
from worker.ops.tokens import Pass
from worker.sinks.snapshot import Snapshot

ROUND_S, SPOKEN_S, RUN_S, SILENCE_S = 6.013, 3.0, 2.5, 1.4
"""Rounds are no multiple of the room's ticks, so that moments fall on every phase of them."""
KNOWN_S = 0.4
"""How long after the end of speech it is known: `segmenter.min_silence_s`."""
HOLDS = {"run": RUN_S, "silence": SPOKEN_S + SILENCE_S}
"""From which moment of a round on each rule's condition holds."""
RULES = f"""
- name: run
  when: me.run_s >= {RUN_S}
  text: Pause.
  reason: You have gone on for {{me.run_s:seconds}}.
- name: silence
  when: room.silence_s >= {SILENCE_S}
  text: Go on.
  reason: Nobody has spoken for {{room.silence_s:seconds}}.
"""
PEOPLE, HOURS, TURN_S = 20, 4, 4.0


class Script:
    """An observer that speaks in place of voices: one person, `SPOKEN_S` in every round, known as late as speech is."""

    def __init__(self) -> None:
        self._facts = self._written()
        self._next = next(self._facts)

    def _written(self) -> Iterator[tuple[float, Event]]:
        yield 0.0, SpeakerJoined(0.0, "p1", "Somebody")
        at = ROUND_S
        while True:
            yield at, SpeechStarted(at, "p1")
            yield at + SPOKEN_S + KNOWN_S, SpeechEnded(at + SPOKEN_S, "p1", at)
            at += ROUND_S

    def push(self, event: Event) -> Iterable[Event]:
        return ()

    def tick(self, at: float) -> Iterable[Event]:
        while self._next[0] <= at:
            yield self._next[1]
            self._next = next(self._facts)

    def close(self, at: float) -> Iterable[Event]:
        return ()


def run(quick: bool) -> dict[str, Any]:
    """Milliseconds from the moment at which a written condition holds, on the wall clock, to the prompt on the
    addressee's WebSocket, through the embedded room's clock, the session, the figures and the coach; and bytes."""
    return {"bar_p95_ms": 1000} | asyncio.run(_prompts(5 if quick else 40)) | four_hours(0.25 if quick else HOURS)


async def _prompts(rounds: int) -> dict[str, Any]:
    started = asyncio.get_running_loop().create_future()
    with TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yaml"
        rules.write_text(RULES)
        serving = asyncio.create_task(supervisor.serve(settle(_sections(rules)), started.set_result))
        try:
            server: Server = await asyncio.wait_for(started, 30)
            delays = await asyncio.wait_for(_listen(server, rounds), (rounds + 4) * ROUND_S)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
    return {f"{name}_to_prompt_ms": {"prompts": len(found)} | spread(found) for name, found in delays.items()}


def _sections(rules: Path) -> dict[str, Any]:
    often = {"per_minute": 10_000, "per_hour": 10_000, "rule_cooldown_s": 0.0, "wait_while_speaking": False}
    return {
        "room": {"kind": "embedded"},
        "emotion": None,
        "conversation": [{"kind": "worker.bench.coaching:Script"}, {"kind": "dynamics"}],
        "coaching": {"rules": [str(rules)], **often},
        "sinks": [{"kind": "websocket"}],
        "server": {"port": 0, "signing_key": "k" * 32},
        "logs": {"level": "error"},
    }


async def _listen(server: Server, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of the first prompt in each round, by rule."""
    assert server.tokens is not None, "there is a signing key"
    url = f"http://{server.host}:{server.port}/v1/rooms/demo/events"
    async with ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_json({})
        epoch = (await _received(socket))["epoch"]
    delays: dict[str, dict[int, float]] = {"run": {}, "silence": {}}
    async with ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
        await socket.send_json({"token": server.tokens.issue("demo", epoch, Pass("participant", "p1"), 3600)})
        while min(map(len, delays.values())) < rounds:
            message = await _received(socket)
            if message["type"] == PREFIX + Prompted.type:
                rule, arrived_s = message["data"]["rule"], time() - epoch / 1000
                number = int((arrived_s - HOLDS[rule]) // ROUND_S)
                if number > 0:  # before, nobody has spoken
                    delays[rule].setdefault(number, 1000 * (arrived_s - HOLDS[rule] - number * ROUND_S))
    return {rule: list(found.values()) for rule, found in delays.items()}


async def _received(socket: ClientWebSocketResponse) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await socket.receive_str())
    return message


# -- what is kept ---------------------------------------------------------------------------------------------------


def four_hours(hours: float = HOURS) -> dict[str, Any]:
    """Bytes that each part holds of 20 people who talked in turn, cut in and nodded for so long, and those of the
    last event that says all figures."""
    dynamics = Dynamics()
    parts: dict[str, Any] = {
        "dynamics": dynamics,
        "talk_time": TalkTimes(),
        "engagement": Engagements(),
        "coach": Coach(dynamics, ["sales"]),
    }
    numbering, snapshot = Numbering("room", 1, datetime.fromtimestamp(0, UTC)), Snapshot("room", 1)
    figures: list[Envelope] = []

    def say(events: Iterable[Event]) -> None:
        for event in events:
            envelope = numbering.wrap(event)
            if not envelope.audience:
                snapshot.fold(envelope)
            if isinstance(event, ConversationMeasured):
                figures[:] = [envelope]
            for part in parts.values():
                say(part.push(event))

    chance = Random(4)
    say(SpeakerJoined(0.0, f"p{number}", "Somebody") for number in range(PEOPLE))
    for turn in range(round(hours * 3600 / TURN_S)):
        say(_turn(turn, chance))
        for second in range(1, round(TURN_S) + 1):
            for part in parts.values():
                say(part.tick(TURN_S * turn + second))
    seen: set[int] = set()
    sizes = {name: weigh(part, seen) for name, part in (parts | {"snapshot": snapshot}).items()}
    return {
        "hours": hours,
        "people": PEOPLE,
        "floor_changes": dynamics.figures().room.floor_changes,
        "state_bytes": sizes | {"all": sum(sizes.values())},
        "figures_event_bytes": len(figures[0].as_json().encode()),
    }


def _turn(number: int, chance: Random) -> Iterator[Event]:
    """Somebody speaks, until after the next one has begun two times of three, and is nodded to every fourth time."""
    at, (who, other) = TURN_S * number, chance.sample([f"p{number}" for number in range(PEOPLE)], 2)
    yield SpeechStarted(at, who)
    yield SpeechMeasured(at + 3, who, at + 1, 4.0, -20.0)
    if number % 4 == 0:
        yield SpeechStarted(at + 1.1, other)
        yield SpeechEnded(at + 1.6, other, at + 1.1)
    yield SpeechEnded(at + (4.6 if number % 3 else 3.5), who, at)


def weigh(thing: object, seen: set[int]) -> int:
    """Bytes of everything that an object holds and that was not `seen`."""
    if id(thing) in seen or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    size = sys.getsizeof(thing)
    if isinstance(thing, dict):
        return size + sum(weigh(part, seen) for item in thing.items() for part in item)
    if isinstance(thing, str | bytes | int | float):
        return size
    parts = list(thing) if isinstance(thing, Iterable) else []
    parts += list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
    return size + sum(weigh(part, seen) for part in [*parts, *(getattr(thing, s) for s in slots if hasattr(thing, s))])
