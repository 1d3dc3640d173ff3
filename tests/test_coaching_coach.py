"""The coach: what it says, to whom and when, from figures and events that are written down here."""

import dataclasses
from itertools import pairwise

import pytest

from worker.coaching.coach import EVERY_S, Coach
from worker.errors import ConfigError
from worker.events import (
    ConversationMeasured,
    EmotionShifted,
    Interrupted,
    PromptAnswered,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeechEnded,
    SpeechStarted,
)
from worker.figures import Figures, PersonFigures, RoomFigures, SideFigures
from worker.rooms.embedded import BEHIND_S

LOOK_S = EVERY_S + 0.01
"""At ticks this far apart there is a look at each."""

RUN = """
- name: long_run
  when: me.run_s > 90
  text: Pause, {me.name}.
  reason: You have gone on for {me.run_s:seconds}.
"""
QUIET = """
- name: invite
  when: me.recent_equal_share < 0.25
  hold_s: 10
  audience: managers
  text: Ask {me.name}.
  reason: They had {me.recent_equal_share:percent} of a part in {window_s:minutes}.
"""
CUT = """
- name: cut_in
  on: interrupted
  me: by
  when: event.overlap_s >= 0.5
  text: Let {event.speaker} finish.
  reason: It was {event.overlap_s:seconds}.
"""
ROOM = """
- name: silence
  when: room.silence_s > 8
  audience: managers
  text: Go on.
  reason: Nobody has spoken for {room.silence_s:seconds}.
"""


class Conversation:
    """Figures that a test sets."""

    def __init__(self):
        self.now = Figures()

    def figures(self):
        return self.now

    def set(self, room=None, sides=None, **people):
        kept = {who: PersonFigures(**fields) for who, fields in people.items()}
        self.now = Figures(RoomFigures(**(room or {})), kept, {k: SideFigures(**v) for k, v in (sides or {}).items()})


class Scene:
    """A coach, its conversation, and what it has said and held back."""

    def __init__(self, path, text, names="ada bo", **options):
        path.write_text(text)
        self.conversation, self.said, self.held, self.at = Conversation(), [], [], 0.0
        self.coach = Coach(self.conversation, [str(path)], **options)
        self.coach.held_back = self.held.append
        for name in names.split():
            self.push(SpeakerJoined(0.0, name, name.title()))
        self.conversation.set(**{name: {} for name in names.split()})

    def push(self, *events):
        for event in events:
            self.said += self.coach.push(event)

    def until(self, at, step=0.1):
        while self.at < at - 1e-9:
            self.at = round(self.at + step, 6)
            self.said += self.coach.tick(self.at)
        return self

    @property
    def told(self):
        return [(prompt.to, prompt.rule) for prompt in self.said]

    @property
    def reasons(self):
        return [(one.to, one.reason) for one in self.held]


@pytest.fixture
def scene(tmp_path):
    return lambda text, *names, **options: Scene(tmp_path / "rules.yaml", text, *names, **options)


def test_a_prompt_says_what_to_do_and_why_with_its_numbers(scene):
    one = scene(RUN)
    one.conversation.set(ada={"run_s": 94.0}, bo={})
    (prompt,) = one.until(5).said
    assert (prompt.to, prompt.rule, prompt.severity, prompt.expires_s) == ("ada", "long_run", "hint", 10.0)
    assert (prompt.text, prompt.reason) == ("Pause, Ada.", "You have gone on for 94 s.")
    assert prompt.numbers == {"me.run_s": 94.0}
    assert one.coach.counts == {"said": 1}


@pytest.mark.parametrize("offset", [0.0, 0.04, 0.2, 0.41, 0.449])
def test_a_prompt_comes_within_a_second_of_its_condition(scene, offset):
    one = scene(RUN).until(10 + offset, step=0.04)
    one.conversation.set(ada={"run_s": 91.0})
    began = one.at
    one.until(12, step=0.04)
    assert EVERY_S <= one.said[0].at - began <= 1.0 - BEHIND_S


def test_figures_are_looked_at_about_twice_a_second(scene):
    one = scene(RUN)
    looks = []
    one.conversation.figures = lambda: looks.append(one.at) or Figures()
    one.until(60, step=0.02)
    assert len(looks) <= 60 / EVERY_S + 1


def test_a_condition_must_hold_in_two_looks_in_a_row(scene):
    one = scene(RUN)
    for at in range(1, 20):
        one.conversation.set(ada={"run_s": 91.0 if at % 2 else 0.0})
        one.until(at * LOOK_S, step=LOOK_S)
    assert one.told == []


def test_a_rule_may_hold_longer(scene):
    one = scene(QUIET, managers=True).until(1)
    one.push(ConversationMeasured(1.0, 300.0, RoomFigures(), {}, {}, {}, {}, ()))
    one.conversation.set(ada={"recent_equal_share": 0.1}, bo={"recent_equal_share": None})
    one.until(10.9)
    assert one.told == []
    one.until(12)
    assert one.told == [("managers", "invite")]
    assert (one.said[0].text, one.said[0].reason) == ("Ask Ada.", "They had 10 % of a part in 5 min.")


def test_figures_that_are_not_known_say_nothing(scene):
    one = scene(RUN.replace("me.run_s > 90", "me.talk_share >= 0 or side.talk_share >= 0"))
    one.conversation.set(ada={"talk_share": None})
    assert one.until(5).told == []


def test_the_own_side_is_that_of_the_role(scene):
    one = scene(RUN.replace("me.run_s > 90", "side.talk_share > 0.6"))
    one.push(SpeakerJoined(0.0, "cy", "Cy", role="seller"), SpeakerJoined(0.0, "di", "Di", role="customer"))
    sides = {"seller": {"talk_share": 0.7}, "customer": {"talk_share": 0.5}}
    one.conversation.set(sides=sides, ada={}, cy={}, di={})
    assert one.until(2).told == [("cy", "long_run")]


def test_nobody_is_told_anything_while_they_speak(scene):
    one = scene(RUN)
    one.push(SpeechStarted(0.0, "ada"))
    one.conversation.set(ada={"run_s": 100.0})
    one.until(30)
    assert (one.told, one.reasons) == ([], [("ada", "speaking")])
    one.push(SpeechEnded(30.0, "ada", 0.0))
    one.until(31)
    assert one.told == [("ada", "long_run")]


@pytest.mark.parametrize("tenth", range(5))
def test_a_pause_for_breath_is_enough(scene, tenth):
    one = scene(RUN)
    one.push(SpeechStarted(0.0, "ada"))
    one.conversation.set(ada={"run_s": 100.0})
    one.until(20 + tenth / 10)
    one.push(SpeechEnded(one.at, "ada", 0.0))
    one.until(one.at + 0.1)
    one.push(SpeechStarted(one.at, "ada"))
    assert one.until(25).told == [("ada", "long_run")]


def test_whoever_wants_it_may_be_told_while_they_speak(scene):
    one = scene(RUN, wait_while_speaking=False)
    one.push(SpeechStarted(0.0, "ada"))
    one.conversation.set(ada={"run_s": 100.0})
    assert one.until(2).told == [("ada", "long_run")]


def test_what_waits_too_long_is_dropped_and_counted(scene):
    one = scene(RUN)
    one.push(SpeechStarted(0.0, "ada"))
    one.conversation.set(ada={"run_s": 100.0})
    one.until(5)
    one.conversation.set(ada={"run_s": 0.0})
    one.until(14)
    assert one.reasons == [("ada", "speaking")]
    one.until(16)
    one.push(SpeechEnded(16.0, "ada", 0.0))
    one.until(20)
    assert one.told == []
    assert one.reasons == [("ada", "speaking"), ("ada", "expired")]
    assert one.coach.counts == {"speaking": 1, "expired": 1}


def test_a_storm_of_events_is_one_prompt_a_minute_and_person(scene):
    one = scene(CUT.replace("  text", "  cooldown_s: 0\n  text"), per_hour=1000)
    for moment in range(1, 1001):
        one.until(moment * 0.06, step=0.02)
        for by, speaker in (("ada", "bo"), ("bo", "ada")):
            one.push(Interrupted(one.at, speaker, by, 0.7))
    assert sorted(one.told) == [("ada", "cut_in"), ("bo", "cut_in")]


def test_a_storm_of_rules_is_one_prompt_a_minute_and_person_and_six_an_hour(scene):
    rules = "".join(RUN.replace("long_run", f"rule_{number}") for number in range(12))
    one = scene(rules)
    one.conversation.set(ada={"run_s": 100.0}, bo={"run_s": 100.0})
    one.until(3600, step=1.0)
    times = [prompt.at for prompt in one.said if prompt.to == "ada"]
    assert len(times) == 6
    assert all(later - earlier >= 60 for earlier, later in pairwise(times))
    assert len(one.said) == 12
    assert len({prompt.prompt for prompt in one.said}) == 12


def test_the_weightiest_comes_first(scene):
    one = scene(RUN + RUN.replace("long_run", "very_long_run").replace("text:", "severity: strong\n  text:"))
    one.conversation.set(ada={"run_s": 160.0})
    one.until(3)
    assert one.told == [("ada", "very_long_run")]
    assert one.reasons == [("ada", "minute")]


def test_two_hints_to_one_person_never_come_at_once(scene):
    one = scene(RUN + RUN.replace("long_run", "another"), per_minute=5)
    one.conversation.set(ada={"run_s": 100.0})
    one.until(3)
    assert len({prompt.at for prompt in one.said}) == len({prompt.prompt for prompt in one.said}) == 2


def test_what_goes_on_is_said_again_after_the_cool_down_without_being_called_held_back(scene):
    one = scene(RUN)
    one.conversation.set(ada={"run_s": 100.0})
    one.until(302)
    assert [prompt.at for prompt in one.said] == pytest.approx([0.6, 300.6], abs=0.5)
    assert one.held == []


def test_what_a_cap_held_back_is_not_said_once_it_is_no_longer_true(scene):
    one = scene(RUN + RUN.replace("long_run", "very_long").replace("90", "150"))
    one.conversation.set(ada={"run_s": 100.0})
    one.until(50)
    one.conversation.set(ada={"run_s": 160.0})
    one.until(58)
    assert (one.told, one.reasons) == ([("ada", "long_run")], [("ada", "minute")])
    one.conversation.set(ada={"run_s": 0.0})
    one.until(70)
    assert (one.told, one.reasons) == ([("ada", "long_run")], [("ada", "minute"), ("ada", "expired")])


def test_an_event_that_a_cap_holds_back_waits_for_it_a_while(scene):
    one = scene(RUN + CUT)
    one.conversation.set(bo={"run_s": 100.0}, ada={})
    one.until(1)
    one.conversation.set(bo={}, ada={})
    one.until(55)
    one.push(Interrupted(55.0, "ada", "bo", 0.7))
    assert one.until(70).told == [("bo", "long_run"), ("bo", "cut_in")]


def test_what_comes_back_too_soon_is_held_back(scene):
    one = scene(RUN)
    one.conversation.set(ada={"run_s": 100.0})
    one.until(2)
    one.conversation.set(ada={"run_s": 0.0})
    one.until(100)
    one.conversation.set(ada={"run_s": 100.0})
    one.until(102)
    assert (one.told, one.reasons) == ([("ada", "long_run")], [("ada", "cool_down")])


def test_an_event_is_told_to_whom_its_rule_is_about(scene):
    one = scene(CUT)
    one.push(Interrupted(1.0, "bo", "ada", 0.4), Interrupted(1.0, "ada", "bo", 0.7))
    one.until(2)
    assert [(prompt.to, prompt.text) for prompt in one.said] == [("bo", "Let Ada finish.")]
    assert one.said[0].numbers == {"event.overlap_s": 0.7}


def test_others_are_all_but_the_speaker(scene):
    one = scene(CUT.replace("me: by", "me: others"), "ada bo cy")
    one.push(Interrupted(1.0, "bo", "ada", 0.7))
    assert {to for to, _ in one.until(2).told} == {"ada", "cy"}


def test_rules_of_the_room_are_told_to_the_managers_once(scene):
    one = scene(ROOM, managers=True)
    one.conversation.set(room={"silence_s": 9.0}, ada={}, bo={})
    assert one.until(3).told == [("managers", "silence")]


def test_managers_and_emotion_are_what_the_operator_allows(scene):
    tone = CUT.replace("interrupted", "emotion_shifted\n  needs: emotion").replace("me: by", "me: others")
    one = scene(ROOM + tone.replace("overlap_s", "seconds"))
    assert one.coach.unused == {"silence": "managers", "cut_in": "emotion"}
    one.conversation.set(room={"silence_s": 9.0}, ada={}, bo={})
    assert one.until(3).told == []


def test_nothing_is_said_to_or_of_somebody_who_left_or_withdrew(scene):
    for gone in (SpeakerLeft(1.0, "ada"), SpeakerAnalysed(1.0, "ada", False)):
        one = scene(CUT + QUIET.replace("hold_s: 10", "hold_s: 0"), managers=True)
        one.push(SpeechStarted(0.0, "ada"), SpeechStarted(0.0, "bo"))
        one.push(Interrupted(0.5, "ada", "bo", 0.7), Interrupted(0.5, "bo", "ada", 0.7))
        one.until(0.5)
        one.push(Interrupted(0.6, "ada", "bo", 0.7), gone, SpeechEnded(1.0, "bo", 0.0))
        one.conversation.set(ada={"recent_equal_share": 0.0}, bo={})
        assert one.until(3).told == []


def test_nothing_that_waits_is_said_of_a_tone_that_may_be_heard_no_more(scene):
    tone = CUT.replace("interrupted", "emotion_shifted\n  needs: emotion").replace("me: by", "me: others")
    one = scene(tone.replace("overlap_s", "seconds"), emotion=True)
    one.push(SpeechStarted(0.0, "bo"), EmotionShifted(0.5, "ada", "to_negative", 0.3, -0.4, 7.0))
    assert one.until(1).reasons == [("bo", "speaking")]
    one.push(SpeakerAnalysed(1.0, "ada", True, "metrics"), SpeechEnded(1.2, "bo", 0.0))
    assert one.until(3).told == []


def test_whoever_agrees_later_is_told_from_then_on(scene):
    one = scene(RUN)
    one.push(SpeakerJoined(0.0, "cy", "Cy", analysed=False))
    one.conversation.set(cy={"run_s": 100.0})
    assert one.until(2).told == []
    one.push(SpeakerAnalysed(2.0, "cy", True))
    assert one.until(4).told == [("cy", "long_run")]


def test_answers_are_said_to_the_same_person_and_learned(scene):
    one = scene(RUN)
    one.conversation.set(ada={"run_s": 100.0})
    (prompt,) = one.until(2).said
    assert one.coach.answer("bo", prompt.prompt, "snoozed", 3.0) == []
    assert one.coach.answer("ada", prompt.prompt, "nonsense", 3.0) == []
    (answered,) = one.coach.answer("ada", prompt.prompt, "not_helpful", 3.0)
    assert answered == PromptAnswered(3.0, prompt.prompt, "ada", "long_run", "not_helpful")
    assert one.coach.answer("ada", prompt.prompt, "not_helpful", 3.0) == []
    assert len(one.until(600).said) == 1
    assert len(one.until(602).said) == 2


def test_what_is_kept_returns_to_its_start(scene):
    one = scene(RUN + CUT, "")
    for number in range(200):
        who = f"p{number}"
        one.push(SpeakerJoined(one.at, who, who), SpeechStarted(one.at, who), Interrupted(one.at, who, who, 1.0))
        one.conversation.set(**{who: {"run_s": 100.0}})
        one.until(one.at + 2, step=0.5)
        one.push(SpeechEnded(one.at, who, 0.0))
        one.until(one.at + 1, step=0.5)
        one.push(SpeakerLeft(one.at, who))
    assert len(one.said) == 200
    one.conversation.set()
    one.until(one.at + 3700, step=1.0)
    triggers = one.coach._triggers
    assert [len(kept) for kept in (triggers.here, triggers.due, triggers._streaks, triggers._occasions)] == [0] * 4
    assert len(one.coach._hygiene) == 0


def test_occasions_that_nobody_looks_at_make_room(scene):
    one = scene(CUT)
    for _ in range(1500):
        one.push(Interrupted(0.1, "bo", "ada", 0.7))
    assert one.coach.counts["dropped"] == 500


def test_options_are_checked_without_a_conversation(tmp_path):
    (tmp_path / "rules.yaml").write_text(RUN)
    Coach.check_options({"rules": [str(tmp_path / "rules.yaml")]})
    for wrong in ({"rules": ["none"]}, {"rules": ["sales"], "expires_s": 0}, {"rules": ["sales"], "per_hour": 0}):
        with pytest.raises(ConfigError):
            Coach.check_options(wrong)


def test_numbers_are_whole_or_short(scene):
    one = scene(RUN.replace("me.run_s > 90", "me.pace_change > 0.1"))
    one.conversation.set(ada=dataclasses.asdict(PersonFigures(pace_change=1 / 7)))
    assert one.until(2).said[0].numbers == {"me.pace_change": 0.1429}
