import math

import pytest

from worker.conversation.balance import Balance, evenness, share


def talked(**seconds):
    """Everyone comes at 0 and speaks, one after the other."""
    balance, at = Balance(300.0), 0.0
    for who, length in seconds.items():
        balance.enter(0.0, who, role=who[0])
        balance.start(at, who)
        at += length
        balance.stop(at, who)
    return balance, at


def test_balance_is_the_normalised_entropy():
    assert evenness([5.0, 5.0, 5.0]) == pytest.approx(1.0)
    assert evenness([20.0, 0.0]) == 0.0
    parts = (0.75, 0.25)
    assert evenness([15.0, 5.0]) == pytest.approx(-sum(p * math.log(p) for p in parts) / math.log(2))


@pytest.mark.parametrize("talk", [[], [60.0], [4.0, 4.0], [0.0, 0.0]])
def test_nothing_is_said_of_one_alone_or_of_too_little(talk):
    assert evenness(talk) is None


def test_a_share_needs_enough_to_share():
    assert (share(2.0, 9.9), share(5.0, 20.0), share(20.0000001, 20.0)) == (None, 0.25, 1.0)


def test_an_utterance_under_way_counts_up_to_now():
    balance = Balance(10.0)
    balance.enter(0.0, "ada")
    balance.start(5.0, "ada")
    assert (balance.people["ada"].talk_s(30.0), balance.shares(30.0).recent_s["ada"]) == (25.0, 10.0)


def test_people_of_one_side_are_added_up():
    balance, at = talked(seller=10.0, customer=20.0, chief=10.0)
    sides = balance.shares(at).sides
    assert (sides["c"].talk_s, sides["c"].talk_share, sides["s"].recent_talk_share) == (30.0, 0.75, 0.25)


def test_who_leaves_is_remembered_only_with_talk():
    balance, at = talked(ada=12.0, bo=0.0)
    assert balance.leave(at, "ada") == []
    assert balance.leave(at, "bo") == ["bo"]
    balance.enter(at, "cy")
    shares = balance.shares(at)
    assert (shares.everyone_s, list(balance.people), shares.recent_people) == (12.0, ["ada", "cy"], 2)
    assert balance.shares(at + 400).recent_people == 1


def test_the_silent_come_longest_first():
    balance, _ = talked(ada=12.0)
    balance.enter(5.0, "bo")
    balance.enter(3.0, "cy")
    assert balance.silent(70.0, 60.0) == ("cy", "bo")
    assert balance.silent(72.0, 60.0) == ("cy", "bo", "ada")
    balance.start(71.0, "cy")
    assert balance.silent(72.0, 60.0) == ("bo", "ada")
