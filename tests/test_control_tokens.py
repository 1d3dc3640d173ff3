"""Tokens for listeners, asked of the control API and used at the worker's own door."""

import jsonschema
import pytest
from aiohttp import WSMsgType

from tests.test_control import ask, controlled, meeting, until

KEY = {"signing_key": "k" * 32}


async def opened(session, name="a"):
    _, room = await ask(session, "POST", "/v1/rooms", meeting(name))
    room = await until(session, room["id"], "open")
    assert room["speakers"]
    return f"/v1/rooms/{room['id']}/tokens", room["name"]


async def first(session, room, token):
    """What a listener with this token is told at first, or the code with which it is turned away."""
    async with session.ws_connect(f"/v1/rooms/{room}/events") as socket:
        await socket.send_json({"token": token})
        message = await socket.receive()
        return message.data if message.type is WSMsgType.CLOSE else message.json()["type"]


async def test_a_token_opens_this_run_of_this_room_alone():
    async with controlled(KEY, sinks=[{"kind": "websocket"}]) as (session, _):
        path, name = await opened(session)
        _, other = await opened(session, "b")
        status, answer = await ask(session, "POST", path, {"audience": "participant", "speaker": "ada", "ttl_s": 60})
        assert status == 201
        assert (await first(session, name, answer["token"])).endswith("snapshot.v1")
        assert await first(session, other, answer["token"]) == 4401
        await ask(session, "DELETE", path.removesuffix("/tokens"))
        await opened(session)
        assert await first(session, name, answer["token"]) == 4401
        document = (await ask(session, "GET", "/v1/openapi.json"))[1]
        jsonschema.validate(answer, document["components"]["schemas"]["Token"])


@pytest.mark.parametrize(("body", "status", "sentence"), [
    ({"audience": "owner"}, 422, 'send {"audience"'),
    ({"audience": "viewer", "more": 1}, 422, 'send {"audience"'),
    ({"audience": "viewer", "ttl_s": "60"}, 422, 'send {"audience"'),
    ({"audience": "viewer", "ttl_s": 7200}, 422, "from 1 to 3600 s"),
    ({"audience": "viewer", "speaker": "ada"}, 422, "name a speaker for the audience participant"),
    ({"audience": "participant"}, 422, "name a speaker for the audience participant"),
    ({"audience": "participant", "speaker": "bo"}, 404, "Nobody of that id"),
])  # fmt: skip
async def test_what_no_token_may_say_is_refused_in_words(body, status, sentence):
    async with controlled(KEY) as (session, _):
        path, _ = await opened(session)
        answer = await ask(session, "POST", path, body)
        assert (answer[0], sentence in answer[1]["error"]) == (status, True), answer
        assert (await ask(session, "POST", "/v1/rooms/none/tokens", {"audience": "viewer"}))[0] == 404


async def test_without_a_key_no_token_is_signed_and_without_the_right_nobody_asks():
    async with controlled() as (session, _):
        path, _ = await opened(session)
        status, answer = await ask(session, "POST", path, {"audience": "manager"})
        assert (status, answer["error"]) == (422, "this worker signs no tokens: set server.signing_key.")
        wrong = {"Authorization": "Bearer other"}
        assert (await ask(session, "POST", path, {"audience": "manager"}, headers=wrong))[0] == 401
