"""Every route of the worker, and who is let in: a route that nobody decided on fails here."""

import ast
import asyncio
import hmac
import re
import time
from contextlib import asynccontextmanager
from pathlib import Path

import jwt
import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import make_mocked_request

from worker.config import settle
from worker.errors import ConfigError
from worker.manager import Rooms
from worker.ops.access import Access, same
from worker.ops.control import Control
from worker.ops.dashboard import Dashboard
from worker.ops.http import Server
from worker.ops.tokens import ANY_RUN, EVERY, EVERYTHING, Pass, Tokens
from worker.registry import construct

KEY = "k" * 32
SECRETS = {"the server's": "for who joins", "the control API's": "for rooms", "the dashboard's": "for meetings"}
ANYBODY = "anybody"
ROOM, MEETING = "/v1/rooms/{id}", "/v1/meetings/{room}"
DOORS = {
    ("GET", "/livez"): ANYBODY,
    ("GET", "/readyz"): ANYBODY,
    ("GET", "/v1/page"): ANYBODY,
    ("GET", "/{path}"): ANYBODY,
    ("GET", "/metrics"): "metrics",
    ("GET", "/v1/openapi.json"): "rooms",
    ("GET", "/v1/rooms"): "rooms",
    ("POST", "/v1/rooms"): "opening",
    ("GET", ROOM): "room",
    ("DELETE", ROOM): "room",
    ("PUT", f"{ROOM}/consent"): "room",
    ("POST", f"{ROOM}/tokens"): "room",
    ("GET", "/v1/meetings"): "meetings",
    ("GET", MEETING): "meeting",
    ("GET", f"{MEETING}/beside"): "meeting",
    ("GET", "/v1/rooms/{room}/join"): "joining",
    ("GET", "/v1/rooms/{room}/events"): "listening",
    ("GET", "/v1/rooms/{room}/me"): "own",
    ("DELETE", "/v1/rooms/{room}/me"): "own",
}
LET_IN = {
    "metrics": {"the server's"},
    "joining": {"the server's"},
    "room": {"operator", "operator of all", "the control API's"},
    "rooms": {"operator", "operator of all", "operator elsewhere", "the control API's"},
    "opening": {"operator of all", "the control API's"},
    "meeting": {"manager", "manager of any run", "the dashboard's"},
    "meetings": {"manager", "manager of any run", "manager elsewhere", "manager of another run", "the dashboard's"},
    "listening": {"viewer", "viewer of any run", "participant", "manager", "manager of any run", "the server's"},
    "own": {"participant"},
}
"""By kind of door. Operators and managers from elsewhere see lists, with nothing of here in them."""
KNOWN = {
    "room": {"operator elsewhere"},
    "opening": {"operator", "operator elsewhere"},
    "meeting": {"manager elsewhere", "manager of another run"},
}
"""Whose token is right and does not give this: they are told 403, all others 401."""


class Deaf:
    """A voice model that takes no time."""

    def predict(self, batch):
        return [(0.0, None) for _ in batch]


@asynccontextmanager
async def worker():
    """(a client session, the server, a room's id, its epoch), with every section that opens a door."""
    settings = settle({
        "vad": {"kind": "tests.test_access:Deaf"}, "emotion": None, "sinks": [{"kind": "websocket"}], "drain_s": 3,
        "server": {"host": "0.0.0.0", "port": 0, "token": SECRETS["the server's"], "signing_key": KEY},
        "control": {"token": SECRETS["the control API's"]}, "dashboard": {"token": SECRETS["the dashboard's"]},
    })  # fmt: skip
    server = construct(Server, settings.server, "server")
    dashboard = construct(Dashboard, settings.dashboard, "dashboard", server=server)
    rooms = Rooms(settings, server, dashboard)
    construct(Control, settings.control, "control", server=server, rooms=rooms)
    await server.start()
    try:
        room = await rooms.open({"kind": "embedded", "name": "quiet"})
        async with ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield session, server, room, dashboard._keepers["quiet"].meeting.epoch
    finally:
        await rooms.close()
        await server.stop()


def tokens_for(epoch):
    """All there are: of every audience for here, and each that is not."""
    sign, key = Tokens(KEY).issue, {"operator": "", "manager": "", "viewer": "", "participant": "p1"}
    found = {
        "operator of all": sign(EVERY, ANY_RUN, Pass("operator"), 60),
        "manager of any run": sign("quiet", ANY_RUN, Pass("manager"), 60),
        "viewer of any run": sign("quiet", ANY_RUN, Pass("viewer"), 60),
        "nobody's": None,
        "an empty one": "",
        "a wrong one": "wrong",
    }
    for audience, speaker in key.items():
        holder = Pass(audience, speaker)
        found[audience] = sign("quiet", epoch, holder, 60)
        found[f"{audience} elsewhere"] = sign("loud", epoch, holder, 60)
        found[f"{audience} by another key"] = Tokens("x" * 32).issue("quiet", epoch, holder, 60)
        claims = jwt.decode(found[audience], options={"verify_signature": False})
        found[f"{audience} expired"] = jwt.encode(claims | {"exp": time.time() - 60}, KEY, "HS256")
        if audience != "operator":
            found[f"{audience} of another run"] = sign("quiet", epoch - 1, holder, 60)
    return found | SECRETS


async def knock(session, method, path, token):
    """The status of the answer, or the code with which a WebSocket is closed; 200 for one that stays open."""
    if path.endswith(("/join", "/events")):
        async with asyncio.timeout(10), session.ws_connect(path) as socket:
            await socket.send_json({"token": token})
            message = await socket.receive()
            return message.data if message.type is WSMsgType.CLOSE else 200
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = {} if method in ("POST", "PUT") else None
    async with session.request(method, path, headers=headers, json=body) as answer:
        return answer.status


async def test_every_route_was_decided_on():
    async with worker() as (_, server, _, _):
        routes = {
            (route.method, route.resource.canonical)
            for route in server._runner.app.router.routes()
            if route.method != "HEAD"
        }
        routes.remove(("*", "/v1/rooms/{room}/{verb}"))
        verbs = {f"/v1/rooms/{{room}}/{verb}" for verb in server._rooms["quiet"]}
    assert routes == {(method, path) for method, path in DOORS if not path.startswith("/v1/rooms/{room}")}
    assert verbs == {path for _, path in DOORS if path.startswith("/v1/rooms/{room}")}


@pytest.mark.parametrize(("method", "path"), DOORS, ids=[" ".join(door) for door in DOORS])
async def test_each_door_opens_to_its_tokens_and_to_no_other(method, path):
    kind = DOORS[method, path]
    async with worker() as (session, _, room, epoch):
        tokens = tokens_for(epoch)
        address = path.replace("{id}", room).replace("{room}", "quiet").replace("{path}", "")
        let_in = {*tokens} if kind is ANYBODY else LET_IN[kind]
        assert let_in <= tokens.keys()
        no = 4401 if kind in ("joining", "listening") else 401
        expected = {one: 403 if one in KNOWN.get(kind, ()) else no for one in tokens if one not in let_in}
        assert {one: await knock(session, method, address, tokens[one]) for one in expected} == expected
        for one in sorted(let_in):  # so the operator of this room alone comes first, before it is left
            assert await knock(session, method, address, tokens[one]) not in (401, 403, 4401), one


def test_a_listener_without_a_key_has_what_everyone_has():
    for token in (None, "hush"):
        access = Access(token, None)
        own = access.passes.issue("quiet", 7, Pass("participant", "p1"), 60)
        assert access.tokens is None
        assert access.listener(token, "quiet", 7).holder == Pass("viewer")
        right = access.listener(own, "quiet", 7)
        assert (right is None) if token else (right.holder == Pass("viewer"))


def test_what_is_a_participant_s_own_needs_a_pass_of_this_process_and_this_run():
    access = Access(None, None)
    own = access.passes.issue("quiet", 7, Pass("participant", "p1"), 60)
    others = [access.passes.issue("quiet", 7, Pass(audience), 60) for audience in ("viewer", "manager", "operator")]

    def asks(token, epoch=7, room="quiet", here=access, **headers):
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return here.participant(make_mocked_request("GET", "/", headers=bearer | headers), room, epoch)

    assert asks(own) == Pass("participant", "p1")
    assert [asks(one) for one in (None, "", "x", *others)] == [None] * 6
    assert [asks(own, 8), asks(own, room="loud"), asks(own, here=Access(None, None))] == [None] * 3
    with pytest.raises(web.HTTPForbidden):
        asks(own, Origin="https://evil.example", Host="worker.test")
    keyed = Access(None, KEY)
    assert keyed.passes is keyed.tokens


def test_a_signed_token_opens_a_door_only_where_the_worker_signs_and_the_door_has_an_audience():
    operator = Tokens(KEY).issue(EVERY, ANY_RUN, Pass("operator"), 60)
    request = make_mocked_request("GET", "/", headers={"Authorization": f"Bearer {operator}"})
    assert Access("hush", KEY).authorise(request, "door", "operator").room == EVERY
    for access, audience in ((Access("hush", None), "operator"), (Access("hush", KEY), None)):
        with pytest.raises(web.HTTPUnauthorized):
            access.authorise(request, "door", audience)
    assert Access(None, None).authorise(request) is EVERYTHING


def test_a_short_key_is_refused_here_too():
    with pytest.raises(ConfigError, match="signing_key needs 32 bytes"):
        Access("hush", "short")


async def test_every_secret_is_compared_in_constant_time(monkeypatch):
    """Doors are asked with almost the right token, which a comparison that stops early would measurably tell apart."""
    compared = []
    honest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((bytes(a), bytes(b))) or honest(a, b))
    doors = {
        "/metrics": "the server's", "/v1/rooms": "the control API's", "/v1/meetings": "the dashboard's",
        "/v1/rooms/quiet/join": "the server's", "/v1/rooms/quiet/events": "the server's",
    }  # fmt: skip
    async with worker() as (session, *_):
        for path, whose in doors.items():
            compared.clear()
            almost = SECRETS[whose][:-1] + "?"
            assert await knock(session, "GET", path, almost) in (401, 4401)
            assert compared == [(almost.encode(), SECRETS[whose].encode())]
        head, _, signature = Tokens(KEY).issue(EVERY, ANY_RUN, Pass("operator"), 60).rpartition(".")
        compared.clear()
        assert await knock(session, "GET", "/v1/rooms", f"{head}.{signature[:-2]}AA") == 401
        assert len(compared) == 2, "the control API's token, then the signature"
    assert same("\ud800", "hush") is False


SECRET = re.compile(r"(^|_)(token|tokens|secret|password|signing_key|signature|bearer)$")


def test_no_secret_is_compared_as_text():
    """What would have to be: `is None` and the like are no comparison of contents."""
    found = []
    for path in Path("worker").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                sides = [side for side in (node.left, *node.comparators) if not isinstance(side, ast.Constant)]
                names = [getattr(side, "id", getattr(side, "attr", "")) for side in sides]
                found += [f"{path}:{node.lineno}" for name in names if SECRET.search(name)]
    assert found == []
