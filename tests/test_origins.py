"""Pages of other origins: those that are listed may ask, and nothing that looks like them."""

import asyncio

import pytest
from aiohttp import WSServerHandshakeError
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from tests.test_http import echo, serving
from worker.errors import ConfigError
from worker.ops.http import Server
from worker.ops.origins import Origins

APP, DEV = "https://app.example.org", "http://localhost:5173"
LISTED = Origins((APP, DEV))
ASK = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
FOREIGN = [
    "null", "", "*", "https://", "http://[",
    "https://APP.example.org", "HTTPS://app.example.org",
    "http://app.example.org", "wss://app.example.org",
    "https://app.example.org:443", "https://app.example.org:8443", "https://app.example.org:", "http://localhost",
    "http://localhost:51730", "https://x.app.example.org", "https://example.org", "https://app.example.org.",
    "https://app.example.org.evil.example", "https://app.example.orgevil", "https://evilapp.example.org",
    "https://app.example.org@evil.example", "https://evil.example/https://app.example.org",
    "https://app.example.org/", "https://app.example.org/x", "https://app.example.org#", "https://app.example.org?",
    " https://app.example.org ", "https://app.example.org https://evil.example",
    "https://app.example.org, https://evil.example", "https://app.example.org\x00", "https://app.example.org\t",
    "https://app.exämple.org", "https://xn--app.example.org", "https://app%2eexample.org", "https://app。example.org",
]  # fmt: skip


def asking(origin, host="worker.test", method="GET", path="/v1/rooms", **headers):
    return make_mocked_request(method, path, headers={"Host": host, "Origin": origin, **headers})


@pytest.mark.parametrize("origin", FOREIGN)
def test_what_only_looks_like_a_listed_origin_is_foreign(origin):
    assert not LISTED.admits(asking(origin))
    assert LISTED.preflight(asking(origin, method="OPTIONS", **ASK)) is None


@given(st.text(st.characters(exclude_characters="\r\n"), max_size=40))
def test_any_other_text_is_foreign(text):
    assert LISTED.admits(asking(text)) is (text in (APP, DEV))
    assert LISTED.admits(asking(APP + text)) is (text == "")


def test_the_worker_s_own_pages_and_what_is_no_page_may_ask():
    assert LISTED.admits(asking("https://Worker.test"))
    assert LISTED.admits(asking("http://[::1]:80", host="[::1]:80"))
    assert LISTED.admits(make_mocked_request("GET", "/", headers={"Host": "worker.test"}))
    assert not LISTED.admits(asking("http://worker.test:81", host="worker.test"))
    for origin in ("null", "", "https://"):
        assert not LISTED.admits(asking(origin, host="")), "a host without a name is nobody's"


@pytest.mark.parametrize("origin", [
    "*", "null", "", "app.example.org", "https://", "https://app.example.org/", "https://App.example.org",
    "https://*.example.org", "https://app.example.org:443", "http://app.example.org:80", "https://a b", "ws://a.test",
    "https://user@app.example.org", "https://app.example.org:0443", "https://app.example.org\n", "https://exämple.org",
])  # fmt: skip
def test_what_no_browser_would_send_is_refused(origin):
    with pytest.raises(ConfigError, match=r"server\.origins: .* is no origin: write it as browsers do"):
        Server(origins=(origin,))


async def ask(session, method, path, **headers):
    async with session.request(method, path, headers=headers) as answer:
        return answer.status, {
            name.removeprefix("Access-Control-"): value
            for name, value in answer.headers.items()
            if name.startswith("Access-Control-") or name == "Vary"
        }


async def test_a_listed_page_is_told_what_it_may_ask_and_may_read_the_answer():
    async with serving(origins=(APP, DEV), token="hush") as (server, session):
        server.serve("GET", "/v1/secret", lambda request: server.authorise(request))
        for origin in (APP, DEV):
            assert await ask(session, "OPTIONS", "/v1/secret", Origin=origin, **ASK) == (204, {
                "Allow-Origin": origin, "Allow-Methods": "GET, POST, PUT, DELETE",
                "Allow-Headers": "Authorization, Content-Type", "Max-Age": "600", "Vary": "Origin",
            })  # fmt: skip
            for path, status in (("/v1/page", 200), ("/v1/nothing", 404)):
                readable = {"Allow-Origin": origin, "Vary": "Origin"}
                assert await ask(session, "GET", path, Origin=origin) == (status, readable)
        assert await ask(session, "GET", "/v1/page") == (200, {"Vary": "Origin"})
        for path in ("/", "/livez", "/metrics"):
            assert (await ask(session, "GET", path, Origin=APP))[1] == {}
            assert (await ask(session, "OPTIONS", path, Origin=APP, **ASK))[1] == {}


async def test_no_other_page_is_told_or_answered():
    """Header bytes that no client library sends go over a plain socket."""
    async with serving(origins=(APP,)) as (server, session):
        for path in ("/v1/page", "/v1/rooms/quiet/echo"):
            assert (await ask(session, "OPTIONS", path, Origin="https://evil.example", **ASK))[1] == {"Vary": "Origin"}
        for origin in (b"https://app.example.org\xff", b"https://app.example.org\x00", b"\xff\xfe", b"x" * 5000,
                       b"https://evil.example\rAccess-Control-Allow-Origin: *"):  # fmt: skip
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /v1/page HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin + b"\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"Access-Control-Allow-Origin" not in head.partition(b"\r\n\r\n")[0]
            writer.close()
    async with serving() as (_, session):
        assert await ask(session, "GET", "/v1/page", Origin=APP) == (200, {})
        assert (await ask(session, "OPTIONS", "/v1/page", Origin=APP, **ASK))[1] == {}


async def test_a_listed_page_may_connect_and_no_other():
    async with serving(origins=(APP,)) as (server, session):
        server.mount("quiet", "echo", lambda request: echo(server, request))
        async with session.ws_connect("/v1/rooms/quiet/echo", origin=APP) as socket:
            await socket.send_str("{}")
            assert await socket.receive_json() == {}
        for origin in ("https://evil.example", "null", "http://app.example.org", DEV, f"{APP}.evil.example"):
            with pytest.raises(WSServerHandshakeError) as refused:
                await session.ws_connect("/v1/rooms/quiet/echo", origin=origin)
            assert refused.value.status == 403


async def test_an_origin_opens_no_door_that_asks_for_a_token():
    async with serving(origins=(APP,), token="hush") as (server, session):

        async def door(request):
            server.authorise(request)
            raise AssertionError("it was opened")

        server.mount("quiet", "door", door)
        for headers, status in (({"Origin": APP}, 401), ({"Origin": DEV, "Authorization": "Bearer hush"}, 403)):
            assert (await ask(session, "GET", "/v1/rooms/quiet/door", **headers))[0] == status
