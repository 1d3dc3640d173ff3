"""Reports: what they hold, that they ask nobody for anything, and that names in them are only names."""

import csv
import json
from io import StringIO

import pytest
import redis

from tests.test_meeting import STORY, joined, record_of
from worker.cli import report_command
from worker.errors import ConfigError
from worker.report import sources
from worker.report.page import as_csv, as_html, as_json, write
from worker.report.sources import from_file, from_redis, meetings, read, rooms_in_redis


def lines(path, messages):
    path.write_text("".join(json.dumps(message) + "\n" for message in messages))
    return path


def test_a_report_is_three_files_and_the_page_asks_nobody(tmp_path):
    written = write(record_of(STORY), tmp_path / "monday")
    assert [path.name for path in written] == ["monday.html", "monday.csv", "monday.json"]
    page = written[0].read_text()
    assert "default-src 'none'" in page
    for word in ("http://", "https://", "<link", " src=", "import ", "url("):
        outside = page.replace("http://www.w3.org/2000/svg", "")
        assert word not in outside
    assert "export function overview(" in page


def test_no_name_ends_the_script_or_becomes_a_formula():
    record = record_of([joined(1, 0, "p1", "</script><b>", "=SUM(A1)"), joined(2, 0, "p2", "-1+1")])
    assert "</script><b>" not in as_html(record)
    rows = list(csv.DictReader(StringIO(as_csv(record))))
    assert [(row["name"], row["role"]) for row in rows] == [("</script><b>", "'=SUM(A1)"), ("'-1+1", "")]


def test_the_table_holds_no_emotion():
    text = as_csv(record_of(STORY))
    assert text.splitlines()[1].startswith("p1,Ada,seller,3.0,0.2,")
    assert not any(word in text for word in ("tense", "arousal", "valence", "emotion"))


def test_the_record_is_written_as_it_is():
    assert json.loads(as_json(record_of(STORY)))["interruptions"] == [[20, "p1", "p2", 0.8]]


def test_each_opening_of_a_room_is_a_meeting_of_its_own(tmp_path):
    later = [{**message, "epoch": 9} for message in STORY[:2]]
    found = meetings(from_file(lines(tmp_path / "e.jsonl", [*later, *STORY])))
    assert [one.epoch for one in found] == [7, 9]


def test_a_cut_off_last_line_is_passed_over_and_another_file_refused(tmp_path):
    path = lines(tmp_path / "e.jsonl", STORY[:2])
    path.write_text(path.read_text() + '{"type": "io.und')
    assert len(list(from_file(path))) == 2
    path.write_text("one line of a shopping list\n")
    with pytest.raises(ConfigError, match="line 1 is no event of the worker"):
        list(from_file(path))


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (["gone.jsonl"], "gone.jsonl cannot be read"),
        (["gone.wav"], "gone.wav does not exist"),
        (["a", "b"], "a does not exist"),
    ],
)
def test_what_is_not_there_is_named(what, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read(what, "redis://127.0.0.1:1/0")


def test_a_redis_that_is_away_is_said_in_a_sentence():
    with pytest.raises(ConfigError, match="Redis does not answer"):
        read(["sales"], "redis://127.0.0.1:1/0")


def test_a_room_is_read_from_its_stream(redis_url, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK", 3)
    events, prompts = ([m for m in STORY if bool(m.get("audience")) is private] for private in (False, True))
    with redis.Redis.from_url(redis_url) as client:
        for key, messages in (("events", events[:-1]), ("prompts", prompts)):
            for number, message in enumerate(messages, 1):
                client.xadd(f"ut:{{sales}}:{key}", {"event": json.dumps(message)}, id=f"7-{number}")
    assert rooms_in_redis(redis_url) == ["sales"]
    assert meetings(from_redis(redis_url, "sales"))[-1].as_dict() == record_of([*events, *prompts])
    with pytest.raises(ConfigError, match="holds no events of that room"):
        list(from_redis(redis_url, "other"))


def test_the_command_says_where_the_report_is(tmp_path, capsys):
    report_command([str(lines(tmp_path / "e.jsonl", STORY))], tmp_path / "out", "redis://127.0.0.1:1/0")
    said = capsys.readouterr().out
    assert f"The report is {tmp_path / 'out.html'}." in said.replace("\n", "")
    assert "Ada" in said
