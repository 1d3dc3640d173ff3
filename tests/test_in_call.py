"""How a voice sounded that the law lets those in the call see, and nobody else: nothing keeps it or sums it up."""

import asyncio
import json
from contextlib import aclosing

import pytest

from tests.consenting import TERMS, law
from tests.fakes import EPOCH, NOON, FakeRoom, FakeSink
from worker.envelope import Numbering
from worker.events import EmotionAbstained, EmotionEstimated, EmotionShifted, SpeakerJoined, SpeechStarted
from worker.privacy.consent import Consent
from worker.privacy.levels import Level
from worker.prompts import IN_CALL, MANAGERS
from worker.report.keeper import Keeper
from worker.session import Session
from worker.sinks.data_channel import DataChannelSink
from worker.sinks.fanout import Fanout
from worker.sinks.feed import Feed
from worker.sinks.jsonl import JsonlSink
from worker.sinks.snapshot import Snapshot

SALES = {"jurisdiction": "eu", "context": "customer_call", "role": "employee"}
TONE = [
    EmotionEstimated(3.0, "kim", 1.0, 0.5, 0.1, {"tense": 0.9}, 0.9, False, "fake", "tense"),
    EmotionAbstained(4.0, "kim", 2.0, "mixed", "fake"),
    EmotionShifted(5.0, "kim", "to_negative", 0.4, -0.4, 8.0),
]


def policy():
    """A sales call in the EU: Kim is a customer and agreed to everything, Ada sells."""
    found = Consent(law(**SALES), TERMS)
    for speaker, role in (("kim", "customer"), ("ada", "employee")):
        found.present(speaker, speaker, role)
        found.record(speaker, Level.EMOTION, "page", TERMS)
    return found


def said_by(session_policy, *events):
    """The envelopes of these events, through a session."""

    class Kept:
        def __init__(self):
            self.said = []

        def put(self, envelope):
            self.said.append(envelope)

    kept, room = Kept(), FakeRoom()
    session = Session(room, session_policy, lambda *_: None, [], Numbering("quiet", EPOCH, NOON), kept)
    for event in events:
        session.say(event)
    return kept.said


def call():
    return said_by(
        policy(), SpeakerJoined(0.0, "kim", "Kim"), SpeechStarted(1.0, "kim"), *TONE, SpeechStarted(6.0, "ada")
    )


def test_the_customers_voice_is_heard_for_those_in_the_call_and_the_sellers_is_not():
    who = policy()
    assert (who.level("kim"), who.in_call_only("kim")) == (Level.EMOTION, True)
    assert who.level("ada") is Level.PROSODY
    assert [one.audience for one in call()] == ["", "", IN_CALL, IN_CALL, IN_CALL, ""]


@pytest.mark.parametrize("role", ["customer", "adult", ""])
def test_elsewhere_everyone_may_have_it(role):
    found = Consent(law(role="adult"), TERMS)
    found.present("kim", "kim", role)
    assert {one.audience for one in said_by(found, *TONE)} == {""}


async def test_nothing_that_keeps_is_given_it(tmp_path):
    path, snapshot = tmp_path / "events.jsonl", Snapshot("quiet", EPOCH)
    keeper, store, room = Keeper("quiet", EPOCH, True), FakeSink(), FakeRoom()
    store.private = True
    fanout = Fanout(snapshot, [JsonlSink(path, prompts=True), keeper, store, DataChannelSink(room, snapshot)])
    for envelope in call():
        fanout.put(envelope)
    await fanout.close(5.0)
    assert snapshot.as_dict()["data"]["speakers"]["kim"]["emotion"] is None
    assert '"emotion.' not in path.read_text()
    assert "tense" not in json.dumps(keeper.meeting.as_dict())
    assert {envelope.audience for envelope in store.said} == {""}
    assert [envelope.seq for envelope in store.said] == [1, 2, 3]  # and nothing shows that there was more


async def test_the_rooms_own_data_channel_tells_everyone_in_it():
    room, snapshot = FakeRoom(), Snapshot("quiet", EPOCH)
    sink = DataChannelSink(room, snapshot)
    for envelope in call():
        await sink.send(envelope)
    told = [json.loads(message) for message, to in room.sent if to is None]
    assert [one["type"].split(".")[2] for one in told].count("emotion") == 3


async def test_of_listeners_only_participants_are_told_and_only_as_it_happens():
    feed, heard = Feed(Snapshot("quiet", EPOCH)), {}

    async def listen(audience):
        async with aclosing(feed.subscribe(None, audience)) as messages:
            heard[audience] = [json.loads(message)["type"] async for message in messages]

    tasks = [asyncio.create_task(listen(audience)) for audience in ("", "ada", MANAGERS)]
    await asyncio.sleep(0)
    for envelope in call():
        feed.push(envelope)
    late = asyncio.create_task(listen("p9"))
    await asyncio.sleep(0)
    feed.close()
    await asyncio.gather(*tasks, late)
    tones = {audience: sum(".emotion." in kind for kind in kinds) for audience, kinds in heard.items()}
    assert tones == {"": 0, "ada": 3, MANAGERS: 0, "p9": 0}
