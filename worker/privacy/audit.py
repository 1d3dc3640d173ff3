"""The audit log's entries: what may be in one, how each holds the one before, and the seal on the last."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from worker.errors import UndertoneError

NAME = "undertone-audit"
VERSION = 1
START = "0" * 64
"""What the first entry of a log holds in place of the one before."""
LONGEST = 16 * 1024
"""Bytes of a line."""

KINDS: Mapping[str, frozenset[str]] = {
    "audit.opened": frozenset({"log", "name", "version", "sealed"}),
    "audit.rotated": frozenset(),
    "audit.recovered": frozenset({"torn_bytes", "unsealed"}),
    "audit.lost": frozenset({"entries"}),
    "consent.granted": frozenset({"by", "level", "purpose", "text"}),
    "consent.denied": frozenset({"by", "level", "purpose", "text"}),
    "consent.withdrawn": frozenset({"by", "level", "purpose", "text"}),
    "policy.decided": frozenset({"level", "rule", "jurisdiction", "context", "role", "purpose"}),
    "model.loaded": frozenset({"part", "name", "sha256", "thresholds", "version"}),
    "export": frozenset({"by", "stores", "records"}),
    "erasure": frozenset({"by", "stores", "records"}),
    "api.access": frozenset({"method", "route", "status", "times"}),
}
"""All that is ever noted, and the facts that each kind may have; docs/privacy.md says what they mean."""

_WORD = re.compile(r"[A-Za-z0-9_.:/{}@+-]{0,200}", re.ASCII)
"""No spaces: neither sentences nor most names fit."""
SUFFIX = len(b',"hash":""}') + 64
"""Bytes at the end of each line that its hash does not cover: the hash."""


TYPES = (int, str, str, dict, str, str)
"""Of an entry's values."""


class AuditError(UndertoneError):
    """The log on the disk isn't what was written; the operator must look at it."""

    code = "audit"


class Entry(NamedTuple):
    """One line, read."""

    seq: int
    """From 1 on, without a gap, over all files of a log."""
    time: str
    kind: str
    fields: Mapping[str, Any]
    prev: str
    """The hash of the entry before."""
    hash: str
    """SHA-256 of the canonical JSON of all the others."""


@dataclass(frozen=True, slots=True)
class Head:
    """Which entry is the last. It stands beside the log, so that a missing end is noticed."""

    log: str
    seq: int
    hash: str
    kind: str
    mac: str = ""
    """HMAC-SHA256 over the others with the operator's key; empty without one."""


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON in ASCII with sorted keys and no spaces: the same bytes for the same values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def check_facts(kind: str, facts: Mapping[str, Any]) -> None:
    """Raises ValueError for what no entry may hold: an unknown kind or fact, or text in which a name could stand."""
    if kind not in KINDS or not facts.keys() <= KINDS[kind]:
        raise ValueError(f"the audit log has no {kind} with {', '.join(sorted(facts)) or 'nothing'}")
    for value in facts.values():
        _check_plain(value)
    if len(canonical(facts)) > LONGEST // 2:
        raise ValueError("an entry of the audit log would be too long")


def _check_plain(value: Any) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_plain(str(key))
            _check_plain(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_plain(inner)
    elif isinstance(value, str):
        if _WORD.fullmatch(value) is None:
            raise ValueError("the audit log holds single words in ASCII only")
    elif value is not None and not isinstance(value, bool | int | float):
        raise ValueError(f"the audit log holds no {type(value).__name__}")


def make(seq: int, at: float, kind: str, fields: Mapping[str, Any], prev: str) -> tuple[Entry, bytes]:
    """An entry and its line. `at` is in seconds since 1970."""
    time = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = canonical({"seq": seq, "time": time, "kind": kind, "fields": fields, "prev": prev})
    digest = hashlib.sha256(body).hexdigest()
    line = body[:-1] + b',"hash":"' + digest.encode() + b'"}\n'
    return Entry(seq, time, kind, fields, prev, digest), line


def read(line: bytes) -> Entry | None:
    """The entry of a line, without its line break; None for what is none. `is_whole` says whether its hash is right."""
    hashed, opening, digest = line[:-SUFFIX], line[-SUFFIX:-66], line[-66:-2]
    if opening != b',"hash":"' or line[-2:] != b'"}':
        return None
    try:
        values = json.loads(hashed.decode("ascii") + "}")
        if type(values) is dict and tuple(values) == ("fields", "kind", "prev", "seq", "time"):
            entry = Entry(**values, hash=digest.decode("ascii"))
            return entry if tuple(map(type, entry)) == TYPES else None
    except (ValueError, RecursionError):
        pass  # as below
    return None


def is_whole(line: bytes) -> bool:
    """Whether a line has the hash of what stands in it."""
    return hashlib.sha256(line[:-SUFFIX] + b"}").hexdigest().encode() == line[-66:-2]


def seal(head: Head, key: bytes) -> Head:
    """The head, signed where there is a key."""
    return replace(head, mac=_mac(head, key) if key else "")


def is_sealed(head: Head, key: bytes) -> bool:
    """Whether the head was signed with this key, in constant time."""
    return hmac.compare_digest(head.mac.encode(), _mac(head, key).encode())


def _mac(head: Head, key: bytes) -> str:
    fields = {name: value for name, value in asdict(head).items() if name != "mac"}
    return hmac.new(key, canonical(fields), "sha256").hexdigest()


def read_head(text: bytes) -> Head | None:
    """None for what is no head."""
    try:
        match json.loads(text):
            case {"log": str(log), "seq": int(seq), "hash": str(hash_), "kind": str(kind), "mac": str(mac), **rest} if (
                not rest
            ):
                return Head(log, seq, hash_, kind, mac)
    except (ValueError, RecursionError):
        pass  # as below
    return None


def write_head(head: Head) -> bytes:
    return canonical(asdict(head)) + b"\n"


def pseudonym(salt: bytes, *who: str) -> str:
    """What stands for somebody: without the salt, which is random, nobody can tell whom, nor try who it might be.

    HMAC-SHA256, of which 128 bits are enough to tell people apart.
    """
    return hmac.new(salt, "\0".join(who).encode(errors="surrogatepass"), "sha256").hexdigest()[:32]
