"""A WebRTC connection that is left at any moment of its opening or closing."""

import asyncio
import gc
from contextlib import suppress
from pathlib import Path

import pytest

from tests.test_control import held
from worker.rooms.webrtc.connection import Connection

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")


@pytest.fixture(autouse=True)
def _two_addresses(monkeypatch):
    """One socket each, opened one after the other."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1", "127.0.0.2"])


async def steps(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def left_after(count, work):
    task = asyncio.ensure_future(work)
    await steps(count)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def opened(one):
    one.createDataChannel("any")
    await one.setLocalDescription(await one.createOffer())


@pytest.mark.parametrize("count", range(12))
async def test_who_leaves_while_it_opens_leaves_nothing_behind(count):
    before = held()
    one = Connection()
    await left_after(count, opened(one))
    await one.close()
    await steps(5)
    gc.collect()
    assert held() == before


@pytest.mark.parametrize("count", range(12))
async def test_closing_goes_on_when_whoever_closes_it_leaves(count):
    before = held()
    one = Connection()
    await opened(one)
    await left_after(count, one.close())
    async with asyncio.timeout(5):
        await one.close()
    await steps(5)
    gc.collect()
    assert held() == before


async def test_a_path_that_comes_about_while_it_closes_is_not_looked_after():
    before = held()
    here, there = Connection(), Connection()
    await opened(here)
    ice = here.sctp.transport.transport._connection
    found, closed, get = asyncio.Event(), asyncio.Event(), ice._check_list_state.get

    async def late():
        state = await get()
        found.set()
        await closed.wait()
        return state

    ice._check_list_state.get = late
    await there.setRemoteDescription(here.localDescription)
    await there.setLocalDescription(await there.createAnswer())
    await here.setRemoteDescription(there.localDescription)
    async with asyncio.timeout(10):
        await found.wait()
        await here.close()
        closed.set()
        await there.close()
        await steps(10)
    gc.collect()
    assert held() == before


async def test_an_association_that_begins_while_it_closes_ends_too(monkeypatch):
    here, there = Connection(), Connection()
    await opened(here)
    await there.setRemoteDescription(here.localDescription)
    await there.setLocalDescription(await there.createAnswer())
    sctp, dtls = here.sctp, here.sctp.transport
    begin, end = sctp.start, dtls.stop

    async def held_up(*_):
        """The connection has just come about, and the association would begin."""

    async def begin_and_end():
        await begin(None, 5000)
        await end()

    monkeypatch.setattr(sctp, "start", held_up)
    monkeypatch.setattr(dtls, "stop", begin_and_end)
    await here.setRemoteDescription(there.localDescription)
    async with asyncio.timeout(10):
        while dtls.state != "connected":
            await asyncio.sleep(0.01)
        await here.close()
        await there.close()
    assert sctp._t1_chunk is None  # else it would go on to send it, and fail each time
