"""The contract with every listener as documents: JSON Schema of all messages, and AsyncAPI of where they come."""

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from worker import __version__, events, figures
from worker.events import EVENTS, PREFIX, EmotionAbstained, EmotionEstimated, EmotionUnavailable, Gap
from worker.prompts import ANSWERS, PRIVATE, TONE
from worker.sinks.snapshot import TYPE as SNAPSHOT

AUDIENCE = (
    "Who alone is told: a speaker, `managers`, `participants`, or `participants/` and a speaker; `seq` counts for each "
    "audience on its own."
)
DIALECT = "https://json-schema.org/draft/2020-12/schema"
EVENTS_FILE = "events.schema.json"
ASYNCAPI_FILE = "asyncapi.yaml"

Document = dict[str, Any]


def documents() -> dict[str, str]:
    """File name to text, for every document."""
    schema = json.dumps(events_schema(), indent=2, ensure_ascii=False) + "\n"
    channels = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    return {EVENTS_FILE: schema, ASYNCAPI_FILE: channels}


def outdated(folder: Path) -> list[str]:
    """Names of the documents that are missing from a folder or differ."""
    return [name for name, text in documents().items() if _text(folder / name) != text]


def events_schema() -> Document:
    """One JSON Schema that holds for every message the worker sends."""
    definitions: Document = {}
    notes = _field_notes()
    for event in EVENTS:
        schema = TypeAdapter(event).json_schema(mode="serialization", ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        definitions[event.__name__] = schema
    for name, schema in definitions.items():
        _complete(schema, notes.get(name, {}))
    for event in EVENTS:
        definitions[f"{event.__name__}Message"] = _message(event)
    definitions |= _snapshot()
    return {
        "$schema": DIALECT,
        "title": "Undertone events",
        "description": "Every message that Undertone sends. Fields are only ever added within a version of a type.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in message_names()],
        "$defs": definitions,
    }


def message_names() -> list[str]:
    """Names of the definitions that are whole messages, the snapshot last."""
    return [f"{event.__name__}Message" for event in EVENTS] + ["SnapshotMessage"]


def _field_notes() -> dict[str, dict[str, str]]:
    """Class to field to the string under it."""
    notes: dict[str, dict[str, str]] = {}
    for node in [node for module in (events, figures) for node in ast.parse(inspect.getsource(module)).body]:
        if isinstance(node, ast.ClassDef):
            notes[node.name] = {
                field.target.id: str(note.value.value)
                for field, note in zip(node.body, node.body[1:], strict=False)
                if isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(note, ast.Expr)
                and isinstance(note.value, ast.Constant)
            }
    return notes


def _complete(schema: Document, notes: dict[str, str]) -> None:
    """Every field of an event is always sent; defaults are for those who make one."""
    schema["required"] = list(schema["properties"])
    for name, field in schema["properties"].items():
        field.pop("default", None)
        field.pop("title", None)
        if name in notes:
            field["description"] = notes[name]


def _message(event: Any) -> Document:
    summary = (event.__doc__ or "").strip()
    subject = "speaker" in event.__dataclass_fields__
    message = _envelope(PREFIX + event.type, summary, {"$ref": f"#/$defs/{event.__name__}"}, subject)
    if event in (*PRIVATE, *TONE, Gap):
        message["properties"]["audience"] = {"type": "string", "description": AUDIENCE}
        message["required"] += ["audience"] if event in PRIVATE else []
    return message


def _envelope(kind: str, summary: str, data: Document, subject: bool, first: int = 1) -> Document:
    """The attributes around `data`, with the names of CloudEvents 1.0."""
    fields: Document = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": "Unique: room, epoch, audience if there is one, and number."},
        "source": {"type": "string", "description": "`/rooms/` and the room's name."},
        "type": {"const": kind},
        **({"subject": {"type": "string", "description": "The speaker."}} if subject else {}),
        "time": {"type": "string", "format": "date-time", "description": "Wall-clock time of the event's `at`."},
        "datacontenttype": {"const": "application/json"},
        "seq": {
            "type": "integer",
            "minimum": first,
            "description": "Rises by one per event of a room and epoch; a hole is always announced by a gap.",
        },
        "epoch": {"type": "integer", "minimum": 0, "description": "Rises when a room is opened anew."},
        "data": data,
    }
    return {"description": summary, "type": "object", "properties": fields, "required": list(fields)}


def _snapshot() -> Document:
    heard = (EmotionEstimated, EmotionAbstained, EmotionUnavailable)
    emotions = [
        {
            "allOf": [
                {"$ref": f"#/$defs/{event.__name__}"},
                {"properties": {"type": {"const": event.type}}, "required": ["type"]},
            ]
        }
        for event in heard
    ]
    speaker = {
        "name": {"type": "string", "description": "The display name; personal data."},
        "generation": {"type": "integer"},
        "analysed": {"type": "boolean"},
        "present": {"type": "boolean", "description": "False for someone who left; their talk time counts on."},
        "muted": {"type": "boolean"},
        "speaking": {"type": "boolean"},
        "talk": {"$ref": "#/$defs/Talk"},
        "emotion": {"oneOf": [*emotions, {"type": "null"}], "description": "The last that was said of this voice."},
    }
    state = {
        "room": {"type": "string"},
        "at": {"type": "number", "description": "Seconds on the room's clock of the last event in it."},
        "speakers": {"type": "object", "additionalProperties": {"$ref": "#/$defs/SnapshotSpeaker"}},
    }
    summary = "All events of a room up to `seq`, added up; the first message of a listener that arrives late."
    message = _envelope(SNAPSHOT, summary, {"$ref": "#/$defs/Snapshot"}, subject=False, first=0)
    message["required"].remove("time")
    return {
        "SnapshotSpeaker": {"type": "object", "properties": speaker, "required": list(speaker)},
        "Snapshot": {"type": "object", "properties": state, "required": list(state)},
        "SnapshotMessage": message,
    }


def asyncapi() -> Document:
    """Where the messages come and how to ask for them; their payloads are in the JSON Schema beside it."""
    private = [f"{event.__name__}Message" for event in PRIVATE]
    live = [name for name in message_names() if name not in ("SnapshotMessage", *private)]
    channels = {
        "dataChannel": _channel(
            "undertone",
            "The WebRTC data channel of that label, in the embedded room. A snapshot comes first. What is for one "
            "person comes to nobody else; they may send an `Answer` to each prompt.",
            ["Answer", *message_names()],
            server="room",
        ),
        "webSocket": _channel(
            "/v1/rooms/{room}/events",
            "Send one `Subscribe`, then listen. With `since`, events after it are sent again if they are still kept; "
            "otherwise a gap and a snapshot come first. What is for one audience comes to who has a token for it, "
            "who may send an `Answer` to each prompt.",
            ["Subscribe", "Answer", *message_names()],
            "The room's name.",
        ),
        "redisLive": _channel(
            "ut:{room}:live",
            "Redis Pub/Sub, one event a message.",
            live,
            "The room's name in literal braces, which keep a room on one shard of a cluster: `ut:{demo}:live`.",
            "redis",
        ),
        "redisEvents": _channel(
            "ut:{room}:events",
            "Redis Stream of the newest events: field `event`, id `<epoch>-<seq>`. "
            "The hash `ut:{room}:state` beside it holds the snapshot.",
            live,
            "The room's name in literal braces: `ut:{demo}:events`.",
            "redis",
        ),
        "redisPrompts": _channel(
            "ut:{room}:prompts",
            "Redis Stream of what was said to one audience alone, where the sink has `prompts`: field `event`, id "
            "`<epoch>-<count>`.",
            [*private, "GapMessage"],
            "The room's name in literal braces: `ut:{demo}:prompts`.",
            "redis",
        ),
    }
    operations = {
        f"{name}Send": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}, "messages": _said(name, channel)}
        for name, channel in channels.items()
    }
    for name, message in (("webSocket", "Subscribe"), ("webSocket", "Answer"), ("dataChannel", "Answer")):
        operations[name + message] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{message}"}],
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Undertone",
            "version": __version__,
            "description": "Who speaks in a room, for how long, and how each voice sounds.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "worker": {"host": "localhost:8080", "protocol": "ws"},
            "room": {
                "host": "localhost:8080",
                "protocol": "webrtc",
                "description": "Peers find each other by `worker`.",
            },
            "redis": {"host": "localhost:6379", "protocol": "redis"},
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": {name: _described(name) for name in message_names()} | HEARD},
    }


def _channel(
    address: str, description: str, messages: list[str], room: str | None = None, server: str = "worker"
) -> Document:
    return {
        "address": address,
        "description": description,
        "servers": [{"$ref": f"#/servers/{server}"}],
        **({"parameters": {"room": {"description": room}}} if room else {}),
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _said(name: str, channel: Document) -> list[Document]:
    return [{"$ref": f"#/channels/{name}/messages/{said}"} for said in channel["messages"] if said not in HEARD]


def _described(name: str) -> Document:
    return {
        "name": name,
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{EVENTS_FILE}#/$defs/{name}"},
        },
    }


def _subscribe() -> Document:
    number = {"type": "integer", "minimum": 0}
    since = {"type": "object", "properties": {"epoch": dict(number), "seq": dict(number)}, "required": ["epoch", "seq"]}
    since["description"] = "Of the last event the listener has."
    token = {"type": "string", "description": "Needed when the server has one."}
    return {"name": "Subscribe", "payload": {"type": "object", "properties": {"token": token, "since": since}}}


def _answer() -> Document:
    fields: Document = {
        "type": {"const": "coaching"},
        "prompt": {"type": "string", "description": "The `prompt` of the event that is answered."},
        "answer": {"enum": list(ANSWERS)},
    }
    return {"name": "Answer", "payload": {"type": "object", "properties": fields, "required": list(fields)}}


HEARD = {"Subscribe": _subscribe(), "Answer": _answer()}
"""Messages that listeners send."""


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
