"""Signed tokens: what they say, and everything that makes one worthless."""

import time
from typing import get_args

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import ConfigError
from worker.ops.tokens import ANY_RUN, EVERY, EVERYTHING, LISTENERS, LONGEST_S, Pass, Right, Tokens
from worker.prompts import MANAGERS, Audience

KEY = "k" * 32
TOKENS = Tokens(KEY)
ADA = Pass("participant", "p1")


def claims(**changed):
    return {"room": "quiet", "epoch": 7, "aud": "participant", "sub": "p1", "exp": time.time() + 60} | changed


def signed(key=KEY, algorithm="HS256", **changed):
    return jwt.encode({k: v for k, v in claims(**changed).items() if v is not None}, key, algorithm)


@pytest.mark.parametrize("holder", [ADA, Pass("viewer"), Pass("manager")])
def test_a_token_says_what_its_holder_is_and_of_which_run(holder):
    token = TOKENS.issue("quiet", 7, holder, 60)
    right = TOKENS.read(token, *LISTENERS)
    assert right.holder == holder
    assert [right.covers(*place) for place in (("quiet", 7), ("quiet", 8), ("loud", 7), ("quiet", None))] == [
        True, False, False, False,
    ]  # fmt: skip
    assert TOKENS.read(token, "operator") is None
    assert Tokens("other" * 8).read(token, *LISTENERS) is None
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_an_operator_has_the_room_of_a_name_or_all():
    one = TOKENS.read(TOKENS.issue("quiet", 7, Pass("operator"), 60), "operator")
    assert (one.is_for("quiet"), one.is_for("loud"), one.epoch) == (True, False, ANY_RUN)
    every = TOKENS.read(TOKENS.issue(EVERY, 7, Pass("operator"), 60), "operator")
    assert every.is_for("quiet")
    assert TOKENS.read(TOKENS.issue(EVERY, 7, Pass("operator"), 60), *LISTENERS) is None


def test_a_token_for_every_run_covers_each_and_whoever_is_in_it_cannot_have_one():
    right = TOKENS.read(TOKENS.issue("quiet", ANY_RUN, Pass("manager"), 60), "manager")
    assert right.covers("quiet", 7)
    assert right.covers("quiet", None)
    assert not right.covers("loud", 7)


def test_each_holder_hears_one_audience():
    holders = {"viewer": "", "participant": "p1", "manager": MANAGERS, "operator": ""}
    assert {one: Pass(one, "p1" if one == "participant" else "").hears for one in get_args(Audience)} == holders
    assert {*LISTENERS, "operator"} == set(holders)


def test_the_time_that_is_left_is_told_by_a_clock():
    right = Right(ADA, "quiet", 7, 1000.0)
    assert [right.left_s(now) for now in (940.0, 1000.0, 1001.0)] == [60.0, 0.0, -1.0]
    assert EVERYTHING.left_s(1e12) == float("inf")


def test_what_is_written_here_is_read():
    right = TOKENS.read(signed(), *LISTENERS)
    assert (right.holder, right.room, right.epoch) == (ADA, "quiet", 7)


@pytest.mark.parametrize("changed", [
    *({name: None} for name in claims()),
    {"exp": time.time() - 60},
    {"exp": time.time() + 3 * LONGEST_S},
    {"aud": "owner"}, {"aud": ["participant", "manager"]}, {"aud": "viewer"}, {"aud": "manager"},
    {"sub": ""}, {"sub": MANAGERS}, {"sub": 1}, {"aud": "operator", "sub": ""},
    {"room": ""}, {"room": EVERY}, {"room": ["quiet"]}, {"room": 7},
    {"epoch": ANY_RUN}, {"epoch": "7"}, {"epoch": 7.0}, {"epoch": True}, {"epoch": -1}, {"epoch": [7]},
    {"exp": "soon"}, {"exp": float("inf")},
    {"algorithm": "HS512", "key": KEY * 2}, {"key": "x" * 32}, {"nbf": time.time() + 86_400},
], ids=str)  # fmt: skip
def test_any_other_token_opens_nothing(changed):
    assert TOKENS.read(signed(**changed), *LISTENERS) is None


def test_a_token_without_a_signature_opens_nothing():
    assert TOKENS.read(jwt.encode(claims(), None, "none"), *LISTENERS) is None
    assert TOKENS.read(signed().rpartition(".")[0] + ".", *LISTENERS) is None


@given(st.text() | st.integers() | st.none() | st.binary() | st.lists(st.text()))
def test_what_is_no_token_opens_nothing(token):
    assert TOKENS.read(token, *get_args(Audience)) is None


def test_nothing_is_issued_that_would_not_be_read():
    for ttl_s in (0, LONGEST_S + 1, float("nan")):
        with pytest.raises(ConfigError, match="holds from 1 to 3600 s"):
            TOKENS.issue("quiet", 7, ADA, ttl_s)
    for holder in (Pass("participant"), Pass("viewer", "p1"), Pass("participant", MANAGERS)):
        with pytest.raises(ConfigError, match="name a speaker"):
            TOKENS.issue("quiet", 7, holder, 60)
    for place in ((EVERY, 7, Pass("manager")), ("", 7, Pass("operator")), ("quiet", ANY_RUN, ADA)):
        with pytest.raises(ConfigError, match="name one room"):
            TOKENS.issue(*place, 60)


def test_a_short_key_is_refused():
    with pytest.raises(ConfigError, match="signing_key needs 32 bytes"):
        Tokens("short")
