"""Where events go."""

from typing import Protocol

from worker.events import Envelope

SINKS = {
    "data_channel": "worker.sinks.data_channel:DataChannelSink",
    "redis": "worker.sinks.redis:RedisSink",
    "websocket": "worker.sinks.websocket:WebSocketSink",
    "jsonl": "worker.sinks.jsonl:JsonlSink",
}


class Sink(Protocol):
    """A listener. It may be slow or fail: each has a bounded queue of its own, and the session never waits for it."""

    async def send(self, envelope: Envelope) -> None:
        """Raises SinkError when this event is lost to it."""
        ...

    async def close(self) -> None: ...
