"""Events to everyone in the room."""

import pytest

from tests.fakes import FakeRoom, brief, folded, run_of
from worker.errors import RoomError, SinkError
from worker.sinks.data_channel import DataChannelSink


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
