"""Janus' WebSocket API: one socket, one session, several handles; answers are told apart by transaction."""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import aiohttp

from worker.errors import RoomError

PATIENCE_S = 3.0
"""Seconds for an answer. Janus acknowledges at once, so that longer means that it hangs."""
HEARTBEAT_S = 1.0
"""Pause between two questions whether Janus is there; its own session would end after 60 s without one."""
LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes of one message: an offer of 200 lines, twice."""
GOODBYE_S = 0.5
OLDEST = 1000
"""Version 1.0.0, the first whose subscribers take several streams."""
PLUGIN = "janus.plugin.videoroom"

Reply: TypeAlias = dict[str, Any]

SENTENCES = {
    "auth_failed": "Janus refused us: check room.pin, room.token and room.api_secret",
    "room_not_found": "Janus has no such room: create it, or correct room.room, a number or a text as Janus has it",
    "room_full": "The room takes no more publishers: raise its `publishers`, or set room.listen_only",
    "duplicate": "Somebody in the room has our id: another worker serves it, or room.feed is taken",
    "not_janus": "The server is no Janus with a VideoRoom: correct room.url, or install that plugin",
    "unreachable": "Janus takes no one in at present: join again",
    "signalling_lost": "Janus forgot our session: join again",
    "not_yet": "Janus has no such feed yet",
    "protocol_error": "Janus did not take a request: see its log",
}
CORE = {
    403: "auth_failed",
    405: "auth_failed",
    470: "auth_failed",
    458: "signalling_lost",
    459: "signalling_lost",
    460: "not_janus",
    472: "unreachable",
}
"""Codes of Janus itself."""
VIDEOROOM = {
    426: "room_not_found",
    428: "not_yet",
    429: "auth_failed",
    430: "room_not_found",
    432: "room_full",
    433: "auth_failed",
    436: "duplicate",
}
"""Codes of the VideoRoom plugin. 429 is a missing PIN, as we leave out nothing else; 430 a number for a room where the
server has texts, or a text for a number."""


class Api:
    """`failed` is called once with a RoomError when the connection that stood has ended, and not by us.

    Every request raises RoomError when Janus refuses it or can't be asked.
    """

    def __init__(self, url: str, secrets: Mapping[str, str], failed: Callable[[BaseException], None]) -> None:
        """`secrets` go into every request: `token`, `apisecret`, or none."""
        self._url, self._secrets, self._failed = url, secrets, failed
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._pending: dict[str, tuple[asyncio.Future[Reply], bool]] = {}
        self._handles: dict[int, Callable[[Reply], None]] = {}
        self._session: int | None = None
        self._lost: RoomError | None = None
        self._quiet_s = 0.0
        """How long Janus has owed us the answer to a heartbeat."""
        self._rested_s = 0.0
        """How long ago it gave the last one."""
        self._beating = False

    # -- connecting -----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """One attempt. Raises RoomError."""
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_stay)
        self._http = aiohttp.ClientSession(trace_configs=[tracing])
        self._socket = await self._connect(self._http)
        self._reading = asyncio.create_task(self._read(self._socket))
        self._reading.add_done_callback(self._stopped_reading)
        info = await self.request(janus="info")
        if info.get("janus") != "server_info" or not isinstance(info.get("version"), int):
            raise _error("not_janus")
        if info["version"] < OLDEST:
            raise RoomError("This Janus is older than 1.0: install a newer one.", "not_janus")
        self._session = _id_in(await self.request(janus="create"))

    async def _connect(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        closing = aiohttp.ClientWSTimeout(ws_close=GOODBYE_S)
        try:
            async with asyncio.timeout(PATIENCE_S):
                socket = await http.ws_connect(
                    self._url, protocols=("janus-protocol",), max_msg_size=LARGEST_ANSWER, timeout=closing
                )
        except aiohttp.WSServerHandshakeError as error:
            code = {401: "auth_failed", 403: "auth_failed"}.get(error.status, "not_janus")
            raise _error("unreachable" if error.status in (429, 502, 503, 504) else code, error.status) from None
        except TimeoutError:
            raise RoomError(
                f"The server at room.url did not answer within {PATIENCE_S:.0f} s.", "unreachable"
            ) from None
        except aiohttp.ClientConnectorCertificateError:
            raise RoomError("The certificate of the server at room.url is not valid for it.", "unreachable") from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientOSError, OSError):
            raise RoomError("The server at room.url can't be reached: is Janus running?", "unreachable") from None
        except aiohttp.ClientError:
            raise _error("not_janus") from None
        if socket.protocol != "janus-protocol":
            await socket.close()
            raise _error("not_janus")
        return socket

    async def attach(self, told: Callable[[Reply], None]) -> int:
        """A new handle; `told` is called with everything that Janus says on it, answers included, in order."""
        handle = _id_in(await self.request(janus="attach", plugin=PLUGIN))
        self._handles[handle] = told
        return handle

    async def detach(self, handle: int) -> None:
        """Give a handle back; one that is gone already is no trouble."""
        if self._handles.pop(handle, None) is not None and self._lost is None:
            with suppress(RoomError):  # if Janus itself is gone, `failed` is told
                await self.request(janus="detach", handle_id=handle)

    # -- asking ---------------------------------------------------------------------------------------------------

    async def message(self, handle: int, body: Mapping[str, Any], jsep: Mapping[str, str] | None = None) -> Reply:
        """What the VideoRoom answers: its `data`, and under `jsep` the SDP that came with it."""
        said: dict[str, Any] = {"handle_id": handle, "body": body} | ({"jsep": jsep} if jsep else {})
        reply = await self.request(janus="message", **said)
        data = data_of(reply)
        if isinstance(number := data.get("error_code"), int):
            raise _error(VIDEOROOM.get(number, "protocol_error"), number)
        return data | ({"jsep": reply["jsep"]} if isinstance(reply.get("jsep"), dict) else {})

    async def request(self, **fields: Any) -> Reply:
        return await self._ask(fields, fields["janus"] == "keepalive", PATIENCE_S)

    async def _ask(self, fields: dict[str, Any], ack_will_do: bool, within_s: float) -> Reply:
        if self._lost is not None:
            raise self._lost
        assert self._socket is not None, "open comes first"
        name = f"u{next(self._numbers)}"
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending[name] = future, ack_will_do
        session = {} if self._session is None else {"session_id": self._session}
        try:
            async with asyncio.timeout(within_s):
                await self._socket.send_json({**fields, **session, **self._secrets, "transaction": name})
                reply = await future
        except TimeoutError:
            raise self._end(RoomError(f"Janus did not answer within {within_s:.0f} s: join again.", "hung")) from None
        except (ConnectionError, aiohttp.ClientError):
            raise self._end(self._gone()) from None
        finally:
            del self._pending[name]
        if reply.get("janus") == "error":
            number = reply["error"].get("code") if isinstance(reply.get("error"), dict) else None
            raise _error(CORE.get(number, "protocol_error") if isinstance(number, int) else "not_janus", number)
        return reply

    def watch(self, passed_s: float) -> None:
        """Call every 20-100 ms with the seconds since the last call: notices when Janus hangs.

        It counts what is passed, so that a pause of our own is not taken for one of Janus.
        """
        if self._session is None or self._lost is not None:
            return
        if not self._beating:
            self._rested_s += passed_s
            if self._rested_s >= HEARTBEAT_S:
                self._beat()
            return
        self._quiet_s += passed_s
        if self._quiet_s > PATIENCE_S:
            self._end(RoomError(f"Janus has not answered for {PATIENCE_S:.0f} s: join again.", "hung"))

    def _beat(self) -> None:
        self._beating, self._quiet_s, self._rested_s = True, 0.0, 0.0
        asking = asyncio.ensure_future(self._ask({"janus": "keepalive"}, True, 2 * PATIENCE_S))
        asking.add_done_callback(self._beaten)

    def _beaten(self, asked: asyncio.Future[Reply]) -> None:
        self._beating = False
        if not asked.cancelled() and isinstance(error := asked.exception(), RoomError):
            self._end(error)

    # -- hearing --------------------------------------------------------------------------------------------------

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                reply = json.loads(frame.data)
            except (ValueError, RecursionError):
                reply = None
            if not isinstance(reply, dict):
                self._end(_error("not_janus"))
                return
            self._take(reply)
        self._end(self._gone())

    def _stopped_reading(self, reading: asyncio.Task[None]) -> None:
        if not reading.cancelled() and (error := reading.exception()) is not None:
            self._failed(error)  # a bug of ours

    def _take(self, reply: Reply) -> None:
        future, ack_will_do = self._pending.get(str(reply.get("transaction")), (None, False))
        if reply.get("janus") == "ack" and not ack_will_do:
            return  # the answer follows as an event of the same transaction
        told = self._handles.get(reply["sender"]) if isinstance(reply.get("sender"), int) else None
        if told is not None:
            told(reply)
        if future is not None and not future.done():
            future.set_result(reply)
        elif reply.get("janus") == "timeout":
            self._end(_error("signalling_lost"))

    def _gone(self) -> RoomError:
        if self._session is None:
            return RoomError("The server closed the connection before we were in: join again.", "unreachable")
        return RoomError("Janus closed the signalling connection: join again.", "signalling_lost")

    def _end(self, error: RoomError) -> RoomError:
        """Everything that waits fails, and `failed` is told; only the first end counts. Returns that."""
        if self._lost is not None:
            return self._lost
        self._lost = error
        for future, _ in self._pending.values():
            if not future.done():
                future.set_exception(error)
        self._failed(error)
        return error

    async def close(self) -> None:
        """End the session on the server, if it still answers, and the connection. Takes about a second at most."""
        if self._session is not None and self._lost is None:
            lost, self._failed = RoomError("We have left.", "closed"), lambda _: None
            with suppress(RoomError):  # it is gone, or will notice that we are
                await self._ask({"janus": "destroy"}, False, GOODBYE_S)
            self._end(lost)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()


async def _stay(session: aiohttp.ClientSession, context: Any, redirect: aiohttp.TraceRequestRedirectParams) -> None:
    """An address that may be joined must not lead to one that may not."""
    redirect.response.release()
    raise _error("not_janus", redirect.response.status)


def _error(code: str, number: int | None = None) -> RoomError:
    detail = f" ({number})" if number is not None else ""
    return RoomError(f"{SENTENCES[code]}{detail}.", code)


def _id_in(reply: Reply) -> int:
    """Of a session or a handle."""
    found = reply.get("data", {}).get("id") if isinstance(reply.get("data"), dict) else None
    if not isinstance(found, int):
        raise _error("not_janus")
    return found


def data_of(reply: Reply) -> Reply:
    """What the plugin said; nothing where it said nothing."""
    plugin = reply.get("plugindata")
    data = plugin.get("data") if isinstance(plugin, dict) else None
    return dict(data) if isinstance(data, dict) else {}
