"""The documents of the contract: current, valid, and true of what is really sent."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.fakes import envelopes, folded
from worker.events import (
    EVENTS,
    BackChannel,
    ConversationMeasured,
    EmotionAbstained,
    EmotionDrifted,
    EmotionEstimated,
    EmotionShifted,
    EmotionUnavailable,
    Engagement,
    Gap,
    Interrupted,
    Overlapped,
    PromptAnswered,
    Prompted,
    RoomClosed,
    RoomInterrupted,
    RoomOpened,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeakerUnmuted,
    SpeechEnded,
    SpeechMeasured,
    SpeechStarted,
    Talk,
    TalkTime,
    TurnEnded,
    TurnStarted,
)
from worker.figures import PersonFigures, RoomFigures, SideFigures
from worker.schema import asyncapi, documents, events_schema, message_names, outdated

FOLDER = Path("docs/schema")

SAMPLES = [
    RoomOpened(0.0),
    SpeakerJoined(0.5, "p1", "Ada"),
    SpeakerMuted(1.0, "p1"),
    SpeakerUnmuted(1.5, "p1"),
    SpeakerAnalysed(1.7, "p1", False),
    SpeakerAnalysed(1.8, "p1", True),
    SpeechStarted(2.0, "p1"),
    EmotionAbstained(2.8, "p1", 2.0, "learning", "prosody"),
    EmotionEstimated(3.0, "p1", 2.0, -0.25, None, {"calm": 0.9}, 0.8, True, "prosody"),
    TalkTime(3.0, {"p1": Talk(1.0, 1.0)}),
    SpeechEnded(4.0, "p1", 2.0),
    EmotionUnavailable(4.0, "p1", 2.0, "timeout", "prosody"),
    EmotionDrifted(4.0, "confidence", 0.7, 0.6, 500, "onnx"),
    Gap(5.0, 11, 12),
    SpeechMeasured(4.0, "p1", 2.0, None, -21.5),
    TurnStarted(2.0, "p1", None, None),
    TurnEnded(4.0, "p1", 2.0),
    Interrupted(3.5, "p1", "p2", 0.5),
    Overlapped(3.5, "p2", "p1", 0.5),
    BackChannel(3.5, "p2", "p1", 0.5),
    ConversationMeasured(
        5.0, 300.0, RoomFigures(), {"p1": PersonFigures()}, {"seller": SideFigures()}, {"p1": {"p2": 1}}, {}, ("p1",)
    ),
    Engagement(5.0, None, {"balance": None, "silence": 1.0}, {"balance": 0.5, "silence": 0.5}, 0.1),
    EmotionShifted(5.0, "p1", "arousal_rise", 0.0, 0.5, 6.0),
    SpeakerLeft(6.0, "p1"),
    RoomInterrupted(6.5, 0.5, "signalling_lost", 1),
    Prompted(6.6, "c1", "p1", "monologue", "hint", "Ask.", "You talked for 90 s.", {"me.run_s": 90.0}, 10.0),
    PromptAnswered(6.7, "c1", "p1", "monologue", "snoozed"),
    RoomClosed(7.0, "ended"),
]


@pytest.fixture(scope="module")
def validator():
    schema = events_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def test_the_committed_documents_are_current():
    assert outdated(FOLDER) == [], "run: undertone schema --out docs/schema"


def test_a_changed_or_missing_document_is_noticed(tmp_path):
    for name, text in documents().items():
        (tmp_path / name).write_text(text)
    assert outdated(tmp_path) == []
    (tmp_path / "events.schema.json").write_text("{}")
    (tmp_path / "asyncapi.yaml").unlink()
    assert outdated(tmp_path) == ["events.schema.json", "asyncapi.yaml"]


def test_there_is_a_sample_of_every_event():
    assert {type(sample) for sample in SAMPLES} == set(EVENTS)


@pytest.mark.parametrize("envelope", envelopes(*SAMPLES), ids=lambda envelope: envelope.event.type)
def test_every_message_is_valid_and_no_field_may_go(validator, envelope):
    message = json.loads(envelope.as_json())
    validator.validate(message)
    for key in message:
        assert not validator.is_valid({k: v for k, v in message.items() if k != key}), key
    for key in message["data"]:
        data = {k: v for k, v in message["data"].items() if k != key}
        assert not validator.is_valid({**message, "data": data}), key


def test_a_value_out_of_range_is_not_valid(validator):
    [envelope] = envelopes(EmotionEstimated(3.0, "p1", 2.0, 1.5, None, {}, 0.8, True, "prosody"))
    assert not validator.is_valid(envelope.as_dict())


@pytest.mark.parametrize("count", range(len(SAMPLES) + 1))
def test_every_snapshot_on_the_way_is_valid(validator, count):
    validator.validate(json.loads(folded(envelopes(*SAMPLES[:count])).as_json()))


def test_fields_carry_their_notes():
    definitions = events_schema()["$defs"]
    assert "personal data" in definitions["SpeakerJoined"]["properties"]["name"]["description"]
    assert "0 while nobody" in definitions["Talk"]["properties"]["share"]["description"]
    assert "1 is equal" in definitions["RoomFigures"]["properties"]["balance"]["description"]


def test_the_channels_lead_to_messages_that_exist():
    document = asyncapi()
    assert yaml.safe_load(documents()["asyncapi.yaml"]) == document
    assert document["asyncapi"].startswith("3.")
    assert {"dataChannel", "webSocket", "redisLive", "redisEvents", "redisPrompts"} == set(document["channels"])
    for reference in _references(document):
        file, _, pointer = reference.partition("#")
        place = events_schema() if file else document
        for step in pointer.strip("/").split("/"):
            place = place[step]
    assert set(document["channels"]["dataChannel"]["messages"]) == {*message_names(), "Answer"}
    assert "PromptedMessage" not in document["channels"]["redisEvents"]["messages"]


def _references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _references(value)
