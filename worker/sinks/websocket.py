"""Live events for any program, over the worker's HTTP server, with resume."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Annotated, Any, Protocol

from pydantic import Field

from worker.envelope import Envelope
from worker.prompts import read_answer
from worker.sinks.delivery import Change
from worker.sinks.feed import Feed
from worker.sinks.snapshot import Snapshot

VERB = "events"
BAD_MESSAGE = 4400


class Server(Protocol):
    """The part of the HTTP server that carries WebSockets."""

    def mount(self, room: str, verb: str, handler: Callable[[Any], Awaitable[Any]]) -> None: ...

    def unmount(self, room: str, verb: str | None = None) -> None: ...

    async def open_listener(self, request: Any, room: str, epoch: int) -> tuple[Any, dict[str, Any], str]: ...

    async def receive_object(self, socket: Any) -> dict[str, Any] | None: ...

    async def refuse(self, socket: Any, code: int, reason: str) -> Any: ...


class Named(Protocol):
    name: str


class WebSocketSink:
    """Serves `/v1/rooms/{room}/events`.

    The listener's first message is a JSON object: `token` if the server has one, and `since`, `{"epoch": E, "seq": N}`
    of the last event it has, if it has any. Then it gets what `Feed.subscribe` says for the audience of its token, and
    sends nothing more but answers to its own prompts, which go to `answers` with the audience.
    """

    private = in_call = True

    def __init__(
        self,
        server: Server,
        room: Named,
        snapshot: Snapshot,
        history: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000,
        waiting: Annotated[int, Field(ge=1, le=10_000_000)] = 1000,
        answers: Callable[[str, str, str], None] = lambda audience, prompt, answer: None,
    ) -> None:
        self._server = server
        self._room, self._epoch = room.name, snapshot.epoch
        self._answers = answers
        self._feed = Feed(snapshot, history, waiting)
        server.mount(self._room, VERB, self._listen)

    async def send(self, envelope: Envelope) -> None:
        self._feed.push(envelope)

    def held(self) -> list[Envelope]:
        return self._feed.held()

    def rewrite(self, change: Change) -> None:
        self._feed.rewrite(change)

    async def close(self) -> None:
        self._server.unmount(self._room, VERB)
        self._feed.close()

    async def _listen(self, request: Any) -> Any:
        socket, first, audience = await self._server.open_listener(request, self._room, self._epoch)
        try:
            since = _since(first)
        except ValueError as error:
            return await self._server.refuse(socket, BAD_MESSAGE, str(error))
        writing = asyncio.create_task(self._write(socket, since, audience))
        try:
            while (message := await self._server.receive_object(socket)) is not None:
                if audience and message.get("type") == "coaching":
                    await self._answer(socket, audience, message)
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
        return socket

    async def _answer(self, socket: Any, audience: str, message: dict[str, Any]) -> None:
        try:
            prompt, answer = read_answer(message)
        except ValueError as error:
            await self._server.refuse(socket, BAD_MESSAGE, str(error))
        else:
            self._answers(audience, prompt, answer)

    async def _write(self, socket: Any, since: tuple[int, int] | None, audience: str) -> None:
        try:
            async with aclosing(self._feed.subscribe(since, audience)) as messages:
                async for message in messages:
                    await socket.send_str(message)
        except ConnectionError:
            return
        finally:
            await socket.close(message=b"The room is closed.")


def _since(first: dict[str, Any]) -> tuple[int, int] | None:
    """(epoch, seq) of the last event that the listener has. Raises ValueError with a sentence for the listener."""
    since = first.get("since")
    if since is None:
        return None
    epoch, seq = (since.get("epoch"), since.get("seq")) if isinstance(since, dict) else (None, None)
    if type(epoch) is int and type(seq) is int and epoch >= 0 and seq >= 0:
        return epoch, seq
    raise ValueError('`since` must be {"epoch": number, "seq": number} of the last event you have.')
