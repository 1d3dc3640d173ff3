"""What a room needs of the worker that hosts it."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web

from worker.privacy.consent import Standing, Terms
from worker.privacy.levels import Level


class Server(Protocol):
    """The worker's HTTP server."""

    def mount(self, room: str, verb: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None: ...

    def pass_for(self, room: str, epoch: int, speaker: str) -> str: ...

    async def open_socket(self, request: web.Request) -> tuple[web.WebSocketResponse, dict[str, Any]]: ...

    async def receive_object(self, socket: web.WebSocketResponse, largest: int = ...) -> dict[str, Any] | None: ...


class Consent(Protocol):
    """Who agreed to be heard, and how far: told by the room, asked by whoever holds sound."""

    @property
    def terms(self) -> Terms: ...

    def present(self, speaker: str, person: str, role: str = "") -> None: ...

    def record(self, speaker: str, level: Level | None, by: str, terms: Terms | None = None) -> bool: ...

    def lapse(self, speaker: str, by: str) -> None: ...

    def standing(self, speaker: str) -> Standing: ...

    def decided(self, speaker: str) -> bool: ...

    def level(self, speaker: str) -> Level: ...

    def may_hear(self, speaker: str) -> bool: ...
