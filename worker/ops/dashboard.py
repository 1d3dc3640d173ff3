"""What the engagement dashboard asks for: the meetings there are, the record of one, and what it may listen with."""

import asyncio
from typing import Annotated, Protocol

import structlog
from aiohttp import web
from pydantic import Field

from worker.errors import ConfigError
from worker.ops.http import Handler
from worker.ops.tokens import LONGEST_S, Pass, Tokens
from worker.report.archive import Archive
from worker.report.keeper import Keeper
from worker.report.page import as_json
from worker.secrets import reveal

log = structlog.get_logger()


class Server(Protocol):
    """The worker's HTTP server."""

    tokens: Tokens | None

    def serve(self, method: str, path: str, handler: Handler) -> None: ...

    @property
    def loopback(self) -> bool: ...

    def authorise(self, request: web.Request, token: str | None = None) -> None: ...


class Dashboard:
    """Serves `/v1/meetings` and below. `token` (also `env:NAME` or `file:PATH`) opens it; then the server's does not.

    Meetings of this process are kept in memory, the ended ones up to `remembered`; older ones, and those of other
    workers, are read from the Streams of `redis` (redis://…, `env:NAME` or `file:PATH`), if it is given. `prompts`
    shows what was said to whom, which is the addressee's own matter unless everyone agreed to otherwise.
    """

    def __init__(
        self,
        server: Server,
        token: str | None = None,
        prompts: bool = False,
        remembered: Annotated[int, Field(ge=0, le=1000)] = 5,
        redis: str = "",
    ) -> None:
        if not server.loopback and not token:
            raise ConfigError(
                "dashboard.token is missing: beyond loopback the dashboard needs a token of its own, because "
                "server.token is known to everyone who may join."
            )
        self._server, self.prompts, self._remembered = server, prompts, remembered
        self._token = reveal(token) if token else None
        self._archive = Archive(redis, remembered, prompts) if redis else None
        self._keepers: dict[str, Keeper] = {}
        """By name of the room, the newest last."""
        server.serve("GET", "/v1/meetings", self._list)
        server.serve("GET", "/v1/meetings/{room}", self._show)
        server.serve("GET", "/v1/meetings/{room}/beside", self._beside)

    def keep(self, room: str, epoch: int) -> Keeper:
        """A sink for a room that opens; its record is kept while the room is open, and for a while after."""
        self._keepers.pop(room, None)
        ended = [name for name, one in self._keepers.items() if not one.open]
        for name in ended[: max(0, len(ended) - self._remembered)]:
            del self._keepers[name]
        keeper = self._keepers[room] = Keeper(room, epoch, self.prompts)
        return keeper

    async def _list(self, request: web.Request) -> web.Response:
        """Rooms that are open here first; of those in Redis alone nobody knows whether they are: `open` is null."""
        self._server.authorise(request, self._token)
        newest = [*self._keepers.items()][::-1]
        kept = [
            {"room": name, "epoch": one.meeting.epoch, "open": one.open}
            for state in (True, False)
            for name, one in newest
            if one.open is state
        ]
        past = [{"room": name, "epoch": None, "open": None} for name in await self._past() if name not in self._keepers]
        return web.json_response({"meetings": [*kept, *past]})

    async def _past(self) -> list[str]:
        if self._archive is None:
            return []
        try:
            return await self._archive.rooms()
        except ConfigError as error:
            log.warning("past_meetings_unknown", code=error.code, reason=str(error))
            return []  # what is open here can still be shown

    async def _show(self, request: web.Request) -> web.Response:
        self._server.authorise(request, self._token)
        room = request.match_info["room"]
        text: str | None = None
        if (kept := self._keepers.get(room)) is not None:
            text = await asyncio.to_thread(as_json, kept.meeting.copy())
        elif self._archive is not None:
            text = await self._archive.record(room)
        if text is None:
            raise web.HTTPNotFound(text="There is no meeting of this name.")
        return web.Response(text=text, content_type="application/json")

    async def _beside(self, request: web.Request) -> web.Response:
        """What an open room's events for everyone do not tell: the prompts. And a token for those events, where the
        server signs any."""
        self._server.authorise(request, self._token)
        room = request.match_info["room"]
        kept = self._keepers.get(room)
        if kept is None or not kept.open:
            raise web.HTTPNotFound(text="No room of this name is open here.")
        tokens, token = self._server.tokens, None
        if tokens is not None:
            token = tokens.issue(room, kept.meeting.epoch, Pass("viewer"), LONGEST_S)
        return web.json_response({"token": token, "prompts": kept.meeting.as_dict()["prompts"]})
