"""How long records are kept, to the second."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import NOON, envelopes
from worker.config import settle
from worker.errors import ConfigError
from worker.events import Gap, Prompted, SpeakerJoined
from worker.privacy.keeping import Keeping

DAY = 86_400.0
NOW = NOON.timestamp()
PROMPT = Prompted(0.0, "ada", "r-1", "r", "nudge", "Ask.", "Because.", {}, 10.0)


def record(event=None, **changes):
    (envelope,) = envelopes(event or SpeakerJoined(0.0, "ada", "Ada"))
    return json.loads(envelope.as_json()) | changes


@pytest.mark.parametrize(
    ("event", "days"), [(SpeakerJoined(0.0, "ada", "Ada"), 30.0), (Gap(0.0, 1, 2), 30.0), (PROMPT, 7.0)]
)
def test_events_and_prompts_are_due_when_their_days_are_over_and_not_before(event, days):
    keeping, one = Keeping(), record(event)
    assert keeping.due(one, NOW + days * DAY - 0.001) is False
    assert keeping.due(one, NOW + days * DAY) is True
    assert Keeping(1.5, 0.5).due(one, NOW + days / 20 * DAY) is (event is not PROMPT or False)


def test_a_gap_between_somebodys_prompts_is_kept_as_they_are():
    gap = record(Gap(0.0, 1, 2), audience="ada")
    assert Keeping().due(gap, NOW + 7 * DAY) is True


def test_an_events_own_time_counts_not_when_its_room_was_opened():
    late = record(time=(NOON + timedelta(days=40)).isoformat())
    assert Keeping().due(late, NOW + 40 * DAY + 1) is False


def test_what_is_in_another_zone_of_time_is_the_same_moment():
    assert Keeping().due(record(time="2026-01-01T14:00:00+02:00"), NOW + 30 * DAY) is True
    assert Keeping().due(record(time="2026-01-01T14:00:00+02:00"), NOW + 30 * DAY - 1) is False


def test_a_recording_has_no_time_of_day_and_is_never_due():
    assert Keeping().due(record(epoch=0, time="1970-01-01T00:00:10Z"), NOW) is False


@pytest.mark.parametrize(
    "one", [None, 3, "text", [], {}, {"time": 5}, {"time": "soon"}, {"time": "2026-01-01T12:00:00"}]
)
def test_what_is_no_event_is_neither(one):
    assert Keeping().due(one, NOW) is None


@given(st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_json_breaks_it(value):
    Keeping().due(value, NOW)
    Keeping().due({"time": datetime.now(UTC).isoformat(), "type": value, "audience": value, "epoch": value}, NOW)


def test_a_key_is_checked_when_the_configuration_is_and_not_looked_up():
    settle({"room": {"kind": "embedded"}, "keeping": {"keys": ["env:NOT_SET_HERE"], "events_days": 3}})
    with pytest.raises(ConfigError, match=r"keeping: keeping\.keys\.0 is no key"):
        settle({"room": {"kind": "embedded"}, "keeping": {"keys": ["hunter2"]}})
    with pytest.raises(ConfigError, match=r"keeping\.events_days"):
        settle({"room": {"kind": "embedded"}, "keeping": {"events_days": 0}})
