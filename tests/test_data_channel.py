"""Events to everyone in the room."""

import json
from datetime import UTC, datetime

import pytest

from tests.fakes import FakeRoom, brief, envelopes, folded, run_of
from worker.envelope import Numbering
from worker.errors import RoomError, SinkError
from worker.events import ConversationMeasured, EmotionAbstained, SpeakerJoined, SpeakerLeft, SpeechStarted, TalkTime
from worker.figures import PersonFigures, RoomFigures
from worker.sinks.data_channel import LARGEST, DataChannelSink
from worker.sinks.delivery import Outlet


async def test_events_go_to_all_and_the_snapshot_to_one():
    said = run_of(2)
    room = FakeRoom()
    sink = DataChannelSink(room, folded(said))
    await sink.send(said[0])
    await sink.welcome("ada")
    await sink.send(said[1])
    await sink.close()
    assert [(brief(message), to) for message, to in room.sent] == [(1, None), ("snapshot 2", "ada"), (2, None)]


async def test_a_room_in_trouble_costs_the_event_not_the_session():
    sink = DataChannelSink(FakeRoom(fault=RoomError("the room is gone")), folded([]))
    with pytest.raises(SinkError, match="the room is gone"):
        await sink.send(run_of(1)[0])


async def test_in_a_crowded_room_ticks_of_talk_time_are_left_out_counted_and_told_as_a_gap():
    room, snapshot = FakeRoom(), folded([])
    outlet = Outlet(DataChannelSink(room, snapshot))
    numbering = Numbering("quiet", 1, datetime.now(UTC))
    fact, tick = SpeechStarted(0.5, "p1"), TalkTime(1.0, {})
    for crowded, event in [(False, tick), (True, fact), (True, tick), (True, tick), (True, fact), (False, tick)]:
        room.crowded = crowded
        outlet.put(numbering.wrap(event))
        await outlet.caught_up()
    assert [brief(message) for message, _ in room.sent] == [1, 2, "gap 3-3", "gap 4-4", 5, 6]
    assert (outlet.delivered, outlet.lost, dict(outlet.failures)) == (4, 2, {"crowded": 2})
    await outlet.close(1.0)


async def test_who_could_not_even_take_a_gap_is_told_of_all_that_it_named():
    room, snapshot = FakeRoom(), folded([])
    sink = DataChannelSink(room, snapshot)
    said = run_of(4)
    for envelope in said:
        snapshot.fold(envelope)
    room.all_take = False
    await sink.send(said[3].gap_since(1))
    await sink.send(said[3])
    await sink.welcome("ada", behind=True)
    assert [brief(message) for message, _ in room.sent[2:]] == ["gap 2-4", "snapshot 4"]


async def test_who_fell_behind_is_told_what_is_missing_then_the_present():
    room, snapshot = FakeRoom(), folded([])
    sink = DataChannelSink(room, snapshot)
    told = []
    for envelope, all_take in zip(run_of(9), [True, False, False, True, True, True, False, False, True], strict=True):
        snapshot.fold(envelope)
        room.all_take = all_take
        await sink.send(envelope)
        if envelope.seq in (4, 9):
            room.sent.clear()
            await sink.welcome("ada", behind=True)
            told += [(brief(message), to) for message, to in room.sent]
    assert told == [("gap 2-4", "ada"), ("snapshot 4", "ada"), ("gap 7-9", "ada"), ("snapshot 9", "ada")]


async def figures_of(count, gone=0):
    """What the room is sent of the figures of `count` people who all cut in on each other; of them `gone` have left."""
    people = [f"p{number}" for number in range(count)]
    said = [SpeakerJoined(0.0, who, "A name") for who in people]
    said += [SpeakerLeft(1.0, who) for who in people[count - gone :]]
    figures = {who: PersonFigures(talk_s=1.5 + 2 * place, talk_share=1 / 3) for place, who in enumerate(people)}
    matrix = {one: {other: 100 for other in people if other != one} for one in people}
    said.append(ConversationMeasured(5.0, 300.0, RoomFigures(), figures, {}, matrix, matrix, ()))
    room, numbered = FakeRoom(), envelopes(*said)
    await DataChannelSink(room, folded(numbered)).send(numbered[-1])
    ((text, _),) = room.sent
    assert len(text.encode()) <= LARGEST
    return json.loads(text)["data"]


async def test_figures_of_many_people_hold_as_much_as_a_browser_takes():
    for count, gone, told, counted in [(20, 5, 20, 20), (60, 20, 40, 40), (90, 20, 70, 0)]:
        data = await figures_of(count, gone)
        assert (len(data["speakers"]), len(data["floor"]), len(data["interrupted_by"])) == (told, counted, counted)
    few = await figures_of(300)
    assert 50 < len(few["speakers"]) < 300
    assert min(int(who[1:]) for who in few["speakers"]) == 300 - len(few["speakers"])


async def test_what_no_browser_takes_costs_itself_alone():
    room, (large, _) = FakeRoom(), envelopes(EmotionAbstained(1.0, "p1", 0.0, "x" * LARGEST, "fake"), TalkTime(2.0, {}))
    with pytest.raises(SinkError, match="too large"):
        await DataChannelSink(room, folded([])).send(large)
    assert room.sent == []
