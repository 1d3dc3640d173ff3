"""Sealed lines: what comes out is what went in, and nobody opens them without a key."""

from base64 import b64encode

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import ConfigError
from worker.privacy.sealing import MARK, Seal, check_keys

OLD, NEW, OTHER = (b64encode(bytes([number]) * 32).decode() for number in (1, 2, 251))
"""As openssl writes them; the last has / in it."""


@given(st.binary(max_size=300))
def test_whatever_was_sealed_comes_out_again(line):
    sealed = Seal([OLD]).seal(line)
    assert sealed.startswith(MARK)
    assert sealed.isascii()
    assert b"\n" not in sealed
    assert Seal([NEW, OLD]).unseal(sealed) == line
    assert len(line) < 6 or line not in sealed.removeprefix(MARK)


@given(st.binary(max_size=100))
def test_the_first_key_seals_and_a_line_sealed_anew_no_longer_needs_the_old_one(line):
    both, new = Seal([NEW, OLD]), Seal([NEW])
    assert new.unseal(both.seal(line)) == line
    again = both.reseal(Seal([OLD]).seal(line))
    assert new.unseal(again) == line
    if not line.startswith(MARK):
        assert new.unseal(both.reseal(line)) == line  # never sealed before


@given(st.binary(max_size=100).filter(lambda line: not line.startswith(MARK)))
def test_what_was_never_sealed_stays_as_it_is(line):
    assert Seal().seal(line) == line
    assert Seal().unseal(line) == Seal([OLD]).unseal(line) == line


@given(st.binary(max_size=200))
def test_hostile_bytes_after_the_mark_are_a_sentence(junk):
    with pytest.raises(ConfigError, match=r"line 3 is sealed with a key that .* does not hold, or is damaged"):
        Seal([OLD]).unseal(MARK + junk, "line 3")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_single_bit_is_noticed(place, flip):
    sealed = bytearray(Seal([OLD]).seal(b'{"type": "speech.started"}'))
    place = len(MARK) + place % (len(sealed) - len(MARK) - 4)  # the padding's bits mean nothing
    sealed[place] ^= flip
    with pytest.raises(ConfigError):
        Seal([OLD]).unseal(bytes(sealed))


def test_another_key_and_no_key_are_told_apart():
    sealed = Seal([OLD]).seal(b"{}")
    with pytest.raises(ConfigError, match=r"keeping\.keys does not hold"):
        Seal([NEW]).unseal(sealed)
    with pytest.raises(ConfigError, match=r"events\.jsonl is sealed: name a configuration whose keeping\.keys"):
        Seal().unseal(sealed, "events.jsonl")


@pytest.mark.parametrize("key", ["", "short", "not base64 at all!", b64encode(b"x" * 31).decode()])
def test_a_key_that_is_none_says_how_to_make_one(key):
    for ask in (Seal, check_keys):
        with pytest.raises(
            ConfigError, match=r"keeping\.keys\.1 is no key, .*openssl rand -base64 32 makes one"
        ) as error:
            ask([OLD, key])
        assert not key or key not in str(error.value)


def test_keys_are_read_from_where_they_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("UT_TEST_KEY", OLD)
    (tmp_path / "key").write_text(Fernet.generate_key().decode() + "\n")
    named = [f"file:{tmp_path / 'key'}", "env:UT_TEST_KEY"]
    assert Seal(named).unseal(Seal([OLD]).seal(b"{}")) == b"{}"
    check_keys(["env:UT_TEST_MISSING"])
    with pytest.raises(ConfigError, match="UT_TEST_MISSING is empty or not set"):
        Seal(["env:UT_TEST_MISSING"])
    assert Seal([OTHER])
    assert not Seal()
