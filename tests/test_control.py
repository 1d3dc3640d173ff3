"""The control API: what it does, and what nobody can make it do."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
from aiohttp import ClientSession, WSMsgType, web
from pydantic import Field
from structlog.testing import capture_logs

from tests.consenting import agree
from worker.config import settle
from worker.errors import ConfigError, RoomError
from worker.events import SpeakerJoined
from worker.manager import Rooms
from worker.ops.control import Control
from worker.ops.http import LARGEST_MESSAGE, Server
from worker.ops.openapi import STATES
from worker.privacy.levels import Level
from worker.registry import construct
from worker.rooms import Tick

TOKEN = {"Authorization": "Bearer hush"}
PIN = "hunter2"


class Scripted:
    """A room elsewhere: one person, until it is closed or fails as it is told to."""

    lockstep = False

    def __init__(self, policy, url: str = "ws://away.test:8188", room: Annotated[str, Field(max_length=20)] = "a",
                 pin: str = "", fail: str = "", extra: Mapping[str, Any] = {}, turn_url: str = "") -> None:  # fmt: skip
        self.name, self.started = f"room-{room}", datetime.now(UTC)
        self.policy, self.pin, self._fail, self._closed, self.sent = policy, pin, fail, asyncio.Event(), []

    async def __aiter__(self):
        if self._fail:
            raise RoomError("It did not work.", self._fail)
        yield SpeakerJoined(0.0, "ada", "Ada", 1, False)
        yield Tick(0.1)
        await self._closed.wait()

    async def send(self, message, to=None):
        return True

    async def close(self):
        self._closed.set()


class Deaf:
    """A voice model that takes no time."""

    def predict(self, batch):
        return [(0.0, None) for _ in batch]


TEMPLATES = {
    "meeting": {"kind": "tests.test_control:Scripted", "url": "ws://sfu.test:8188/", "pin": PIN},
    "anywhere": {"kind": "tests.test_control:Scripted"},
}
CONTROL = {"allow": ["ws://sfu.test:8188", "wss://*.sfu.test"], "templates": TEMPLATES}


@asynccontextmanager
async def controlled(server=None, sinks=(), policy=None, **control):
    """(a client session for a worker with a control API, its rooms)"""
    settings = settle({
        "vad": {"kind": "tests.test_control:Deaf"}, "emotion": None, "sinks": list(sinks), "policy": policy or {},
        "server": {"port": 0, "token": "hush"} | (server or {}), "control": CONTROL | control, "drain_s": 3,
    })  # fmt: skip
    one = construct(Server, settings.server, "server")
    rooms = Rooms(settings, one)
    construct(Control, settings.control, "control", server=one, rooms=rooms)
    await one.start()
    try:
        async with ClientSession(f"http://127.0.0.1:{one.port}", headers=TOKEN) as session:
            yield session, rooms
    finally:
        await rooms.close()
        await one.stop()


async def ask(session, method, path, body=None, **options):
    """(status, what was answered)"""
    async with session.request(method, path, **({"json": body} if body is not None else {}), **options) as answer:
        return answer.status, json.loads(text) if (text := await answer.text()) else None


def meeting(room="a", **fields):
    return {"template": "meeting", "fields": {"room": room, **fields}}


async def until(session, room, state):
    async with asyncio.timeout(10):
        while (found := (await ask(session, "GET", f"/v1/rooms/{room}"))[1])["state"] != state:
            await asyncio.sleep(0.01)
    return found


UNASKED = {"name": "Ada", "present": True, "analysed": False, "level": "presence", "consent": "unknown"}


async def test_a_room_is_joined_seen_and_left(tmp_path):
    out = tmp_path / "events.jsonl"
    async with controlled(sinks=[{"kind": "jsonl", "path": str(out)}, {"kind": "websocket"}]) as (session, rooms):
        status, room = await ask(session, "POST", "/v1/rooms", meeting())
        assert (status, room["name"], room["kind"]) == (201, "room-a", "tests.test_control:Scripted")
        room = await until(session, room["id"], "open")
        while not room["speakers"]:
            room = (await ask(session, "GET", f"/v1/rooms/{room['id']}"))[1]
        assert room["speakers"] == {"ada": UNASKED}
        status, found = await ask(session, "GET", "/v1/rooms")
        assert (status, found) == (200, {"rooms": [room], "largest": 20, "templates": ["anywhere", "meeting"]})
        async with session.ws_connect("/v1/rooms/room-a/events") as socket:
            await socket.send_json({"token": "hush"})
            assert (await socket.receive()).json()["data"]["room"] == "room-a"
            assert (await ask(session, "DELETE", f"/v1/rooms/{room['id']}"))[0] == 204
            while (await socket.receive()).type is WSMsgType.TEXT:
                pass
        assert len(rooms) == 0
        assert (await ask(session, "GET", "/v1/rooms"))[1]["rooms"] == []
        for method in ("GET", "DELETE"):
            status, said = await ask(session, method, f"/v1/rooms/{room['id']}")
            assert (status, said["code"]) == (404, "no_such_room")
        assert (await ask(session, "GET", "/v1/rooms/room-a/events"))[0] == 404
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["type"].removeprefix("io.undertone.") for line in lines] == [
        "room.opened.v1", "speaker.joined.v1", "speaker.left.v1", "room.closed.v1",
    ]  # fmt: skip


async def test_who_decides_is_heard_from_then_on():
    async with controlled() as (session, rooms):
        room = (await ask(session, "POST", "/v1/rooms", meeting()))[1]["id"]
        policy = next(iter(rooms._open.values())).policy
        while not (await ask(session, "GET", f"/v1/rooms/{room}"))[1]["speakers"]:
            await asyncio.sleep(0.01)
        path = f"/v1/rooms/{room}/consent"
        for agreed in (True, False, True):
            assert await ask(session, "PUT", path, {"speaker": "ada", "analysed": agreed}) == (204, None)
            assert policy.may_hear("ada") is agreed
            assert (await ask(session, "GET", f"/v1/rooms/{room}"))[1]["speakers"]["ada"]["analysed"] is agreed
        for body, status in (
            ({"speaker": "eve", "analysed": True}, 404),
            ({"speaker": "ada", "analysed": 1}, 422),
            ({"speaker": "ada", "analysed": "yes"}, 422),
            ({"speaker": "ada"}, 422),
            ({"speaker": ["ada"], "analysed": True}, 422),
            ({"speaker": "ada", "analysed": False, "more": 1}, 422),
            ({"speaker": "ada", "analysed": False, "feed": True}, 422),
            ({"speaker": "ada", "analysed": False, "feed": ["1"]}, 422),
        ):
            assert (await ask(session, "PUT", path, body))[0] == status
        assert policy.may_hear("ada")
        assert not policy.may_hear("eve")
        assert (await ask(session, "PUT", "/v1/rooms/other/consent", {"speaker": "ada", "analysed": True}))[0] == 404


async def test_a_yes_that_names_a_feed_is_not_given_to_whoever_took_the_name_on():
    async with controlled() as (session, rooms):
        room = (await ask(session, "POST", "/v1/rooms", meeting()))[1]["id"]
        policy = next(iter(rooms._open.values())).policy
        policy.present("ada", "7")
        agree(policy, "ada")
        path, yes = f"/v1/rooms/{room}/consent", {"speaker": "ada", "analysed": True}
        policy.present("ada", "8")  # somebody else under her name, or she herself: nobody knows
        status, said = await ask(session, "PUT", path, yes | {"feed": 7})
        assert (status, said["code"], policy.may_hear("ada")) == (409, "other_feed", False)
        for feed in (8, "8"):
            agree(policy, "ada", False)
            assert await ask(session, "PUT", path, yes | {"feed": feed}) == (204, None)
            assert policy.may_hear("ada")
        assert (await ask(session, "PUT", path, yes | {"analysed": False, "feed": 7}))[0] == 204
        assert not policy.may_hear("ada")


async def test_a_yes_is_for_a_level_and_for_the_words_and_the_purpose_of_this_worker():
    async with controlled() as (session, rooms):
        room = (await ask(session, "POST", "/v1/rooms", meeting()))[1]["id"]
        await until(session, room, "open")
        policy = next(iter(rooms._open.values())).policy
        policy.present("ada", "7")
        path, yes = f"/v1/rooms/{room}/consent", {"speaker": "ada", "level": "metrics"}
        for other in ({"text": "of last year"}, {"purpose": "to sell more"}):
            status, said = await ask(session, "PUT", path, yes | other)
            assert (status, said["code"], policy.may_hear("ada")) == (409, "other_terms", False)
        full = {"text": policy.terms.text, "purpose": policy.terms.purpose, "role": "customer"}
        assert (await ask(session, "PUT", path, yes | full))[0] == 204
        person = (await ask(session, "GET", f"/v1/rooms/{room}"))[1]["speakers"]["ada"]
        assert (person["level"], person["consent"]) == ("metrics", "granted")
        for wrong in ({"level": "everything"}, {"role": "king"}, {"text": 1}, {"analysed": 1, "level": None}):
            assert (await ask(session, "PUT", path, yes | wrong))[0] == 422
        assert (await ask(session, "PUT", path, yes | {"level": "presence", "text": "whatever"}))[0] == 204
        assert not policy.may_hear("ada")


async def test_nobody_agrees_to_emotion_but_by_its_name_and_to_the_words():
    allowed = {"level": "emotion", "jurisdiction": "us", "context": "customer_call", "role": "customer"}
    allowed |= {"purpose": "a test", "basis": "explicit_consent"}
    async with controlled(policy=allowed) as (session, rooms):
        room = (await ask(session, "POST", "/v1/rooms", meeting()))[1]["id"]
        await until(session, room, "open")
        policy = next(iter(rooms._open.values())).policy
        policy.present("ada", "7")
        path = f"/v1/rooms/{room}/consent"
        assert (await ask(session, "PUT", path, {"speaker": "ada", "analysed": True}))[0] == 204
        assert policy.level("ada") is Level.PROSODY
        named = {"speaker": "ada", "level": "emotion"}
        status, said = await ask(session, "PUT", path, named)
        assert (status, "send their version," in said["error"], policy.level("ada")) == (422, True, Level.PROSODY)
        assert (await ask(session, "PUT", path, named | {"text": policy.terms.text}))[0] == 204
        assert policy.level("ada") is Level.EMOTION


async def test_a_no_outlives_the_room_that_it_was_said_in():
    async with controlled() as (session, rooms):

        async def opened(room="a", **fields):
            body = {"template": "anywhere", "fields": {"url": "ws://sfu.test:8188/", "room": room, **fields}}
            room = (await ask(session, "POST", "/v1/rooms", body))[1]["id"]
            while not (await ask(session, "GET", f"/v1/rooms/{room}"))[1]["speakers"]:
                await asyncio.sleep(0.01)
            return room, rooms._open[room].policy

        async def decide(room, agreed):
            body = {"speaker": "ada", "analysed": agreed}
            assert (await ask(session, "PUT", f"/v1/rooms/{room}/consent", body))[0] == 204
            assert (await ask(session, "DELETE", f"/v1/rooms/{room}"))[0] == 204

        room, policy = await opened()
        assert not policy.decided("ada")
        await decide(room, False)
        room, policy = await opened(extra={"under": "another setting"})
        assert policy.decided("ada")
        assert not policy.may_hear("ada")
        _, elsewhere = await opened("b")
        assert not elsewhere.decided("ada")
        await decide(room, True)
        assert not (await opened())[1].decided("ada")  # a yes is given anew, for each stay


async def test_a_room_that_fails_says_why_and_harms_no_other():
    async with controlled() as (session, _):
        await ask(session, "POST", "/v1/rooms", meeting("well"))
        bad = (await ask(session, "POST", "/v1/rooms", meeting("bad", fail="auth_failed")))[1]["id"]
        found = await until(session, bad, "failed")
        assert (found["reason"], found["speakers"]) == ("auth_failed", {})
        away = (await ask(session, "POST", "/v1/rooms", meeting("away", fail="unreachable")))[1]["id"]
        async with asyncio.timeout(10):
            while (found := (await ask(session, "GET", f"/v1/rooms/{away}"))[1])["reason"] != "unreachable":
                await asyncio.sleep(0.01)
        assert found["state"] == "joining"
        assert [one["state"] for one in (await ask(session, "GET", "/v1/rooms"))[1]["rooms"]] == [
            "failed", "open", "joining",
        ]  # fmt: skip
        for room in (bad, away):
            assert (await ask(session, "DELETE", f"/v1/rooms/{room}"))[0] == 204
        assert (await ask(session, "POST", "/v1/rooms", meeting("bad")))[0] == 201


async def test_there_is_an_end_to_how_many_and_one_of_each_name():
    async with controlled(largest=2) as (session, _):
        first = (await ask(session, "POST", "/v1/rooms", meeting("a")))[1]["id"]
        assert (await ask(session, "POST", "/v1/rooms", meeting("a")))[1]["code"] == "name_taken"
        assert (await ask(session, "POST", "/v1/rooms", meeting("b")))[0] == 201
        status, said = await ask(session, "POST", "/v1/rooms", meeting("c"))
        assert (status, said["code"]) == (503, "full")
        await ask(session, "DELETE", f"/v1/rooms/{first}")
        assert (await ask(session, "POST", "/v1/rooms", meeting("a")))[0] == 201


async def test_rooms_of_the_worker_itself_are_opened_too_and_close_their_doors():
    async with controlled() as (session, _):
        body = {"room": {"kind": "embedded", "name": "hall"}}
        status, room = await ask(session, "POST", "/v1/rooms", body)
        assert (status, room["state"]) == (201, "open")
        assert (await ask(session, "GET", "/v1/rooms/hall/join"))[0] == 426
        assert (await ask(session, "POST", "/v1/rooms", body))[1]["code"] == "name_taken"
        assert (await ask(session, "GET", "/v1/rooms/hall/join"))[0] == 426
        assert (await ask(session, "DELETE", f"/v1/rooms/{room['id']}"))[0] == 204
        assert (await ask(session, "GET", "/v1/rooms/hall/join"))[0] == 404


# -- who may ask ------------------------------------------------------------------------------------------------------

ROUTES = [
    ("POST", "/v1/rooms"),
    ("GET", "/v1/rooms"),
    ("GET", "/v1/rooms/x"),
    ("DELETE", "/v1/rooms/x"),
    ("PUT", "/v1/rooms/x/consent"),
    ("POST", "/v1/rooms/x/tokens"),
    ("GET", "/v1/openapi.json"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_door_opens_without_the_token(method, path):
    async with controlled() as (session, rooms):
        for header in ("", "Bearer", "Bearer ", "Bearer Hush", "Bearer hush,", "Bearer hus", "Basic hush", "hush"):
            status, said = await ask(session, method, path, meeting(), headers={"Authorization": header})
            assert (status, list(said)) == (401, ["error"])
        assert (await ask(session, method, f"{path}?token=hush", meeting(), headers={"Authorization": ""}))[0] == 401
        assert len(rooms) == 0


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_page_from_elsewhere_asks(method, path):
    async with controlled(server={"token": None}) as (session, rooms):
        for origin in ("https://evil.test", "null", "http://127.0.0.1:1"):
            assert (await ask(session, method, path, meeting(), headers={"Origin": origin}))[0] == 403
        assert (await ask(session, method, path, meeting(), headers={"Host": "evil.test"}))[0] == 403
        assert len(rooms) == 0


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_token_of_its_own_opens_it_and_the_one_that_everyone_who_joins_knows_does_not(method, path):
    async with controlled(token="key") as (session, rooms):
        for token in ("hush", "Key", "key,", "ke", ""):
            header = {"Authorization": f"Bearer {token}"}
            assert (await ask(session, method, path, meeting(), headers=header))[0] == 401
        assert len(rooms) == 0
        assert (await ask(session, method, path, meeting(), headers={"Authorization": "Bearer key"}))[0] != 401


async def test_beyond_this_machine_it_has_a_token_of_its_own():
    server = Server(host="0.0.0.0", token="hush")
    with pytest.raises(ConfigError, match=r"^control\.token is missing: .*\.$"):
        Control(server, None)
    Control(server, None, token="key")


async def test_on_this_machine_alone_no_token_is_needed():
    async with controlled(server={"token": None}) as (session, _):
        here = {"Origin": str(session._base_url.origin())}
        assert (await ask(session, "GET", "/v1/rooms", headers={"Authorization": ""} | here))[0] == 200


async def test_without_the_section_there_is_no_api():
    server = Server(port=0)
    await server.start()
    async with ClientSession(f"http://127.0.0.1:{server.port}") as session:
        for method, path in ROUTES:
            assert (await ask(session, method, path, {}))[0] in (404, 405)
    await server.stop()


# -- what may be asked for --------------------------------------------------------------------------------------------

SCRIPTED = "tests.test_control:Scripted"
REFUSED = [
    ({}, "send {"),
    ({"room": "embedded"}, "send {"),
    ({"room": {"kind": "embedded"}, "template": "meeting"}, "send {"),
    ({"template": "meeting", "more": 1}, "send {"),
    ({"template": "meeting", "fields": [1]}, "send {"),
    ({"template": ["meeting"]}, "send {"),
    ({"template": "none"}, "no such template"),
    ({"room": {}}, "room.kind must be one of"),
    ({"room": {"kind": 1}}, "room.kind must be one of"),
    ({"room": {"kind": ["embedded"]}}, "room.kind must be one of"),
    ({"room": {"kind": SCRIPTED}}, "room.kind must be one of"),
    ({"room": {"kind": "os:system"}}, "room.kind must be one of"),
    ({"room": {"kind": "replay", "files": ["/etc/passwd"]}}, "room.kind must be one of"),
    ({"room": {"kind": "embedded", "nmae": "x"}}, "did you mean 'name'"),
    ({"room": {"kind": "embedded", "name": "../../x"}}, "room.name"),
    ({"room": {"kind": "embedded", "guests": 1e9}}, "room.guests"),
    ({"room": {"kind": "embedded", "server": None}}, "room.server is not a known setting"),
    ({"room": {"kind": "embedded", "policy": {}}}, "room.policy is not a known setting"),
    (meeting(kind=SCRIPTED), "the template settles kind"),
    (meeting(display="Undertone"), "display: that belongs in a template"),
    (meeting(consent="host", listen_only=True, notice_by="me"), "consent, listen_only, notice_by: that belongs"),
    ({"room": {"kind": "janus", "url": "ws://sfu.test:8188", "room": 1, "consent": "host"}}, "consent: that belongs"),
    (meeting(url="ws://sfu.test:8188"), "the template settles url"),
    (meeting(pin="", kind="embedded"), "the template settles kind, pin"),
    (meeting("x" * 21), "room.room"),
    (meeting(room=["a"]), "room.room"),
    (meeting(fail="env:PATH"), "env: and file: belong"),
    (meeting(fail="file:/etc/passwd"), "env: and file: belong"),
    (meeting(extra={"a": [{"b": ["file:/etc/passwd"]}]}), "env: and file: belong"),
    (meeting(extra={"env:PATH": 1}), "env: and file: belong"),
    (meeting(turn_url="turn:169.254.169.254:3478"), "addresses other than room.url"),
    (meeting(extra={"my_url": "x"}), "addresses other than room.url"),
    (meeting(fail="http://169.254.169.254/"), "an address is not among"),
    (meeting(extra={"a": ["http://169.254.169.254/"]}), "an address is not among"),
    ({"template": "anywhere"}, "room.url is not among"),  # its default is not
    ({"template": "anywhere", "fields": {"url": "ws://evil.test:8188"}}, "an address is not among"),
    ({"template": "anywhere", "fields": {"url": "ws://sfu.test:8188@evil.test"}}, "an address is not among"),
    ({"template": "anywhere", "fields": {"url": "ws://sfu.test.:8188"}}, "an address is not among"),
    ({"template": "anywhere", "fields": {"url": "ws://[::1]:8188"}}, "an address is not among"),
    ({"template": "anywhere", "fields": {"url": "ws://sfu.test:8189"}}, "an address is not among"),
    ({"template": "anywhere", "fields": {"url": "sfu.test"}}, "room.url is not among"),
    ({"template": "anywhere", "fields": {"url": ""}}, "room.url is not among"),
    ({"template": "anywhere", "fields": {"url": None}}, "room.url"),
]


@pytest.mark.parametrize(("body", "sentence"), REFUSED)
async def test_what_only_the_operator_may_is_refused_in_a_sentence(body, sentence):
    async with controlled() as (session, rooms):
        status, said = await ask(session, "POST", "/v1/rooms", body)
        assert (status, said["code"]) == (422, "config")
        assert sentence in said["error"]
        assert "\n" not in said["error"]
        assert len(rooms) == 0


async def test_allowed_addresses_are_joined_and_without_any_none_is():
    fields = {"url": "ws://sfu.test:8188/janus"}
    async with controlled() as (session, _):
        assert (await ask(session, "POST", "/v1/rooms", {"template": "anywhere", "fields": fields}))[0] == 201
        wide = {"url": "wss://eu.sfu.test", "room": "b"}
        assert (await ask(session, "POST", "/v1/rooms", {"template": "anywhere", "fields": wide}))[0] == 201
    async with controlled(allow=[]) as (session, _):
        for body in ({"template": "anywhere", "fields": fields}, meeting()):
            assert "control.allow" in (await ask(session, "POST", "/v1/rooms", body))[1]["error"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_an_allowed_server_sends_the_worker_nowhere_else(status):
    asked = []

    async def elsewhere(request):
        asked.append(request.path)
        return web.Response()

    async def away(request):
        return web.Response(status=status, headers={"Location": f"http://127.0.0.1:{ports[0]}/latest/meta-data"})

    runners, ports = [], []
    for handler in (elsewhere, away):
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        ports.append(runners[-1].addresses[0][1])
    url = f"ws://127.0.0.1:{ports[1]}"
    async with controlled(allow=[url]) as (session, _):
        body = {"room": {"kind": "janus", "url": url, "room": 1234}}
        answered, room = await ask(session, "POST", "/v1/rooms", body)
        assert answered == 201
        found = await until(session, room["id"], "failed")
    assert (found["reason"], asked) == ("not_janus", [])
    for runner in runners:
        await runner.cleanup()


HOSTILE = [
    b"", b"{", b"nul", b"null", b"[]", b'"text"', b"1", b"\xff\xfe", b"{'a': 1}", b"[" * 60_000, b'{"a":' * 10_000,
    b'{"template": NaN}', b'{"template": Infinity}', b'{"template": ' + b"9" * 10_000 + b"}",
    b'{"template": "meeting", "template": "anywhere"}', b'{"template": "\\ud800"}', b'{"room": {"kind": "\\u0000"}}',
    b'{"template": "meeting", "fields": {"room": "\\ud800"}}',
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: body[:20])
async def test_hostile_json_is_refused(body):
    json_type = {"Content-Type": "application/json"}
    async with controlled() as (session, rooms):
        with capture_logs() as logs:
            for method, path in (("POST", "/v1/rooms"), ("PUT", "/v1/rooms/x/consent")):
                status, said = await ask(session, method, path, data=body, headers=json_type)
                assert status == 422, said
        assert not [entry for entry in logs if entry.get("code") == "bug"]
        assert len(rooms) == 0


async def test_too_much_is_refused_and_so_is_what_is_not_called_json():
    async with controlled() as (session, rooms):
        is_json = {"Content-Type": "application/json"}
        for size in (LARGEST_MESSAGE + 1, 10 * LARGEST_MESSAGE):
            body = json.dumps(meeting("x" * size)).encode()
            assert (await ask(session, "POST", "/v1/rooms", data=body, headers=is_json))[0] == 413

        async def pieces():
            for _ in range(100):
                yield b" " * 4096

        status, _ = await ask(session, "POST", "/v1/rooms", data=pieces(), headers=is_json)
        assert status == 413
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"):
            body = json.dumps(meeting()).encode()
            assert (await ask(session, "POST", "/v1/rooms", data=body, headers={"Content-Type": kind}))[0] == 415
        assert len(rooms) == 0


async def test_no_secret_comes_back():
    async with controlled() as (session, _):
        said = []
        with capture_logs() as logs:
            for body in (meeting(), meeting("b", fail="auth_failed"), meeting(), meeting(pin="x"), meeting(fail=[PIN]),
                         {"template": "anywhere", "fields": {"pin": [PIN]}},
                         {"template": "anywhere", "fields": {"url": f"ws://me:{PIN}@sfu.test:8188"}}):  # fmt: skip
                said.append(await ask(session, "POST", "/v1/rooms", body))
            await asyncio.sleep(0.05)
            for path in ("/v1/rooms", f"/v1/rooms/{said[0][1]['id']}", "/v1/openapi.json", "/metrics", "/v1/page"):
                async with session.get(path) as answer:
                    said.append(await answer.text())
        for secret in (PIN, "hush", "sfu.test:8188"):
            assert secret not in str(said) + str(logs)


# -- the document -----------------------------------------------------------------------------------------------------


async def test_the_document_says_what_there_is():
    async with controlled() as (session, _):
        document = (await ask(session, "GET", "/v1/openapi.json"))[1]
        routes = {
            (verb.upper(), path.replace("{id}", "x")) for path, verbs in document["paths"].items() for verb in verbs
        }
        assert {route for route in routes if route[0] != "PARAMETERS"} == set(ROUTES)
        schemas = document["components"]["schemas"]
        for schema in schemas.values():
            jsonschema.Draft202012Validator.check_schema(schema)

        def valid(name, value):
            jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": document["components"]})

        for body in (meeting(), {"room": {"kind": "embedded", "name": "hall"}}):
            valid("Join", body)
        with pytest.raises(jsonschema.ValidationError):
            valid("Join", {"room": {"kind": "replay", "files": []}})
        janus = {"kind": "janus", "url": "ws://sfu.test:8188", "room": 1}
        valid("Join", {"room": janus})
        with pytest.raises(jsonschema.ValidationError):
            valid("Join", {"room": janus | {"consent": "host"}})
        room = (await ask(session, "POST", "/v1/rooms", meeting()))[1]
        valid("Room", room)
        valid("Rooms", (await ask(session, "GET", "/v1/rooms"))[1])
        valid("Consent", {"speaker": "ada", "analysed": True})
        valid("Consent", {"speaker": "ada", "analysed": True, "feed": 7})
        valid("Error", (await ask(session, "POST", "/v1/rooms", {}))[1])
        assert room["state"] in STATES
        for reference in _references(document):
            place = document
            for step in reference.removeprefix("#/").split("/"):
                place = place[step]


def _references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    for value in node if isinstance(node, list) else ():
        yield from _references(value)


# -- many -------------------------------------------------------------------------------------------------------------


def held():
    """(tasks, open files)"""
    return len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
async def test_a_hundred_rooms_leave_nothing_behind(tmp_path):
    sinks = [{"kind": "jsonl", "path": str(tmp_path / "events.jsonl")}, {"kind": "websocket"}]
    async with controlled(sinks=sinks) as (session, rooms):

        async def ten(first):
            bodies = [meeting(str(first + n), **({"fail": "kicked"} if n == 3 else {})) for n in range(10)]
            opened = [await ask(session, "POST", "/v1/rooms", body) for body in bodies]
            assert {status for status, _ in opened} == {201}
            left = [await ask(session, "DELETE", f"/v1/rooms/{room['id']}") for _, room in opened]
            assert {status for status, _ in left} == {204}

        await ten(0)
        before = held()
        for first in range(10, 110, 10):
            await ten(first)
        assert held() == before
        assert len(rooms) == 0
        assert rooms._past == {}
        async with session.get("/metrics") as answer:
            text = await answer.text()
        assert 'room="' not in text
        assert 'undertone_events_lost_total{sink="JsonlSink"} 0.0' in text
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    kinds = [line["type"] for line in lines]
    assert kinds.count("io.undertone.room.opened.v1") == kinds.count("io.undertone.room.closed.v1") == 110
