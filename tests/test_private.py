"""What is for one person alone: to whom it goes, by every way out of a room, and to whom it does not."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, WSMsgType
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from tests.consenting import recorded
from tests.fakes import EPOCH, FakeRoom, FakeSink, brief, envelopes, folded
from tests.hall import _loopback as _loopback
from tests.hall import hall, meeting
from worker.assembly import Worker
from worker.config import settle
from worker.envelope import Envelope
from worker.events import EVENTS, Gap, PromptAnswered, Prompted, RoomOpened, SpeakerJoined, SpeechStarted
from worker.ops.http import Server
from worker.ops.tokens import Pass
from worker.privacy.keeping import Keeping
from worker.prompts import ANSWERS, MANAGERS, PRIVATE, read_answer
from worker.rooms import Answered, ListenerJoined
from worker.sinks.data_channel import DataChannelSink
from worker.sinks.delivery import Outlet
from worker.sinks.fanout import Fanout
from worker.sinks.jsonl import JsonlSink
from worker.sinks.redis import RedisSink
from worker.sinks.snapshot import Snapshot
from worker.sinks.websocket import WebSocketSink

SECRET = "Ask them a question"
KEY = "k" * 32


def prompt(to, name="c1", at=1.0):
    return Prompted(at, name, to, "monologue", "hint", SECRET, "You have talked for 90 s", {"me.run_s": 90.0}, 10.0)


SAID = envelopes(
    RoomOpened(0.0), SpeakerJoined(0.5, "p1", "Ada"), prompt("p1", "c1"), prompt(MANAGERS, "c2"),
    SpeechStarted(2.0, "p1"), prompt("p2", "c3"), PromptAnswered(3.0, "c1", "p1", "monologue", "dismissed"),
    SpeechStarted(4.0, "p2"),
)  # fmt: skip


async def told(sinks, said=SAID):
    """Everything through a Fanout to these sinks; the snapshot that it keeps."""
    snapshot = Snapshot("quiet", EPOCH)
    fanout = Fanout(snapshot, sinks)
    for envelope in said:
        fanout.put(envelope)
    await fanout.close(5.0)
    return snapshot


# -- numbers --------------------------------------------------------------------------------------------------------


def test_every_event_that_names_an_addressee_is_private():
    assert {
        event for event in EVENTS if "to" in event.__dataclass_fields__ and "prompt" in event.__dataclass_fields__
    } == {*PRIVATE}


def test_each_audience_is_numbered_on_its_own():
    assert [(one.audience, one.seq) for one in SAID] == [
        ("", 1), ("", 2), ("p1", 1), (MANAGERS, 1), ("", 3), ("p2", 1), ("p1", 2), ("", 4),
    ]  # fmt: skip
    assert len({one.as_dict()["id"] for one in SAID}) == len(SAID)
    assert SAID[2].as_dict()["audience"] == "p1"
    assert "audience" not in SAID[0].as_dict()


# -- who knows nothing of it ----------------------------------------------------------------------------------------


async def test_a_sink_that_knows_nothing_of_privacy_and_the_snapshot_have_none_of_it():
    class Unaware(FakeSink):
        private = "yes, why not"

    plain, unaware = FakeSink(), Unaware()
    snapshot = await told([plain, unaware])
    for sink in (plain, unaware):
        assert [brief(one) for one in sink.said] == [1, 2, 3, 4]
        assert not any(isinstance(one.event, PRIVATE) for one in sink.said)
    assert snapshot.as_dict() == folded([one for one in SAID if not one.audience]).as_dict()
    assert (await told([], SAID[:-1])).as_dict() == folded([one for one in SAID[:-1] if not one.audience]).as_dict()
    assert SECRET not in snapshot.as_json()


@pytest.mark.parametrize("wanted", [False, True])
async def test_a_file_has_it_only_where_that_is_wanted(tmp_path, wanted):
    await told([JsonlSink(tmp_path / "events.jsonl", prompts=wanted)])
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert lines == [one.as_dict() for one in SAID if wanted or not one.audience]


@pytest.mark.parametrize("wanted", [False, True])
async def test_redis_has_it_only_where_that_is_wanted_and_in_a_stream_of_its_own(redis_url, wanted):
    async with Redis.from_url(redis_url, decode_responses=True) as redis, redis.pubsub() as pubsub:
        await redis.flushall()
        await pubsub.psubscribe("*")
        await pubsub.get_message(timeout=5)
        sink = RedisSink(folded([]), Keeping(), redis_url, prompts=wanted)
        await told([sink])
        public = await redis.xrange("ut:{quiet}:events")
        assert [json.loads(fields["event"]) for _, fields in public] == [
            one.as_dict() for one in SAID if not one.audience
        ]
        private = await redis.xrange("ut:{quiet}:prompts")
        assert [(name, json.loads(fields["event"])["data"]) for name, fields in private] == [
            (f"{EPOCH}-{number}", one.as_dict()["data"])
            for number, one in enumerate((one for one in SAID if one.audience), 1)
            if wanted
        ]
        assert sorted(await redis.keys()) == ["ut:{quiet}:events", *["ut:{quiet}:prompts"] * wanted, "ut:{quiet}:state"]
        assert SECRET not in str(await redis.hgetall("ut:{quiet}:state"))
        live = [await pubsub.get_message(timeout=5) for _ in range(4)]
        assert [json.loads(message["data"])["seq"] for message in live] == [1, 2, 3, 4]
        assert await pubsub.get_message(timeout=0.05) is None


# -- the room -------------------------------------------------------------------------------------------------------


class Addressing(FakeRoom):
    addresses = True

    async def send(self, message, to=None, greeting=True):
        return await super().send(message, to)


async def test_a_room_that_can_not_tell_people_apart_is_given_none_of_it():
    room = FakeRoom()
    await told([sink := DataChannelSink(room, folded([]))])
    await sink.welcome("p1")
    assert [(brief(message), to) for message, to in room.sent] == [
        *((n, None) for n in (1, 2, 3, 4)),
        ("snapshot 0", "p1"),
    ]
    assert SECRET not in str(room.sent)


async def test_a_room_that_can_is_given_each_for_its_listener_and_again_when_that_one_comes_back():
    room = Addressing()
    await told([sink := DataChannelSink(room, folded([]))])
    addressed = [(json.loads(message)["audience"], to) for message, to in room.sent if to is not None]
    assert addressed == [("p1", "p1"), ("p2", "p2"), ("p1", "p1")]
    room.sent.clear()
    await sink.welcome("p1")
    await sink.welcome("p3")
    assert [(brief(message), to) for message, to in room.sent] == [
        ("snapshot 0", "p1"), (1, "p1"), (2, "p1"), ("snapshot 0", "p3"),
    ]  # fmt: skip


async def test_in_the_real_room_a_prompt_reaches_its_addressee_and_nobody_else():
    async with hall() as one, meeting(one, "Ada", "Bo") as (ada, bo):
        await one.until(lambda: len(one.kinds(ListenerJoined)) == 2)
        sink = DataChannelSink(one.room, folded([]))
        await sink.send(SAID[2])  # before any greeting: it waits for that
        for speaker in ("p1", "p2"):
            await sink.welcome(speaker)
        for envelope in SAID[2:]:
            await sink.send(envelope)
        for guest in (ada, bo):
            await guest.until(lambda guest=guest: any(event["seq"] == 4 for event in guest.events))
    heard = {guest: [event.get("audience", "") for event in guest.events] for guest in (ada, bo)}
    assert heard[ada] == ["", "p1", "p1", "", "p1", ""]
    assert heard[bo] == ["", "", "p2", ""]
    assert [event["type"].rsplit(".", 2)[1] for event in (ada.events[0], bo.events[0])] == ["snapshot", "snapshot"]


async def test_an_answer_by_either_way_is_the_speakers_own_whatever_it_says():
    async with hall() as one, meeting(one, "Ada", "Bo") as (ada, bo):
        await bo.until(lambda: bo.channel.readyState == "open")
        await ada.say({"type": "coaching", "prompt": "c1", "answer": "snoozed", "speaker": "p2"})
        await one.until(lambda: one.kinds(Answered))
        for text in ("{", "[]", '{"type": "coaching"}', "x" * 5000):
            bo.channel.send(text)
        bo.channel.send(json.dumps({"type": "coaching", "prompt": "c1", "answer": "dismissed", "speaker": "p1"}))
        await one.until(lambda: len(one.kinds(Answered)) == 2)
        await ada.say({"type": "coaching", "prompt": "c1", "answer": "maybe"})
        await asyncio.wait_for(ada.closed.wait(), 5)
    assert one.kinds(Answered) == [Answered("p1", "c1", "snoozed"), Answered("p2", "c1", "dismissed")]
    assert "A prompt is answered with" in ada.last("error")["message"]


# -- the WebSocket --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(token=None, signing_key=KEY, **options):
    """(listen, server, sink, answers): `listen` opens a socket with what it says first."""
    server, answers, snapshot = Server(port=0, token=token, signing_key=signing_key), [], folded([])
    sink = WebSocketSink(server, FakeRoom(), snapshot, answers=lambda *said: answers.append(said), **options)
    await server.start()
    url = f"http://127.0.0.1:{server.port}/v1/rooms/quiet/events"

    @asynccontextmanager
    async def listen(**first):
        async with ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_json(first)
            yield socket

    try:
        yield listen, server, sink, answers
    finally:
        await server.stop()


async def heard(socket, until=4):
    """Audiences and numbers of what came, up to the public event of this number."""
    found = []
    async with asyncio.timeout(10):
        while ("", until) not in found:
            message = json.loads(await socket.receive_str())
            found.append((message.get("audience", ""), message["seq"]))
    return [one for one in found if one[0]]


async def test_a_listener_has_what_its_token_says_and_no_more_live_and_when_it_comes_back():
    more = envelopes(*[RoomOpened(9.0)] * 6)
    expected = {
        Pass("viewer"): [],
        Pass("participant", "p1"): [("p1", 1), ("p1", 2)],
        Pass("participant", "p2"): [("p2", 1)],
        Pass("participant", "p9"): [],
        Pass("manager"): [(MANAGERS, 1)],
    }
    async with serving("hush") as (listen, server, sink, _):
        for holder, private in expected.items():
            token = server.tokens.issue("quiet", EPOCH, holder, 60)
            sink._feed = type(sink._feed)(folded([]))
            async with listen(token=token) as socket:
                await socket.receive_str()
                for envelope in SAID:
                    await sink.send(envelope)
                assert await heard(socket) == private, holder
            async with listen(token=token, since={"epoch": EPOCH, "seq": 4}) as socket:
                await sink.send(more[4])
                again = await heard(socket, 5)
                await sink.send(more[5])
                assert again + await heard(socket, 6) == private, holder


async def test_the_servers_own_token_opens_what_is_for_everyone_and_no_more():
    for signing_key, token in [(None, "hush"), (None, None), (KEY, "hush"), (KEY, None)]:
        async with serving(token, signing_key) as (listen, _, sink, _), listen(token=token) as socket:
            await socket.receive_str()
            for envelope in SAID:
                await sink.send(envelope)
            assert await heard(socket) == []


async def test_a_token_that_is_not_for_here_and_now_opens_nothing():
    async with serving("hush") as (listen, server, _, _):
        tokens = server.tokens
        for bad in (
            tokens.issue("loud", EPOCH, Pass("manager"), 60),
            tokens.issue("quiet", EPOCH + 1, Pass("manager"), 60),
            tokens.issue("quiet", EPOCH, Pass("manager"), 60) + "x",
            "nothing", 5, None,
        ):  # fmt: skip
            async with listen(token=bad) as socket:
                message = await socket.receive()
                assert (message.type, message.data) == (WSMsgType.CLOSE, 4401), bad


async def test_an_answer_on_the_websocket_is_its_holders_own():
    async with serving() as (listen, server, _, answers):
        for holder, known in [(Pass("participant", "p1"), "p1"), (Pass("manager"), MANAGERS), (Pass("viewer"), None)]:
            async with listen(token=server.tokens.issue("quiet", EPOCH, holder, 60)) as socket:
                await socket.receive_str()
                await socket.send_json({"type": "hello"})
                await socket.send_json({"type": "coaching", "prompt": "c1", "answer": "snoozed", "speaker": "p2"})
                if known is not None:
                    async with asyncio.timeout(5):
                        while not answers:
                            await asyncio.sleep(0.01)
                    assert answers.pop() == (known, "c1", "snoozed")
                    await socket.send_json({"type": "coaching", "prompt": "c1", "answer": "perhaps"})
                    assert (await socket.receive()).data == 4400
        assert answers == []


async def test_a_slow_listener_is_told_which_of_its_own_it_missed():
    feed_of = [prompt("p1", f"c{n}", float(n)) for n in range(6)]
    async with serving(waiting=2) as (_, _, sink, _):
        listener = sink._feed.subscribe(audience="p1")
        assert brief(await anext(listener)) == "snapshot 0"
        for envelope in envelopes(*feed_of):
            await sink.send(envelope)
        sink._feed.close()
        rest = [json.loads(message) async for message in listener]
        assert [brief(json.dumps(message)) for message in rest] == ["gap 1-4", 5, 6]
        assert {message["audience"] for message in rest} == {"p1"}


# -- the whole ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(st.lists(st.sampled_from(["", "p1", "p2", MANAGERS]), max_size=30), st.integers(1, 4))
def test_whatever_is_dropped_nobody_has_anothers_and_each_knows_its_own_holes(audiences, size):
    async def play():
        said = envelopes(*(prompt(to) if to else RoomOpened(1.0) for to in audiences))

        class Aware(FakeSink):
            private = True

        sinks = [Aware(), FakeSink()]
        outlets = [Outlet(sink, size) for sink in sinks]
        for number, envelope in enumerate(said):
            for outlet in outlets:
                if outlet.takes(envelope.audience):
                    outlet.put(envelope)
            if number % 3 == 0:
                await asyncio.sleep(0)
        for outlet in outlets:
            await outlet.close(1.0)
        return sinks

    aware, unaware = asyncio.run(play())
    assert {one.audience for one in unaware.said} <= {""}
    known: dict[str, int] = {}
    for one in aware.said:
        assert isinstance(one, Envelope)
        first = one.event.from_seq if isinstance(one.event, Gap) else one.seq
        assert first == known.get(one.audience, 0) + 1
        known[one.audience] = one.seq


async def test_a_worker_takes_answers_from_its_sinks_to_who_asked(tmp_path):
    learned = []

    class Coach:
        def push(self, event):
            return []

        tick = close = push

        def answer(self, who, name, answer, at):
            learned.append((who, name, answer, at))
            return [PromptAnswered(at, name, who, "monologue", answer)]

    class Models:
        def of(self, room):
            return None

    room, server = FakeRoom(), Server(port=0)
    room.started = SAID[0].time
    path = tmp_path / "events.jsonl"
    given_settings = settle(
        {
            "room": {"kind": "embedded"},
            "sinks": [{"kind": "websocket"}, {"kind": "jsonl", "path": str(path)}],
        }
    )
    worker = Worker(given_settings, Models(), room, recorded(), server)
    worker.session._observers = [Coach()]
    worker.sinks[0]._answers("p1", "c1", "dismissed")
    worker.session._over = True
    worker.sinks[0]._answers("p1", "c2", "dismissed")
    await worker.fanout.close(5.0)
    assert learned == [("p1", "c1", "dismissed", 0.0)]
    assert path.read_text() == ""


@pytest.mark.parametrize("message", [
    {}, {"prompt": "c1", "answer": "snoozed"}, {"type": "coaching", "prompt": 5, "answer": "snoozed"},
    {"type": "coaching", "prompt": "c1", "answer": ["snoozed"]},
    {"type": "coaching", "prompt": "c" * 201, "answer": "snoozed"},
])  # fmt: skip
def test_an_answer_that_is_none_is_explained(message):
    with pytest.raises(ValueError, match=", ".join(ANSWERS)):
        read_answer(message)
