"""An exemption holds when it is signed, in force and for what the law exempts for; else it is refused by name."""

import base64
import json
from datetime import date

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from worker.errors import ConfigError
from worker.privacy.exemption import read, sign
from worker.privacy.law import Law
from worker.privacy.levels import Level

TODAY = date(2026, 11, 21)
GOOD = {"reference": "DPO 7/2026, Fahrermüdigkeit", "purpose": "safety", "expires": "2026-11-21"}


def pem(key, path):
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    return path


def public(key):
    der = key.public_key().public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def signed(tmp_path):
    def write(**changes):
        path = tmp_path / "exemption.json"
        path.write_text(json.dumps(GOOD | changes))
        sign(path, pem(KEY, tmp_path / "key.pem"))
        return path

    return write


def code(path, key=None, purpose="safety"):
    with pytest.raises(ConfigError) as caught:
        read(path, key or public(KEY), purpose, TODAY)
    return caught.value.code


def test_a_signed_exemption_holds_to_the_end_of_its_last_day(signed):
    exemption = read(signed(), public(KEY), "safety", TODAY)
    assert exemption.reference == GOOD["reference"]
    assert exemption.expires == TODAY


@pytest.mark.parametrize(("name", "value"), [("reference", "x"), ("purpose", "medical"), ("expires", "2099-01-01")])
def test_an_edited_one_is_refused(signed, name, value):
    path = signed()
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    assert code(path, purpose="medical" if name == "purpose" else "safety") == "exemption_forged"


@pytest.mark.parametrize("signature", ["", "AAAA", "%%%"])
def test_one_without_a_signature_is_refused(signed, signature):
    path = signed()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"signature": signature}))
    assert code(path) == "exemption_forged"


def test_one_that_another_key_signed_is_refused(signed):
    assert code(signed(), public(Ed25519PrivateKey.from_private_bytes(bytes(32)))) == "exemption_forged"


def test_one_that_has_ended_is_refused(signed):
    assert code(signed(expires="2026-11-20")) == "exemption_expired"


@pytest.mark.parametrize("purpose", ["productivity", "medical"])
def test_one_for_another_purpose_is_refused(signed, purpose):
    assert code(signed(purpose=purpose), purpose="safety") == "exemption_purpose"


def test_productivity_exempts_from_nothing_even_where_the_configuration_says_the_same(signed):
    assert code(signed(purpose="productivity"), purpose="productivity") == "exemption_purpose"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"reference": "x"}', json.dumps(GOOD | {"extra": 1})])
def test_what_is_no_exemption_is_refused(tmp_path, text):
    path = tmp_path / "exemption.json"
    path.write_text(text)
    assert code(path) == "exemption_unreadable"


def test_one_that_is_not_there_is_refused(tmp_path):
    assert code(tmp_path / "none.json") == "exemption_unreadable"


@pytest.mark.parametrize("key", ["", "AAAA", "%%%", public(generate_private_key(SECP256R1()))])
def test_a_key_that_is_none_is_refused(signed, key):
    with pytest.raises(ConfigError, match="not an Ed25519 public key"):
        read(signed(), key or " ", "safety", TODAY)


def test_only_an_ed25519_key_signs(tmp_path, signed):
    path = signed()
    with pytest.raises(ConfigError, match="must be an Ed25519 private key"):
        sign(path, pem(generate_private_key(SECP256R1()), tmp_path / "other.pem"))
    with pytest.raises(ConfigError, match="cannot be read"):
        sign(path, tmp_path / "none.pem")


def test_a_law_with_it_hears_employees_and_says_until_when(signed):
    options = {"level": "emotion", "jurisdiction": "eu", "context": "work", "purpose": "safety"}
    options |= {"basis": "legal_obligation", "exemption": signed(), "exemption_key": public(KEY)}
    law = Law(TODAY, **options)
    assert law.level_for("employee") is Level.EMOTION
    assert law.until == TODAY
    with pytest.raises(ConfigError, match="ended on 2026-11-21"):
        Law(date(2026, 11, 22), **options)
