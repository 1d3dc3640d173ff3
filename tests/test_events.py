"""The contract with every listener."""

import json
import re
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest

from tests.fakes import envelopes
from worker.envelope import Numbering
from worker.events import EVENTS, PREFIX, Gap, RoomOpened, SpeechEnded, TalkTime
from worker.figures import Talk


def test_types_are_distinct_and_carry_their_version():
    types = [event.type for event in EVENTS]
    assert len(set(types)) == len(types)
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)?\.v[0-9]+", name) for name in types)


def test_an_envelope_is_a_cloud_event():
    (envelope,) = envelopes(SpeechEnded(2.5, "ada", 1.23456789))
    assert (
        json.loads(envelope.as_json())
        == envelope.as_dict()
        == {
            "specversion": "1.0",
            "id": "quiet:7:1",
            "source": "/rooms/quiet",
            "type": PREFIX + "speech.ended.v1",
            "subject": "ada",
            "time": "2026-01-01T12:00:02.500Z",
            "datacontenttype": "application/json",
            "seq": 1,
            "epoch": 7,
            "data": {"at": 2.5, "speaker": "ada", "started": 1.2346},
        }
    )


def test_an_event_of_the_whole_room_has_no_subject():
    assert "subject" not in envelopes(RoomOpened(0.0))[0].as_dict()


def test_numbers_inside_are_rounded_too():
    (envelope,) = envelopes(TalkTime(1.0, {"ada": Talk(0.1 + 0.2, 1 / 3)}))
    assert envelope.as_dict()["data"]["speakers"] == {"ada": {"seconds": 0.3, "share": 0.3333}}


def test_one_line_made_once():
    (envelope,) = envelopes(RoomOpened(0.0))
    assert envelope.as_json() is envelope.as_json()
    assert "\n" not in envelope.as_json()


def test_numbers_that_json_cannot_hold_are_a_bug_and_not_a_line():
    with pytest.raises(ValueError, match="JSON"):
        envelopes(TalkTime(0.0, {"ada": Talk(float("inf"), 0.0)}))[0].as_json()


def test_numbering_starts_at_one_and_has_no_holes():
    numbering = Numbering("quiet", 3, datetime(2026, 1, 1, tzinfo=UTC))
    assert [numbering.wrap(RoomOpened(0.0)).seq for _ in range(3)] == [1, 2, 3]
    assert numbering.last == 3


def test_a_gap_stands_for_all_between():
    last = envelopes(*[RoomOpened(float(n)) for n in range(9)])[-1]
    gap = last.gap_since(4)
    assert gap.event == Gap(8.0, 5, 8)
    assert (gap.seq, gap.epoch, gap.room) == (8, 7, "quiet")


def test_events_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        RoomOpened(0.0).at = 1.0
