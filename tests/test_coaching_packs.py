"""The packs that ship: each loads, and each rule says its sentence on figures that are written down here."""

import re

import pytest

from tests.test_coaching_coach import Conversation
from worker.coaching.coach import Coach
from worker.coaching.files import load, packs
from worker.events import ConversationMeasured, EmotionShifted, SpeakerJoined
from worker.figures import RoomFigures

ROOM = {"people": 3, "heard_s": 400.0, "speech_s": 300.0}
SITUATIONS = {
    "share_the_floor": ({"recent_talk_share": 0.66, "recent_talk_s": 60.0}, {}),
    "long_run": ({"run_s": 91.0}, {}),
    "very_long_run": ({"run_s": 151.0}, {}),
    "let_them_finish": ({"recent_interruptions": 3}, {}),
    "pause": ({"recent_response_gap_s": 0.5, "recent_interruptions": 1}, {}),
    "too_fast": ({"pace_change": 0.16}, {}),
    "ask_and_wait": ({"recent_talk_share": 0.6}, {"recent_floor_changes_per_min": 1.9}),
    "dead_air": ({"silent_for_s": 8.5}, {"silence_s": 8.5}),
    "invite": ({"recent_equal_share": 0.24}, {}),
    "go_round": ({}, {"recent_balance": 0.4}),
    "tone_turned": ({}, {}),
    "tone_rose": ({}, {}),
}
"""Of each rule the figures of the person and of the room that it is made for."""
BANDS = {
    "share_the_floor": ({"recent_talk_share": 0.65, "recent_talk_s": 300.0}, {}),
    "long_run": ({"run_s": 90.0}, {}),
    "very_long_run": ({"run_s": 150.0}, {}),
    "let_them_finish": ({"recent_interruptions": 2}, {}),
    "pause": ({"recent_response_gap_s": 0.5, "recent_interruptions": 0}, {}),
    "too_fast": ({"pace_change": 0.15}, {}),
    "ask_and_wait": ({"recent_talk_share": 0.6}, {"recent_floor_changes_per_min": 2.0}),
    "dead_air": ({"silent_for_s": 8.0}, {"silence_s": 8.0}),
    "invite": ({"recent_equal_share": 0.25}, {}),
    "go_round": ({}, {"recent_balance": 0.5}),
}
"""The last figures that are all right."""
RULES = [(pack, rule) for pack in packs() for rule in load([pack])]
ids = [f"{pack}-{rule.name}" for pack, rule in RULES]


def told(pack, rule, situation, role=""):
    """Everything that one rule of a pack says in a situation that lasts for five minutes."""
    person, room = situation
    conversation = Conversation()
    conversation.set(room=ROOM | room, ada=person)
    coach = Coach(conversation, [pack], managers=True, emotion=True)
    said = list(coach.push(SpeakerJoined(0.0, "ada", "Ada", role=role)))
    coach.push(SpeakerJoined(0.0, "bo", "Bo", role="customer"))
    coach.push(ConversationMeasured(0.0, 300.0, RoomFigures(), {}, {}, {}, {}, ()))
    coach.push(EmotionShifted(0.0, "bo", "arousal_rise" if rule.name == "tone_rose" else "to_negative", 0.1, -0.4, 8.0))
    for at in range(310):
        said += coach.tick(float(at))
    return [prompt for prompt in said if prompt.rule == rule.name]


@pytest.mark.parametrize(("pack", "rule"), RULES, ids=ids)
def test_every_rule_speaks_where_it_should(pack, rule):
    prompt, *_ = told(pack, rule, SITUATIONS[rule.name])
    assert prompt.to == ("managers" if rule.audience == "managers" else "ada")
    for sentence in (prompt.text, prompt.reason):
        assert not re.search(r"[{}]|n/a|None|\bp\d", sentence)
        assert sentence[-1] == "."


@pytest.mark.parametrize(("pack", "rule"), [one for one in RULES if one[1].on is None], ids=lambda one: str(one)[:8])
def test_no_rule_speaks_within_the_band(pack, rule):
    assert told(pack, rule, BANDS[rule.name]) == []


@pytest.mark.parametrize(("pack", "rule"), RULES, ids=ids)
def test_customers_are_not_coached(pack, rule):
    if pack in ("sales", "support"):
        assert told(pack, rule, SITUATIONS[rule.name], role="customer") == []


@pytest.mark.parametrize(("pack", "rule"), [one for one in RULES if one[1].on is None], ids=lambda one: str(one)[:8])
def test_nobody_is_told_anything_while_they_are_alone(pack, rule):
    person, room = SITUATIONS[rule.name]
    assert told(pack, rule, (person, room | {"people": 1})) == []


@pytest.mark.parametrize(("pack", "rule"), RULES, ids=ids)
def test_words_are_calm_and_never_compare_people(pack, rule):
    words = f"{rule.text._template} {rule.reason._template}".lower()
    assert not re.search(r"!|\b(worst|best|rank|score|bad|wrong with|failed|must|stop talking|emotion|angry)\b", words)
    assert rule.needs != "emotion" or "sounded" in words
    assert len(rule.text._template) <= 100


def test_how_a_voice_sounds_is_said_of_customers_alone():
    conversation = Conversation()
    conversation.set(room=ROOM, ada={}, bo={})
    coach = Coach(conversation, ["support"], emotion=True)
    for name in ("ada", "bo"):
        coach.push(SpeakerJoined(0.0, name, name, role="agent"))
    coach.push(EmotionShifted(1.0, "bo", "to_negative", 0.1, -0.4, 8.0))
    assert list(coach.tick(2.0)) == []
