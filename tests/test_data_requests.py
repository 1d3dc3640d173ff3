"""What a participant may ask for themself in a running room: what is in memory and on the disk, noted as theirs."""

import json
from datetime import UTC, datetime

import pytest

from tests.fakes import FakeSink, envelopes, folded
from tests.test_data_stores import MEETING_OF_TWO, lines_of, put
from worker.data.files import LinesStore
from worker.data.memory import MemoryStore
from worker.data.requests import PARTICIPANT, copy_of, erasure_of
from worker.ops.audit import Audit
from worker.ops.audit_cli import examine
from worker.privacy.audit import AuditError
from worker.privacy.sealing import Seal
from worker.sinks.fanout import Fanout

NOW = datetime(2026, 1, 1, 13, tzinfo=UTC)


def ada(census):
    return census.whom("p1", [7])


ASKED = ("quiet", ada, NOW, PARTICIPANT)


@pytest.fixture
async def room(tmp_path):
    """The stores of an open room, and the audit log."""
    path = put(tmp_path / "events.jsonl", lines_of(*MEETING_OF_TWO))
    audit = Audit(tmp_path / "audit.jsonl")
    audit.note("consent.granted", "quiet", "p1", 7, by="page")
    fanout = Fanout(folded(one for one in envelopes(*MEETING_OF_TWO) if not one.audience), [FakeSink()])
    await audit.settle()
    yield [MemoryStore(fanout), LinesStore(path, Seal())], audit, tmp_path
    await fanout.close(1.0)
    await audit.close()


def noted(folder):
    return [(one["kind"], one["fields"]) for one in map(json.loads, (folder / "audit.jsonl").read_text().splitlines())]


async def test_a_copy_holds_each_record_once_and_is_noted(room):
    stores, audit, folder = room
    copy = await copy_of(stores, *ASKED, audit)
    assert copy.document["exported_at"] == "2026-01-01T13:00:00Z"
    assert copy.document["names"] == ["Ada"]
    assert {tuple(one["kept_in"]) for one in copy.document["records"]} == {("memory",), ("jsonl",), ("audit",)}
    assert copy.records == len(copy.document["records"]) == 9
    (_, granted), (kind, exported) = noted(folder)[1:]
    assert (kind, exported["by"], exported["records"]) == ("export", "participant", 9)
    assert exported["speaker"] == granted["speaker"] in json.dumps(copy.document["records"])


async def test_an_erasure_is_noted_and_then_nobodys(room):
    stores, audit, folder = room
    receipt = await erasure_of(stores, *ASKED, audit)
    assert receipt.complete
    assert {answer.store for answer in receipt.answers} == {"memory", "jsonl", "audit"}
    assert noted(folder)[-1][1]["stores"] == ["memory", "jsonl"]
    assert "p1" not in (folder / "audit.jsonl.salts").read_text()
    assert examine([folder / "audit.jsonl"]).findings == []
    assert (await copy_of(stores, *ASKED)).records == 0


async def test_a_log_that_cannot_be_written_leaves_the_erasure_undone_there(room, monkeypatch):
    stores, audit, _ = room

    def damaged(*_):
        raise AuditError("its salts are damaged.")

    monkeypatch.setattr(audit.ledger, "forget", damaged)
    receipt = await erasure_of(stores, *ASKED, audit)
    assert [answer.store for answer in receipt.answers if answer.failed] == ["audit"]
    assert "damaged" in receipt.answers[-1].sentence()
    monkeypatch.setattr(audit.ledger, "known", damaged)
    assert "audit" in (await copy_of(stores, *ASKED, audit)).failed
    monkeypatch.undo()
    assert (await erasure_of(stores, *ASKED, audit)).complete
