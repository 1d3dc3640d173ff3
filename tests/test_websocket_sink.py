"""Live events for programs, with resume, over the real server."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, WSMsgType

from tests.fakes import EPOCH, FakeRoom, brief, envelopes, folded, run_of
from worker.events import SpeakerJoined
from worker.ops.http import Server
from worker.sinks.delivery import Outlet
from worker.sinks.websocket import WebSocketSink


@asynccontextmanager
async def serving(snapshot, token=None, **options):
    """(url, server, sink)"""
    server = Server(port=0, token=token)
    sink = WebSocketSink(server, FakeRoom(), snapshot, **options)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}/v1/rooms/quiet/events", server, sink
    finally:
        await server.stop()


@asynccontextmanager
async def listening(url, first):
    async with ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_json(first)
        yield socket


async def told(socket, count):
    async with asyncio.timeout(10):
        return [brief(await socket.receive_str()) for _ in range(count)]


async def test_snapshot_then_events_then_a_farewell():
    said = run_of(4)
    async with serving(folded(said[:2])) as (url, _server, sink), listening(url, {}) as socket:
        assert await told(socket, 1) == ["snapshot 2"]
        for envelope in said:
            await sink.send(envelope)
        assert await told(socket, 2) == [3, 4]
        await sink.close()
        assert (await socket.receive()).type is WSMsgType.CLOSE
        assert socket.close_code == 1000
        async with ClientSession() as session, session.get(url) as answer:
            assert answer.status == 404


async def test_a_listener_resumes_where_it_was():
    said = run_of(5)
    async with serving(snapshot := folded([]), token="hush") as (url, _server, sink):
        for envelope in said:
            snapshot.fold(envelope)
            await sink.send(envelope)
        async with listening(url, {"token": "hush", "since": {"epoch": EPOCH, "seq": 3}}) as socket:
            assert await told(socket, 2) == [4, 5]
        async with listening(url, {"token": "hush", "since": {"epoch": 1, "seq": 3}}) as socket:
            assert await told(socket, 2) == ["gap 1-5", "snapshot 5"]


async def test_a_slow_listener_gets_a_gap_and_harms_nobody():
    large = envelopes(*(SpeakerJoined(float(index), "ada", "x" * 300_000) for index in range(60)))
    async with serving(folded([]), waiting=5) as (url, _server, sink):
        outlet = Outlet(sink)
        async with listening(url, {}) as slow, listening(url, {}) as quick:
            assert await told(slow, 1) == await told(quick, 1) == ["snapshot 0"]
            for envelope in large:
                outlet.put(envelope)
                assert await told(quick, 1) == [envelope.seq]
            heard = []
            while 60 not in heard:
                heard += await told(slow, 1)
        assert await outlet.close(1.0) == 0
    assert heard[-5:] == [56, 57, 58, 59, 60]
    known = []
    for message in heard:
        if isinstance(message, str):  # "gap 9-55"
            first, last = map(int, message.removeprefix("gap ").split("-"))
            known += range(first, last + 1)
        else:
            known.append(message)
    assert known == list(range(1, 61))
    assert len(heard) < 60


@pytest.mark.parametrize("since", [5, {}, {"epoch": 1}, {"epoch": 1, "seq": -1}, {"epoch": True, "seq": 1}, [1, 2]])
async def test_a_since_that_is_none_is_explained(since):
    async with serving(folded([])) as (url, _server, _sink), listening(url, {"since": since}) as socket:
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4400)
        assert message.extra.startswith("`since` must be")


async def test_a_listener_that_leaves_is_forgotten():
    async with serving(folded([])) as (url, server, sink):
        async with listening(url, {}) as socket:
            await told(socket, 1)
            assert len(sink._feed._listeners) == 1
        async with asyncio.timeout(5):
            while sink._feed._listeners or server._sockets:
                await asyncio.sleep(0.01)
