"""What a participant does with their own data in an open room, and that nobody does it for them."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession

from tests.consenting import agree
from worker.config import settle
from worker.errors import RoomError
from worker.events import SpeechEnded, SpeechStarted
from worker.manager import Rooms
from worker.ops.audit import Audit
from worker.ops.http import Server
from worker.privacy.levels import Level
from worker.registry import construct

ME = "/v1/rooms/room-a/me"
SCRIPTED = {"kind": "tests.test_control:Scripted", "url": "ws://away.test:8188", "room": "a"}


@asynccontextmanager
async def held(folder):
    """(a client session, the server, the open room, its file of events) where Ada and Bo have spoken."""
    events = folder / "events.jsonl"
    settings = settle({
        "vad": {"kind": "tests.test_control:Deaf"}, "emotion": None, "room": SCRIPTED, "server": {"port": 0},
        "sinks": [{"kind": "jsonl", "path": str(events)}, {"kind": "websocket"}],
        "audit": {"path": folder / "audit.jsonl"}, "drain_s": 3,
    })  # fmt: skip
    server, audit = construct(Server, settings.server, "server"), construct(Audit, settings.audit, "audit")
    rooms = Rooms(settings, server, None, audit)
    await server.start()
    try:
        await rooms.open(SCRIPTED)
        [one] = rooms._open.values()
        async with asyncio.timeout(10):
            while "ada" not in one.describe()["speakers"]:
                await asyncio.sleep(0.01)
        agree(one.policy, "ada")
        for speaker in ("ada", "bo"):
            one.worker.session.say(SpeechStarted(1.0, speaker))
            one.worker.session.say(SpeechEnded(2.0, speaker, 1.0))
        await one.worker.fanout.settle()
        async with ClientSession(f"http://127.0.0.1:{server.port}") as session:
            one.rooms = rooms
            yield session, server, one, events
    finally:
        await rooms.close()
        await server.stop()
        await audit.close()


def bearing(server, one, speaker):
    token = server.pass_for(one.room.name, one.worker.snapshot.epoch, speaker)
    return {"Authorization": f"Bearer {token}"}


async def test_everything_of_oneself_is_given_and_nothing_of_others(tmp_path):
    async with (
        held(tmp_path) as (session, server, one, _),
        session.get(ME, headers=bearing(server, one, "ada")) as answer,
    ):
        assert answer.status == 200
        assert "undertone-my-data.json" in answer.headers["Content-Disposition"]
        document, text = await answer.json(), await answer.text()
    assert document["participant"] == "ada"
    assert document["complete"]
    assert document["consent"]["state"] == "granted"
    kinds = {entry["record"].get("type", "").removeprefix("io.undertone.") for entry in document["records"]}
    assert {"speech.started.v1", "speech.ended.v1"} <= kinds
    assert '"bo"' not in text


async def test_who_has_themself_erased_is_heard_no_more_and_others_stay(tmp_path):
    async with held(tmp_path) as (session, server, one, events):
        async with session.delete(ME, headers=bearing(server, one, "ada")) as answer:
            assert answer.status == 200, await answer.text()
            receipt = await answer.json()
        assert receipt["complete"]
        assert [store["store"] for store in receipt["stores"]] == ["memory", "jsonl", "audit"]
        assert not one.policy.may_hear("ada")
        one.worker.session.say(SpeechStarted(3.0, "ada"))
        async with session.get(ME, headers=bearing(server, one, "ada")) as answer:
            left = [found["record"] for found in (await answer.json())["records"]]
    assert not [record for record in left if "audit" not in record]
    written = events.read_text()
    assert '"ada"' not in written
    assert '"bo"' in written


async def test_a_token_opens_ones_own_data_only_and_nothing_else_opens_it(tmp_path):
    async with held(tmp_path) as (session, server, one, _):
        async with session.get(ME, headers=bearing(server, one, "bo")) as answer:
            assert (await answer.json())["participant"] == "bo"
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            async with session.get(ME, headers=headers) as answer:
                assert answer.status == 401
        async with session.post(ME, headers=bearing(server, one, "ada")) as answer:
            assert answer.status == 405


async def test_where_the_same_name_would_come_back_no_yes_counts_after_an_erasure(tmp_path):
    async with held(tmp_path) as (session, server, one, _):
        async with session.delete(ME, headers=bearing(server, one, "ada")) as answer:
            assert answer.status == 200
        assert not agree(one.policy, "ada")
        assert not one.policy.may_hear("ada")
        with pytest.raises(RoomError, match="were erased") as error:
            one.rooms.consent(one.id, "ada", Level.METRICS)
        assert error.value.code == "erased"
