"""What holds prompts back: caps, cool-downs, and what answers teach."""

import pytest

from worker.coaching.hygiene import Hygiene
from worker.errors import ConfigError


def hygiene(per_minute=1, per_hour=6, cooldown_s=300.0, snooze_s=600.0):
    return Hygiene(per_minute, per_hour, cooldown_s, snooze_s)


def says(one, at, to="p1", rule="a", cooldown_s=None):
    """The prompt's name, or what held it back."""
    reason = one.holds_back(to, rule, at)
    if reason is None:
        one.said(to, rule, f"{to}.{at}", at, cooldown_s)
    return reason or f"{to}.{at}"


def test_one_a_minute_and_six_an_hour_each():
    one = hygiene()
    rules = [f"r{number}" for number in range(10)]
    said = [says(one, at * 60.0, rule=rules[at]) for at in range(8)]
    assert said == [*(f"p1.{at * 60.0}" for at in range(6)), "hour", "hour"]
    assert says(one, 120.0 + 59.9, to="p2") == "p2.179.9"
    assert says(one, 120.0 + 60, to="p2", rule="b") == "minute"
    assert says(one, 3599.0, rule="r8") == "hour"
    assert says(one, 3600.0, rule="r8") == "p1.3600.0"


def test_more_a_minute_may_be_allowed():
    one = hygiene(per_minute=2)
    assert [says(one, at, rule=str(at)) for at in (0.0, 1.0, 2.0)] == ["p1.0.0", "p1.1.0", "minute"]


def test_a_rule_cools_down_for_each_person():
    one = hygiene()
    assert says(one, 0.0) == "p1.0.0"
    assert says(one, 299.0) == "cool_down"
    assert says(one, 299.0, to="p2") == "p2.299.0"
    assert says(one, 300.0) == "p1.300.0"


def test_a_rule_may_have_a_cool_down_of_its_own():
    one = hygiene()
    assert says(one, 0.0, cooldown_s=70) == "p1.0.0"
    assert says(one, 70.0, cooldown_s=70) == "p1.70.0"


def test_each_dismissal_doubles_the_wait_up_to_eight_times():
    one = hygiene(per_hour=100, cooldown_s=100)
    waits, at = [], 0.0
    for _ in range(5):
        name = says(one, at)
        assert one.answered("p1", name, "dismissed", at + 1) == "a"
        wait = next(wait for wait in range(0, 2000, 10) if one.holds_back("p1", "a", at + wait) is None)
        waits.append(wait)
        at += wait
    assert waits == [200, 400, 800, 800, 800]


def test_not_helpful_twice_silences_a_rule_for_this_person():
    one = hygiene()
    assert one.answered("p1", says(one, 0.0), "not_helpful", 1.0) == "a"
    assert says(one, 599.0) == "cool_down"
    assert one.answered("p1", says(one, 600.0), "not_helpful", 601.0) == "a"
    assert says(one, 90_000.0) == "silenced"
    assert says(one, 90_000.0, rule="b") == "p1.90000.0"
    assert says(one, 90_000.0, to="p2") == "p2.90000.0"


def test_a_snooze_holds_everything_back_for_its_time():
    one = hygiene()
    assert one.answered("p1", says(one, 0.0), "snoozed", 5.0) == "a"
    assert says(one, 604.9, rule="b") == "snoozed"
    assert says(one, 605.0, rule="b") == "p1.605.0"
    assert says(one, 300.0, to="p2") == "p2.300.0"


def test_only_ones_own_prompt_is_answered_and_only_once():
    one = hygiene()
    name = says(one, 0.0)
    for who, prompt, answer in [("p2", name, "dismissed"), ("p1", "p1.9", "dismissed"), ("p1", name, "deleted")]:
        assert one.answered(who, prompt, answer, 1.0) is None
    assert says(one, 300.0, rule="a") == "p1.300.0"
    assert one.answered("p1", name, "dismissed", 301.0) == "a"
    assert one.answered("p1", name, "dismissed", 301.0) is None


def test_who_left_is_forgotten_after_an_hour_and_nobody_before():
    one = hygiene()
    for number in range(200):
        says(one, float(number), to=f"p{number}")
    one.forget(3000.0, lambda to: True)
    assert len(one) == 200
    one.forget(3700.0, lambda to: to != "p1")
    assert len(one) == 100
    assert one.answered("p1", "p1.1.0", "dismissed", 3700.0) == "a"
    one.forget(9000.0, lambda to: True)
    assert len(one) == 0


@pytest.mark.parametrize("limits", [{"per_minute": 0}, {"per_hour": 0}, {"cooldown_s": -1}, {"snooze_s": -1}])
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(ConfigError, match="must be 1 or more"):
        hygiene(**limits)
