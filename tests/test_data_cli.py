"""The commands `undertone data`: every place of a configuration, the receipt, and the audit log."""

import json
import stat

import pytest
import yaml
from redis import Redis
from typer.testing import CliRunner

from tests.storied import words_of
from tests.test_data_stores import MEETING_OF_TWO, lines_of, put
from tests.test_data_streams import fill
from tests.test_meeting import STORY, record_of
from worker.data_cli import app
from worker.errors import ConfigError
from worker.ops.audit_cli import examine
from worker.ops.ledger import Ledger, Note
from worker.privacy.audit import pseudonym
from worker.report.page import write


@pytest.fixture
def house(tmp_path, redis_url):
    """A configuration with something of two people in every place it names."""
    with Redis.from_url(redis_url) as redis:
        fill(redis)
    put(tmp_path / "events.jsonl", [*lines_of(*MEETING_OF_TWO), *lines_of(*MEETING_OF_TWO, epoch=8)])
    letters = [{"lost": "x", "reason": "y", "event": json.loads(line)} for line in lines_of(*MEETING_OF_TWO)]
    put(tmp_path / "lost.jsonl", [json.dumps(letter).encode() for letter in letters])
    put(tmp_path / "lost.jsonl.1", [json.dumps(letter).encode() for letter in letters])
    write(record_of(STORY) | {"room": "quiet"}, tmp_path / "monday")
    ledger = Ledger(tmp_path / "audit.jsonl")
    people = [("p1", 7), ("p2", 7), ("p1", 8)]
    ledger.append([Note(1.8e9, "consent.granted", "quiet", epoch, who, {"by": "page"}) for who, epoch in people])
    config = {
        "room": {"kind": "embedded", "name": "quiet"},
        "sinks": [
            {"kind": "redis", "url": redis_url},
            {"kind": "jsonl", "path": str(tmp_path / "events.jsonl")},
            {
                "kind": "webhook",
                "url": "https://example.org",
                "secret": "env:NOT_SET",
                "dead_letters": str(tmp_path / "lost.jsonl"),
            },
        ],
        "audit": {"path": str(tmp_path / "audit.jsonl")},
    }
    (tmp_path / "worker.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def undertone(house, verb, *arguments):
    return CliRunner().invoke(app, [verb, str(house / "worker.yaml"), *map(str, arguments)])


def entries(house, kind):
    return [one for line in lines(house / "audit.jsonl") if (one := json.loads(line))["kind"] == kind]


def lines(path):
    return path.read_text().splitlines()


def test_people_are_found_with_their_names_and_runs(house):
    done = undertone(house, "people", "--room", "quiet", "--report", house, "--json")
    assert done.exit_code == 0, done.output
    rows = {(row["participant"], row["epoch"]): row for row in json.loads(done.stdout)["people"]}
    assert set(rows) == {("p1", 7), ("p2", 7), ("p1", 8), ("p2", 8)}
    assert rows["p1", 8]["names"] == ["Ada"]
    assert rows["p1", 8]["first"] == "2026-01-01T12:00:01.000Z"
    assert rows["p1", 8]["last"] == "2026-01-01T12:00:09.000Z"
    assert "Ada" in undertone(house, "people", "--room", "quiet").stdout
    assert "Ada" not in undertone(house, "people", "--room", "loud").stdout


def test_export_then_erase_then_nothing(house):
    who = ("--room", "quiet", "--participant", "p1", "--epoch", 7, "--report", house)
    out = house / "ada.json"
    done = undertone(house, "export", *who, "--out", out)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    copy = json.loads(out.read_text())
    assert copy["names"] == ["Ada"]
    assert copy["complete"] is True
    names = {text for record in copy["records"] for text in words_of(record) if "Bo" in text}
    assert names == {"Let Bo speak."}
    kept = {tuple(entry["kept_in"]) for entry in copy["records"]}
    assert ("redis", "jsonl", "dead_letters", "dead_letters.older") in kept
    assert {("reports",), ("audit",)} <= kept

    receipt = house / "receipt.json"
    done = undertone(house, "erase", *who, "--out", receipt)
    assert done.exit_code == 0, done.output
    said = json.loads(receipt.read_text())
    assert said["complete"] is True
    assert {one["store"]: (one["erased"], one["cut"]) for one in said["stores"]} == {
        "redis": (5, 4),
        "jsonl": (5, 3),
        "dead_letters": (5, 3),
        "dead_letters.older": (5, 3),
        "reports": (0, 3),
        "audit": (1, 0),
    }
    assert "Ada" not in receipt.read_text() + done.stdout
    assert "webhook handed to others" in done.stdout
    assert said["notes"][0] in done.stdout

    [exported], [erased] = entries(house, "export"), entries(house, "erasure")
    granted = entries(house, "consent.granted")
    assert {exported["fields"]["speaker"], erased["fields"]["speaker"]} == {granted[0]["fields"]["speaker"]}
    assert erased["fields"]["stores"] == ["redis", "jsonl", "dead_letters", "dead_letters.older", "reports"]
    assert examine([house / "audit.jsonl"]).findings == []
    salts = [json.loads(line) for line in lines(house / "audit.jsonl.salts")]
    assert {(one["speaker"], one["epoch"]) for one in salts if one["speaker"]} == {("p2", 7), ("p1", 8)}
    for salt in salts:
        made = pseudonym(bytes.fromhex(salt["salt"]), "quiet", "p1")
        assert made != erased["fields"]["speaker"]

    done = undertone(house, "export", *who, "--out", out)
    assert (done.exit_code, json.loads(out.read_text())["records"]) == (0, [])
    assert undertone(house, "erase", *who).exit_code == 0
    for line in (house / "events.jsonl").read_text().splitlines():
        assert ('"epoch":8' in line) or not ('"p1' in line or "Ada" in line)


def test_who_could_be_several_people_is_not_guessed(house):
    done = undertone(house, "erase", "--room", "quiet", "--participant", "p1")
    assert isinstance(done.exception, ConfigError)
    assert "2 runs" in str(done.exception)
    for wrong in ("erased", "managers", ""):
        assert isinstance(undertone(house, "erase", "--room", "quiet", "--participant", wrong).exception, ConfigError)
    both = ("--epoch", 7, "--all-epochs")
    assert isinstance(undertone(house, "erase", "--room", "quiet", "--participant", "p1", *both).exception, ConfigError)
    done = undertone(house, "erase", "--room", "quiet", "--participant", "p1", "--all-epochs")
    assert done.exit_code == 0
    assert '"p1"' not in (house / "events.jsonl").read_text()


def test_what_cannot_be_reached_is_said_and_done_the_next_time(house):
    who = ("--room", "quiet", "--participant", "p1", "--epoch", 8)
    config = (house / "worker.yaml").read_text()
    url = yaml.safe_load(config)["sinks"][0]["url"]
    (house / "worker.yaml").write_text(config.replace(url, "redis://127.0.0.1:9"))
    done = undertone(house, "erase", *who, "--json")
    assert done.exit_code == 1
    said = {one["store"]: one for one in json.loads(done.stdout)["stores"]}
    assert "does not answer" in said["redis"]["failed"]
    assert said["jsonl"]["erased"] == 5
    assert "complete" in said["audit"]["failed"]
    assert undertone(house, "people", "--room", "quiet").exit_code == 1
    assert undertone(house, "export", *who, "--out", house / "x.json").exit_code == 1
    (house / "worker.yaml").write_text(config)
    done = undertone(house, "erase", *who)
    assert done.exit_code == 0, done.stdout
    assert len({one["fields"]["speaker"] for one in entries(house, "erasure")}) == 1


def test_a_run_that_may_go_on_is_said(house):
    put(house / "events.jsonl", lines_of(*MEETING_OF_TWO[:-1], epoch=9))
    done = undertone(house, "erase", "--room", "quiet", "--participant", "p1", "--epoch", 9)
    assert done.exit_code == 1
    assert "worker: NOT done" in done.stdout
    assert '"p1"' not in (house / "events.jsonl").read_text()


def test_everything_is_sealed_anew_for_another_key(house):
    config = yaml.safe_load((house / "worker.yaml").read_text())
    keys = ["A" * 43 + "=", "B" * 42 + "A="]
    for order in (keys[:1], keys[::-1], keys[1:]):
        config["keeping"] = {"keys": order}
        (house / "worker.yaml").write_text(yaml.safe_dump(config))
        done = undertone(house, "reseal")
        assert done.exit_code == 0, done.output
        assert "salts: " in done.stdout
    for name in ("events.jsonl", "lost.jsonl", "audit.jsonl.salts"):
        assert all(line.startswith("sealed:") for line in lines(house / name))
    who = ("--room", "quiet", "--participant", "p1", "--epoch", 7)
    assert undertone(house, "erase", *who).exit_code == 0
