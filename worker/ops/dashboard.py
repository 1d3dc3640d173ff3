"""What the engagement dashboard asks for: the meetings there are, the record of one, and what came since."""

import asyncio
import math
import time
from typing import Annotated

import structlog
from aiohttp import web
from pydantic import Field

from worker.errors import ConfigError
from worker.ops.http import Doors
from worker.privacy.keeping import Keeping
from worker.report.archive import Archive
from worker.report.group import SMALLEST, withheld
from worker.report.keeper import Keeper
from worker.report.page import as_json
from worker.secrets import reveal

log = structlog.get_logger()


class Dashboard:
    """Serves `/v1/meetings` and below. `token` (also `env:NAME` or `file:PATH`) opens it; then the server's does not.
    So does a token signed for managers, for the meeting that it names.

    Meetings of this process are kept in memory, the ended ones up to `remembered`; older ones, and those of other
    workers, are read from the Streams of `redis` (redis://…, `env:NAME` or `file:PATH`), if it is given. `prompts`
    shows what was said to whom, which is the addressee's own matter unless everyone agreed to otherwise. Of a meeting
    with fewer analysed people than `smallest_group` nothing is given out but its name and time.
    """

    def __init__(
        self,
        server: Doors,
        token: str | None = None,
        prompts: bool = False,
        remembered: Annotated[int, Field(ge=0, le=1000)] = 5,
        redis: str = "",
        smallest_group: Annotated[int, Field(ge=1, le=1000)] = SMALLEST,
        keeping: Keeping | None = None,
    ) -> None:
        if not server.loopback and not token:
            raise ConfigError(
                "dashboard.token is missing: beyond loopback the dashboard needs a token of its own, because "
                "server.token is known to everyone who may join."
            )
        self._server, self.prompts, self._remembered = server, prompts, remembered
        self._token = reveal(token) if token else None
        self._smallest = smallest_group
        self._archive = Archive(redis, remembered, prompts, smallest_group) if redis else None
        self._keepers: dict[str, Keeper] = {}
        """By name of the room, the newest last."""
        self._keeping = keeping
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

    def _drop_due(self) -> None:
        """Forget meetings that ended as long ago as events are kept."""
        longest = self._keeping.events_s if self._keeping is not None else math.inf
        for room, one in [*self._keepers.items()]:
            if not one.open and time.time() - one.meeting.ended >= longest:
                del self._keepers[room]

    async def _list(self, request: web.Request) -> web.Response:
        """Rooms that are open here first; of those in Redis alone nobody knows whether they are: `open` is null."""
        right = self._server.authorise(request, self._token, "manager")
        self._drop_due()
        newest = [*self._keepers.items()][::-1]
        kept = [
            {"room": name, "epoch": one.meeting.epoch, "open": one.open}
            for state in (True, False)
            for name, one in newest
            if one.open is state and right.covers(name, one.meeting.epoch)
        ]
        past = [
            {"room": name, "epoch": None, "open": None}
            for name in await self._past()
            if name not in self._keepers and right.covers(name, None)
        ]
        return web.json_response({"meetings": [*kept, *past]})

    def _admit(self, request: web.Request) -> tuple[str, Keeper | None]:
        """The room that is asked for, and what is kept of it here. Raises the refusal."""
        right, room = self._server.authorise(request, self._token, "manager"), request.match_info["room"]
        self._drop_due()
        kept = self._keepers.get(room)
        if not right.covers(room, kept.meeting.epoch if kept is not None else None):
            raise web.HTTPForbidden(text="This token is for another meeting.")
        return room, kept

    async def _past(self) -> list[str]:
        if self._archive is None:
            return []
        try:
            return await self._archive.rooms()
        except ConfigError as error:
            log.warning("past_meetings_unknown", code=error.code, reason=str(error))
            return []  # what is open here can still be shown

    async def _show(self, request: web.Request) -> web.Response:
        room, kept = self._admit(request)
        text: str | None = None
        if kept is not None:
            text = await asyncio.to_thread(as_json, kept.meeting.shown(self._smallest))
        elif self._archive is not None:
            text = await self._archive.record(room)
        if text is None:
            raise web.HTTPNotFound(text="There is no meeting of this name.")
        return web.Response(text=text, content_type="application/json")

    async def _beside(self, request: web.Request) -> web.Response:
        """What came after the event `since` of the run `epoch`, or `stale` where the record must be asked for anew.

        The prompts come whole with every answer. A page that follows has nothing but this: what it is given is decided
        each time, and it holds no token for a room's events.
        """
        _, kept = self._admit(request)
        if kept is None:
            raise web.HTTPNotFound(text="The worker holds no meeting of this name.")
        meeting = kept.meeting
        if not meeting.is_of(self._smallest):
            return web.json_response({"withheld": withheld(meeting.as_dict(), self._smallest)["withheld"]})
        known = _whole(request.query.get("epoch")) == meeting.epoch
        events = kept.since(_whole(request.query.get("since"))) if known else None
        if events is None:
            return web.json_response({"stale": True})
        return web.json_response({"events": [one.as_dict() for one in events], "prompts": meeting.as_dict()["prompts"]})


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 20 else -1
