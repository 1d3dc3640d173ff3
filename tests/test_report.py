"""Reports: what they hold, that they ask nobody for anything, and that names in them are only names."""

import csv
import json
import re
from io import StringIO

import pytest
import redis

from tests.test_meeting import STORY, joined, message, record_of
from tests.test_sealing import NEW, OLD
from worker.cli import report_command
from worker.emotion import CLASSES
from worker.emotion.labels import LABELS
from worker.errors import ConfigError
from worker.ops.retention import reseal
from worker.privacy.sealing import Seal
from worker.report import sources
from worker.report.meeting import Meeting
from worker.report.page import as_csv, as_html, as_json, write
from worker.report.readers import Readers, record_for
from worker.report.sources import from_file, from_redis, meetings, read, rooms_in_redis

VOCABULARY = [
    *LABELS,
    *CLASSES,
    "mixed",
    "emotion",
    "emotions",
    "arousal",
    "valence",
    "mood",
    "feel",
    "feels",
    "sounds",
]
VOCABULARY += ["calm", "calmer", "lively", "livelier", "liveliness", "pleasant", "unpleasant", "tone", "sounded"]


def meeting_of(messages):
    one = Meeting("sales", 7)
    for each in messages:
        one.fold(each)
    return one


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


def test_lines_stand_in_the_order_in_which_people_came():
    speakers = {"p2": {"talk_s": 900.0, "talk_share": 0.9}, "p1": {"talk_s": 100.0, "talk_share": 0.1}}
    record = record_of([*STORY[:2], message("conversation.v1", 3, 30, room={}, speakers=speakers)])
    assert [line.split(",")[0] for line in as_csv(record).splitlines()] == ["speaker", "p1", "p2"]


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
    events, config = lines(tmp_path / "e.jsonl", STORY), tmp_path / "my.yaml"
    config.write_text("{room: {kind: embedded}, dashboard: {smallest_group: 1}, notice: {contact: dpo@example.org}}")
    report_command([str(events)], tmp_path / "out", config=config)
    said = capsys.readouterr().out
    assert f"The report is {tmp_path / 'out.html'}." in said.replace("\n", "")
    assert "Ada" in said
    assert json.loads((tmp_path / "out.json").read_text())["contact"] == "dpo@example.org"


def test_a_report_of_too_few_says_why_it_says_nothing(tmp_path, capsys):
    report_command([str(lines(tmp_path / "e.jsonl", STORY))], tmp_path / "out")
    told = capsys.readouterr().out + "".join((tmp_path / f"out.{ending}").read_text() for ending in ("json", "csv"))
    assert "Fewer than 5 people were analysed" in told
    assert not any(word in told for word in ("Ada", "Bo", "p1", "p2", "tense"))


def test_what_is_for_a_personnel_file_holds_no_emotion_not_even_the_word(tmp_path):
    record = record_for(meeting_of(STORY), Readers.PERSONNEL)
    assert record["figures"]["speakers"]["p1"]["talk_s"] == 3.0
    page, *rest = write(record, tmp_path / "file")
    for text in (page.read_text(), *(path.read_text() for path in rest)):
        said = {word.lower() for word in re.findall(r"[A-Za-z]+", text)}
        assert said.isdisjoint(VOCABULARY)
        assert said.isdisjoint({"loudness", "pitch", "syllables", "pace"} if text != page.read_text() else ())
    without_style = re.sub("<style>.*?</style>", "", page.read_text(), flags=re.DOTALL)
    assert not any(word in without_style for word in ("Engagement", "Prompts", "shifts"))
    assert "Left out on purpose" in without_style
    everything = {
        word.lower() for word in re.findall(r"[A-Za-z]+", as_html(record_for(meeting_of(STORY), Readers.TEAM)))
    }
    assert {"tense", "sounded", "emotion"} <= everything


def test_ones_own_report_holds_nobody_else_however_small_the_group():
    record = record_for(meeting_of(STORY), Readers.PARTICIPANT, "p1", smallest=5, contact="dpo@example.org")
    assert (record["people"].keys(), record["figures"]) == (
        {"p1"},
        {"speakers": {"p1": {"talk_s": 3.0, "talk_share": 0.2}}},
    )
    assert ([one["text"] for one in record["prompts"]], record["speech"]) == (["Ask."], {"p1": [[2.0, 5]]})
    assert not re.search(r'"(p2|Bo|tense)"', as_json(record))
    other = record_for(meeting_of(STORY), Readers.PARTICIPANT, "p2")
    assert ([one[3] for one in other["emotion"]["p2"]], other["prompts"]) == (["tense", "mixed"], [])
    with pytest.raises(ConfigError, match=r"no participant 'p9' in this meeting: name one of p1, p2"):
        record_for(meeting_of(STORY), Readers.PARTICIPANT, "p9")


def test_a_report_for_a_participant_names_them(tmp_path):
    for options in ({"readers": Readers.PARTICIPANT}, {"participant": "p1"}):
        with pytest.raises(ConfigError, match="give it with --for participant"):
            report_command(["e.jsonl"], tmp_path / "out", **options)


def test_a_sealed_file_is_reported_with_the_keys_of_a_configuration(tmp_path, monkeypatch, capsys):
    events, config = lines(tmp_path / "e.jsonl", STORY), tmp_path / "my.yaml"
    reseal([events], Seal([OLD]))
    config.write_text("room: {kind: embedded}\nkeeping: {keys: ['env:UT_TEST_KEY']}\n")
    monkeypatch.setattr("worker.ops.logs.setup", lambda **options: None)
    monkeypatch.setenv("UT_TEST_KEY", OLD)
    report_command([str(events)], tmp_path / "out", config=config)
    assert "The report is" in capsys.readouterr().out
    monkeypatch.setenv("UT_TEST_KEY", NEW)
    with pytest.raises(ConfigError, match=r"e\.jsonl, line 1 is sealed with a key that keeping\.keys does not hold"):
        report_command([str(events)], tmp_path / "out", config=config)
    with pytest.raises(ConfigError, match=r"e\.jsonl, line 1 is sealed: name a configuration"):
        report_command([str(events)], tmp_path / "out")
