"""Who is heard, and how far: no sequence of events lets anything through that somebody did not agree to."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.consenting import TERMS, consent, law
from worker.privacy.consent import Consent, State, Terms
from worker.privacy.levels import Level

OTHER = Terms("a test", "v2")
SPEAKERS = ("ada", "bo")


@dataclass
class Person:
    """What a person of flesh and blood knows of their own answer."""

    present: str = ""
    yes: Level = Level.PRESENCE
    to: Terms | None = None
    said_no: bool = False
    role: str = ""
    barred: bool = False
    notes: list = field(default_factory=list)


class Consenting(RuleBasedStateMachine):
    """Judged by a model that keeps each person's last answer, and nothing else."""

    def __init__(self):
        super().__init__()
        self.people = {speaker: Person() for speaker in SPEAKERS}
        self.law = law(level="emotion")
        self.policy = Consent(self.law, TERMS, (), self.note)

    def note(self, change):
        self.people[change.speaker].notes.append(change)

    @rule(speaker=st.sampled_from(SPEAKERS), person=st.sampled_from(["feed 1", "feed 2"]))
    def come(self, speaker, person):
        one = self.people[speaker]
        if one.present not in ("", person):
            one.yes, one.to = Level.PRESENCE, None
        one.present = person
        self.policy.present(speaker, person)

    @rule(speaker=st.sampled_from(SPEAKERS), level=st.sampled_from(list(Level)), terms=st.sampled_from([TERMS, OTHER]))
    def answer(self, speaker, level, terms):
        one = self.people[speaker]
        taken = level is Level.PRESENCE or (terms == self.policy.terms and not one.barred)
        assert self.policy.record(speaker, level, "page", terms) is taken
        if taken:
            one.yes, one.to, one.said_no = level, terms, level is Level.PRESENCE

    @rule(speaker=st.sampled_from(SPEAKERS), role=st.sampled_from(["adult", "minor", "nobody knows"]))
    def assign(self, speaker, role):
        self.people[speaker].role = role
        self.policy.assign(speaker, role)

    @rule(terms=st.sampled_from([TERMS, OTHER]))
    def restate(self, terms):
        for one in self.people.values():
            if terms != self.policy.terms:
                one.yes, one.to = Level.PRESENCE, None
        self.policy.restate(terms)

    @rule(level=st.sampled_from(["presence", "metrics", "emotion"]))
    def rule_anew(self, level):
        self.law = law(level=level)
        self.policy.rule(self.law)

    @rule(speaker=st.sampled_from(SPEAKERS))
    def bar(self, speaker):
        self.people[speaker].yes = Level.PRESENCE
        self.people[speaker].barred = True
        self.policy.bar(speaker)

    @rule(speaker=st.sampled_from(SPEAKERS))
    def lapse(self, speaker):
        self.people[speaker].yes = Level.PRESENCE
        self.policy.lapse(speaker, "restated")

    @invariant()
    def nobody_is_heard_beyond_their_word_and_the_law(self):
        for speaker, one in self.people.items():
            assert self.policy.level(speaker) is min(one.yes, self.law.level_for(one.role))
            assert self.policy.may_hear(speaker) is (self.policy.level(speaker) > Level.PRESENCE)
            if self.policy.may_hear(speaker):
                assert self.policy.standing(speaker).state is State.GRANTED
                assert one.to == self.policy.terms

    @invariant()
    def every_change_was_noted(self):
        for speaker, one in self.people.items():
            last = one.notes[-1].standing.state if one.notes else State.UNKNOWN
            assert last is self.policy.standing(speaker).state


TestConsenting = Consenting.TestCase
TestConsenting.settings = settings(deadline=None, stateful_step_count=40)


def test_nobody_is_heard_who_was_not_asked():
    policy = consent()
    policy.present("ada", "feed 1")
    assert (policy.level("ada"), policy.decided("ada")) == (Level.PRESENCE, False)


def test_a_no_stays_with_the_name_and_is_a_withdrawal_only_after_a_yes():
    policy = consent()
    policy.record("ada", Level.PRESENCE, "page")
    policy.record("bo", Level.METRICS, "page")
    policy.record("bo", Level.PRESENCE, "page")
    policy.present("ada", "feed 2")
    states = [policy.standing(speaker).state for speaker in SPEAKERS]
    assert states == [State.DENIED, State.WITHDRAWN]


def test_a_yes_to_other_words_takes_no_earlier_one_back():
    policy = consent()
    assert policy.record("ada", Level.METRICS, "page", TERMS)
    assert not policy.record("ada", Level.EMOTION, "page", OTHER)
    assert policy.level("ada") is Level.METRICS


def test_as_much_as_the_room_wishes_for_is_no_more_than_that():
    policy = consent(level="prosody")
    policy.record("ada", None, "host")
    assert policy.standing("ada").agreed is Level.PROSODY


def test_who_withdrew_before_the_room_was_opened_anew_has_decided():
    told = []
    policy = consent(["ada"], told.append)
    assert (policy.decided("ada"), policy.may_hear("ada"), policy.decided("bo")) == (True, False, False)
    policy.record("ada", Level.METRICS, "page")
    assert policy.may_hear("ada")
    assert [(change.speaker, change.standing.state, change.by) for change in told] == [("ada", "granted", "page")]


def test_the_same_answer_twice_is_noted_once():
    told = []
    policy = consent((), told.append)
    for _ in range(3):
        policy.record("ada", Level.METRICS, "page", TERMS)
    assert len(told) == 1


@pytest.mark.parametrize(("told", "kept"), [("customer", Level.PROSODY), ("minor", Level.METRICS)])
def test_a_role_that_was_told_of_somebody_else_holds_only_where_it_is_stricter(told, kept):
    policy = Consent(law(jurisdiction="eu", context="customer_call", role="employee"), TERMS)
    for feed in ("feed 1", "feed 2"):
        policy.present("ada", feed)
        policy.record("ada", Level.EMOTION, "control")
        if feed == "feed 1":
            policy.assign("ada", told)
    assert policy.level("ada") is kept


def test_each_time_that_a_voice_ceases_to_be_heard_counts():
    policy = consent()
    for level in (Level.PRESENCE, Level.METRICS, Level.EMOTION, Level.PRESENCE, Level.METRICS):
        policy.record("ada", level, "page")
    assert policy.withdrawals("ada") == 1
    policy.present("ada", "feed 1")
    policy.present("ada", "feed 2")
    assert policy.withdrawals("ada") == 2


def test_a_role_is_told_once_and_decides_how_far_the_law_goes():
    ruled = []
    policy = consent((), None, lambda speaker, role: ruled.append((speaker, role)))
    policy.record("ada", Level.EMOTION, "page")
    policy.present("ada", "feed 1", "minor")
    policy.present("ada", "feed 1")
    assert policy.level("ada") is Level.METRICS
    assert ruled == [("ada", "minor")]
