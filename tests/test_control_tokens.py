"""Tokens that are asked of the control API, and what operators' tokens do there."""

import jsonschema
import pytest
from aiohttp import WSMsgType

from tests.test_control import ask, controlled, meeting, until
from worker.ops.tokens import ANY_RUN, EVERY, LONGEST_S, Pass, Tokens

KEY = {"signing_key": "k" * 32}
TOKENS = Tokens(KEY["signing_key"])


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


def bearing(room, ttl_s=600):
    return {"Authorization": f"Bearer {TOKENS.issue(room, ANY_RUN, Pass('operator'), ttl_s)}"}


async def test_an_operator_of_one_room_sees_and_leaves_that_one_alone():
    async with controlled(KEY) as (session, _):
        (mine, name), (other, _) = [
            (path.removesuffix("/tokens"), room) for path, room in (await opened(session), await opened(session, "b"))
        ]
        token = bearing(name)
        status, found = await ask(session, "GET", "/v1/rooms", headers=token)
        assert (status, [one["name"] for one in found["rooms"]], found["templates"]) == (200, [name], [])
        consent = {"speaker": "ada", "analysed": False}
        for path, method, body in (
            (other, "GET", None), (other, "DELETE", None), (f"{other}/consent", "PUT", consent),
            (f"{other}/tokens", "POST", {"audience": "viewer"}), ("/v1/rooms/none", "GET", None),
            ("/v1/rooms/none/consent", "PUT", consent),
        ):  # fmt: skip
            refused = {"error": "This token is for another room."}
            assert await ask(session, method, path, body, headers=token) == (403, refused), path
        status, answer = await ask(session, "POST", "/v1/rooms", meeting("c"), headers=token)
        assert (status, answer["error"]) == (403, "This token is for one room: who opens rooms needs one for all.")
        assert (await ask(session, "PUT", f"{mine}/consent", consent, headers=token))[0] == 204
        assert (await ask(session, "GET", mine, headers=token))[1]["name"] == name
        assert await ask(session, "DELETE", mine, headers=token) == (204, None)
        assert (await ask(session, "GET", "/v1/rooms"))[1]["rooms"] != []


async def test_an_operator_of_all_rooms_opens_them_too():
    async with controlled(KEY) as (session, _):
        status, room = await ask(session, "POST", "/v1/rooms", meeting(), headers=bearing(EVERY))
        assert status == 201
        status, found = await ask(session, "GET", "/v1/rooms", headers=bearing(EVERY))
        assert ([one["id"] for one in found["rooms"]], found["templates"]) == ([room["id"]], ["anywhere", "meeting"])


async def test_no_right_is_made_longer_by_who_has_it():
    async with controlled(KEY) as (session, _):
        path, name = await opened(session)
        for room in (name, EVERY):
            status, answer = await ask(session, "POST", path, {"audience": "operator"}, headers=bearing(room))
            assert (status, "none for operators" in answer["error"]) == (403, True)
        body = {"audience": "participant", "speaker": "ada", "ttl_s": LONGEST_S}
        brief, own = [
            TOKENS.read((await ask(session, "POST", path, body, headers=headers))[1]["token"], "participant")
            for headers in (bearing(name, ttl_s=60), None)
        ]
        assert own.ends - brief.ends >= LONGEST_S - 60 - 5


async def test_an_operator_s_token_is_granted_for_the_room_of_that_name_and_opens_no_other_door():
    async with controlled(KEY, sinks=[{"kind": "websocket"}]) as (session, _):
        path, name = await opened(session)
        token = (await ask(session, "POST", path, {"audience": "operator", "ttl_s": 60}))[1]["token"]
        assert await first(session, name, token) == 4401
        headers = {"Authorization": f"Bearer {token}"}
        assert (await ask(session, "GET", path.removesuffix("/tokens"), headers=headers))[0] == 200
