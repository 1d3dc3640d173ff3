"""The worker's HTTP server: the page, health, metrics, and the doors that rooms and sinks open."""

import asyncio
import errno
import ipaddress
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from prometheus_client import CONTENT_TYPE_LATEST

from worker.errors import ConfigError, UndertoneError
from worker.ops.access import BEARER, Access, bearer
from worker.ops.metrics import Metrics
from worker.ops.origins import ELSEWHERE
from worker.ops.pages import Pages, headers
from worker.ops.tokens import LEEWAY_S, LONGEST_S, Pass, Right
from worker.prompts import Audience

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Doors(Protocol):
    """What whoever serves more paths needs of the server; see `Server`."""

    def serve(self, method: str, path: str, handler: Handler) -> None: ...

    @property
    def loopback(self) -> bool: ...

    def authorise(self, request: web.Request, token: str | None = None, audience: Audience | None = None) -> Right: ...


BAD_MESSAGE = 4400
BAD_TOKEN = 4401
TOO_LARGE = 4413
LARGEST_MESSAGE = 64 * 1024
"""Bytes of one message; a longer one is refused with a sentence."""
LARGEST_FRAME = 1024 * 1024
"""Bytes at which the connection is cut with the standard code 1009, without waiting for the rest."""
FIRST_MESSAGE_S = 10.0
HEARTBEAT_S = 3.0
"""Seconds between pings; a peer that leaves one unanswered for half as long is gone, within 5 s in all."""
STOP_S = 2.0
"""Seconds that clients have to say goodbye."""

UNKNOWN = "The token is missing or wrong."
OVER = "The token has expired: connect again with a new one."

SOCKET = web.RequestKey("socket", web.WebSocketResponse)
"""Where a request keeps its WebSocket, for whoever must close it."""

log = structlog.get_logger()


class Refused(Exception):
    """A WebSocket has been closed; handlers let it pass, the server ends the request with its socket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        super().__init__("the socket is closed")
        self.socket = socket


class Server:
    """One listening address for everything. `token` (also `env:NAME` or `file:PATH`) is asked of every WebSocket.

    Without a token it listens on loopback only, and answers only to loopback's names, so that no web page elsewhere
    reaches it through a name of its own. `port` 0 takes a free one; `port` then says which, after `start`.
    `signing_key` (likewise) makes tokens that say what one holder may have; without it `token` opens all.
    `origins` are those of other web pages that may ask, such as https://app.example.org.
    `janus_url` sends the page to a Janus, as browsers reach it; without it the page joins a room of the worker itself.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8080,
        token: str | None = None,
        signing_key: str | None = None,
        pages: Path | None = None,
        janus_url: str = "",
        janus_room: int | str = "",
        origins: tuple[str, ...] = (),
    ) -> None:
        self.host, self.port = host, port
        self.ready = False
        self.reason = "starting"
        """Why it is not ready."""
        if not 0 <= port <= 65535:
            raise ConfigError(f"server.port: {port} is no port; choose 1 to 65535, or 0 for a free one.")
        self._access = Access(token, signing_key, origins)
        self.tokens, self.passes = self._access.tokens, self._access.passes
        self._loopback = _is_loopback(host)
        if not self._loopback and not self._access.token_needed:
            raise ConfigError("nothing listens beyond loopback without a token: set server.token or server.host.")
        self._pages = Pages(pages)
        self._janus = {"url": janus_url, "room": janus_room} if janus_url else None
        self._headers = headers(janus_url)
        self.metrics = Metrics()
        self._rooms: dict[str, dict[str, Handler]] = {}
        self._routes: list[tuple[str, str, Handler]] = []
        self._about: Callable[[str], Mapping[str, Any]] = lambda _: {}
        self._sockets: dict[web.WebSocketResponse, float | None] = {}
        """Each with the end of its token on the loop's clock, if it has one."""
        self._runner: web.AppRunner | None = None

    def mount(self, room: str, verb: str, handler: Handler) -> None:
        """Serve `/v1/rooms/{room}/{verb}`."""
        self._rooms.setdefault(room, {})[verb] = handler

    def unmount(self, room: str, verb: str | None = None) -> None:
        """Stop serving one verb of a room, or all of them; connections that are open stay."""
        verbs = self._rooms.get(room, {})
        verbs.pop(verb, None) if verb else verbs.clear()
        if not verbs:
            self._rooms.pop(room, None)

    def serve(self, method: str, path: str, handler: Handler) -> None:
        """Answer at one more path, once it is started; `handler` asks `authorise` first."""
        self._routes.append((method, path, handler))

    def tell_pages(self, about: Callable[[str], Mapping[str, Any]]) -> None:
        """`about` gives what pages are told of a room, no secrets: `notice`, `levels`, `coaching`; for a Janus more."""
        self._about = about

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self._loopback

    def authorise(self, request: web.Request, token: str | None = None, audience: Audience | None = None) -> Right:
        """As `Access.authorise`."""
        return self._access.authorise(request, token, audience)

    def holder(self, request: web.Request, room: str, epoch: int) -> Pass | None:
        """As `Access.participant`: a token that `passes` made, borne by a participant of this run of a room."""
        return self._access.participant(request, room, epoch)

    def pass_for(self, room: str, epoch: int, speaker: str) -> str:
        """A token with which a participant of this run of a room may have what is their own, for an hour at most."""
        return self.passes.issue(room, epoch, Pass("participant", speaker), LONGEST_S)

    async def start(self) -> None:
        """Listen. Raises ConfigError when the address cannot be had."""
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=STOP_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                advice = f"port {self.port} is in use: stop what listens there, or set server.port to another."
            else:
                advice = f"cannot listen on {self.host}, port {self.port}: correct server.host or server.port."
            raise ConfigError(advice) from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Say goodbye to every socket and stop listening, within about twice `STOP_S`."""
        self.ready, self.reason = False, "stopping"
        farewells = [
            asyncio.create_task(socket.close(code=WSCloseCode.GOING_AWAY, message=b"The worker is stopping."))
            for socket in self._sockets
        ]
        if farewells:
            await asyncio.wait(farewells, timeout=STOP_S)
        if self._runner is not None:
            await self._runner.cleanup()

    async def open_socket(self, request: web.Request) -> tuple[web.WebSocketResponse, dict[str, Any]]:
        """Accept a WebSocket and its first message, a JSON object that holds the token; it is returned without it.

        A peer that does not keep to this is told why and closed; the caller sees that as an exception to let pass.
        """
        socket, first = await self._greet(request)
        if not self._access.knows(first.pop("token", None)):
            await self.refuse(socket, BAD_TOKEN, UNKNOWN)
        return socket, first

    async def open_listener(
        self, request: web.Request, room: str, epoch: int
    ) -> tuple[web.WebSocketResponse, dict[str, Any], str]:
        """As `open_socket`, for who listens to one run of a room; also whose private events they may have, if anyone's.

        The server's own token, known to all who may join, opens what everyone may have. When a signed token ends, so
        does the connection: whoever goes on listening shows a new one.
        """
        socket, first = await self._greet(request)
        right = self._access.listener(first.pop("token", None), room, epoch)
        if right is None:
            await self.refuse(socket, BAD_TOKEN, UNKNOWN)
        if (left_s := right.left_s(time.time())) != math.inf:
            self._sockets[socket] = asyncio.get_running_loop().time() + left_s + LEEWAY_S
        return socket, first, right.holder.hears

    async def _greet(self, request: web.Request) -> tuple[web.WebSocketResponse, dict[str, Any]]:
        socket = web.WebSocketResponse(
            max_msg_size=LARGEST_FRAME, heartbeat=HEARTBEAT_S, timeout=STOP_S, compress=False
        )
        if not socket.can_prepare(request):
            raise web.HTTPUpgradeRequired(text="This address is for WebSockets.")
        await socket.prepare(request)
        request[SOCKET] = socket
        self._sockets[socket] = None
        try:
            async with asyncio.timeout(FIRST_MESSAGE_S):
                first = await self.receive_object(socket)
        except TimeoutError:
            await self.refuse(socket, BAD_MESSAGE, f"Send a JSON object within {FIRST_MESSAGE_S:g} s.")
        if first is None:
            raise Refused(socket)
        return socket, first

    async def receive_object(
        self, socket: web.WebSocketResponse, largest: int = LARGEST_MESSAGE
    ) -> dict[str, Any] | None:
        """The next message, a JSON object of at most `largest` bytes; None when the connection has ended.

        Any other message closes the connection with its reason; the caller sees that as an exception to let pass.
        """
        try:
            async with asyncio.timeout_at(self._sockets.get(socket)):
                message = await socket.receive()
        except TimeoutError:
            await self.refuse(socket, BAD_TOKEN, OVER)
        if message.type is WSMsgType.BINARY:
            await self.refuse(socket, BAD_MESSAGE, "Send JSON as text, not binary.")
        if message.type is not WSMsgType.TEXT:
            return None
        if len(message.data.encode(errors="replace")) > largest:
            await self.refuse(socket, TOO_LARGE, f"A message has at most {largest} bytes.")
        try:
            value = json.loads(message.data)
        except (ValueError, RecursionError):
            await self.refuse(socket, BAD_MESSAGE, "The message is not JSON.")
        if not isinstance(value, dict):
            await self.refuse(socket, BAD_MESSAGE, "The message is not a JSON object.")
        return dict(value)

    async def refuse(self, socket: web.WebSocketResponse, code: int, reason: str) -> NoReturn:
        """Close a socket with a code of 4400 and above and one sentence; ends the handler."""
        await socket.close(code=code, message=_short(reason))
        raise Refused(socket)

    def app(self) -> web.Application:
        """All routes, for `start` and for tests."""
        app = web.Application(middlewares=[self._answer_errors, self._guard], client_max_size=LARGEST_MESSAGE)
        app.on_response_prepare.append(self._harden)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/page", self._page)
        for method, path, answer in self._routes:
            app.router.add_route(method, path, answer)
        app.router.add_route("*", "/v1/rooms/{room}/{verb}", self._dispatch)
        app.router.add_get("/{path:.*}", self._pages.answer)
        return app

    async def _livez(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        if self.ready:
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "not ready", "reason": self.reason}, status=503)

    async def _metrics(self, request: web.Request) -> web.Response:
        if not self._loopback and not self._access.knows(bearer(request)):
            raise web.HTTPUnauthorized(text=BEARER)
        return web.Response(body=self.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _page(self, request: web.Request) -> web.Response:
        room = next(iter(self._rooms), None)
        said: dict[str, Any] = {"room": room, "token_needed": self._access.token_needed}
        about = dict(self._about(room)) if room is not None else {}
        said |= {key: about.pop(key) for key in ("notice", "levels", "coaching") if key in about}
        return web.json_response(said | ({"janus": {**self._janus, **about}} if self._janus else {}))

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        verbs = self._rooms.get(request.match_info["room"])
        if verbs is None:
            raise web.HTTPNotFound(text="No such room is open here.")
        handler = verbs.get(request.match_info["verb"])
        if handler is None:
            raise web.HTTPNotFound(text=f"This room offers only: {', '.join(sorted(verbs))}.")
        try:
            return await handler(request)
        except Refused as refused:
            return refused.socket
        finally:
            if (socket := request.get(SOCKET)) is not None:
                self._sockets.pop(socket, None)

    async def _harden(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(self._headers)
        self._access.origins.mark(request, response)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._loopback and _hostname(request.host) not in ("localhost", "127.0.0.1", "::1", self.host):
            raise web.HTTPForbidden(text="Open this server as http://localhost.")
        if (answer := self._access.origins.preflight(request)) is not None:
            return answer
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if upgrade and not self._access.origins.admits(request):
            raise web.HTTPForbidden(text=ELSEWHERE)
        return await handler(request)

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            text = error.text if error.text and not error.text.startswith(str(error.status)) else f"{error.reason}."
            return await _say(request, error.status, text)
        except UndertoneError as error:
            log.warning("request_failed", code=error.code, reason=str(error))
            return await _say(request, 503, str(error))
        except Exception:
            log.exception("request_failed", code="bug", method=request.method, verb=request.match_info.get("verb"))
            return await _say(request, 500, "The worker made a mistake; its log says which.")


async def _say(request: web.Request, status: int, sentence: str) -> web.StreamResponse:
    """An error for a client: a JSON sentence, or the close of its WebSocket."""
    socket = request.get(SOCKET)
    if isinstance(socket, web.WebSocketResponse):
        await socket.close(code=WSCloseCode.INTERNAL_ERROR, message=_short(sentence))
        return socket
    return web.json_response({"error": sentence}, status=status)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hostname(address: str) -> str | None:
    """The host of `host:port`, without an IPv6 address's brackets."""
    try:
        return urlsplit(f"//{address}").hostname
    except ValueError:
        return None


def _short(reason: str) -> bytes:
    """A close reason has at most 123 bytes (RFC 6455, 5.5)."""
    return reason.encode()[:123].decode(errors="ignore").encode()
