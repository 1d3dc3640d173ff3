"""The control API: who has the token opens and closes rooms, at addresses that the operator allows."""

import json
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Annotated, Any, Protocol, get_args

from aiohttp import web
from pydantic import Field

from worker.errors import ConfigError, RoomError
from worker.ops.allowed import Allowed
from worker.ops.http import Doors, Handler
from worker.ops.openapi import document
from worker.ops.tokens import EVERY, LONGEST_S, Pass, Right
from worker.privacy.consent import Terms
from worker.privacy.levels import LEVELS, Level
from worker.privacy.table import ALIASES, ROLES
from worker.prompts import Audience
from worker.secrets import reveal

STATUS = {
    "no_such_room": 404,
    "no_such_speaker": 404,
    "name_taken": 409,
    "other_feed": 409,
    "other_terms": 409,
    "erased": 409,
    "full": 503,
}
"""What is answered for the codes of errors; 503 for all others."""
OPTIONAL = {"speaker", "ttl_s"}
"""What may be left out when a token is asked for."""
AUDIENCES: Mapping[str, Audience] = {audience: audience for audience in get_args(Audience)}
TERMS = {"purpose", "text"}
"""By which a caller says what somebody agreed to."""
CONSENT = (
    'send {"speaker": "…", "level": "presence", "metrics", "prosody" or "emotion"}, or "analysed": true or false in '
    'place of the level; "text", "purpose", "role" and "feed" as far as you know them.'
)
EXPLICIT = (
    "emotion needs the words that were agreed to: send their version, of GET /v1/page or notice.version, as text."
)
NAMED = ("env:", "file:")
"""How a configuration names secrets; they are the operator's alone."""
OPERATORS = frozenset({"consent", "display", "listen_only", "notice_by"})
"""Settings by which people learn that they are analysed, or agree to it; templates may hold them, and no request."""

RIGHT = web.RequestKey("right", Right)
"""Where a request keeps what its token gives."""


class Rooms(Protocol):
    """All rooms of this process."""

    def __len__(self) -> int:
        """How many are open."""
        ...

    def kinds(self) -> Mapping[str, Mapping[str, Any]]:
        """What may be asked for by anyone, with the JSON Schema of its section."""
        ...

    def settle(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """The section with all defaults. Raises ConfigError."""
        ...

    async def open(self, section: Mapping[str, Any], give_up_s: float) -> str:
        """The id of the new room, which ends if it can't be joined for so long.

        Raises ConfigError, or RoomError with the code `name_taken`.
        """
        ...

    def describe(self) -> list[dict[str, Any]]:
        """What may be told of each room; no settings."""
        ...

    async def leave(self, room: str) -> None:
        """Raises RoomError with the code `no_such_room`."""
        ...

    def terms(self, partial_terms: Mapping[str, str]) -> Terms:
        """What somebody agreed to, from as much as a caller says of it."""
        ...

    def consent(
        self, room: str, speaker: str, level: Level | None, terms: Terms | None, role: str, feed: str | None
    ) -> None:
        """Raises RoomError with the code `no_such_room`, `no_such_speaker`, `other_feed` or `other_terms`."""
        ...

    def grant(self, room: str, holder: Pass, ttl_s: float) -> str:
        """A token for a listener. Raises ConfigError, or RoomError with the codes of `consent`."""
        ...


class Control:
    """Serves `/v1/rooms` and below, and `/v1/openapi.json`.

    A caller names a kind of room and its settings, or a template and the settings that it leaves open. What the
    operator alone may do is refused: other classes, recordings, secrets by name, addresses that `allow` does not admit,
    and everything by which people learn that they are analysed. `token` (also `env:NAME` or `file:PATH`) opens it, and
    then the server's does not; so does a token signed for operators, in the room that it names or in all.
    """

    def __init__(
        self,
        server: Doors,
        rooms: Rooms,
        token: str | None = None,
        allow: tuple[str, ...] = (),
        largest: Annotated[int, Field(ge=1, le=1000)] = 20,
        templates: Mapping[str, dict[str, Any]] = {},
        give_up_s: Annotated[float, Field(gt=0)] = 600.0,
    ) -> None:
        self.check_place(server, token)
        self._token = reveal(token) if token else None
        self._give_up_s = give_up_s
        self._server, self._rooms = server, rooms
        self._allowed, self._largest, self._templates = Allowed(allow), largest, templates
        for method, path, handler in (
            ("POST", "/v1/rooms", self._join),
            ("GET", "/v1/rooms", self._list),
            ("GET", "/v1/rooms/{id}", self._show),
            ("DELETE", "/v1/rooms/{id}", self._leave),
            ("PUT", "/v1/rooms/{id}/consent", self._consent),
            ("POST", "/v1/rooms/{id}/tokens", self._grant),
            ("GET", "/v1/openapi.json", self._openapi),
        ):
            server.serve(method, path, self._guarded(handler))

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError for a pattern that is none."""
        Allowed(options["allow"])

    @staticmethod
    def check_place(server: Doors, token: str | None) -> None:
        """Raises ConfigError where others than this machine reach the server, and the API has no token of its own."""
        if not server.loopback and not token:
            raise ConfigError(
                "control.token is missing: beyond loopback the control API needs a token of its own, because "
                "server.token is known to everyone who may join."
            )

    def _guarded(self, handler: Callable[[web.Request], Awaitable[web.Response]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            right = request[RIGHT] = self._server.authorise(request, self._token, "operator")
            if "id" in request.match_info and not self._is_in(right, request.match_info["id"]):
                raise web.HTTPForbidden(text="This token is for another room.")
            try:
                return await handler(request)
            except ConfigError as error:
                return _refusal(422, str(error), error.code)
            except RoomError as error:
                return _refusal(STATUS.get(error.code, 503), str(error), error.code)

        return handle

    def _is_in(self, right: Right, room: str) -> bool:
        """Nobody learns by a token for one room which others there are."""
        return right.room == EVERY or any(
            one["id"] == room and right.is_for(one["name"]) for one in self._rooms.describe()
        )

    async def _join(self, request: web.Request) -> web.Response:
        if request[RIGHT].room != EVERY:
            raise web.HTTPForbidden(text="This token is for one room: who opens rooms needs one for all.")
        section = self._section(await _object(request))
        if len(self._rooms) >= self._largest:
            raise RoomError(f"This worker holds {self._largest} rooms: ask another, or leave one.", "full")
        room = await self._rooms.open(section, self._give_up_s)
        return web.json_response(self._one(room), status=201, headers={"Location": f"/v1/rooms/{room}"})

    async def _list(self, request: web.Request) -> web.Response:
        """With a token for one room: that one, and no templates, since it opens none."""
        right = request[RIGHT]
        rooms = [one for one in self._rooms.describe() if right.is_for(one["name"])]
        templates = sorted(self._templates) if right.room == EVERY else []
        return web.json_response({"rooms": rooms, "largest": self._largest, "templates": templates})

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(self._one(request.match_info["id"]))

    async def _leave(self, request: web.Request) -> web.Response:
        await self._rooms.leave(request.match_info["id"])
        return web.Response(status=204)

    async def _consent(self, request: web.Request) -> web.Response:
        body = await _object(request)
        match body:
            case {"speaker": str(speaker), "level": str(word), **rest} if word in LEVELS:
                level: Level | None = LEVELS[word]
            case {"speaker": str(speaker), "analysed": bool(analysed), **rest}:
                level = None if analysed else Level.PRESENCE
            case _:
                raise ConfigError(CONSENT)
        feed, given = rest.pop("feed", None), {key: value for key, value in rest.items() if key in TERMS}
        if not all(isinstance(value, str) for value in rest.values()) or rest.keys() - TERMS - {"role"}:
            raise ConfigError(CONSENT)
        if isinstance(feed, bool) or not isinstance(feed, str | int | None):
            raise ConfigError(CONSENT)
        role = rest.get("role", "")
        if role and role not in (*ROLES, *ALIASES):
            raise ConfigError(f"role must be one of {', '.join(ROLES)}.")
        if level is Level.EMOTION and "text" not in given:
            raise ConfigError(EXPLICIT)
        terms = self._rooms.terms(given) if given else None
        named = None if feed is None else str(feed)
        self._rooms.consent(request.match_info["id"], speaker, level, terms, role, named)
        return web.Response(status=204)

    async def _grant(self, request: web.Request) -> web.Response:
        match await _object(request):
            case {"audience": str(word), **rest} if word in AUDIENCES and rest.keys() <= OPTIONAL:
                audience = AUDIENCES[word]
                match rest.get("speaker", ""), rest.get("ttl_s", LONGEST_S):
                    case (str(speaker), int(ttl_s) | float(ttl_s)):
                        ttl_s = self._at_most(request[RIGHT], audience, ttl_s)
                        token = self._rooms.grant(request.match_info["id"], Pass(audience, speaker), ttl_s)
                        return web.json_response({"token": token}, status=201)
        raise ConfigError(f'send {{"audience": one of {", ".join(AUDIENCES)}, "speaker": "…", "ttl_s": seconds}}.')

    def _at_most(self, right: Right, audience: Audience, ttl_s: float) -> float:
        """What a signed token makes ends with it and is none for operators: nobody keeps a right by renewing it."""
        left_s = right.left_s(time.time())
        if audience == "operator" and left_s != math.inf:
            raise web.HTTPForbidden(text="A signed token makes none for operators: ask with control.token.")
        return min(ttl_s, left_s)

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.json_response(document(self._rooms.kinds(), OPERATORS))

    def _one(self, room: str) -> dict[str, Any]:
        for one in self._rooms.describe():
            if one["id"] == room:
                return one
        raise RoomError("There is no such room.", "no_such_room")

    # -- what may be asked for ------------------------------------------------------------------------------------

    def _section(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The whole section of the room that is asked for, checked. Raises ConfigError."""
        match body:
            case {"room": dict(given), **rest} if not rest:
                kinds = sorted(self._rooms.kinds())
                if given.get("kind") not in kinds:
                    raise ConfigError(f"room.kind must be one of {', '.join(kinds)}; others need a template.")
                section = given
            case {"template": str(name), **rest} if rest.keys() <= {"fields"} and isinstance(
                given := rest.get("fields", {}), dict
            ):
                section = self._filled(name, given)
            case _:
                raise ConfigError('send {"room": {"kind": …}} or {"template": "…", "fields": {…}}.')
        if theirs := sorted(OPERATORS & given.keys()):
            raise ConfigError(f"{', '.join(theirs)}: that belongs in a template of the worker's configuration.")
        for key, value in _leaves(given):
            self._check_given(key, value)
        settled = self._rooms.settle(section)
        if "url" in settled and not self._allowed.admits(str(settled["url"])):
            raise ConfigError("room.url is not among the addresses of control.allow.")
        return section

    def _filled(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        template = self._templates.get(name)
        if template is None:
            raise ConfigError(f"there is no such template: use one of {', '.join(sorted(self._templates)) or 'none'}.")
        if taken := sorted(template.keys() & given.keys()):
            raise ConfigError(f"the template settles {', '.join(taken)}: leave that out.")
        return {**template, **given}

    def _check_given(self, key: str, value: Any) -> None:
        if key.endswith("_url"):
            raise ConfigError("addresses other than room.url belong in a template of the worker's configuration.")
        if isinstance(value, str) and value.startswith(NAMED):
            raise ConfigError("env: and file: belong in a template of the worker's configuration.")
        if isinstance(value, str) and "://" in value and not self._allowed.admits(value):
            raise ConfigError("an address is not among those of control.allow.")


async def _object(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent. Pages elsewhere can't send this type unasked. Raises ConfigError."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Send JSON, with the type application/json.")
    try:
        value = json.loads(await request.read(), parse_constant=_no_number, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise ConfigError("what was sent is not JSON.") from None
    if not isinstance(value, dict):
        raise ConfigError("what was sent is not a JSON object.")
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two equal keys readers take different ones."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _leaves(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every key and value, however deep; what stands in a list has the list's key."""
    waiting: list[tuple[str, Any]] = list(given.items())
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, dict):
            waiting += value.items()
            waiting += [(key, name) for name in value]
        elif isinstance(value, list):
            waiting += [(key, part) for part in value]


def _refusal(status: int, sentence: str, code: str) -> web.Response:
    return web.json_response({"error": sentence, "code": code}, status=status)
