"""The worker in rooms of a real Janus: by whose leave anybody is heard, and by whose it comes in."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.consenting import agree
from tests.janus import (
    Viewer,
    made_room,
    people,
    refusal,
    stay,
    unmixed,
    until,
)
from tests.janus import janus as janus
from tests.janus import own_janus as own_janus
from worker.events import SpeakerJoined
from worker.rooms import ListenerJoined, Tick
from worker.rooms.webrtc.transport import Transport

# -- by whose leave -------------------------------------------------------------------------------------------------


@pytest.fixture
def arrived(monkeypatch):
    """Every RTP packet that reaches the worker, as its SSRC."""
    ssrcs, take = [], Transport._received

    def received(self, data, component):
        if 127 < data[0] < 192 and not 191 < data[1] < 224:
            ssrcs.append(int.from_bytes(data[8:12]))
        take(self, data, component)

    monkeypatch.setattr(Transport, "_received", received)
    return ssrcs


@pytest.mark.parametrize("per_speaker", [False, True], ids=["one connection", "one each"])
async def test_who_has_not_agreed_is_not_even_sent_to_us(janus, arrived, per_speaker):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440, ben=660),
        stay(janus.url, room, agreed=False, per_speaker=per_speaker) as one,
    ):
        await until(lambda: len(one.kinds(SpeakerJoined)) == 2)
        assert [item.analysed for item in one.kinds(SpeakerJoined)] == [False, False]
        await asyncio.sleep(0.5)
        assert arrived == []
        agree(one.policy, one.id_of("ada"))
        await until(lambda: one.sound("ada"), 1.0)
        await one.hears("ada")
        assert len(set(arrived)) == 1
        agree(one.policy, one.id_of("ben"))
        await until(lambda: one.sound("ben"), 1.0)
        agree(one.policy, one.id_of("ada"), False)
        since = one.now
        await asyncio.sleep(1.0)
        arrived.clear()
        await one.hears("ben")
        assert len(set(arrived)) == 1
        assert one.heard_s("ada", since + 0.05) == 0
        agree(one.policy, one.id_of("ada"))
        await one.hears("ada", within_s=1.5)
        assert unmixed(one) is True


async def test_who_withdrew_stays_unheard_after_coming_back_though_the_host_asked_everyone(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440) as (ada,),
        stay(janus.url, room) as one,
    ):
        await one.hears("ada")
        agree(one.policy, one.id_of("ada"), False)
        await ada.close()
        since = one.now
        async with people(janus.url, room, ada=440):
            await until(lambda: "joined ada 2" in one.said())
            await asyncio.sleep(0.5)
        assert one.heard_s("ada", since) == 0
        assert one.kinds(SpeakerJoined)[-1].analysed is False


async def test_listening_only_shows_nobody_a_publisher(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440) as (ada,),
        stay(janus.url, room, listen_only=True, notice_by="the lobby page of the shop") as one,
    ):
        await one.hears("ada")
        assert await one.room.send("{}") is False
        listed = (await ada.ask(request="listparticipants"))["participants"]
        assert [who["display"] for who in listed if who.get("publisher")] == ["ada"]
        async with people(janus.url, room, ben=660) as (ben,):
            assert [who["display"] for who in ben.joined["publishers"]] == ["ada"]
            told = [event["plugindata"]["data"] for event in ada.events if "plugindata" in event]
            seen = [who["display"] for data in told for who in data.get("publishers", [])]
            assert set(seen) == {"ben"}


# -- getting in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"pin": "right"}, None),
        ({"pin": "wrong"}, "auth_failed"),
        ({}, "auth_failed"),
    ],
    ids=["right", "wrong", "none"],
)
async def test_a_room_with_a_pin(janus, options, code):
    async with made_room(janus.url, pin="right") as room, stay(janus.url, room, **options) as one:
        await until(lambda: one.error or one.kinds(Tick))
        assert (one.error.code if one.error else None) == code


async def test_a_room_with_a_pin_and_tokens_is_heard_by_who_has_both(janus):
    async with made_room(janus.url, pin="right", allowed=["ada's", "ours"]) as room:
        assert await refusal(janus.url, room, pin="right", token="wrong") == "auth_failed"
        assert await refusal(janus.url, room, pin="right") == "auth_failed"
        async with (
            people(janus.url, room, join={"pin": "right", "token": "ada's"}, ada=440),
            stay(janus.url, room, pin="right", room_token="ours") as one,
        ):
            await one.hears("ada")


async def test_a_server_with_a_secret_of_its_own(own_janus, monkeypatch):
    server = own_janus(general_api_secret='"quite-secret"')
    monkeypatch.setenv("JANUS_SECRET", "quite-secret")
    assert await refusal(server.url, 1234) == "auth_failed"
    async with stay(server.url, 1234, api_secret="env:JANUS_SECRET") as one:
        await until(lambda: one.kinds(ListenerJoined))


async def test_a_room_that_does_not_exist(janus):
    assert await refusal(janus.url, 4321) == "room_not_found"


async def test_a_full_room_is_still_heard_by_who_only_listens(janus):
    async with made_room(janus.url, publishers=1) as room, people(janus.url, room, ada=440):
        async with stay(janus.url, room) as one:
            await until(lambda: one.error)
            assert one.error.code == "room_full"
        async with stay(janus.url, room, listen_only=True, notice_by="the page") as one:
            await one.hears("ada")


async def test_a_second_worker_with_the_same_feed_is_refused(janus):
    async with made_room(janus.url) as room:
        async with stay(janus.url, room, feed=77) as first:
            await until(lambda: first.kinds(ListenerJoined))
            assert await refusal(janus.url, room, feed=77) == "duplicate"
        async with stay(janus.url, room, feed=77) as second:
            await until(lambda: second.kinds(ListenerJoined))


async def test_two_workers_without_a_feed_of_their_own_both_join_and_hear_no_speaker_in_each_other(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440),
        stay(janus.url, room) as one,
        stay(janus.url, room) as other,
        AsyncExitStack() as stack,
    ):
        for each in (one, other):
            await each.hears("ada")
            await until(lambda each=each: each.kinds(ListenerJoined))
            assert list(each.said()) == ["joined ada 1"]
        feeds = [each.room.about["feed"] for each in (one, other)]
        assert len(set(feeds)) == 2
        viewers = [await Viewer(janus.url, room).watch(feed) for feed in feeds]
        for viewer in viewers:
            stack.push_async_callback(viewer.close)
            await until(lambda viewer=viewer: viewer.pc.sctp.state == "connected")
        await asyncio.sleep(0.3)
        for each, message in ((one, "from one"), (other, "from the other")):
            assert await each.room.send(message)
        await until(lambda: all(viewer.messages for viewer in viewers))
        assert [viewer.messages for viewer in viewers] == [["from one"], ["from the other"]]
