"""Where events go."""

from typing import Protocol

from worker.envelope import Envelope

SINKS = {
    "data_channel": "worker.sinks.data_channel:DataChannelSink",
    "redis": "worker.sinks.redis:RedisSink",
    "websocket": "worker.sinks.websocket:WebSocketSink",
    "jsonl": "worker.sinks.jsonl:JsonlSink",
    "webhook": "worker.sinks.webhook:WebhookSink",
    "vapi": "worker.sinks.vapi:VapiSink",
}


class Sink(Protocol):
    """A listener. It may be slow or fail: each has a bounded queue of its own, and the session never waits for it.

    One that has an attribute `private` that is True is also given what is for one audience alone, and must tell it to
    nobody else; see `worker.prompts`. One that has an attribute `in_call` that is True tells people in the call and
    keeps nothing beyond it. One that has a method `keep(envelope, reason)` is told of each event that is lost without
    `send` having been asked to take it. One that holds events in memory after `send` has `held()`, which lists them,
    and `rewrite(change)`, where `change` answers what stays of each, or None. One that knows something else of people
    has `forget(speaker)`.
    """

    async def send(self, envelope: Envelope) -> None:
        """Raises SinkError when this event is lost to it."""
        ...

    async def close(self) -> None: ...


class Seal(Protocol):
    """What closes a line before it is written to a disk."""

    def seal(self, line: bytes) -> bytes: ...

    def unseal(self, line: bytes, where: str = "") -> bytes:
        """Raises ConfigError when there is no key for it."""
        ...


class Keeping(Protocol):
    """How long what a sink keeps is kept, in seconds, and what seals it."""

    events_s: float
    prompts_s: float

    @property
    def seal(self) -> Seal: ...
