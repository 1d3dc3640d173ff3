"""Trying rules out: on written events, on recordings through the whole chain, and on what is neither."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.test_sealing import OLD
from worker.cli import app
from worker.envelope import Numbering
from worker.errors import ConfigError
from worker.events import (
    Interrupted,
    RoomClosed,
    RoomOpened,
    SpeakerJoined,
    SpeechEnded,
    SpeechStarted,
    TalkTime,
)
from worker.ops.retention import reseal
from worker.privacy.sealing import Seal

RULES = """
- name: long_run
  when: me.run_s > 20
  text: Pause.
  reason: You have gone on for {me.run_s:seconds}.
- name: invite
  when: me.talk_s == 0 and room.heard_s > 30
  audience: managers
  text: Ask {me.name}.
  reason: They have said nothing.
"""
EVENTS = [
    RoomOpened(0.0),
    SpeakerJoined(0.0, "p1", "Ada"),
    SpeakerJoined(0.0, "p2", "Bo"),
    SpeechStarted(1.0, "p1"),
    *(TalkTime(float(at), {}) for at in range(2, 26)),
    SpeechEnded(25.0, "p1", 1.0),
    *(TalkTime(float(at), {}) for at in range(26, 41)),
    Interrupted(39.0, "p1", "p2", 1.0),
    RoomClosed(40.0, "ended"),
]


def write(path, *meetings):
    """A file of the sink jsonl: each meeting with an epoch of its own."""
    lines = []
    for epoch, events in enumerate(meetings, 1):
        numbering = Numbering("room", epoch, datetime(2026, 1, 1, tzinfo=UTC))
        lines += [numbering.wrap(event).as_json() for event in events]
    path.write_text("".join(line + "\n" for line in lines))
    return path


@pytest.fixture
def rules(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path / "rules.yaml"


@pytest.fixture(autouse=True)
def unchanged_logging(monkeypatch):
    monkeypatch.setattr("worker.ops.logs.setup", lambda **options: None)


def try_out(*arguments):
    done = CliRunner().invoke(app, ["coaching", "test", *map(str, arguments)], env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_events_say_what_would_have_been_said_and_what_was_held_back(tmp_path, rules):
    found = json.loads(try_out(rules, "--on", write(tmp_path / "events.jsonl", EVENTS), "--json"))
    said = [(prompt["to"], prompt["rule"], prompt["text"]) for prompt in found["said"]]
    assert said == [("p1", "long_run", "Pause."), ("managers", "invite", "Ask Bo.")]
    assert 25 <= found["said"][0]["at"] <= 26
    (held,) = found["held_back"]
    assert (held["to"], held["rule"], held["reason"]) == ("p1", "long_run", "speaking")
    assert 21 <= held["at"] <= 22
    assert found["unused"] == {}


def test_the_same_as_a_table_with_names(tmp_path, rules):
    text = try_out(rules, "--on", write(tmp_path / "events.jsonl", EVENTS))
    assert [line.split()[:3] for line in text.splitlines() if ":" in line[:6]] == [
        ["0:21", "Ada", "long_run"],
        ["0:25", "Ada", "long_run"],
        ["0:31", "managers", "invite"],
    ]
    assert "waits: they speak" in text
    assert "You have gone on for" in text
    assert text.splitlines()[-1] == "2 said, 1 held back."


def test_the_newest_meeting_of_a_file_counts(tmp_path, rules):
    path = write(tmp_path / "events.jsonl", EVENTS, EVENTS[:3])
    assert try_out(rules, "--on", path).splitlines() == ["0 said, 0 held back."]


def test_a_configuration_says_what_is_allowed(tmp_path, rules):
    config = tmp_path / "config.yaml"
    sections = "room: {kind: embedded}\nconversation: [{kind: dynamics}]\n"
    config.write_text(sections + "coaching: {rules: [sales], wait_while_speaking: false}\n")
    text = try_out(rules, "--on", write(tmp_path / "events.jsonl", EVENTS), "--config", config)
    assert "0:21  Ada  long_run  Pause." in text
    assert text.splitlines()[-1] == "invite is left out: coaching.managers is false."


def test_sealed_events_are_read_with_the_keys_of_the_configuration(tmp_path, rules, monkeypatch):
    events, config = write(tmp_path / "events.jsonl", EVENTS), tmp_path / "my.yaml"
    monkeypatch.setenv("UT_TEST_KEY", OLD)
    config.write_text("room: {kind: replay, files: [a.wav]}\nkeeping: {keys: ['env:UT_TEST_KEY']}\n")
    plain = try_out(rules, "--on", events, "--config", config)
    reseal([events], Seal([OLD]))
    assert b'"type"' not in events.read_bytes()
    assert try_out(rules, "--on", events, "--config", config) == plain
    with pytest.raises(ConfigError, match="line 1 is sealed: name a configuration"):
        try_out(rules, "--on", events)


def test_recordings_go_through_the_whole_chain(tmp_path, rules):
    rules.write_text(RULES.replace("run_s > 20", "talk_s > 2"))
    config = tmp_path / "config.yaml"
    config.write_text("room: {kind: embedded}\ncoaching: {rules: [sales], wait_while_speaking: false}\n")
    voices = [Path("tests/data", f"{name}.ogg") for name in ("anna", "ben")]
    found = json.loads(try_out(rules, "--on", voices[0], "--on", voices[1], "--config", config, "--json"))
    assert {prompt["to"] for prompt in found["said"]} == {"s1", "s2"}
    assert {prompt["rule"] for prompt in found["said"]} == {"long_run"}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["none.jsonl"], "does not exist"),
        (["events.jsonl", "events.jsonl"], "takes one file of events"),
        (["other.jsonl"], "is no event of the worker"),
        (["wrong.jsonl"], "io.undertone.speech.ended.v1 has a wrong started: Input should be a valid number"),
    ],
)
def test_what_cannot_be_played_is_one_sentence(tmp_path, rules, names, sentence):
    write(tmp_path / "events.jsonl", EVENTS)
    (tmp_path / "other.jsonl").write_text("{}\n")
    wrong = (tmp_path / "events.jsonl").read_text().replace('"started":1.0', '"started":"soon"')
    (tmp_path / "wrong.jsonl").write_text(wrong)
    with pytest.raises(ConfigError, match=sentence):
        try_out(rules, *(part for name in names for part in ("--on", tmp_path / name)))


def test_a_rule_with_a_mistake_is_named_with_its_line(tmp_path, rules):
    rules.write_text(RULES.replace("me.run_s >", "me.rn_s >"))
    with pytest.raises(ConfigError, match=r"rules.yaml, line 3: when: me.rn_s does not exist; did you mean me.run_s\?"):
        try_out(rules, "--on", write(tmp_path / "events.jsonl", EVENTS))
