"""How a voice sounded that the law lets those in the call see, and nobody else: nothing keeps it or sums it up."""

import asyncio
import json
from contextlib import aclosing
from functools import partial

import pytest

from tests.consenting import TERMS, law
from tests.fakes import EPOCH, NOON, FakeRoom, FakeSink, envelopes, folded
from worker.coaching.coach import Coach
from worker.conversation.dynamics import Dynamics
from worker.envelope import Numbering
from worker.events import (
    EmotionAbstained,
    EmotionEstimated,
    EmotionShifted,
    PromptAnswered,
    Prompted,
    SpeakerJoined,
    SpeechStarted,
)
from worker.privacy.consent import Consent
from worker.privacy.levels import Level
from worker.prompts import IN_CALL, MANAGERS, PRIVATE
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


class Kept:
    def __init__(self):
        self.said = []

    def put(self, envelope):
        self.said.append(envelope)


def session_with(session_policy, observers=()):
    kept = Kept()
    return kept, Session(FakeRoom(), session_policy, lambda *_: None, observers, Numbering("quiet", EPOCH, NOON), kept)


def said_by(session_policy, *events):
    """The envelopes of these events, through a session."""
    kept, session = session_with(session_policy)
    for event in events:
        session.say(event)
    return kept.said


def call():
    here = [SpeakerJoined(0.0, "kim", "Kim"), SpeakerJoined(0.0, "ada", "Ada")]
    return said_by(policy(), *here, SpeechStarted(1.0, "kim"), *TONE, SpeechStarted(6.0, "ada"))


def test_the_customers_voice_is_heard_for_those_in_the_call_and_the_sellers_is_not():
    who = policy()
    assert (who.level("kim"), who.in_call_only("kim")) == (Level.EMOTION, True)
    assert who.level("ada") is Level.PROSODY
    assert [one.audience for one in call()] == ["", "", "", IN_CALL, IN_CALL, IN_CALL, ""]


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
    assert [envelope.seq for envelope in store.said] == [1, 2, 3, 4]  # and nothing shows that there was more


async def test_the_rooms_own_data_channel_tells_everyone_in_it():
    room, snapshot = FakeRoom(), Snapshot("quiet", EPOCH)
    sink = DataChannelSink(room, snapshot)
    for envelope in call():
        await sink.send(envelope)
    told = [json.loads(message) for message, to in room.sent if to is None]
    assert [one["type"].split(".")[2] for one in told].count("emotion") == 3


async def test_of_listeners_only_participants_who_are_there_are_told_and_only_as_it_happens():
    snapshot, heard = Snapshot("quiet", EPOCH), {}
    feed = Feed(snapshot)

    async def listen(audience):
        async with aclosing(feed.subscribe(None, audience)) as messages:
            heard[audience] = [json.loads(message)["type"] async for message in messages]

    tasks = [asyncio.create_task(listen(audience)) for audience in ("", "ada", "who left", MANAGERS)]
    await asyncio.sleep(0)
    for envelope in call():
        if not envelope.audience:
            snapshot.fold(envelope)
        feed.push(envelope)
    late = asyncio.create_task(listen("kim"))
    await asyncio.sleep(0)
    feed.close()
    await asyncio.gather(*tasks, late)
    tones = {audience: sum(".emotion." in kind for kind in kinds) for audience, kinds in heard.items()}
    assert tones == {"": 0, "ada": 3, "who left": 0, MANAGERS: 0, "kim": 0}


# -- what is suggested to somebody because of a tone ------------------------------------------------------------------

RULES = """
- name: tone_turned
  on: emotion_shifted
  me: others
  needs: emotion
  when: event.now < 0
  text: Their tone turned.
  reason: It sounded lower than before.
- name: long_run
  when: me.run_s > 3
  text: Pause.
  reason: You have gone on for long.
"""


@pytest.fixture
def prompted(tmp_path):
    """What a session says when Kim's tone turned and Ada, who sells, goes on and on; and when she answers."""

    def prompted(session_policy):
        path = tmp_path / "rules.yaml"
        path.write_text(RULES)
        dynamics = Dynamics(take_floor_s=0.5)
        coach = Coach(dynamics, [str(path)], emotion=True, per_minute=10, wait_while_speaking=False)
        here = [SpeakerJoined(0.0, "kim", "Kim", level="emotion"), SpeakerJoined(0.0, "ada", "Ada", level="prosody")]
        kept, session = session_with(session_policy, [dynamics, coach])
        for event in (*here, SpeechStarted(0.5, "ada"), *TONE):
            session.say(event)
        for tenth in range(51, 80):
            session._tick(tenth / 10)
        for envelope in [one for one in kept.said if isinstance(one.event, Prompted)]:
            session.answer("ada", envelope.event.prompt, "dismissed")
        return [one for one in kept.said if isinstance(one.event, PRIVATE)]

    return prompted


def test_what_rests_on_a_tone_goes_no_further_than_the_tone(prompted):
    told = {(type(one.event), one.event.rule): one.audience for one in prompted(policy())}
    assert told == {
        (Prompted, "tone_turned"): "participants/ada",
        (PromptAnswered, "tone_turned"): "participants/ada",
        (Prompted, "long_run"): "ada",
        (PromptAnswered, "long_run"): "ada",
    }


def test_elsewhere_a_prompt_is_one_like_any_other(prompted):
    found = Consent(law(role="adult"), TERMS)
    assert {one.audience for one in prompted(found)} == {"ada"}


async def test_such_a_prompt_reaches_its_addressee_and_nothing_that_keeps(prompted, tmp_path):
    said, path, room = prompted(policy()), tmp_path / "events.jsonl", FakeRoom()
    snapshot = folded(envelopes(SpeakerJoined(0.0, "ada", "Ada"), SpeakerJoined(0.0, "kim", "Kim")))
    room.addresses, sent = True, []
    room.send = partial(sent_to, sent)
    keeper, channel = Keeper("quiet", EPOCH, True), DataChannelSink(room, snapshot)
    outlets = Fanout(snapshot, [JsonlSink(path, prompts=True), keeper, channel])
    feed, heard = Feed(snapshot), {}

    async def listen(audience, name=None):
        async with aclosing(feed.subscribe(None, audience)) as messages:
            heard[name or audience] = "".join([message async for message in messages]).count('"tone_turned"')

    tasks = [asyncio.create_task(listen(audience)) for audience in ("", "ada", "kim", MANAGERS)]
    await asyncio.sleep(0)
    for envelope in said:
        feed.push(envelope)
        outlets.put(envelope)
    await outlets.close(5.0)
    late = asyncio.create_task(listen("ada", "ada again"))
    await asyncio.sleep(0)
    feed.close()
    await asyncio.gather(*tasks, late)
    assert heard == {"": 0, "ada": 2, "kim": 0, MANAGERS: 0, "ada again": 0}
    assert [to for message, to in sent if "tone_turned" in message] == ["ada", "ada"]
    kept = path.read_text() + json.dumps(keeper.meeting.as_dict()) + "".join(one.as_json() for one in channel.held())
    assert "long_run" in kept
    assert "tone_turned" not in kept


async def sent_to(sent, message, to=None, **_):
    sent.append((message, to))
    return True
