"""The worker in rooms of a real Janus: how a stay ends, and the next one begins."""

import asyncio
import os
import signal
import time

import pytest

from tests.consenting import consent as new_consent
from tests.janus import (
    SECRET,
    Client,
    Publisher,
    client,
    made_room,
    our_feed,
    people,
    stay,
    until,
)
from tests.janus import janus as janus
from tests.janus import own_janus as own_janus
from worker.audio import AudioChunk
from worker.events import RoomInterrupted, SpeakerJoined, SpeakerLeft
from worker.rooms import ListenerJoined, Tick
from worker.rooms.janus.room import JanusRoom
from worker.rooms.rejoining import Rejoining

# -- and out --------------------------------------------------------------------------------------------------------


async def refused_later(url, room, **options):
    async with stay(url, room, **options) as one:
        await until(lambda: one.error, 6)
        return one.error.code


async def test_where_no_media_comes_through(janus, monkeypatch):
    async with made_room(janus.url) as room, people(janus.url, room, ada=440):
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
        assert (
            await refused_later(janus.url, room, connect_within_s=0.5, listen_only=True, notice_by="me") == "media_lost"
        )
        assert await refused_later(janus.url, room, connect_within_s=0.5, agreed=False) == "media_lost"


async def test_sent_out_of_the_room(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440),
        client(janus.url, room) as moderator,
        stay(janus.url, room) as one,
    ):
        await one.hears("ada")
        await moderator.ask(request="kick", secret=SECRET, id=await our_feed(moderator))
        await until(lambda: one.error, 2)
        assert one.error.code == "kicked"


async def test_the_room_is_destroyed(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440),
        client(janus.url, room) as owner,
        stay(janus.url, room) as one,
    ):
        await one.hears("ada")
        await owner.ask(request="destroy", secret=SECRET)
        await until(lambda: one.error, 2)
        assert one.error.code == "room_closed"


async def test_a_janus_that_restarts_ice_is_left_at_once(janus):
    async with made_room(janus.url) as room, people(janus.url, room, ada=440), stay(janus.url, room) as one:
        await one.hears("ada")
        (subscriber,) = [entry[0] for entry in one.room._subscribers._all.values()]
        await one.room._api.message(subscriber._handle, {"request": "configure", "restart": True})
        await until(lambda: one.error, 2)
        assert one.error.code == "ice_restart"


@pytest.mark.parametrize("listen_only", [False, True], ids=["heard", "nobody there"])
@pytest.mark.parametrize(
    ("number", "codes"),
    [(signal.SIGKILL, {"signalling_lost"}), (signal.SIGTERM, {"signalling_lost"}), (signal.SIGSTOP, {"hung"})],
    ids=["killed", "ended", "hung"],
)
async def test_a_janus_that_dies_or_hangs_is_noticed_within_five_seconds(own_janus, number, codes, listen_only):
    server = own_janus()
    options = {"listen_only": True, "notice_by": "the page"} if listen_only else {}
    ada = Publisher(server.url, 1234, "ada", 440)
    async with stay(server.url, 1234, **options) as one:
        if listen_only:
            await until(lambda: one.kinds(Tick))
        else:
            await ada.enter()
            await one.hears("ada")
        begun = time.monotonic()
        server.signal(number)
        if number is signal.SIGSTOP and not listen_only:
            taken = [await one.room.send("x" * 10_000) for _ in range(5)]
            assert not one.room.crowded
            taken += [await one.room.send("x" * 10_000) for _ in range(5)]
            assert one.room.crowded
            taken += [await one.room.send("x" * 10_000) for _ in range(50)]
            assert not one.room.crowded  # now nothing passes, and who listens is told later what is missing
            assert taken[:20] == [True] * 20
            assert taken[-1] is False
        await until(lambda: one.error, 5.0)
        assert one.error.code in codes
        closing = time.monotonic()
        await one.room.close()
        assert time.monotonic() - closing < 2.5
        assert closing - begun < 5.0
    if not listen_only:
        await ada.close()


async def test_fifty_stays_leave_nothing_behind(janus):
    async with made_room(janus.url) as room, people(janus.url, room, ada=440) as (ada,):

        async def visit():
            async with stay(janus.url, room) as one:
                await until(lambda: one.sound("ada") and one.kinds(ListenerJoined))

        await visit()
        await asyncio.sleep(0.5)
        before = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")), janus.descriptors
        for _ in range(50):
            await visit()
        async with asyncio.timeout(20):  # Janus clears up after it has answered
            while len((await ada.ask(request="listparticipants"))["participants"]) > 1:
                await asyncio.sleep(0.05)
        await until(lambda: janus.descriptors <= before[2] + 2)
        await until(lambda: len(asyncio.all_tasks()) <= before[0] and len(os.listdir("/proc/self/fd")) <= before[1])


async def test_a_client_that_nobody_hears_ends(janus):
    one = await Client(janus.url, 1234).open()
    await one.close()
    await one.close()


# -- with the rest of the worker ------------------------------------------------------------------------------------


async def test_the_same_people_are_heard_again_when_janus_is_killed_and_started_anew(own_janus):
    server, policy = own_janus(), new_consent()
    room = Rejoining(lambda: JanusRoom(policy, server.url, 1234, consent="host"))
    items = []
    ended = asyncio.create_task(collect(room, items))

    def of(kind, since=0):
        return [item for item in items[since:] if isinstance(item, kind)]

    try:
        async with people(server.url, 1234, ada=440):
            await until(lambda: of(AudioChunk))
            server.kill()
            await until(lambda: of(SpeakerLeft))
        server.start()
        async with people(server.url, 1234, ada=440):
            before = len(items)
            await until(lambda: of(AudioChunk, before), 15)
        joined, (gap,) = of(SpeakerJoined), of(RoomInterrupted)
        assert [item.generation for item in joined] == [1, 2]
        assert len({item.speaker for item in joined}) == 1
        assert gap.reason == "signalling_lost"
        starts = [item.start for item in of(AudioChunk)]
        assert starts == sorted(starts)
    finally:
        await room.close()
        await ended


async def collect(room, items):
    async for item in room:
        items.append(item)
