"""Test doubles that several tests share."""

import asyncio
import json
from datetime import UTC, datetime

from worker.envelope import Envelope, Numbering
from worker.errors import SinkError
from worker.events import Gap, SpeechStarted
from worker.sinks.snapshot import Snapshot

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EPOCH = 7


def envelopes(*events, room="quiet", epoch=EPOCH) -> list[Envelope]:
    """The events, numbered from 1; second 0 is noon."""
    numbering = Numbering(room, epoch, NOON)
    return [numbering.wrap(event) for event in events]


def run_of(count, **room) -> list[Envelope]:
    """`count` events at seconds 1, 2, 3 …"""
    return envelopes(*(SpeechStarted(float(index + 1), "ada") for index in range(count)), **room)


def folded(said, room="quiet", epoch=EPOCH) -> Snapshot:
    snapshot = Snapshot(room, epoch)
    for envelope in said:
        snapshot.fold(envelope)
    return snapshot


def brief(message) -> str | int:
    """An envelope or its JSON in short: `7`, `gap 3-6`, or `snapshot 7`."""
    if isinstance(message, Envelope):
        message = message.as_json()
    fields = json.loads(message)
    if fields["type"].endswith(Gap.type):
        return f"gap {fields['data']['from_seq']}-{fields['data']['to_seq']}"
    return f"snapshot {fields['seq']}" if fields["type"].endswith("snapshot.v1") else fields["seq"]


class FakeSink:
    """Keeps what it is sent. The n-th call raises `script[n]`, if it is an exception; `gate` holds all calls."""

    deadline_s = 5.0

    def __init__(self, script=()):
        self.said: list[Envelope] = []
        self.closed = False
        self.gate = asyncio.Event()
        self.gate.set()
        self._script = list(script)

    async def send(self, envelope):
        await self.gate.wait()
        fault = self._script.pop(0) if self._script else None
        if fault is not None:
            raise fault
        self.said.append(envelope)

    async def close(self):
        self.closed = True


class FakeRoom:
    """Keeps what is sent in it, as (message, to)."""

    def __init__(self, name="quiet", fault: Exception | None = None):
        self.name = name
        self.sent: list[tuple[str, str | None]] = []
        self.fault = fault
        self.all_take = True

    async def send(self, message, to=None):
        if self.fault is not None:
            raise self.fault
        self.sent.append((message, to))
        return self.all_take


LOST = SinkError("it did not work")
