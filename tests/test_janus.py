"""How the worker speaks with a Janus: against a server that says what a test tells it to."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp import WSMsgType, web
from hypothesis import given
from hypothesis import strategies as st

from tests.consenting import TERMS
from tests.consenting import consent as new_consent
from tests.janus import Stay, stay, until
from tests.support import free_port
from worker.errors import ConfigError, RoomError
from worker.privacy.levels import Level
from worker.rooms import ROOMS
from worker.rooms.janus import api as api_module
from worker.rooms.janus.api import CORE, HEARTBEAT_S, PATIENCE_S, SENTENCES, VIDEOROOM, Api
from worker.rooms.janus.room import JanusRoom
from worker.rooms.janus.subscriber import WAITING, Subscriber

INFO = {"janus": "server_info", "version": 1102}
SESSION = {"janus": "success", "data": {"id": 1}}
LISTEN = {"listen_only": True, "notice_by": "the page"}


def said(handle=1, **data):
    """An event of the VideoRoom."""
    return {"janus": "event", "sender": handle, "plugindata": {"plugin": api_module.PLUGIN, "data": data}}


def plain(request):
    """What a Janus without a single room's worth of trouble says; the answers to one request."""
    match request["janus"]:
        case "info":
            return [INFO]
        case "create" | "destroy" | "detach" | "attach":
            return [SESSION]
        case "keepalive":
            return [{"janus": "ack"}]
        case _:
            return [{"janus": "ack"}, said(videoroom="joined", publishers=[])]


class Scripted:
    """A WebSocket server; `script` gives the answers to a request, None to close, text for what is no JSON."""

    def __init__(self, script=plain, protocols=("janus-protocol",), status=None):
        self.script, self.requests, self.sockets = script, [], []
        self._protocols, self._status = protocols, status

    async def serve(self, request):
        if self._status is not None:
            return web.Response(status=self._status)
        socket = web.WebSocketResponse(protocols=self._protocols)
        await socket.prepare(request)
        self.sockets.append(socket)
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                asked = json.loads(frame.data)
                self.requests.append(asked)
                for answer in self.script(asked):
                    await self.say(socket, answer, asked["transaction"])
        return socket

    async def say(self, socket, answer, transaction):
        match answer:
            case None:
                await socket.close()
            case str() | bytes():
                await (socket.send_str if isinstance(answer, str) else socket.send_bytes)(answer)
            case _:
                await socket.send_json({"transaction": transaction} | answer)

    async def tell(self, message):
        """Say something that nobody asked for."""
        await self.sockets[-1].send_json(message)


@asynccontextmanager
async def scripted(*args, **kwargs):
    one = Scripted(*args, **kwargs)
    app = web.Application()
    app.router.add_get("/", one.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield one
    finally:
        for socket in one.sockets:
            await socket.close()
        await runner.cleanup()


@asynccontextmanager
async def opened(server, **secrets):
    ends = []
    one = Api(server.url, secrets, ends.append)
    one.ends = ends
    try:
        await one.open()
        yield one
    finally:
        await one.close()


async def code_of(server, **options):
    async with stay(server.url, 1234, **(LISTEN | options)) as one:
        await until(lambda: one.error)
        assert str(one.error).endswith(".")
        return one.error.code


def answering(**answers):
    """`plain`, but for these verbs."""
    return lambda request: answers.get(request["janus"]) or plain(request)


# -- who answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"janus": "info"}, "not_janus"),
        ({"janus": "server_info", "version": "new"}, "not_janus"),
        ({"janus": "server_info", "version": 106}, "not_janus"),
        ({"janus": "error", "error": "no"}, "not_janus"),
        ("hello", "not_janus"),
        ("[1, 2]", "not_janus"),
        ("[" * 100_000, "not_janus"),
        (None, "unreachable"),
    ],
    ids=["echo", "no version", "old", "odd error", "no JSON", "no object", "deep", "goodbye"],
)
async def test_a_server_that_is_no_janus(answer, code):
    async with scripted(lambda _: [answer]) as server:
        assert await code_of(server) == code


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, "not_janus"), (404, "not_janus"), (401, "auth_failed"), (403, "auth_failed"), (503, "unreachable")],
)
async def test_a_server_that_speaks_no_websocket(status, code):
    async with scripted(status=status) as server:
        assert await code_of(server) == code


async def test_a_websocket_for_something_else():
    async with scripted(protocols=("chat",)) as server:
        assert await code_of(server) == "not_janus"


async def test_no_server_at_all():
    async with stay(f"ws://127.0.0.1:{free_port()}/", 1, **LISTEN) as one:
        await until(lambda: one.error)
        assert one.error.code == "unreachable"


async def test_a_server_that_says_nothing(monkeypatch):
    monkeypatch.setattr(api_module, "PATIENCE_S", 0.1)
    async with scripted(lambda _: []) as server:
        assert await code_of(server) == "hung"


@pytest.mark.parametrize(("number", "code"), [*CORE.items(), (499, "protocol_error")])
async def test_what_janus_refuses_has_a_reason(number, code):
    async with (
        scripted(answering(create=[{"janus": "error", "error": {"code": number, "reason": "room 7"}}])) as server,
        stay(server.url, 1234, **LISTEN) as one,
    ):
        await until(lambda: one.error)
        assert one.error.code == code
        assert str(number) in str(one.error)
        assert "room 7" not in str(one.error)  # it may name somebody


@pytest.mark.parametrize(("number", "code"), [*VIDEOROOM.items(), (499, "protocol_error"), ([], "not_janus")])
async def test_what_the_room_refuses_has_a_reason(number, code):
    async with scripted(answering(message=[{"janus": "ack"}, said(error_code=number)])) as server:
        assert await code_of(server) == code


def test_every_reason_has_a_sentence():
    assert set(CORE.values()) | set(VIDEOROOM.values()) <= set(SENTENCES)


# -- asking and hearing ---------------------------------------------------------------------------------------------


async def test_secrets_go_into_every_request():
    async with scripted() as server, opened(server, token="t", apisecret="s") as one:
        await one.attach(lambda _: None)
        assert len(server.requests) == 3
        assert all((asked["token"], asked["apisecret"]) == ("t", "s") for asked in server.requests)
    assert [asked["janus"] for asked in server.requests] == ["info", "create", "attach", "destroy"]


async def test_pins_and_tokens_go_into_the_join(monkeypatch):
    monkeypatch.setenv("PIN", "9")
    async with scripted() as server, stay(server.url, "hall", pin="env:PIN", token="t", feed=5, **LISTEN):
        await until(lambda: len(server.requests) > 3)
        body = server.requests[3]["body"]
        assert (body["room"], body["pin"], body["token"], body["id"]) == ("hall", "9", "t", 5)
        assert body["display"].startswith("Undertone")


async def test_answers_find_their_questions_in_any_order():
    held = []

    def script(request):
        if request["janus"] != "message":
            return plain(request)
        held.append({"transaction": request["transaction"]} | said(echo=request["body"]["n"]))
        return [{"janus": "ack"}] if len(held) < 3 else [{"janus": "ack"}, *reversed(held)]

    async with scripted(script) as server, opened(server) as one:
        heard = []
        await one.attach(heard.append)
        answers = await asyncio.gather(*(one.message(1, {"n": n}) for n in range(3)))
        assert [answer["echo"] for answer in answers] == [0, 1, 2]
        assert [event["plugindata"]["data"]["echo"] for event in heard] == [2, 1, 0]


async def test_a_session_that_ended_over_there_is_told():
    async with scripted() as server, opened(server) as one:
        await server.tell({"janus": "timeout", "session_id": 1})
        await until(lambda: one.ends)
        assert one.ends[0].code == "signalling_lost"
        with pytest.raises(RoomError, match="forgot our session"):
            await one.request(janus="info")


async def test_a_connection_that_closes_fails_what_waits():
    script = answering(message=[None])
    async with scripted(script) as server, opened(server) as one:
        with pytest.raises(RoomError) as failure:
            await one.message(1, {})
        assert [end.code for end in one.ends] == [failure.value.code] == ["signalling_lost"]


async def test_leaving_is_no_failure():
    async with scripted() as server, opened(server) as one:
        await one.close()
        await one.close()
        assert one.ends == []


async def test_a_janus_that_hangs_is_noticed_by_the_clock_it_is_given():
    async with scripted(answering(keepalive=[{"janus": "ack"}])) as server, opened(server) as one:
        for _ in range(20):
            one.watch(0.3)
            await until(lambda: not one._beating)
        assert len([asked for asked in server.requests if asked["janus"] == "keepalive"]) == 5
        server.script = lambda _: []
        one.watch(HEARTBEAT_S)
        await asyncio.sleep(0.05)
        for _ in range(round(PATIENCE_S * 10)):
            one.watch(0.099)
        assert one.ends == []
        one.watch(0.1)
        assert [end.code for end in one.ends] == ["hung"]


KEYS = "janus transaction sender plugindata data error code jsep videoroom publishers id streams mid type leaving"
KEYS += " unpublished kicked moderation display disabled moderated metadata"
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2000) | st.sampled_from(["0", "audio", "event", "joined", "muted", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=6),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(st.sampled_from(["janus", "plugindata", "jsep", "sender"]), values), max_size=5))
def test_nothing_that_a_server_says_breaks_the_reader(replies):
    async def hear():
        room = JanusRoom(new_consent(), "ws://127.0.0.1:1/", 1, **LISTEN)
        room._api._handles[1] = room._told
        for reply in replies:
            room._api._take(reply | {"sender": 1})
        await room.close()

    asyncio.run(hear())


# -- how a stay ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([said(videoroom="destroyed")], "room_closed"),
        ([said(leaving="ok", reason="kicked")], "kicked"),
        ([{"janus": "hangup", "sender": 1}, said(leaving="ok", reason="kicked")], "kicked"),
        ([{"janus": "hangup", "sender": 1}], "media_lost"),
        ([{"janus": "detached", "sender": 1}], "signalling_lost"),
    ],
    ids=["destroyed", "kicked", "hung up, then kicked", "hung up", "detached"],
)
async def test_the_end_has_a_reason(messages, code):
    async with scripted() as server, stay(server.url, 1234, **LISTEN) as one:
        await until(lambda: one.items)
        for message in messages:
            await server.tell(message)
        await until(lambda: one.error)
        assert one.error.code == code


ADA = {"id": 7, "display": "ada", "streams": [{"type": "audio", "mid": "0"}]}


def offering(jsep):
    def script(request):
        if request["janus"] == "attach":
            return [{"janus": "success", "data": {"id": 1 if attached.append(1) or len(attached) == 1 else 2}}]
        if request.get("handle_id") == 2 and request["janus"] == "message":
            return [said(2, videoroom="attached", streams=[]) | {"jsep": jsep}]
        if request["janus"] == "message":
            return [said(videoroom="joined", publishers=[ADA])]
        return plain(request)

    attached = []
    return script


@pytest.mark.parametrize(
    ("jsep", "code"),
    [
        ({"type": "offer", "sdp": "v=0", "e2ee": True}, "e2ee"),
        ({"type": "offer", "sdp": "nonsense"}, "bad_offer"),
        ({"type": "offer"}, "bad_offer"),
    ],
)
async def test_an_offer_that_is_not_for_us(jsep, code):
    async with scripted(offering(jsep)) as server:
        assert await code_of(server, consent="host") == code


async def test_a_feed_that_is_not_up_yet_is_asked_for_again(monkeypatch):
    monkeypatch.setattr("worker.rooms.janus.room.AGAIN_S", 0.05)
    tried = []

    def script(request):
        if request["janus"] == "message" and request["body"].get("ptype") == "subscriber":
            tried.append(request["body"]["streams"])
            return [said(videoroom="event", error_code=428)]
        if request["janus"] == "message":
            return [said(videoroom="joined", publishers=[ADA])]
        return plain(request)

    async with scripted(script) as server, stay(server.url, 1234, **LISTEN) as one:
        await until(lambda: len(tried) > 3)
        assert one.error is None
        assert tried[-1] == [{"feed": 7, "mid": "0"}]


async def test_a_janus_that_says_more_than_can_be_followed_is_left():
    told = []
    one = Subscriber(None, {}, SimpleNamespace(ears={}, ignore=told.append), 1.0)
    for _ in range(WAITING):
        one._tell(said(videoroom="slow_link"))
        one._tell({"janus": "media", "type": "audio", "receiving": True})
    for number in range(3 * WAITING):
        one._tell(said(videoroom="updated", streams=[{"type": "audio", "mid": str(number)}]))
    assert one._told.qsize() == WAITING
    with pytest.raises(RoomError) as caught:
        async with asyncio.timeout(5):
            await one.run()
    assert caught.value.code == "protocol_error"


async def test_a_room_that_is_closed_while_it_joins_ends_without_a_word():
    async with scripted(lambda _: []) as server:
        one = Stay(server.url, 1, **LISTEN)
        collecting = asyncio.create_task(one.collect())
        await until(lambda: server.requests)
        async with asyncio.timeout(2):
            await one.room.close()
            await collecting
        assert (one.items, one.error) == ([], None)


# -- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": "http://127.0.0.1:8188"}, "ws://host:8188"),
        ({"url": "ws://"}, "ws://host:8188"),
        ({"listen_only": True}, "notice_by"),
        ({"listen_only": True, "notice_by": " "}, "notice_by"),
        ({"turn_url": "stun:host"}, "turn:"),
        ({"turn_secret": "north", "turn_username": "ada"}, "turn_secret makes names"),
        ({"display": "Ada"}, '"Undertone" in it'),
        ({"display": ""}, '"Undertone" in it'),
    ],
)
def test_options_that_make_no_sense(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        JanusRoom.check_options({"url": "ws://127.0.0.1:8188/"} | options)


async def test_a_room_is_named_by_its_number_or_by_the_operator():
    def room(**options):
        return JanusRoom(new_consent(), "ws://127.0.0.1:1/", **options, **LISTEN)

    assert [room(room=7).name, room(room="a b/c").name, room(room=7, name="hall").name] == ["7", "a-b-c", "hall"]


def test_the_table_names_it():
    assert ROOMS["janus"] == f"{JanusRoom.__module__}:{JanusRoom.__name__}"


async def test_a_bug_while_reading_is_told():
    def fail(reply):
        raise ZeroDivisionError

    async with scripted() as server, opened(server) as one:
        await one.attach(fail)
        await server.tell(said(videoroom="event"))
        await until(lambda: one.ends)
        assert isinstance(one.ends[0], ZeroDivisionError)


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ({"undertone": {"level": "metrics", "text": TERMS.text}}, Level.METRICS),
        ({"undertone": {"level": "presence"}}, Level.PRESENCE),
        ({"undertone": {"level": "metrics", "text": "other words"}}, Level.PRESENCE),
        ({"undertone": {"level": "everything"}}, Level.PRESENCE),
        ({"undertone": "yes"}, Level.PRESENCE),
        ({}, Level.PRESENCE),
    ],
)
def test_what_a_publishers_metadata_says_is_their_answer(said, level):
    policy = new_consent()
    room = JanusRoom(policy, "ws://127.0.0.1:1/", 1, consent="metadata", **LISTEN)
    room._roster.announce([ADA | {"metadata": said}], 0.0)
    [person] = room._roster.people
    assert policy.level(person.speaker) is level
    room._roster.leave(ADA["id"], 1.0)
    room._roster.announce([ADA | {"id": 99}], 2.0)  # anybody under that name, who said nothing
    assert not policy.may_hear(person.speaker)
