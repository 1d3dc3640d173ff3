"""The worker in rooms of a real Janus: who is heard, and what reaches browsers."""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from itertools import count

import pytest

from tests.consenting import agree
from tests.janus import (
    SECRET,
    TONES,
    Viewer,
    client,
    made_room,
    our_feed,
    people,
    refusal,
    stay,
    telling,
    tones,
    unmixed,
    until,
)
from tests.janus import janus as janus
from tests.janus import own_janus as own_janus
from tests.janus import turn as turn
from worker.audio.rtp import parse
from worker.events import SpeakerJoined
from worker.rooms import ListenerJoined
from worker.rooms.webrtc.transport import Transport

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
        agree(one.policy, one.id_of("ada"))
        await one.hears("ada")
        agree(one.policy, one.id_of("ben"))
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


async def test_a_silent_screen_gives_way_to_the_microphone_of_which_janus_says_that_it_has_sound(janus):
    async with (
        made_room(janus.url, audiolevel_event=True, audio_active_packets=20) as room,
        people(janus.url, room, ada=0),
        stay(janus.url, room) as one,
    ):
        await until(lambda: "joined ada 1" in one.said())
        async with people(janus.url, room, ada=880):
            await one.hears("ada")
            assert list(one.said()) == ["joined ada 1", "left ada", "joined ada 2"]
            assert tones(one.sound("ada")) <= TONES["cyd"]


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


# -- the way back ---------------------------------------------------------------------------------------------------


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


async def test_whatever_a_publisher_asks_for_janus_gives_one_reliable_channel_in_order(janus):
    """Why ticks have no lossy channel of their own: Janus would merge it into the other at every subscriber."""
    lossy, got, sent = {"ordered": False, "maxRetransmits": 0}, [], []
    async with (
        made_room(janus.url) as room,
        telling(janus.url, room, "two channels", facts={}, ticks=lossy) as (feed, channels),
        AsyncExitStack() as stack,
    ):
        viewer = Viewer(janus.url, room)
        stack.push_async_callback(viewer.close)
        viewer._channel = lambda channel: (got.append(channel), channel.on("message", viewer.messages.append))
        await viewer.watch(feed)
        await until(lambda: viewer.pc.sctp.state == "connected")
        await asyncio.sleep(0.3)
        for number in range(10):
            for label, channel in channels.items():
                sent.append(f"{label} {number}")
                channel.send(sent[-1])
        await until(lambda: len(viewer.messages) == len(sent))
        assert [(c.label, c.ordered, c.maxRetransmits) for c in got] == [(str(feed), True, None)]
