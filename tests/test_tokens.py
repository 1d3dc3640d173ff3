"""Tokens for listeners: what they say, and everything that makes one worthless."""

import time
from typing import get_args

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import ConfigError
from worker.ops.tokens import LONGEST_S, Pass, Tokens
from worker.prompts import MANAGERS, Audience

KEY = "k" * 32
TOKENS = Tokens(KEY)
ADA = Pass("participant", "p1")


def claims(**changed):
    return {"room": "quiet", "epoch": 7, "aud": "participant", "sub": "p1", "exp": time.time() + 60} | changed


def signed(key=KEY, algorithm="HS256", **changed):
    return jwt.encode({k: v for k, v in claims(**changed).items() if v is not None}, key, algorithm)


@pytest.mark.parametrize("holder", [ADA, Pass("viewer"), Pass("manager")])
def test_a_token_says_what_its_holder_is(holder):
    token = TOKENS.issue("quiet", 7, holder, 60)
    assert TOKENS.read(token, "quiet", 7) == holder
    assert TOKENS.read(token, "quiet", 8) is None
    assert TOKENS.read(token, "loud", 7) is None
    assert Tokens("other" * 8).read(token, "quiet", 7) is None
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_each_holder_hears_one_audience():
    assert [holder.hears for holder in (ADA, Pass("viewer"), Pass("manager"))] == ["p1", "", MANAGERS]
    assert get_args(Audience) == ("viewer", "participant", "manager")


def test_what_is_written_here_is_read():
    assert TOKENS.read(signed(), "quiet", 7) == ADA


@pytest.mark.parametrize("changed", [
    *({name: None} for name in claims()),
    {"exp": time.time() - 60},
    {"exp": time.time() + 3 * LONGEST_S},
    {"aud": "owner"}, {"aud": ["participant", "manager"]}, {"aud": "viewer"}, {"aud": "manager"},
    {"sub": ""}, {"sub": MANAGERS},
    {"algorithm": "HS512", "key": KEY * 2}, {"key": "x" * 32}, {"nbf": time.time() + 86_400},
], ids=str)  # fmt: skip
def test_any_other_token_opens_nothing(changed):
    assert TOKENS.read(signed(**changed), "quiet", 7) is None


def test_a_token_without_a_signature_opens_nothing():
    assert TOKENS.read(jwt.encode(claims(), None, "none"), "quiet", 7) is None
    assert TOKENS.read(signed().rpartition(".")[0] + ".", "quiet", 7) is None


@given(st.text() | st.integers() | st.none() | st.binary() | st.lists(st.text()))
def test_what_is_no_token_opens_nothing(token):
    assert TOKENS.read(token, "quiet", 7) is None


def test_nothing_is_issued_that_would_not_be_read():
    for ttl_s in (0, LONGEST_S + 1, float("nan")):
        with pytest.raises(ConfigError, match="holds from 1 to 3600 s"):
            TOKENS.issue("quiet", 7, ADA, ttl_s)
    for holder in (Pass("participant"), Pass("viewer", "p1"), Pass("participant", MANAGERS)):
        with pytest.raises(ConfigError, match="name a speaker"):
            TOKENS.issue("quiet", 7, holder, 60)


def test_a_short_key_is_refused():
    with pytest.raises(ConfigError, match="signing_key needs 32 bytes"):
        Tokens("short")
