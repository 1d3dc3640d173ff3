"""A worker that is sent to a real Janus and back by its control API."""

import asyncio
import gc
import json

import numpy as np
import pytest

from tests.janus import Publisher, made_room
from tests.janus import janus as janus
from tests.janus import own_janus as own_janus
from tests.test_control import ask, controlled, held, until

ROOMS = 100


class Loud:
    """Takes what is loud for speech."""

    def predict(self, batch):
        return [(float(np.abs(samples).max() > 0.05), None) for samples, _ in batch]


def wish(server, number, **fields):
    return {"room": {"kind": "janus", "url": server.url, "room": number, **fields}}


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def said(path, kind, since=0):
    """The first event of this kind from that line on."""
    async with asyncio.timeout(20):
        while True:
            for event in events(path)[since:]:
                if event["type"].endswith(kind):
                    return event
            await asyncio.sleep(0.05)


def talked(path, speaker):
    """Seconds of talk time of this speaker, each time that they were told."""
    times = [e["data"]["speakers"] for e in events(path) if e["type"].endswith("talk_time.v1")]
    return [speakers[speaker]["seconds"] for speakers in times if speaker in speakers]


@pytest.fixture
def sink(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_control.Deaf.predict", Loud().predict)
    return {"kind": "jsonl", "path": str(tmp_path / "events.jsonl")}, tmp_path / "events.jsonl"


async def test_nobody_is_heard_before_the_api_says_that_they_agreed(janus, sink):
    async with made_room(janus.url, description="quiet") as number:
        ada = await Publisher(janus.url, number, "Ada", 440).enter()
        async with controlled(allow=[janus.url], sinks=[sink[0]]) as (session, _):
            room = (await ask(session, "POST", "/v1/rooms", wish(janus, number)))[1]["id"]
            joined = (await said(sink[1], "speaker.joined.v1"))["data"]
            assert (joined["name"], joined["analysed"]) == ("Ada", False)
            await asyncio.sleep(1)
            assert not [event for event in events(sink[1]) if "speech" in event["type"]]
            body = {"speaker": joined["speaker"], "analysed": True}
            assert (await ask(session, "PUT", f"/v1/rooms/{room}/consent", body))[0] == 204
            async with asyncio.timeout(10):
                while not talked(sink[1], joined["speaker"]):
                    await asyncio.sleep(0.05)
            assert (await ask(session, "PUT", f"/v1/rooms/{room}/consent", body | {"analysed": False}))[0] == 204
            await said(sink[1], "speech.ended.v1")
            later = len(events(sink[1]))
            assert (await said(sink[1], "talk_time.v1", later))["data"]["speakers"] == {}
        await ada.close()


async def test_a_janus_that_is_started_anew_is_joined_again_and_talk_time_goes_on(own_janus, sink):
    server = own_janus()
    host = {"kind": "janus", "url": server.url, "consent": "host"}
    async with controlled(allow=[server.url], sinks=[sink[0]], templates={"host": host}) as (session, _):
        body = {"template": "host", "fields": {"room": 1234}}
        room = (await ask(session, "POST", "/v1/rooms", body))[1]["id"]
        await until(session, room, "open")
        ada = await Publisher(server.url, 1234, "Ada", 440).enter()
        await said(sink[1], "speech.started.v1")
        await asyncio.sleep(1.5)
        server.kill()
        lost = await until(session, room, "interrupted")
        assert (lost["reason"], lost["interruptions"]) == ("signalling_lost", 1)
        await ada.close()
        before = len(events(sink[1]))
        server.start()
        back = (await said(sink[1], "room.interrupted.v1"))["data"]
        assert back["reason"] == "signalling_lost"
        assert back["seconds"] < 10
        ada = await Publisher(server.url, 1234, "Ada", 440).enter()
        again = (await said(sink[1], "speaker.joined.v1", before))["data"]
        await said(sink[1], "speech.started.v1", before)
        first = (await said(sink[1], "speaker.joined.v1"))["data"]
        assert (again["speaker"], again["generation"]) == (first["speaker"], 2)
        async with asyncio.timeout(10):
            while not (talk := talked(sink[1], first["speaker"])) or talk[-1] <= 1:
                await asyncio.sleep(0.05)
        assert talk == sorted(talk)
        ats = [e["data"]["at"] for e in events(sink[1]) if e["type"].split(".")[2] in ("room", "speaker")]
        assert ats == sorted(ats)
        assert (await until(session, room, "open"))["reason"] is None
        await ada.close()


async def test_a_hundred_stays_at_a_real_server_leave_nothing_behind(janus, sink):
    """Here, that is: a Janus 1.1.2 that is short of time may keep a handle that is given up just after its offer."""
    async with controlled(allow=[janus.url], sinks=[sink[0]]) as (session, rooms), made_room(janus.url) as number:

        async def stay(name):
            status, room = await ask(session, "POST", "/v1/rooms", wish(janus, number, name=name))
            assert status == 201
            await until(session, room["id"], "open")
            assert (await ask(session, "DELETE", f"/v1/rooms/{room['id']}"))[0] == 204

        async def some(first):
            await asyncio.gather(*(stay(f"room-{first + index}") for index in range(5)))

        for first in range(0, 10, 5):
            await some(first)
        gc.collect()
        tasks, files = held()
        for first in range(10, ROOMS + 10, 5):
            await some(first)
        async with asyncio.timeout(20):  # connections take a moment to close
            while (now := held())[0] > tasks or now[1] > files:
                await asyncio.sleep(0.1)
                gc.collect()
        assert len(rooms) == 0
