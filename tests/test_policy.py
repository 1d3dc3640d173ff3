"""Whom the worker may hear."""

from hypothesis import given
from hypothesis import strategies as st

from worker.privacy.policy import Consent, Recorded, Withdrawals


def test_nobody_is_heard_who_has_not_agreed():
    assert not Consent().may_hear("ada")


@given(st.lists(st.tuples(st.sampled_from(["ada", "bo"]), st.booleans())))
def test_each_persons_last_word_counts(said):
    consent = Consent()
    for speaker, agreed in said:
        consent.record(speaker, agreed)
    for speaker in ("ada", "bo"):
        assert consent.may_hear(speaker) is dict(said).get(speaker, False)


def test_a_yes_is_not_inherited_by_whoever_takes_the_name():
    consent = Consent()
    for person in ("feed 1", "feed 2", "feed 1"):
        consent.present("ada", person)
        assert not consent.may_hear("ada")
        consent.record("ada", True)
        consent.present("ada", person)
        assert consent.may_hear("ada")


def test_a_no_stays_with_the_name():
    consent = Consent()
    consent.present("ada", "feed 1")
    consent.record("ada", False)
    consent.present("ada", "feed 2")
    assert consent.decided("ada")
    assert not consent.may_hear("ada")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["ada", "bo"]), st.booleans())))
def test_who_withdrew_is_known_until_they_agree(said):
    withdrawals = Withdrawals()
    for place, speaker, agreed in said:
        withdrawals.note(place, speaker, agreed)
    last = {(place, speaker): agreed for place, speaker, agreed in said}
    for place in "ab":
        assert set(withdrawals.at(place)) == {
            who for (where, who), agreed in last.items() if where == place and not agreed
        }
    assert withdrawals.forgotten == 0


def test_of_too_many_withdrawals_the_newest_are_kept_and_the_others_counted():
    withdrawals = Withdrawals(2)
    for speaker in ("ada", "bo", "ada", "cy"):
        withdrawals.note("a", speaker, False)
    assert (withdrawals.at("a"), withdrawals.forgotten) == (["ada", "cy"], 1)


def test_who_withdrew_before_the_room_was_opened_anew_has_decided():
    told = []
    consent = Consent(["ada"], lambda speaker, agreed: told.append((speaker, agreed)))
    assert (consent.decided("ada"), consent.may_hear("ada"), consent.decided("bo")) == (True, False, False)
    consent.record("ada", True)
    assert consent.may_hear("ada")
    assert told == [("ada", True)]


def test_whoever_is_in_a_recording_is_heard():
    assert Recorded().may_hear("ada")
