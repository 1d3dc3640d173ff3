from dataclasses import replace

import pytest

from worker.conversation.engagement import Engagements, falling
from worker.errors import ConfigError
from worker.events import ConversationMeasured, SpeechStarted
from worker.figures import PersonFigures, RoomFigures

LIVELY = RoomFigures(
    people=2,
    heard_s=300.0,
    recent_balance=0.9,
    recent_floor_changes_per_min=3.0,
    recent_response_gap_s=2.0,
    recent_silence_share=0.3,
)


def scored(room=LIVELY, talk_s=75.0, **options):
    people = {"ada": PersonFigures(recent_talk_s=talk_s), "bo": PersonFigures(recent_talk_s=0.0)}
    (event,) = Engagements(**options).push(ConversationMeasured(300.0, 300.0, room, people, {}, {}, {}, ()))
    return event


def test_the_score_is_the_weighted_sum_of_its_parts():
    event = scored()
    assert event.parts == pytest.approx({"balance": 0.9, "floor_changes": 0.5, "response_lag": 0.5, "silence": 0.5})
    assert event.weights == pytest.approx({"balance": 0.4, "floor_changes": 0.3, "response_lag": 0.2, "silence": 0.1})
    assert event.score == pytest.approx(100 * (0.36 + 0.15 + 0.1 + 0.05))
    assert event.confidence == 0.5


@pytest.mark.parametrize("lacking", ["recent_balance", "recent_floor_changes_per_min", "recent_silence_share"])
def test_there_is_no_score_without_its_parts(lacking):
    assert scored(replace(LIVELY, **{lacking: None})).score is None


def test_there_is_no_score_before_three_minutes():
    assert scored(replace(LIVELY, heard_s=179.0)).score is None
    assert scored(replace(LIVELY, heard_s=180.0)).score is not None


def test_where_nobody_answered_the_other_parts_count():
    event = scored(replace(LIVELY, recent_response_gap_s=None))
    assert event.parts["response_lag"] is None
    assert event.score == pytest.approx(100 * (0.36 + 0.15 + 0.05) / 0.8)


def test_weights_and_ends_are_settings():
    event = scored(
        balance_weight=1, floor_changes_weight=0, response_lag_weight=0, silence_weight=1, no_silence_share=0.3
    )
    assert event.score == pytest.approx(45.0)


def test_a_part_falls_in_a_line_between_its_ends():
    assert [falling(value, 1.0, 3.0) for value in (0.0, 1.0, 1.5, 3.0, 9.0, None)] == [1.0, 1.0, 0.75, 0.0, 0.0, None]


def test_nothing_else_is_scored():
    scores = Engagements()
    assert [*scores.push(SpeechStarted(1.0, "ada")), *scores.tick(2.0), *scores.close(3.0)] == []


@pytest.mark.parametrize("options", [{"balance_weight": -1}, {"full_lag_s": 3.0}, {"full_changes_per_min": 0}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="engagement"):
        Engagements(**options)
