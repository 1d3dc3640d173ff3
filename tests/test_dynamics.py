"""Conversations of which everything is known, and what is said of them."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conversing import converse, joined, last, only, play, utterances
from worker.bench.coaching import weigh
from worker.conversation.balance import LEAVERS
from worker.conversation.dynamics import Dynamics
from worker.conversation.measure import LEAVERS_TOLD
from worker.errors import ConfigError
from worker.events import (
    BackChannel,
    ConversationMeasured,
    Interrupted,
    Overlapped,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeechEnded,
    SpeechMeasured,
    SpeechStarted,
    TurnEnded,
    TurnStarted,
)

SCRIPTS = yaml.safe_load((Path(__file__).parent / "data" / "conversations.yaml").read_text())

MEETING = {
    "ada": [(0, 12), (13.2, 20), (31.5, 40)],
    "bo": [(6, 6.6), (19.2, 26), (36, 38)],
    "cy": [(26.4, 31)],
}


def near(value):
    return pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_written_conversation_is_what_it_was_written_as(name):
    script = SCRIPTS[name]
    said = converse(script["said"], script["until"])
    ended = sorted((event.started, event.at, event.speaker) for event in only(TurnEnded, said))
    assert ended == [(near(start), near(end), who) for who, start, end in script["turns"]]
    assert len(only(TurnStarted, said)) == len(ended)
    cut = [[event.speaker, event.by, event.at] for event in only(Interrupted, said)]
    assert cut == script.get("interrupted", [])
    both = [[event.speaker, event.on, event.at, near(event.overlap_s)] for event in only(Overlapped, said)]
    assert both == script.get("overlapped", [])
    assert [[e.speaker, e.to, e.at] for e in only(BackChannel, said)] == script.get("back_channels", [])
    gaps = [event.gap_s for event in only(TurnStarted, said) if event.previous not in (None, event.speaker)]
    assert gaps == near(script.get("gaps", []))
    room = last(said).room
    assert room.heard_s - room.speech_s == near(script["silence"])
    assert room.longest_silence_s == near(script["longest"])
    assert room.overlap_s == near(script.get("overlap", 0.0))


def test_the_meeting_of_45_seconds():
    said = converse(MEETING, 45)
    measured = last(said)
    room, people = measured.room, measured.speakers
    assert [people[who].talk_s for who in MEETING] == near([27.3, 9.4, 4.6])
    assert [round(people[who].talk_share, 3) for who in MEETING] == [0.661, 0.228, 0.111]
    assert (room.speech_s, room.heard_s - room.speech_s, room.longest_silence_s) == near((37.9, 7.1, 5.0))
    assert round(room.silence_share, 3) == 0.158
    assert room.silence_s == near(5.0)
    assert room.overlap_s == near(3.4)
    assert [people[who].back_channels for who in MEETING] == [0, 1, 0]
    assert only(BackChannel, said) == [BackChannel(6.0, "bo", "ada", near(0.6))]
    assert only(Interrupted, said) == [Interrupted(19.2, "ada", "bo", near(0.8))]
    assert measured.interrupted_by == {"ada": {"bo": 1}}
    assert (people["bo"].interruptions, people["ada"].interrupted) == (1, 1)
    assert only(Overlapped, said) == [Overlapped(36.0, "bo", "ada", near(2.0))]
    assert (room.floor_changes, room.floor_changes_per_min) == (3, near(4.0))
    assert measured.floor == {"ada": {"bo": 1}, "bo": {"cy": 1}, "cy": {"ada": 1}}
    assert [event.gap_s for event in only(TurnStarted, said)[1:]] == near([0.0, 0.4, 0.5])
    assert room.response_gap_s == near(0.4)
    assert people["ada"].longest_run_s == near(20.0)
    assert round(room.balance, 3) == 0.778
    assert round(last(converse(MEETING, 45, others=["di"])).room.balance, 3) == 0.617


def test_events_of_conversation_come_every_few_seconds_and_are_exact_for_their_moment():
    measured = only(ConversationMeasured, converse(MEETING, 45))
    assert [event.at for event in measured] == [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0]
    assert measured[1].speakers["ada"].talk_s == near(10.0)
    assert measured[1].speakers["ada"].run_s == near(10.0)
    assert measured[5].speakers["cy"].run_s == near(30 - 26.4)
    assert (measured[0].room.silence_share, measured[0].room.balance, measured[0].speakers["ada"].talk_share) == (
        None,
        None,
        None,
    )


units = st.integers(1, 60)
talks = st.dictionaries(st.sampled_from("abcd"), st.lists(st.tuples(units, units), min_size=1, max_size=8), min_size=1)


def spread(talks):
    """{speaker: [(pause, length) in tenths]} to {speaker: [(start, end)]} in seconds."""
    said = {}
    for speaker, stretches in talks.items():
        at, said[speaker] = 0, []
        for pause, length in stretches:
            said[speaker].append(((at + pause) / 10, (at + pause + length) / 10))
            at += pause + length
    return said


@settings(deadline=None, max_examples=60)
@given(talks, st.randoms(use_true_random=False), st.sampled_from([0.07, 0.1, 0.5]))
def test_any_order_of_arrival_within_the_hold_back_gives_the_same(talks, chance, tick_s):
    said = spread(talks)
    facts = list(utterances(said))
    until = max(event.at for event in facts) + 5.0333
    expected = play([*joined(*said), *facts], until)
    chance.shuffle(facts)
    late = {id(event): chance.uniform(0, 0.89) for event in facts}
    assert play([*joined(*said), *facts], until, tick_s, lambda event: late.get(id(event), 0.0)) == expected


@settings(deadline=None, max_examples=60)
@given(talks)
def test_seconds_are_those_that_counting_tenths_gives(talks):
    said = spread(talks)
    until = max(end for stretches in said.values() for _, end in stretches) + 1
    measured = last(converse(said, until))
    tenths = {
        who: {tenth for start, end in stretches for tenth in range(round(start * 10), round(end * 10))}
        for who, stretches in said.items()
    }
    anyone = set().union(*tenths.values())
    several = {tenth for tenth in anyone if sum(tenth in own for own in tenths.values()) > 1}
    assert measured.room.speech_s == near(len(anyone) / 10)
    assert measured.room.overlap_s == near(len(several) / 10)
    assert measured.room.heard_s == near(until)
    for who, own in tenths.items():
        assert measured.speakers[who].talk_s == near(len(own) / 10)
    runs, spoken = 0.0, -1
    for tenth in range(round(until * 10) + 1):
        if tenth in anyone or tenth == round(until * 10):
            runs, spoken = max(runs, (tenth - spoken - 1) / 10), tenth
    assert measured.room.longest_silence_s == near(runs)


@settings(deadline=None, max_examples=60)
@given(talks, st.integers(10, 200), st.sampled_from(["left", "withdrew", "lost"]))
def test_who_goes_in_the_middle_leaves_no_ghost_and_no_negative_time(talks, at, how):
    said = spread(talks)
    facts, at = [event for event in utterances(said) if event.at < at / 10], at / 10
    gone = {"left": SpeakerLeft(at, "a"), "withdrew": SpeakerAnalysed(at, "a", False), "lost": SpeakerLeft(at, "a")}
    others = [SpeakerLeft(at, who) for who in said if how == "lost" and who != "a"]
    measured = last(play([*joined("a", *said), *facts, gone[how], *others], at + 20))
    assert measured.room.people == len({*said, "a"}) - 1 - len(others)
    assert "a" not in measured.silent
    heard_s = at if how == "lost" or set(said) <= {"a"} else at + 20
    # of who withdrew nothing counts that was not settled by then
    assert measured.room.heard_s == pytest.approx(heard_s, abs=1.2 if how == "withdrew" else 1e-6)
    for figures in (measured.room, *measured.speakers.values()):
        for field in dataclasses.fields(figures):
            value = getattr(figures, field.name)
            assert value is None or value >= 0 or "_change" in field.name, field.name
    assert measured.speakers.get("a") is None or (measured.speakers["a"].talk_s <= at and how != "withdrew")


def test_who_leaves_keeps_their_talk_but_is_not_here():
    dynamics = Dynamics()
    for event in [*joined("ada", "bo"), *utterances({"ada": [(0, 20)], "bo": [(21, 31)]}), SpeakerLeft(32.0, "ada")]:
        list(dynamics.push(event))
    measured = last(dynamics.tick(41.0))
    assert measured.speakers["ada"].talk_s == near(20.0)
    assert measured.speakers["bo"].talk_share == near(1 / 3)
    figures = dynamics.figures()
    assert (list(figures.people), figures.room.people) == (["bo"], 1)
    list(dynamics.push(SpeakerJoined(41.0, "ada", "A name", generation=2)))
    list(dynamics.tick(43.0))
    assert dynamics.figures().people["ada"].talk_s == near(20.0)


@pytest.mark.parametrize(
    "gone", [SpeakerAnalysed(68.5, "ada", False), SpeakerJoined(68.5, "ada", "A name", 2, analysed=False)]
)
def test_who_withdraws_is_in_nothing_that_is_said_from_then_on(gone):
    """Bo is cutting in on Ada, who has had the floor, when she withdraws."""
    dynamics = Dynamics()
    for at in range(69):
        for event in {
            0: [*joined("ada", "bo", "cy", ada="customer"), *utterances({"cy": [(12, 19)]})],
            50: [SpeechStarted(50.0, "ada")],
            68: [SpeechStarted(67.2, "bo"), SpeechMeasured(68.0, "ada", 66.0, 4.0, -20.0)],
        }.get(at, ()):
            list(dynamics.push(event))
        list(dynamics.tick(float(at)))
    assert "ada" in dynamics.figures().people
    for event in (SpeechEnded(68.4, "ada", 50.0), gone, SpeechEnded(80.0, "bo", 67.2)):
        list(dynamics.push(event))
    assert set(dynamics.figures().people) == {"bo", "cy"}
    said = [event for at in range(69, 100) for event in dynamics.tick(float(at))] + list(dynamics.close(100.0))
    assert not [event for event in said if "ada" in repr(event)]
    assert [(turn.speaker, turn.previous) for turn in only(TurnStarted, said)] == [("bo", None)]
    assert "customer" not in last(said).sides
    assert last(said).speakers["bo"].talk_share == near(12.8 / 19.8)  # of what is left
    list(dynamics.push(SpeakerAnalysed(100.0, "ada", True)))
    list(dynamics.tick(102.0))
    assert dynamics.figures().people["ada"].talk_s == 0.0


def test_a_lower_level_holds_for_what_is_not_settled_too():
    dynamics = Dynamics()
    stretches = [SpeechMeasured(2.0 * number, "ada", 2.0 * number - 2, 4.0, -20.0, 3.0) for number in range(1, 11)]
    for event in [*joined("ada"), *stretches]:
        list(dynamics.push(event))
    list(dynamics.tick(19.5))
    assert dynamics.figures().people["ada"].syllables_per_s == 4.0
    list(dynamics.push(SpeakerAnalysed(20.1, "ada", True, "metrics")))
    assert dynamics.figures().people["ada"].syllables_per_s is None
    list(dynamics.tick(22.0))
    assert dynamics.figures().people["ada"].syllables_per_s is None


def test_time_in_which_nobody_is_heard_is_left_out():
    events = [
        *joined("ada", "bo"),
        *utterances({"ada": [(0, 20)], "bo": [(65, 75)]}),
        SpeakerLeft(22.0, "ada", "signalling_lost"),
        SpeakerLeft(22.0, "bo", "signalling_lost"),
        *joined("ada", "bo", at=60.0),
    ]
    said = play(events, 80)
    room = last(said).room
    assert (room.heard_s, room.speech_s, room.longest_silence_s) == near((42.0, 30.0, 5.0))
    assert [event.gap_s for event in only(TurnStarted, said)] == [None, None]
    assert room.floor_changes == 1
    assert room.response_gap_s is None


def test_only_who_is_analysed_counts_and_from_then_on():
    events = [
        *joined("ada"),
        SpeakerJoined(0.0, "eve", "A name", analysed=False, role="customer"),
        *utterances({"ada": [(0, 20)]}),
    ]
    assert list(last(play(events, 25)).speakers) == ["ada"]
    later = [*events, SpeakerAnalysed(30.0, "eve", True), *utterances({"eve": [(31, 41)]})]
    measured = last(play(later, 45))
    assert measured.speakers["eve"].talk_s == near(10.0)
    assert measured.sides["customer"].talk_share == near(1 / 3)
    assert last(play([*events, *utterances({"eve": [(31, 41)]})], 45)).room.people == 2


def test_of_whom_speech_is_not_measured_any_more_no_figure_of_it_is_left():
    stretches = [SpeechMeasured(2.0 * number, "ada", 2.0 * number - 2, 4.0, -20.0, 3.0) for number in range(1, 26)]
    measured = ("syllables_per_s", "pace_change", "loudness_change_db", "pitch_spread_st", "pitch_spread_change_st")

    def figures(*events):
        ada = last(play([*joined("ada"), *utterances({"ada": [(0, 50)]}), *stretches, *events], 60)).speakers["ada"]
        assert ada.talk_s == near(50.0)
        return tuple(getattr(ada, name) for name in measured)

    for level in ("emotion", "prosody"):
        assert figures(SpeakerAnalysed(51.0, "ada", True, level)) == near((4.0, 0.0, 0.0, 3.0, 0.0))
    assert figures(SpeakerAnalysed(51.0, "ada", True, "metrics")) == (None,) * 5


def test_what_is_fresh_at_a_tick_is_silence_and_the_run():
    dynamics = Dynamics()
    for event in [*joined("ada"), SpeechStarted(1.0, "ada")]:
        list(dynamics.push(event))
    list(dynamics.tick(10.0))
    assert dynamics.figures().people["ada"].run_s == near(9.0)
    assert dynamics.figures().people["ada"].talk_s == near(8.0)
    list(dynamics.push(SpeechEnded(10.1, "ada", 1.0)))
    list(dynamics.tick(10.6))
    figures = dynamics.figures()
    assert (figures.people["ada"].run_s, figures.room.silence_s) == near((9.1, 0.5))
    assert dynamics.figures() is figures
    list(dynamics.tick(12.6))
    assert (dynamics.figures().people["ada"].run_s, dynamics.figures().room.silence_s) == near((0.0, 2.5))


def test_the_window_moves_on_and_the_whole_call_stays():
    said = converse({"ada": [(0, 30)], "bo": [(31, 41)]}, 100, window_s=60.0)
    ada = last(said).speakers["ada"]
    assert (ada.recent_talk_s, ada.talk_s) == near((0.0, 30.0))
    assert last(said).speakers["bo"].recent_talk_s == near(1.0)
    assert last(said).room.recent_silence_share == near(59 / 60)
    assert last(said).room.recent_floor_changes_per_min == near(0.0)


def test_a_part_is_compared_with_the_equal_one():
    said = converse({"ada": [(0, 45)], "bo": [(46, 61)]}, 62, others=["cy"])
    found = [last(said).speakers[who].recent_equal_share for who in ("ada", "bo", "cy")]
    assert found == near([2.25, 0.75, 0.0])


def test_who_is_silent_for_long_is_named():
    said = converse({"ada": [(0, 10), (50, 55)]}, 60, others=["bo", "cy"], silent_after_s=30.0)
    assert last(said).silent == ("bo", "cy")
    assert last(said).speakers["bo"].silent_for_s == near(60.0)
    assert last(said).speakers["ada"].silent_for_s == near(5.0)


def test_sides_are_those_that_were_told():
    events = [*joined("ada", "bo", "cy", ada="seller", bo="customer"), *utterances(MEETING)]
    sides = last(play(events, 45)).sides
    assert {role: round(side.talk_share, 3) for role, side in sides.items()} == {"customer": 0.228, "seller": 0.661}


def test_pace_is_told_of_who_is_here():
    measures = [SpeechMeasured(2.0 * n, "ada", 2.0 * n - 2, 4.0, -20.0) for n in range(1, 4)]
    assert last(play([*joined("ada"), *measures], 8)).speakers["ada"].syllables_per_s == near(4.0)
    gone = [*joined("ada"), SpeakerLeft(1.0, "ada"), *measures]
    assert last(play(gone, 8)).speakers == {}


def test_a_start_that_is_told_twice_is_one():
    twice = [SpeechStarted(1.0, "ada"), SpeechStarted(2.0, "ada"), SpeechEnded(5.0, "ada", 1.0)]
    measured = last(play([*joined("ada"), *twice, SpeechEnded(6.0, "ada", 2.0)], 10))
    assert (measured.speakers["ada"].talk_s, measured.speakers["ada"].longest_run_s) == near((4.0, 4.0))


def test_nobody_has_nothing_said_of_them():
    dynamics = Dynamics()
    assert [*dynamics.tick(9.0), *dynamics.close(10.0)] == []
    assert dynamics.figures().people == {}


def test_people_who_come_and_go_leave_nothing_behind():
    dynamics = Dynamics()
    list(dynamics.push(SpeakerJoined(0.0, "ada", "A name")))
    list(dynamics.tick(5.0))
    before = weigh(dynamics, set())
    for number in range(200):
        at = 10.0 + number
        for event in (
            *joined(f"p{number}", at=at),
            SpeechStarted(at + 0.1, "ada"),
            SpeechEnded(at + 0.4, "ada", at + 0.1),
        ):
            list(dynamics.push(event))
        list(dynamics.push(SpeakerLeft(at + 0.5, f"p{number}")))
        list(dynamics.tick(at + 2.0))
    list(dynamics.tick(2000.0))
    dynamics.figures()
    assert set(dynamics.figures().people) == {"ada"}
    assert weigh(dynamics, set()) < before + 8_000


def test_of_those_who_spoke_and_left_the_newest_are_kept():
    dynamics = Dynamics()
    for number in range(LEAVERS + 50):
        at, who = 10.0 * number, f"p{number}"
        for event in (*joined(who, at=at), *utterances({who: [(at + 1, at + 3)]}), SpeakerLeft(at + 9, who)):
            list(dynamics.push(event))
        list(dynamics.tick(at + 10))
    list(dynamics.push(SpeakerJoined(at + 10, "ada", "A name")))
    for event in utterances({"ada": [(at + 11, at + 31)]}):
        list(dynamics.push(event))
    measured = last(dynamics.close(at + 40))
    assert len(dynamics._sums.balance.people) == LEAVERS + 1
    assert len(measured.speakers) == LEAVERS_TOLD + 1
    for one, counts in measured.floor.items():
        assert {one, *counts} <= set(measured.speakers)
    assert measured.floor
    assert measured.speakers["ada"].talk_share == near(20 / (20 + 2 * (LEAVERS + 50)))


def test_four_hours_of_twenty_people_stay_small():
    """Somebody else speaks every 4 s, and is cut off or nodded to now and then."""
    dynamics, weights = Dynamics(), []
    for event in joined(*(f"p{number}" for number in range(20))):
        list(dynamics.push(event))
    for number in range(3600):
        at, who, other = 4.0 * number, f"p{number * 7 % 20}", f"p{number * 11 % 20}"
        said = {who: [(at, at + 4.3 if number % 3 else at + 3.5)]}
        said |= {other: [(at + 1.1, at + 1.6)]} if number % 4 == 0 and other != who else {}
        for event in [*utterances(said), SpeechMeasured(at + 3, who, at + 1, 4.0, -20.0)]:
            list(dynamics.push(event))
        list(dynamics.tick(at + 4))
        if number in (1799, 3599):
            weights.append(weigh(dynamics, set()))
    assert dynamics.figures().room.floor_changes > 3000
    assert weights[1] < min(1_000_000, weights[0] * 2)


@pytest.mark.parametrize("options", [{"every_s": 0.0}, {"settle_s": -1.0}, {"window_s": 0.0}, {"yields_s": 0.0}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="dynamics"):
        Dynamics(**options)
