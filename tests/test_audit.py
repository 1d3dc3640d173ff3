"""The audit log's chain: whatever is done to it is found, and nothing else."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.privacy.audit import (
    KINDS,
    LONGEST,
    NAME,
    START,
    Head,
    canonical,
    check_facts,
    is_sealed,
    make,
    read,
    read_head,
    seal,
    write_head,
)
from worker.privacy.verify import Verifier

KEY = b"k" * 32
LOG = "00ff"
EXAMPLES = {
    "audit.rotated": {},
    "audit.recovered": {"torn_bytes": 3, "unsealed": 1},
    "audit.lost": {"entries": 7},
    "consent.granted": {"room": "aa", "speaker": "bb", "level": "metrics"},
    "consent.denied": {"room": "aa", "speaker": "bb"},
    "consent.withdrawn": {"room": "aa", "speaker": "bb"},
    "policy.decided": {"level": "prosody", "rule": "eu_5_1_f"},
    "model.loaded": {"name": "onnx", "sha256": "ab" * 32, "thresholds": {"speech": {"1.0": 0.875}}},
    "export": {"records": 12},
    "erasure": {"stores": ["redis", "jsonl"], "records": 3},
    "api.access": {"method": "GET", "route": "/v1/rooms/{id}", "status": 401, "times": 2},
}


def chain(kinds=tuple(EXAMPLES), prev=START, seq=0, sealed=True):
    """(the lines of a file with an entry of each kind, its head)"""
    lines = []
    opening = {"log": LOG, "name": NAME, "version": 1, "sealed": sealed}
    for kind, fields in [("audit.opened", opening), *((kind, EXAMPLES[kind]) for kind in kinds)]:
        seq += 1
        entry, line = make(seq, 1_800_000_000.5 + seq, kind, fields, prev)
        prev = entry.hash
        lines.append(line)
    return lines, seal(Head(LOG, seq, prev, entry.kind), KEY if sealed else b"")


def verified(lines, head, key=KEY):
    verifier = Verifier(head)
    verifier.file("a.jsonl", lines)
    return verifier.end(key)


def codes(lines, head, key=KEY):
    return {finding.code for finding in verified(lines, head, key).findings}


LINES, HEAD = chain()
PLACES = st.integers(0, len(LINES) - 1)


def test_every_kind_stands_in_the_example():
    assert {*EXAMPLES, "audit.opened"} == set(KINDS)


def test_every_kind_stands_in_the_documentation_with_its_fields():
    rows = re.findall(r"^\| `([a-z.]+)` \| ([^|]*)\|", Path("docs/privacy.md").read_text(), re.MULTILINE)
    found = {kind: set(re.findall(r"`(\w+)`", fields)) - {"room", "speaker"} for kind, fields in rows}
    assert {kind: found.get(kind) for kind in KINDS} == KINDS


def test_a_log_as_it_was_written_is_intact_and_says_nothing_else():
    report = verified(LINES, HEAD)
    assert (report.findings, report.notes, report.entries) == ([], [], len(LINES))
    assert report.last.hash == HEAD.hash


def test_anyone_can_compute_a_hash_from_the_json_alone():
    for line in LINES:
        fields = json.loads(line)
        digest = fields.pop("hash")
        assert hashlib.sha256(canonical(fields)).hexdigest() == digest


def _leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path


def _other(value):
    match value:
        case bool():
            return not value
        case str():
            return ("1" if value[:1] == "0" else "0") + value[1:]
        case list():
            return value[1:]
    return value + 0.5


FIELDS = [(place, path) for place, line in enumerate(LINES) for path in _leaves(json.loads(line))]


@pytest.mark.parametrize("rehash", [False, True], ids=["as it is", "with its own hash made anew"])
@pytest.mark.parametrize(("place", "path"), FIELDS)
def test_every_field_of_every_kind_of_line_is_held(place, path, rehash):
    fields = inner = json.loads(LINES[place])
    for step in path[:-1]:
        inner = inner[step]
    old = inner[path[-1]]
    inner[path[-1]] = _other(old)
    digest = fields.pop("hash")
    if rehash:
        digest = hashlib.sha256(canonical(fields)).hexdigest()
    changed = canonical(fields)[:-1] + b',"hash":"' + digest.encode() + b'"}\n'
    if changed == LINES[place]:
        assert rehash
        assert path == ("hash",)
        return
    assert verified([*LINES[:place], changed, *LINES[place + 1 :]], HEAD).findings


@given(PLACES, st.data())
@settings(deadline=None, max_examples=400)
def test_every_changed_byte_is_found(place, data):
    line = LINES[place]
    at = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != line[at]))
    text = b"".join([*LINES[:place], line[:at] + bytes([byte]) + line[at + 1 :], *LINES[place + 1 :]])
    assert verified(text.splitlines(keepends=True) if byte not in b"\r\x0b\x0c" else _split(text), HEAD).findings


def _split(text):
    *whole, last = text.split(b"\n")
    return [line + b"\n" for line in whole] + ([last] if last else [])


@given(st.lists(PLACES, min_size=1, max_size=len(LINES) * 2))
@settings(deadline=None, max_examples=400)
def test_every_other_choice_and_order_of_lines_is_found(places):
    if places != list(range(len(LINES))):
        assert verified([LINES[place] for place in places], HEAD).findings


def test_each_deed_has_its_name():
    assert codes([*LINES[:3], *LINES[4:]], HEAD) == {"missing"}
    assert codes([*LINES[:4], LINES[3], *LINES[4:]], HEAD) == {"repeated"}
    assert codes([*LINES[:3], LINES[4], LINES[3], *LINES[5:]], HEAD) == {"missing", "reordered"}
    assert codes([*LINES[:4], LINES[4].replace(b'"aa"', b'"ab"'), *LINES[5:]], HEAD) == {"edited"}
    assert codes(LINES[:-1], HEAD) == {"cut"}
    assert codes(LINES[1:], HEAD) == {"opening", "head"}
    assert codes([*LINES[:3], b"hello\n", *LINES[3:]], HEAD) == {"unreadable"}
    assert codes(LINES, None) == {"head"}


def test_a_crash_in_mid_line_is_told_apart_from_a_cut():
    _, unfinished = make(HEAD.seq + 1, 0.0, "audit.lost", {"entries": 1}, HEAD.hash)
    for length in (1, 50, len(unfinished) - 1):
        report = verified([*LINES, unfinished[:length]], HEAD)
        assert report.findings == []
        assert "as a crash leaves it" in " ".join(report.notes)
    sealed_and_torn = verified([*LINES[:-1], LINES[-1][:-5]], HEAD)
    assert {finding.code for finding in sealed_and_torn.findings} == {"cut"}
    assert codes([*LINES[:4], LINES[4][:40], *LINES[5:]], HEAD) >= {"unreadable"}


def test_entries_after_the_sealed_one_are_told_of():
    older = seal(Head(LOG, 5, read(LINES[4][:-1]).hash, "consent.denied"), KEY)
    report = verified(LINES, older)
    assert report.findings == []
    assert f"{len(LINES) - 5} entries follow" in report.notes[0]


def test_only_the_key_signs_a_head():
    everything_anew, forged = chain(["audit.lost"], sealed=True)
    forged = seal(Head(LOG, forged.seq, forged.hash, forged.kind), b"another key" * 3)
    assert codes(everything_anew, forged) == {"head"}
    assert codes(everything_anew, forged, key=b"") == set()
    assert "signature was not checked" in " ".join(verified(everything_anew, forged, b"").notes)
    open_lines, unsigned = chain(sealed=False)
    assert "without a key" in " ".join(verified(open_lines, unsigned, b"").notes)
    assert codes(open_lines, unsigned) == {"head"}
    assert is_sealed(HEAD, KEY)
    for name, value in [("log", "x"), ("seq", 1), ("hash", START), ("kind", "audit.rotated")]:
        fields = json.loads(write_head(HEAD)) | {name: value}
        assert not is_sealed(read_head(canonical(fields)), KEY)


def test_a_second_file_goes_on_where_the_first_ended():
    first, head = chain(["consent.granted", "audit.rotated"])
    second, last = chain(["consent.denied"], prev=head.hash, seq=head.seq)
    both = Verifier(last)
    both.file("a.000001.jsonl", first)
    both.file("a.jsonl", second)
    report = both.end(KEY)
    assert (report.findings, report.entries) == ([], 5)
    assert "Entries 1 to 3 are in earlier files" in verified(second, last).notes[0]
    assert codes(first, None, b"") == set()  # it says itself that it is complete
    without = Verifier(last)
    without.file("a.000001.jsonl", first[:-1])
    without.file("a.jsonl", second)
    assert {finding.code for finding in without.end(KEY).findings} == {"missing"}


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_anything_may_be_read(line):
    read(line)
    read_head(line)
    assert verified([line + b"\n"], None).findings


@pytest.mark.parametrize("line", [b"[" * 10_000, b'{"a":' * 5000 + b',"hash":"' + b"0" * 64 + b'"}', b"\xff" * 200])
def test_what_is_built_to_break_a_reader_is_no_entry(line):
    assert read(line) is None


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("gossip", {}),
        ("export", {"name": "x"}),
        ("export", {"by": "Ada Lovelace"}),
        ("export", {"by": "Zoë"}),
        ("export", {"by": "x\n"}),
        ("export", {"stores": ["two words"]}),
        ("model.loaded", {"thresholds": {"two words": 1}}),
        ("model.loaded", {"thresholds": float("nan")}),
        ("model.loaded", {"thresholds": b"x"}),
        ("model.loaded", {"thresholds": list(range(LONGEST))}),
    ],
)
def test_what_the_log_never_holds_is_refused(kind, facts):
    with pytest.raises(ValueError, match=r"audit log|JSON"):
        check_facts(kind, facts)
