"""Whom the worker may hear."""

from hypothesis import given
from hypothesis import strategies as st

from worker.privacy.policy import Consent, Recorded


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


def test_whoever_is_in_a_recording_is_heard():
    assert Recorded().may_hear("ada")
