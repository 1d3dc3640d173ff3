"""The audit log on the disk: crashes, rotation, several writers, and people who are forgotten."""

import errno
import json
import os
import stat
import threading

import pytest

from tests.test_sealing import NEW, OLD
from worker.ops import disk
from worker.ops.audit_cli import examine
from worker.ops.ledger import Ledger, Note
from worker.ops.salts import Who
from worker.privacy.audit import AuditError, pseudonym
from worker.privacy.sealing import Seal

KEY = b"k" * 32


def note(kind="consent.granted", speaker="p1", room="demo", epoch=1, **facts):
    return Note(1_800_000_000.0, kind, room, epoch, speaker, facts)


def entries(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def kinds(path):
    return [entry["kind"] for entry in entries(path)]


def intact(path, key=KEY):
    report = examine(sorted(path.parent.glob(f"{path.stem}*.jsonl")), key)
    assert report.findings == []
    return report


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def test_a_log_goes_on_when_it_is_opened_again(path):
    Ledger(path, KEY).append([note()])
    Ledger(path, KEY).append([note("consent.withdrawn")])
    assert kinds(path) == ["audit.opened", "consent.granted", "consent.withdrawn"]
    assert intact(path).notes == []
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_the_same_person_is_one_pseudonym_and_nobody_is_named(path):
    Ledger(path, KEY).append(
        [note(speaker="canary-ada", room="canary-room"), note(speaker="canary-bob", room="canary-room")]
    )
    Ledger(path, KEY).append([note("consent.withdrawn", speaker="canary-ada", room="canary-room")])
    Ledger(path, KEY).append([note(speaker="canary-ada", room="canary-room", epoch=2)])
    fields = [entry["fields"] for entry in entries(path)[1:]]
    assert fields[0] == fields[2]
    assert len({one["speaker"] for one in fields}) == 3
    assert fields[0]["room"] == fields[1]["room"] != fields[3]["room"]
    for file in path.parent.iterdir():
        assert ("canary" in file.read_text()) == (file.suffix == ".salts")


def test_who_is_forgotten_is_unlinked_and_the_chain_still_holds(path):
    ledger, other = Ledger(path, KEY), Ledger(path, KEY)
    other.append([note(speaker="ada"), note(speaker="bob")])
    ada, bob = (entry["fields"]["speaker"] for entry in entries(path)[1:])
    before = path.read_bytes()
    assert ledger.forget("demo", "ada") == 1
    assert ledger.forget("demo", "ada") == 0
    assert path.read_bytes() == before
    intact(path)
    salts = [json.loads(line) for line in (path.parent / "audit.jsonl.salts").read_text().splitlines()]
    assert {one["speaker"] for one in salts} == {"bob", ""}
    found = {pseudonym(bytes.fromhex(one["salt"]), "demo", who) for one in salts for who in ("ada", "bob", "")}
    assert bob in found
    assert ada not in found
    other.append([note(speaker="ada"), note(speaker="bob")])  # a process that knew the old salt
    again, same = (entry["fields"]["speaker"] for entry in entries(path)[3:])
    assert again != ada
    assert same == bob


def test_only_one_run_is_forgotten_where_one_is_named(path):
    ledger = Ledger(path)
    ledger.append([note(epoch=1), note(epoch=2)])
    assert ledger.forget("demo", "p1", epoch=2) == 1
    assert Who("demo", 1, "p1") in ledger._salts._all


def test_with_a_key_the_salts_are_closed_and_those_from_before_are_read(path):
    salts = path.with_name("audit.jsonl.salts")
    Ledger(path, KEY).append([note(speaker="canary-ada")])
    Ledger(path, KEY, sealing=Seal([OLD])).append([note(speaker="canary-ada"), note(speaker="canary-bob")])
    Ledger(path, KEY, sealing=Seal([NEW, OLD])).append([note(speaker="canary-cem"), note(speaker="canary-bob")])
    ada, same_ada, bob, cem, same_bob = (entry["fields"]["speaker"] for entry in entries(path)[1:])
    assert (ada, bob) == (same_ada, same_bob)
    assert len({ada, bob, cem}) == 3
    assert [line[:7] for line in salts.read_bytes().splitlines()[2:]] == [b"sealed:", b"sealed:"]
    assert b"canary-bob" not in salts.read_bytes()
    intact(path)


def test_salts_under_a_missing_key_are_said_when_the_worker_starts_and_stay_as_they_are(path):
    Ledger(path, KEY, sealing=Seal([OLD])).append([note()])
    before = path.with_name("audit.jsonl.salts").read_bytes()
    for sealing in (None, Seal([NEW])):
        with pytest.raises(AuditError, match=r"audit\.jsonl\.salts is sealed"):
            Ledger(path, KEY, sealing=sealing)
    assert path.with_name("audit.jsonl.salts").read_bytes() == before


def test_salts_are_sealed_anew_while_another_process_notes_and_who_is_forgotten_stays_so(path):
    salts = path.with_name("audit.jsonl.salts")
    Ledger(path, KEY).append([note(speaker="ada"), note(speaker="bob")])
    running = Ledger(path, KEY, sealing=Seal([NEW, OLD]))
    running.append([note(speaker="ada")])
    assert Ledger(path, KEY, sealing=Seal([OLD])).reseal() == 3  # two people, and the room
    assert all(line.startswith(b"sealed:") for line in salts.read_bytes().splitlines())
    running.append([note(speaker="bob")])
    assert running.forget("demo", "ada") == 1
    assert running.reseal() == 2
    ada, bob, same_ada, same_bob = (entry["fields"]["speaker"] for entry in entries(path)[1:])
    assert (ada, bob) == (same_ada, same_bob)
    Ledger(path, KEY, sealing=Seal([NEW])).append([note(speaker="bob")])
    assert entries(path)[-1]["fields"]["speaker"] == bob
    intact(path)


@pytest.mark.parametrize("left", [1, 40, -1])
def test_a_line_that_a_crash_tore_is_taken_away_and_noted(path, left):
    ledger = Ledger(path, KEY)
    ledger.append([note()])
    whole = path.read_bytes()
    ledger.append([note("consent.withdrawn")])
    torn = path.read_bytes()[len(whole) :][:left]
    head = path.with_name("audit.jsonl.head")
    path.write_bytes(whole + torn)
    _head_of(path, head, 2)
    Ledger(path, KEY).append([note("consent.denied")])
    assert kinds(path) == ["audit.opened", "consent.granted", "audit.recovered", "consent.denied"]
    assert entries(path)[2]["fields"] == {"torn_bytes": len(torn), "unsealed": 0}
    intact(path)


def _head_of(path, head, seq):
    """Put the head back to what it was after entry `seq`, as a crash between the two files leaves it."""
    from worker.privacy.audit import Head, seal, write_head

    at = entries_of(path)[seq - 1]
    head.write_bytes(write_head(seal(Head(entries_of(path)[0]["fields"]["log"], seq, at["hash"], at["kind"]), KEY)))


def entries_of(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_entries_that_a_crash_kept_from_being_sealed_stay_and_are_noted(path):
    ledger = Ledger(path, KEY)
    ledger.append([note(), note(), note()])
    _head_of(path, path.with_name("audit.jsonl.head"), 2)
    Ledger(path, KEY)
    assert kinds(path)[-1] == "audit.recovered"
    assert entries(path)[-1]["fields"] == {"torn_bytes": 0, "unsealed": 2}
    intact(path)


@pytest.mark.parametrize("kept", [0, 10, None])
def test_a_crash_before_the_first_seal_begins_the_log_anew(path, kept):
    Ledger(path, KEY)
    path.write_bytes(path.read_bytes()[:kept])
    path.with_name("audit.jsonl.head").unlink()
    Ledger(path, KEY)
    assert kinds(path) == ["audit.opened"]
    intact(path)


def _cut(path, head):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def _edit(path, head):
    path.write_bytes(path.read_bytes().replace(b"denied", b"deniee"))


@pytest.mark.parametrize(
    "deed",
    [_cut, _edit, lambda path, head: path.unlink(), lambda path, head: head.unlink(),
     lambda path, head: head.write_bytes(b"{}"), lambda path, head: path.write_bytes(b"")],
    ids=["cut", "edited", "log gone", "head gone", "head damaged", "emptied"],
)  # fmt: skip
def test_a_log_that_was_tampered_with_is_not_gone_on_with(path, deed):
    ledger = Ledger(path, KEY)
    ledger.append([note(), note("consent.denied")])
    before = path.read_bytes()
    deed(path, path.with_name("audit.jsonl.head"))
    left = path.read_bytes() if path.exists() else None
    with pytest.raises(AuditError):
        Ledger(path, KEY)
    if left != before:  # a head that is gone while the worker runs is only written again
        with pytest.raises(AuditError):
            ledger.append([note()])
    assert (path.read_bytes() if path.exists() else None) == left


def test_a_log_is_gone_on_with_only_by_its_own_key(path):
    Ledger(path, KEY)
    for key in (b"", b"another" * 5):
        with pytest.raises(AuditError, match="key"):
            Ledger(path, key)


def test_files_that_are_full_carry_the_chain_over(path):
    ledger = Ledger(path, KEY, largest=1000)
    for number in range(12):
        ledger.append([note("export", records=number)])
    files = sorted(path.parent.glob("audit*.jsonl"))
    assert [file.name for file in files[:2]] == ["audit.000001.jsonl", "audit.000002.jsonl"]
    assert all(kinds(file)[-1] == "audit.rotated" for file in files[:-1])
    report = intact(path)
    noted = [entry["fields"]["records"] for file in files for entry in entries(file) if entry["kind"] == "export"]
    assert noted == list(range(12))
    assert report.notes == []
    assert {finding.code for finding in examine([files[0], *files[2:]], KEY).findings} == {"missing"}


def test_a_crash_between_two_files_is_gone_on_from(path):
    ledger = Ledger(path, KEY, largest=1)
    ledger._put([(0.0, "audit.rotated", {})])
    path.rename(path.with_suffix(".000001.jsonl"))
    Ledger(path, KEY).append([note()])
    assert intact(path).entries == 4
    path.write_bytes(b'{"half')  # and once more, in mid-line of the second file's first
    _head_of(path.with_suffix(".000001.jsonl"), path.with_name("audit.jsonl.head"), 2)
    Ledger(path, KEY)
    intact(path)


def test_several_writers_keep_one_chain(path):
    def write(speaker):
        ledger = Ledger(path, KEY, largest=4000)
        for _ in range(10):
            ledger.append([note(speaker=speaker)])

    threads = [threading.Thread(target=write, args=(f"p{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = sorted(path.parent.glob("audit*.jsonl"))
    assert sum(kinds(file).count("consent.granted") for file in files) == 40
    intact(path)
    speakers = {e["fields"]["speaker"] for file in files for e in entries(file) if "speaker" in e["fields"]}
    assert len(speakers) == 4


@pytest.mark.parametrize("step", ["fsync", "write", "replace"])
def test_what_the_disk_refused_is_not_half_there(path, monkeypatch, step):
    ledger = Ledger(path, KEY)
    ledger.append([note()])
    before = path.read_bytes()

    def refuse(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, step, refuse)
        with pytest.raises(OSError, match="space"):
            ledger.append([note("consent.denied", speaker="new")])
    assert path.read_bytes() == before
    ledger.append([note("consent.denied", speaker="new")])
    assert kinds(path)[1:] == ["consent.granted", "consent.denied"]
    intact(path)
    [salt] = [
        json.loads(line)["salt"]
        for line in path.with_name("audit.jsonl.salts").read_text().splitlines()
        if '"new"' in line
    ]
    assert pseudonym(bytes.fromhex(salt), "demo", "new") == entries(path)[-1]["fields"]["speaker"]


def test_a_torn_line_of_salts_was_never_used(path):
    ledger = Ledger(path)
    ledger.append([note()])
    salts = path.with_name("audit.jsonl.salts")
    with open(salts, "a") as file:
        file.write('{"room": "de')
    ledger.append([note(speaker="p2")])
    assert len(salts.read_text().splitlines()) == 3
    salts.write_text("what\n")
    os.utime(salts, (1, 1))
    with pytest.raises(AuditError, match="damaged"):
        ledger.append([note()])


@pytest.mark.parametrize("user", [0, 1000])
def test_a_command_of_root_leaves_the_files_to_whom_they_belong(path, monkeypatch, user):
    path.write_bytes(b"old")
    state, owners = path.stat(), []
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "fchown", lambda file, *owner: owners.append(owner))
    disk.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert owners == ([] if user else [(state.st_uid, state.st_gid)])
