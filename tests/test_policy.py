"""The noes that outlive a room, and whom a recording lets be heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.privacy.levels import Level
from worker.privacy.policy import Recorded, Withdrawals


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


@pytest.mark.parametrize("level", Level)
def test_whoever_is_in_a_recording_is_heard_as_far_as_the_law_leaves_it(level):
    policy = Recorded(level)
    assert (policy.level("ada"), policy.may_hear("ada")) == (level, level > Level.PRESENCE)
