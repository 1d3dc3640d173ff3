"""What a room needs of the worker that hosts it."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web


class Server(Protocol):
    """The worker's HTTP server."""

    def mount(self, room: str, verb: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None: ...

    async def open_socket(self, request: web.Request) -> tuple[web.WebSocketResponse, dict[str, Any]]: ...

    async def receive_object(self, socket: web.WebSocketResponse, largest: int = ...) -> dict[str, Any] | None: ...


class Consent(Protocol):
    """Who agreed to be heard: told by the room, asked by whoever holds sound."""

    def present(self, speaker: str, person: str) -> None: ...

    def record(self, speaker: str, agreed: bool) -> None: ...

    def decided(self, speaker: str) -> bool: ...

    def may_hear(self, speaker: str) -> bool: ...
