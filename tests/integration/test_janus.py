"""The worker in rooms of a real Janus: who is heard, by whose leave, what reaches browsers, and how a stay ends."""

import asyncio
import json
import os
import re
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest

from tests.janus import SECRET, Client, Publisher, Viewer, client, made_room, stay, tones, until
from tests.janus import janus as janus
from tests.janus import own_janus as own_janus
from tests.janus import turn as turn
from worker.audio import AudioChunk
from worker.audio.rtp import parse
from worker.events import RoomInterrupted, SpeakerJoined, SpeakerLeft
from worker.privacy.policy import Consent
from worker.rooms import ListenerJoined, Tick
from worker.rooms.janus.room import JanusRoom
from worker.rooms.rejoining import Rejoining
from worker.rooms.webrtc.transport import Transport

TONES = {"ada": {400, 425, 450, 475}, "ben": {625, 650, 675, 700}, "cyd": {850, 875, 900, 925}}
"""440, 660 and 880 Hz, in bins of 25 Hz, with room for the holes between what somebody said."""


@asynccontextmanager
async def people(url, room, join=None, **hertz):
    """Publishers by their display names."""
    async with AsyncExitStack() as stack:
        present = [Publisher(url, room, name, tone, **(join or {})) for name, tone in hertz.items()]
        for one in present:
            stack.push_async_callback(one.close)
            await one.enter()
        yield present


def unmixed(one):
    heard = {name: tones(one.sound(name)) for name in TONES}
    return all(found <= TONES[name] for name, found in heard.items()) or heard


# -- who is heard ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_speaker", [False, True], ids=["one connection", "one each"])
async def test_three_tones_are_never_mixed_up_while_people_come_and_go(janus, per_speaker):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440, ben=660) as (ada, ben),
        stay(janus.url, room, per_speaker=per_speaker) as one,
    ):
        await one.hears("ada")
        await one.hears("ben")
        await ada.leave()
        await until(lambda: "left ada" in one.said())
        async with people(janus.url, room, cyd=880) as (cyd,):  # on ada's line
            await one.hears("cyd")
            await ben.close()
            async with people(janus.url, room, ben=660):  # a page that was loaded anew
                await one.hears("ben")
                await cyd.unpublish()
                await cyd.publish()  # the same feed again
                await until(lambda: "joined cyd 2" in one.said())
                await one.hears("cyd")
                async with people(janus.url, room, ada=440):
                    await one.hears("ada")
                    assert unmixed(one) is True
                    await one.hears("ben")
        await until(lambda: len([word for word in one.said() if word.startswith("left")]) == 6)
        said = list(one.said())
        assert sorted(line.rstrip(" 12") for line in said) == sorted(
            f"{what} {who}" for who in TONES for what in ("joined", "left") for _ in range(2)
        )
        assert unmixed(one) is True
        await until(lambda: len(one.room._subscribers._all) == (0 if per_speaker else 1))


async def test_a_line_that_the_server_switches_is_heard_as_whom_it_carries(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440, ben=660) as (_, ben),
        stay(janus.url, room, agreed=False) as one,
    ):
        await until(lambda: len(one.kinds(SpeakerJoined)) == 2)
        one.policy.record(one.id_of("ada"), True)
        await one.hears("ada")
        one.policy.record(one.id_of("ben"), True)
        await one.hears("ben")
        (subscriber,) = [entry[0] for entry in one.room._subscribers._all.values()]
        feeds = dict(subscriber._feeds)
        ada_mid = next(mid for mid, feed in feeds.items() if feed != ben.id)
        wish = {"request": "switch", "streams": [{"feed": ben.id, "mid": "0", "sub_mid": ada_mid}]}
        await one.room._api.message(subscriber._handle, wish)
        await until(lambda: set(subscriber._feeds.values()) == {ben.id})
        since = one.now + 0.1
        await one.hears("ben", 1.0)
        assert one.heard_s("ben", since) <= one.now - since + 0.1  # not twice, though two lines carry it
        heard = {name: tones(one.sound(name)) for name in ("ada", "ben")}
        assert heard["ada"] <= TONES["ada"]
        assert heard["ben"] <= TONES["ben"]


async def test_an_empty_room_fills_again(janus):
    async with made_room(janus.url) as room, stay(janus.url, room) as one:
        for name, hertz in (("ada", 440), ("cyd", 880), ("ada", 440)):
            async with people(janus.url, room, **{name: hertz}):
                await one.hears(name)
            await until(lambda: not one.room._settled)
        assert unmixed(one) is True


async def test_what_is_lost_on_the_way_is_mended(janus, monkeypatch):
    take, numbers = Transport._received, count()

    def received(self, data, component):
        if not 127 < data[0] < 192 or 191 < data[1] < 224 or next(numbers) % 20:
            take(self, data, component)

    monkeypatch.setattr(Transport, "_received", received)
    async with made_room(janus.url) as room, people(janus.url, room, ada=440), stay(janus.url, room) as one:
        await one.hears("ada", 2.0)
        heard = one.sound("ada")
        assert tones(heard) <= TONES["ada"]
        assert one.heard_s("ada") == pytest.approx(heard[-1].end - heard[0].start, abs=0.03)
        assert one.room.counts("undertone_packets")["lost"] >= 4


async def test_twenty_speakers_are_all_heard_soon_after_joining(janus):
    names = [f"n{number}" for number in range(20)]
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, **dict.fromkeys(names, 440)),
        stay(janus.url, room) as one,
    ):
        await until(lambda: all(one.sound(name) for name in names), 5.0)  # 2 s on a machine with nothing else to do
        print(f"20 speakers heard after {one.now:.2f} s")


async def test_mute_at_the_microphone_and_by_a_moderator(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440, ben=660) as (ada, _),
        client(janus.url, room) as moderator,
        stay(janus.url, room) as one,
    ):
        await one.hears("ada")
        track = ada.sender.track
        ada.sender.replaceTrack(None)
        await one.hears("ben", 0.6)
        ada.sender.replaceTrack(track)
        await one.hears("ada")
        await moderator.ask(request="moderate", secret=SECRET, id=ada.id, mid="0", mute=True)
        await until(lambda: "muted ada" in one.said())
        since = one.now + 0.2
        await one.hears("ben", 0.6)
        assert one.heard_s("ada", since) == 0
        await moderator.ask(request="moderate", secret=SECRET, id=ada.id, mid="0", mute=False)
        await one.hears("ada")
        assert [s for s in one.said() if "mute" in s] == ["muted ada", "unmuted ada"]
        assert unmixed(one) is True


async def test_a_second_feed_of_one_person_is_no_second_speaker(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440) as (ada,),
        stay(janus.url, room) as one,
    ):
        await one.hears("ada")
        async with people(janus.url, room, ada=880):
            await one.hears("ada", 1.0)
            assert tones(one.sound("ada")) <= TONES["ada"]
            assert len(one.kinds(SpeakerJoined)) == 1
            await ada.leave()
            await until(lambda: "joined ada 2" in one.said())
            since = one.now + 0.1
            await until(lambda: one.heard_s("ada", since) > 0.4)
            assert tones(one.sound("ada", since)) <= TONES["cyd"]


async def test_a_publisher_of_empty_packets_is_heard_when_it_speaks_again(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440, ben=660) as (ada, _),
        stay(janus.url, room) as one,
    ):
        await one.hears("ada")
        emptied, send = True, ada.sender.transport._send_rtp

        async def send_some(data):
            header = parse(data)
            rtcp = 191 < data[1] < 224
            await send(data if rtcp or not emptied else data[: header.size])

        ada.sender.transport._send_rtp = send_some
        await one.hears("ben", 1.0)
        emptied, since = False, one.now + 0.3
        await until(lambda: one.heard_s("ada", since) > 0.5)
        assert tones(one.sound("ada", since)) <= TONES["ada"]
        assert tones(one.sound("ben")) <= TONES["ben"]
        assert one.error is None


async def test_who_comes_anew_while_their_old_connection_lies_dead_is_heard(janus, monkeypatch):
    monkeypatch.setattr("worker.rooms.janus.subscriber.SILENT_FEED_S", 0.5)
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440) as (ada,),
        stay(janus.url, room) as one,
    ):
        await one.hears("ada")
        for protocol in ada.sender.transport.transport._connection._protocols:
            protocol.transport.sendto = lambda *_: None
        async with people(janus.url, room, ada=880):
            await until(lambda: "joined ada 2" in one.said())
            since = one.now + 0.1
            await until(lambda: one.heard_s("ada", since) > 0.4)
            assert tones(one.sound("ada", since)) <= TONES["cyd"]


async def test_a_janus_whose_rooms_and_feeds_have_texts(own_janus):
    server = own_janus(videoroom_string_ids="true")
    async with (
        made_room(server.url, str) as room,
        people(server.url, room, ada=440) as (ada,),
        stay(server.url, room) as one,
    ):
        assert isinstance(ada.id, str)
        await one.hears("ada")
        assert await refusal(server.url, int(room)) == "room_not_found"


async def test_a_janus_that_gives_its_addresses_one_by_one(own_janus):
    server = own_janus(nat_full_trickle="true")
    async with made_room(server.url) as room, people(server.url, room, ada=440), stay(server.url, room) as one:
        await one.hears("ada")


async def test_where_nothing_but_a_turn_server_can_be_reached(janus, turn, monkeypatch):
    monkeypatch.setenv("TURN_PASSWORD", "quite-secret")
    async with made_room(janus.url) as room, people(janus.url, room, ada=440):
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
        relayed = {"turn_url": turn, "turn_username": "ada", "turn_password": "env:TURN_PASSWORD"}
        async with stay(janus.url, room, **relayed) as one:
            await one.hears("ada")
            await until(lambda: one.kinds(ListenerJoined))
            (subscriber,) = [entry[0] for entry in one.room._subscribers._all.values()]
            assert re.findall(r"a=candidate:.* typ (\w+)", subscriber.listener.pc.localDescription.sdp) == ["relay"]


async def test_where_no_media_comes_through(janus, monkeypatch):
    async with made_room(janus.url) as room, people(janus.url, room, ada=440):
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
        assert (
            await refused_later(janus.url, room, connect_within_s=0.5, listen_only=True, notice_by="me") == "media_lost"
        )
        assert await refused_later(janus.url, room, connect_within_s=0.5, agreed=False) == "media_lost"


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
        one.policy.record(one.id_of("ada"), True)
        await until(lambda: one.sound("ada"), 1.0)
        await one.hears("ada")
        assert len(set(arrived)) == 1
        one.policy.record(one.id_of("ben"), True)
        await until(lambda: one.sound("ben"), 1.0)
        one.policy.record(one.id_of("ada"), False)
        since = one.now
        await asyncio.sleep(1.0)
        arrived.clear()
        await one.hears("ben")
        assert len(set(arrived)) == 1
        assert one.heard_s("ada", since + 0.05) == 0
        one.policy.record(one.id_of("ada"), True)
        await one.hears("ada", within_s=1.5)
        assert unmixed(one) is True


async def test_who_withdrew_stays_unheard_after_coming_back_though_the_host_asked_everyone(janus):
    async with (
        made_room(janus.url) as room,
        people(janus.url, room, ada=440) as (ada,),
        stay(janus.url, room) as one,
    ):
        await one.hears("ada")
        one.policy.record(one.id_of("ada"), False)
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


# -- the way back ---------------------------------------------------------------------------------------------------


async def our_feed(watcher):
    """The worker's feed as others see it, once it publishes."""
    async with asyncio.timeout(5):
        while True:
            for who in (await watcher.ask(request="listparticipants"))["participants"]:
                if who["publisher"] and who["display"].startswith("Undertone"):
                    return who["id"]
            await asyncio.sleep(0.05)


async def test_messages_reach_viewers_who_come_before_and_after_them(janus):
    async with (
        made_room(janus.url) as room,
        client(janus.url, room) as watcher,
        stay(janus.url, room) as one,
        AsyncExitStack() as stack,
    ):
        feed = await our_feed(watcher)
        await until(lambda: one.kinds(ListenerJoined))
        early, late = Viewer(janus.url, room), Viewer(janus.url, room)
        stack.push_async_callback(early.close)
        stack.push_async_callback(late.close)
        await early.watch(feed)
        await until(lambda: early.pc.connectionState == "connected" and early.pc.sctp.state == "connected")
        await asyncio.sleep(0.3)
        sent = [json.dumps({"seq": number, "of": "x" * 1000}) for number in range(100)]
        for message in sent[:50]:
            assert await one.room.send(message)
        await until(lambda: len(early.messages) == 50)
        await late.watch(feed)
        await until(lambda: late.pc.sctp.state == "connected")
        await asyncio.sleep(0.3)
        for message in sent[50:]:
            assert await one.room.send(message)
        await until(lambda: len(early.messages) == 100 and len(late.messages) >= 50)
        assert early.messages == sent
        assert late.messages == sent[50:]
        assert set(early.labels) == set(late.labels) == {str(feed)}
        assert await one.room.send("x" * 30_000)
        assert await one.room.send("x" * 100_000) is False
        await until(lambda: len(early.messages) == 101)


async def test_everyone_is_greeted_again_and_again_because_nobody_says_who_listens(janus, monkeypatch):
    monkeypatch.setattr("worker.rooms.janus.room.GREETING_S", 0.2)
    async with made_room(janus.url) as room, stay(janus.url, room) as one:
        await until(lambda: len(one.kinds(ListenerJoined)) >= 3)


# -- getting in -----------------------------------------------------------------------------------------------------


async def refusal(url, room, **options):
    async with stay(url, room, **options) as one:
        await until(lambda: one.error, 6)
        assert one.kinds(Tick) == []
        return one.error.code


async def refused_later(url, room, **options):
    async with stay(url, room, **options) as one:
        await until(lambda: one.error, 6)
        return one.error.code


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


# -- and out --------------------------------------------------------------------------------------------------------


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
            taken = [await one.room.send("x" * 10_000) for _ in range(60)]
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
        async with asyncio.timeout(2):  # Janus clears up after it has answered
            while len((await ada.ask(request="listparticipants"))["participants"]) > 1:
                await asyncio.sleep(0.05)
        await until(lambda: janus.descriptors <= before[2] + 2)
        assert len(asyncio.all_tasks()) <= before[0]
        assert len(os.listdir("/proc/self/fd")) <= before[1]


async def test_a_client_that_nobody_hears_ends(janus):
    one = await Client(janus.url, 1234).open()
    await one.close()
    await one.close()


# -- with the rest of the worker ------------------------------------------------------------------------------------


async def test_the_same_people_are_heard_again_when_janus_is_killed_and_started_anew(own_janus):
    server, policy = own_janus(), Consent()
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
