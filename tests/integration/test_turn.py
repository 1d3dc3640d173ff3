"""A worker that reaches a real Janus through a real coturn and in no other way."""

import asyncio
import re

import pytest

from tests.integration.test_janus import our_feed, people
from tests.janus import Viewer, client, coturn, made_room, stay, until
from tests.janus import janus as janus
from tests.janus import turn as turn
from worker.rooms import ListenerJoined


@pytest.fixture
def relayed(turn, monkeypatch):
    """The options of a room whose worker has no address of its own; everybody else keeps theirs."""
    monkeypatch.setenv("TURN_PASSWORD", "quite-secret")

    def only_relays():
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])

    options = {"turn_url": turn, "turn_username": "ada", "turn_password": "env:TURN_PASSWORD"}
    return options, only_relays


def kinds(pc):
    """Of the addresses that a connection has offered."""
    return set(re.findall(r"a=candidate:.* typ (\w+)", pc.localDescription.sdp))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("per_speaker", [False, True], ids=["one connection", "one each"])
async def test_everyone_is_heard_though_only_relayed_addresses_can_work(janus, relayed, transport, per_speaker):
    options, only_relays = relayed
    options |= {"turn_url": options["turn_url"].replace("udp", transport), "per_speaker": per_speaker}
    async with made_room(janus.url) as room, people(janus.url, room, ada=440, ben=660):
        only_relays()
        async with stay(janus.url, room, **options) as one:
            await one.hears("ada", 1.0)
            await one.hears("ben")
            hearing = [entry[0].listener.pc for entry in one.room._subscribers._all.values()]
            assert [kinds(pc) for pc in hearing] == [{"relay"}] * len(hearing)


async def test_what_the_worker_says_goes_through_it_too(janus, relayed, monkeypatch):
    options, only_relays = relayed
    async with made_room(janus.url) as room, client(janus.url, room) as watcher:
        only_relays()
        async with stay(janus.url, room, **options) as one:
            await until(lambda: one.kinds(ListenerJoined))
            assert kinds(one.room._back.pc) == {"relay"}
            monkeypatch.undo()
            viewer = Viewer(janus.url, room)
            await viewer.watch(await our_feed(watcher))
            async with asyncio.timeout(10):
                while not viewer.messages:
                    await one.room.send("through the relay")
                    await asyncio.sleep(0.05)
            assert set(viewer.messages) == {"through the relay"}
            await viewer.close()


@pytest.mark.parametrize(("secret", "heard"), [("north", True), ("south", False)])
async def test_names_made_of_the_shared_secret_open_it_and_no_others_do(janus, tmp_path, monkeypatch, secret, heard):
    with coturn(tmp_path, "--use-auth-secret", "--static-auth-secret=north") as address:
        async with made_room(janus.url) as room, people(janus.url, room, ada=440):
            monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
            async with stay(janus.url, room, turn_url=address, turn_secret=secret, connect_within_s=3.0) as one:
                if heard:
                    await one.hears("ada", 1.0)
                else:
                    await until(lambda: one.error, 20)
                    assert one.error.code == "media_lost"


@pytest.mark.parametrize("wrong", [{"turn_password": "guessed"}, {"turn_url": "turn:127.0.0.1:9?transport=udp"}])
async def test_a_relay_that_is_of_no_use_is_a_lost_media_connection(janus, relayed, wrong):
    options, only_relays = relayed
    async with made_room(janus.url) as room, people(janus.url, room, ada=440):
        only_relays()
        async with stay(janus.url, room, connect_within_s=3.0, **options | wrong) as one:
            await until(lambda: one.error, 20)
            assert one.error.code == "media_lost"
