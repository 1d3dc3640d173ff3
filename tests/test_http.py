"""The server's doors, and who is kept out."""

import asyncio
import json
import socket as sockets
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from worker.errors import ConfigError, RoomError
from worker.ops import http
from worker.ops.http import LARGEST_MESSAGE, Server
from worker.ops.tokens import LEEWAY_S, Pass, Right


@pytest.fixture
def pages(tmp_path):
    (tmp_path / "index.html").write_text("<title>page</title>")
    (tmp_path / "app.js").write_text("export {}")
    (tmp_path.parent / "outside.txt").write_text("secret")
    return tmp_path


@asynccontextmanager
async def serving(**options):
    """(server, a client session for it)"""
    server = Server(**{"port": 0, **options})
    await server.start()
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield server, session
    finally:
        await server.stop()


async def echo(server, request):
    """A handler that sends back every object."""
    socket, first = await server.open_socket(request)
    await socket.send_json(first)
    while (message := await server.receive_object(socket)) is not None:
        await socket.send_json(message)
    return socket


@asynccontextmanager
async def echoing(**options):
    async with serving(**options) as (server, session):
        server.mount("quiet", "echo", lambda request: echo(server, request))
        async with session.ws_connect("/v1/rooms/quiet/echo") as socket:
            yield server, socket


async def farewell(socket: ClientWebSocketResponse):
    """(code, reason) of the close that comes next."""
    async with asyncio.timeout(10):  # that of `receive` begins anew with each ping
        message = await socket.receive()
    assert message.type is WSMsgType.CLOSE
    return message.data, message.extra


async def test_the_page_is_served_with_its_guards(pages):
    async with serving(pages=pages) as (_server, session):
        async with session.get("/") as answer:
            assert await answer.text() == "<title>page</title>"
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'; connect-src 'self';")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Server"] == "undertone"
        async with session.get("/app.js") as answer:
            assert answer.content_type.endswith("/javascript")
        for path in (
            "/nothing.js",
            "/../outside.txt",
            "/%2e%2e/outside.txt",
            "/%2e%2e%2foutside.txt",
            "/%2fetc/passwd",
            "/%00",
            "/v1",
        ):
            async with session.get(path) as answer:
                assert answer.status == 404
                assert "error" in await answer.json()
                assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_learns_which_room_it_is_for():
    async with serving(token="hush") as (server, session):
        server.tell_pages(lambda room: {"notice": {"text": f"{room} is analysed."}, "levels": [], "feed": 7})
        async with session.get("/v1/page") as answer:
            assert await answer.json() == {"room": None, "token_needed": True}
        server.mount("quiet", "echo", echo)
        server.mount("other", "echo", echo)
        told = {"room": "quiet", "token_needed": True, "notice": {"text": "quiet is analysed."}, "levels": []}
        async with session.get("/v1/page") as answer:
            assert await answer.json() == told


async def test_the_page_is_sent_to_a_janus_and_may_connect_there_and_nowhere_else():
    async with serving(janus_url="wss://sfu.test:8989/janus", janus_room=1234) as (_server, session):
        async with session.get("/v1/page") as answer:
            assert (await answer.json())["janus"] == {"url": "wss://sfu.test:8989/janus", "room": 1234}
            policy = answer.headers["Content-Security-Policy"]
        assert policy.split("; ")[1] == "connect-src 'self' wss://sfu.test:8989"


@pytest.mark.parametrize("url", ["sfu.test", "http://sfu.test", "ws://", "ws://a b", "ws://sfu.test; img-src *"])
def test_an_address_that_is_no_janus_is_refused(url):
    with pytest.raises(ConfigError, match=r"server\.janus_url must be"):
        Server(janus_url=url)


async def test_readiness_says_why_not():
    async with serving() as (server, session):
        async with session.get("/livez") as answer:
            assert answer.status == 200
        async with session.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (503, {"status": "not ready", "reason": "starting"})
        server.ready = True
        async with session.get("/readyz") as answer:
            assert answer.status == 200


async def test_metrics_are_for_this_machine_or_a_token():
    async with serving() as (_server, session), session.get("/metrics") as answer:
        assert "python_info" in await answer.text()
    async with serving(token="hush", host="0.0.0.0") as (_server, session):
        for header, status in {"Bearer hush": 200, "Bearer no": 401, "Basic hush": 401, "": 401}.items():
            async with session.get("/metrics", headers={"Authorization": header}) as answer:
                assert answer.status == status


async def test_what_is_not_there_is_explained():
    async with serving() as (server, session):
        server.mount("quiet", "echo", echo)
        for path, sentence in {
            "/v1/rooms/other/echo": "No such room is open here.",
            "/v1/rooms/quiet/join": "This room offers only: echo.",
        }.items():
            async with session.get(path) as answer:
                assert (answer.status, await answer.json()) == (404, {"error": sentence})
        server.unmount("quiet", "echo")
        async with session.get("/v1/rooms/quiet/echo") as answer:
            assert await answer.json() == {"error": "No such room is open here."}


async def test_no_trace_reaches_a_client():
    async def broken(request):
        raise ZeroDivisionError("inner detail")

    async def closed(request):
        raise RoomError("The room is full.")

    async with serving() as (server, session):
        server.mount("quiet", "broken", broken)
        server.mount("quiet", "closed", closed)
        with capture_logs() as logs:
            async with session.get("/v1/rooms/quiet/broken") as answer:
                assert answer.status == 500
                assert "inner detail" not in await answer.text()
            async with session.get("/v1/rooms/quiet/closed") as answer:
                assert (answer.status, await answer.json()) == (503, {"error": "The room is full."})
        assert [(entry["code"], "exc_info" in entry) for entry in logs] == [("bug", True), ("room", False)]
        assert "quiet" not in str(logs)


async def test_a_broken_handler_closes_its_socket():
    async def broken(request):
        await server.open_socket(request)
        raise ZeroDivisionError("inner detail")

    async with serving() as (server, session):
        server.mount("quiet", "broken", broken)
        with capture_logs():
            async with session.ws_connect("/v1/rooms/quiet/broken") as socket:
                await socket.send_str("{}")
                assert await farewell(socket) == (1011, "The worker made a mistake; its log says which.")


async def test_objects_come_and_go():
    async with echoing(token="hush") as (_server, socket):
        for message in ({"token": "hush", "a": 1}, {"b": "ü" * 1000}):
            await socket.send_json(message)
        assert await socket.receive_json() == {"a": 1}
        assert await socket.receive_json() == {"b": "ü" * 1000}


async def listen(server, request):
    """A handler that tells a listener whose private events it has, then waits for what it says."""
    socket, _, hears = await server.open_listener(request, "quiet", 7)
    await socket.send_str(hears)
    while await server.receive_object(socket) is not None:
        pass
    return socket


async def test_who_listens_with_a_token_stays_as_long_as_it_holds(monkeypatch):
    left_s = Right.left_s
    async with serving(token="hush", signing_key="k" * 32) as (server, session):
        server.mount("quiet", "events", lambda request: listen(server, request))

        @asynccontextmanager
        async def listening(token):
            async with session.ws_connect("/v1/rooms/quiet/events") as socket:
                await socket.send_json({"token": token})
                yield socket, (await socket.receive()).data

        ada = Pass("participant", "p1")
        brief, long = (server.tokens.issue("quiet", 7, ada, ttl_s) for ttl_s in (60, 3600))
        monkeypatch.setattr(Right, "left_s", lambda right, now: left_s(right, now + 60 + LEEWAY_S))
        async with listening(long) as (other, hears), listening("hush") as (viewer, all_hear):
            assert (hears, all_hear) == ("p1", "")
            async with listening(brief) as (socket, hears):
                assert hears == "p1"
                assert await farewell(socket) == (4401, "The token has expired: connect again with a new one.")
            assert [one.closed for one in (other, viewer)] == [False, False]
            latest = max(end for end in server._sockets.values() if end is not None)
            assert 3500 < latest - asyncio.get_running_loop().time() <= 3600 - 60


HOSTILE = [
    ("not json", 4400, "The message is not JSON."),
    ("", 4400, "The message is not JSON."),
    ("[" * 60_000, 4400, "The message is not JSON."),
    ("[1, 2]", 4400, "The message is not a JSON object."),
    ("null", 4400, "The message is not a JSON object."),
    (b"\x00\xff", 4400, "Send JSON as text, not binary."),
    (json.dumps({"x": "y" * LARGEST_MESSAGE}), 4413, "A message has at most 65536 bytes."),
    ("{}", 4401, "The token is missing or wrong."),
    ('{"token": "hus"}', 4401, "The token is missing or wrong."),
    ('{"token": ["hush"]}', 4401, "The token is missing or wrong."),
    (r'{"token": "\ud800"}', 4401, "The token is missing or wrong."),
]


@pytest.mark.parametrize(("message", "code", "reason"), HOSTILE)
async def test_a_hostile_first_message_ends_the_connection_with_its_reason(message, code, reason):
    async with echoing(token="hush") as (_server, socket):
        await (socket.send_bytes if isinstance(message, bytes) else socket.send_str)(message)
        assert await farewell(socket) == (code, reason)


@pytest.mark.parametrize(("message", "code", "reason"), HOSTILE[:7])
async def test_a_hostile_later_message_does_too(message, code, reason):
    async with echoing() as (_server, socket):
        await socket.send_str("{}")
        assert await socket.receive_json() == {}
        await (socket.send_bytes if isinstance(message, bytes) else socket.send_str)(message)
        assert await farewell(socket) == (code, reason)


async def test_a_huge_frame_is_cut_off():
    async with echoing() as (_server, socket):
        await socket.send_str("x" * 2**21)
        assert (await farewell(socket))[0] == 1009


async def test_who_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(http, "FIRST_MESSAGE_S", 0.05)
    async with echoing() as (_server, socket):
        assert await farewell(socket) == (4400, "Send a JSON object within 0.05 s.")


async def test_who_leaves_at_once_leaves_nothing_behind():
    async with echoing() as (server, socket):
        await socket.close()
        async with asyncio.timeout(5):
            while server._sockets:
                await asyncio.sleep(0.01)


async def test_a_plain_request_to_a_socket_is_told_so():
    async with serving() as (server, session):
        server.mount("quiet", "echo", lambda request: echo(server, request))
        async with session.get("/v1/rooms/quiet/echo") as answer:
            assert (answer.status, await answer.json()) == (426, {"error": "This address is for WebSockets."})


async def test_pages_from_elsewhere_cannot_connect():
    async with serving() as (server, session):
        server.mount("quiet", "echo", lambda request: echo(server, request))
        here = f"http://127.0.0.1:{server.port}"
        for origin in ("http://evil.example", f"{here}0", "http://[", "null"):
            with pytest.raises(WSServerHandshakeError) as refused:
                await session.ws_connect("/v1/rooms/quiet/echo", origin=origin)
            assert refused.value.status == 403
        async with session.ws_connect("/v1/rooms/quiet/echo", origin=here) as socket:
            await socket.send_str("{}")
            assert await socket.receive_json() == {}


async def test_a_foreign_name_for_this_machine_is_refused():
    async with serving() as (server, session):
        for host, status in {
            "localhost": 200,
            f"127.0.0.1:{server.port}": 200,
            "[::1]:80": 200,
            "rebound.example": 403,
            "localhost.evil.example": 403,
            "[": 403,
        }.items():
            async with session.get("/livez", headers={"Host": host}) as answer:
                assert answer.status == status, host


async def test_stopping_says_goodbye():
    async with echoing() as (server, socket):
        await socket.send_str("{}")
        await socket.receive_json()
        stopping = asyncio.create_task(server.stop())
        assert await farewell(socket) == (1001, "The worker is stopping.")
        async with asyncio.timeout(5):
            await stopping
        assert (server.ready, server.reason) == (False, "stopping")


async def test_stopping_does_not_wait_for_the_deaf(monkeypatch):
    monkeypatch.setattr(http, "STOP_S", 0.1)
    async with echoing() as (server, socket):
        await socket.send_str("{}")
        await socket.receive_json()
        async with asyncio.timeout(2):
            await server.stop()


async def test_a_port_in_use_is_named():
    with sockets.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is in use: stop what listens there, or set server.port"):
            await Server(port=port).start()


def test_a_number_that_is_no_port_is_refused():
    with pytest.raises(ConfigError, match=r"server\.port: 99999 is no port"):
        Server(port=99999)


async def test_an_address_of_another_machine_is_named():
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1, port 0: correct server\.host"):
        await Server(host="192.0.2.1", port=0, token="hush").start()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_nothing_listens_beyond_loopback_without_a_token(host):
    with pytest.raises(ConfigError, match=r"nothing listens beyond loopback without a token: set server\.token"):
        Server(host=host)
    Server(host=host, token="hush")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"server\.pages: the folder .* does not exist"):
        Server(pages=tmp_path / "nowhere")


@settings(deadline=None)
@given(st.text(max_size=200))
def test_a_close_reason_always_fits(text):
    short = http._short(text.encode(errors="ignore").decode())
    assert len(short) <= 123
    short.decode()
