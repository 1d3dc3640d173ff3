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


def test_whoever_is_in_a_recording_is_heard():
    assert Recorded().may_hear("ada")
