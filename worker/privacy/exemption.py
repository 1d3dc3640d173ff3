"""The signed file that exempts from the EU's ban for medical or safety reasons."""

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.errors import ConfigError

REASONS = ("medical", "safety")
"""What the law exempts for."""
LARGEST = 16_384
"""Bytes of a file."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """What somebody answers for with their signature."""

    reference: str
    """Where the reasoning is kept: a file number, a decision."""
    purpose: str
    expires: date
    """The last day on which it holds, in UTC."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reference: str = Field(min_length=1, max_length=200)
    purpose: str = Field(max_length=200)
    expires: date
    signature: str = Field("", max_length=200)

    def signed(self) -> bytes:
        """The bytes that are signed; the first line keeps the signature from meaning anything elsewhere."""
        fields = self.model_dump(mode="json", exclude={"signature"})
        return b"undertone exemption 1\n" + json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def read(path: Path, key: str, purpose: str, today: date) -> Exemption:
    """A file that is signed for `key`, holds today and is for `purpose`.

    `key` is an Ed25519 public key in Base64, as a PEM file has it between its first and last line. Raises ConfigError
    whose code names what is wrong: `exemption_` and `unreadable`, `forged`, `purpose` or `expired`.
    """
    file = _load(path)
    try:
        public_key(key).verify(b64decode(file.signature, validate=True), file.signed())
    except (InvalidSignature, NotBase64):
        reason = "is not signed by policy.exemption_key: have it signed anew, with 'undertone policy sign'."
        raise ConfigError(f"the exemption {path} {reason}", "exemption_forged") from None
    if file.purpose not in REASONS:
        reason = f"is for {file.purpose!r}, but only medical and safety reasons exempt: run without it."
        raise ConfigError(f"the exemption {path} {reason}", "exemption_purpose")
    if file.purpose != purpose:
        reason = f"is for {file.purpose!r}, but policy.purpose is {purpose!r}: they must be the same."
        raise ConfigError(f"the exemption {path} {reason}", "exemption_purpose")
    if file.expires < today:
        reason = f"ended on {file.expires}: have a new one signed, or run without it."
        raise ConfigError(f"the exemption {path} {reason}", "exemption_expired")
    return Exemption(file.reference, file.purpose, file.expires)


def sign(path: Path, key: Path) -> None:
    """Write into an exemption the signature of a private key, which is Ed25519 in PEM and has no password.

    Raises ConfigError when either cannot be read.
    """
    file = _load(path)
    try:
        private = load_pem_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"the key {key} cannot be read ({error.strerror}): name a file in PEM.") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"the key {key} must be an Ed25519 private key in PEM, without a password.")
    signature = b64encode(private.sign(file.signed())).decode()
    fields = file.model_dump(mode="json") | {"signature": signature}
    try:
        path.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the exemption {path} cannot be written ({error.strerror}).") from None


def public_key(text: str) -> Ed25519PublicKey:
    """Raises ConfigError when it is none."""
    try:
        key = load_der_public_key(b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        hint = "use the line in the middle of what 'openssl pkey -in private.pem -pubout' prints."
        raise ConfigError(f"exemption_key is not an Ed25519 public key in Base64: {hint}")
    return key


def _load(path: Path) -> _File:
    try:
        with path.open("rb") as stream:
            return _File.model_validate_json(stream.read(LARGEST))
    except OSError as error:
        reason = error.strerror
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        reason = f"{'.'.join(map(str, fault['loc']))} {fault['msg']}".strip()
    wanted = "it must be JSON with reference, purpose, expires and signature."
    raise ConfigError(f"the exemption {path} cannot be read ({reason}): {wanted}", "exemption_unreadable")
