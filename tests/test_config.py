"""Settings: what wins over what, and one sentence for every mistake."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from worker import config
from worker.config import Settings, json_schema, read, settle_room, shipped
from worker.errors import ConfigError

CONFIGS = sorted(Path("configs").glob("*.yaml"))
SMALL = "room: {kind: embedded}\n"


@pytest.fixture
def load(tmp_path):
    def load(text, overrides=None, environment=None):
        path = tmp_path / "some.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path, overrides, environment or {})

    return load


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_file_is_valid_in_the_order_of_the_flow(path):
    settings = read(path, environment={})
    sections = list(yaml.safe_load(path.read_text()))
    assert settings.room["kind"] if settings.room else settings.control is not None
    assert sections == [name for name in Settings.model_fields if name in sections]
    jsonschema.validate(yaml.safe_load(path.read_text()), json_schema())


def test_there_are_shipped_files():
    assert {"demo.yaml", "janus.yaml", "production.yaml", "replay.yaml"} <= {path.name for path in CONFIGS}
    assert shipped("demo.yaml").is_file()


def test_a_small_file_gets_every_default(load):
    settings = load(SMALL)
    assert settings.vad == {"kind": "silero"}
    assert settings.emotion == {"kind": "onnx"}
    kinds = [section["kind"] for section in settings.conversation]
    assert kinds == ["talk_time", "dynamics", "engagement", "shifts"]
    assert (settings.sinks, settings.server, settings.drain_s) == ([], {}, 10.0)
    assert settings.control is None
    assert settings.logs.level == "info"


def test_drift_is_of_no_fewer_than_five_people(load):
    with pytest.raises(ConfigError, match=r"drift\.speakers"):
        load("room: {kind: embedded}", {"drift.speakers": 4})
    assert load("room: {kind: embedded}", {"drift.speakers": 5}).drift == {"speakers": 5}


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(load):
    text = "room: {kind: embedded, guests: 1, largest: 5, name: here}"
    environment = {"UNDERTONE__ROOM__GUESTS": "2", "UNDERTONE__ROOM__LARGEST": "6", "OTHER": "x"}
    room = load(text, {"room.guests": 3}, environment).room
    assert room == {"kind": "embedded", "guests": 3, "largest": 6, "name": "here"}


def test_the_environment_reaches_defaults_lists_and_nested_settings(load):
    text = SMALL + "sinks: [{kind: redis}]"
    environment = {
        "UNDERTONE__SINKS__0__URL": "env:REDIS_URL",
        "UNDERTONE__SEGMENTER__THRESHOLD": "0.7",
        "UNDERTONE__EMOTION": "null",
        "UNDERTONE__CONVERSATION": "[{kind: talk_time, every_s: 2}]",
        "UNDERTONE__LOGS__LEVEL": "debug",
        "UNDERTONE__DRAIN_S": "3",
        "UNDERTONE__SERVER__TOKEN": "12345",
    }
    settings = load(text, environment=environment)
    assert settings.sinks == [{"kind": "redis", "url": "env:REDIS_URL"}]
    assert settings.segmenter == {"threshold": 0.7}
    assert settings.emotion is None
    assert settings.conversation == [{"kind": "talk_time", "every_s": 2.0}]
    assert (settings.logs.level, settings.drain_s) == ("debug", 3.0)
    assert settings.server == {"token": "12345"}


def test_a_token_of_the_control_api_is_seen_where_it_is_needed_and_not_read(load):
    text = SMALL + "server: {host: 0.0.0.0, token: env:UNSET}\ncontrol: {token: env:UNSET}"
    assert load(text).control == {"token": "env:UNSET"}


def test_with_the_control_api_no_room_is_needed(load):
    for text in ("control: {}", "room:\ncontrol: {allow: ['wss://sfu.test']}"):
        settings = load(text)
        assert settings.room is None
        assert settings.control is not None
    environment = {"UNDERTONE__CONTROL__ALLOW": "['ws://sfu.test:8188']", "UNDERTONE__ROOM": "null"}
    settings = load(SMALL, environment=environment)
    assert (settings.room, settings.control) == (None, {"allow": ("ws://sfu.test:8188",)})


def test_a_template_may_leave_settings_open(load):
    template = {"kind": "replay", "realtime": "yes"}  # its `files` are to be given
    settings = load(SMALL + f"control: {{templates: {{tape: {template}}}}}")
    assert settings.control == {"templates": {"tape": template}}


def test_a_room_is_settled_with_its_defaults():
    settled = settle_room({"kind": "embedded", "guests": "3"})
    assert (settled["kind"], settled["guests"], settled["name"], settled["gate"]) == ("embedded", 3, "demo", True)
    with pytest.raises(ConfigError, match=r"room\.gests is not a known setting"):
        settle_room({"kind": "embedded", "gests": 1})


def test_an_empty_section_means_its_defaults(load):
    settings = load(SMALL + "segmenter:\nvad:\nemotion:\n")
    assert settings.segmenter == {}
    assert settings.vad == {"kind": "silero"}
    assert settings.emotion is None


MISTAKES = [
    ("room: {kind: embeded}", "room: kind 'embeded' is unknown: use one of embedded, janus, replay"),
    ("room: {guests: 1}", "room.kind is missing"),
    ("vad: {kind: silero}", "room is missing"),
    ("room:\nvad: {kind: silero}", "room is missing"),
    (SMALL + "control: {alow: []}", "control.alow is not a known setting; did you mean 'allow'?"),
    (SMALL + "control: {allow: ['sfu.test']}", "control.allow: 'sfu.test' is no address: write scheme://host:port"),
    (SMALL + "server: {host: 0.0.0.0, token: env:UNSET}\ncontrol: {}", "control.token is missing: beyond loopback"),
    (SMALL + "server: {host: 0.0.0.0, token: env:UNSET}\ncontrol: {token: ''}", "control.token is missing"),
    (SMALL + "control: {largest: 0}", "control.largest: Input should be greater"),
    (SMALL + "control: {rooms: {}}", "control.rooms is not a known setting"),
    (SMALL + "control: {templates: {a: {nmae: x}}}", "control.templates.a.kind is missing"),
    (SMALL + "control: {templates: {a: {kind: embeded}}}", "control.templates.a: kind 'embeded' is unknown"),
    (SMALL + "control: {templates: {a: {kind: embedded, nmae: x}}}", "control.templates.a.nmae is not a known setting"),
    (SMALL + "control: {templates: {a: {kind: embedded, guests: x}}}", "control.templates.a.guests: Input should be"),
    (SMALL + "control: {}\nsinks: [{kind: jsonl, path: a.jsonl, append: false}]", "sinks.0.append must be true"),
    (SMALL + "smothing: {}", "smothing is not a known setting; did you mean 'smoothing'?"),
    (SMALL + "smoothing: {spam_s: 1}", "smoothing.spam_s is not a known setting; did you mean 'span_s'?"),
    (SMALL + "sinks: [{kind: data_channel}, {kind: redis, ulr: x}]", "sinks.1.ulr is not a known setting; did you"),
    (SMALL + "logs: {levle: info}", "logs.levle is not a known setting; did you mean 'level'?"),
    (SMALL + "logs: {level: loud}", "logs.level: Input should be 'debug', 'info', 'warning' or 'error'"),
    (SMALL + "server: {port: many}", "server.port: Input should be a valid integer"),
    (SMALL + "sinks: {kind: redis}", "sinks: Input should be a valid list"),
    (SMALL + "vad: silero", "vad: Input should be a valid dictionary"),
    (SMALL + "drain_s: -1", "drain_s: Input should be greater than or equal to 0"),
    (SMALL + "segmenter: {threshold: 7}", "segmenter: release and threshold must be"),
    (SMALL + "sinks: [{kind: jsonl}]", "sinks.0.path is missing; it has no default."),
    (SMALL + "emotion: {kind: 'no_such_package.module:Name'}", "emotion: kind 'no_such_package.module:Name' could not"),
    (SMALL + "room: {", "is not YAML near line 2"),
    ("", "must be a YAML mapping"),
    ("- room", "must be a YAML mapping"),
    (b"\xff\xfe\x00", "is not text in YAML"),
    (SMALL + "server: {server: x}", "server.server is not a known setting"),
    (SMALL + "server: {host: 0.0.0.0}", "nothing listens beyond loopback without a token"),
    (SMALL + "vad: {threads: 0, kind: silero}", "vad.threads: Input should be greater than or equal to 1"),
    (SMALL + "sinks: [{kind: websocket, history: 0}]", "sinks.0.history: Input should be greater"),
    (SMALL + "sinks: [{kind: websocket, waiting: -1}]", "sinks.0.waiting: Input should be greater"),
    (SMALL + "sinks: [{kind: redis, stream_length: 0}]", "sinks.0.stream_length: Input should be greater"),
    (SMALL + "sinks: [{kind: redis, outbox: 0}]", "sinks.0.outbox: Input should be greater"),
    (SMALL + "smoothing: {span_s: .nan}", "smoothing.span_s: Input should be a finite number"),
    (SMALL + "sinks: [{kind: redis, url: 'http://host'}]", "sinks.0: the Redis url is not one"),
    (SMALL + "sinks: [{kind: redis, url: 'redis://host/0?nothing=1'}]", "sinks.0: the Redis url is not one"),
    (SMALL + "sinks: [{kind: jsonl, path: /not/there/events.jsonl}]", "sinks.0: the folder /not/there does not exist"),
    (SMALL + "conversation: [{kind: talk_time, every_s: 0}]", "talk_time: every_s must be above 0"),
    (SMALL + "conversation: [{kind: dynamics, bridge_s: 0}]", "dynamics: settle_s and silent_after_s must not"),
    (SMALL + "conversation: [{kind: dynamics, windw_s: 9}]", "conversation.0.windw_s is not a known setting; did you"),
    (SMALL + "emotion: {kind: prosody, learning_windows: 0}", "prosody: set 1 <= learning_windows"),
]


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence_that_names_its_key(load, text, sentence):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_or_a_folder_is_one_sentence(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match="name a YAML file that exists"):
            read(path, environment={})


@pytest.mark.parametrize(
    ("name", "value"), [("UNDERTONE__SINKS__5__URL", "x"), ("UNDERTONE__SINKS", "[{"), ("UNDERTONE__DRAIN_S__X", "1")]
)
def test_a_wrong_environment_variable_is_named(load, name, value):
    with pytest.raises(ConfigError, match=name):
        load(SMALL, environment={name: value})


SECRETS = [
    "sinks: [{kind: redis, url: 'redis://me:hunter2@host'}]",
    "server: {token: hunter2}",
    "emotion: {kind: prosody}\nserver: {token: hunter2}",
    "control: {templates: {a: {kind: embedded, name: hunter2}}}",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_do_not_show_in_a_printed_object(load, text):
    assert "hunter2" not in repr(load(SMALL + text)) + str(load(SMALL + text))


@pytest.mark.parametrize("text", ["server: {token: *hunter2}", "server: {token: [hunter2]}", "server: {tokn: hunter2}"])
def test_secrets_do_not_show_in_an_error(load, text):
    with pytest.raises(ConfigError) as caught:
        load(SMALL + text)
    assert "hunter2" not in str(caught.value)


def test_named_secrets_stay_unread(load):
    text = SMALL + "server: {token: env:NOT_SET}\nsinks: [{kind: redis, url: file:/not/there}]"
    settings = load(text)
    assert settings.server["token"] == "env:NOT_SET"
    assert settings.sinks[0]["url"] == "file:/not/there"


def test_the_schema_is_one_and_knows_every_kind():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for section, kinds in config.TABLES.items():
        text = str(schema["properties"][section])
        assert all(f"'const': '{kind}'" in text for kind in kinds)
    valid = jsonschema.Draft202012Validator(schema).is_valid
    assert valid({"room": {"kind": "embedded"}, "emotion": None})
    assert valid({"room": {"kind": "their.package:Room", "anything": 1}})
    assert not valid({"room": {"kind": "embedded", "gests": 1}})
    assert valid({"room": None, "control": {"allow": ["wss://sfu.test"], "templates": {"a": {"kind": "embedded"}}}})
    assert not valid({"control": {"alow": []}})
    assert not valid({"emotion": None})
    assert not valid({"room": {"kind": "embedded"}, "windows": {"hop": 1}})
