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
