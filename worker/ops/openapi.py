"""The control API as an OpenAPI document."""

from collections.abc import Collection, Mapping
from typing import Any, get_args

from worker import __version__
from worker.ops.tokens import LONGEST_S
from worker.privacy.consent import State
from worker.privacy.levels import LEVELS
from worker.privacy.table import ALIASES, ROLES
from worker.prompts import Audience

Document = dict[str, Any]

TEXT: Document = {"type": "string"}
STATES = ["joining", "open", "interrupted", "leaving", "ended", "failed"]
SPEAKER: Document = {
    "type": "object",
    "properties": {
        "name": {**TEXT, "description": "The display name; personal data."},
        "present": {"type": "boolean"},
        "analysed": {"type": "boolean", "description": "Whether this person is heard."},
        "level": {"enum": [*LEVELS], "description": "How much is made of their voice."},
        "consent": {"enum": [*State], "description": "Where they stand; nobody's in a recording."},
    },
    "required": ["name", "present", "analysed", "level"],
}
ROOM: Document = {
    "type": "object",
    "properties": {
        "id": {**TEXT, "description": "Of this room in this worker; a room that is opened anew has another one."},
        "name": {**TEXT, "description": "As it stands in events."},
        "kind": TEXT,
        "state": {"enum": STATES},
        "reason": {"type": ["string", "null"], "description": "The code of what failed or interrupted it last."},
        "started": {**TEXT, "format": "date-time"},
        "interruptions": {"type": "integer", "minimum": 0},
        "feed": {
            "type": ["integer", "string", "null"],
            "description": "The worker's own in a Janus room, by which pages know its data; new after each joining.",
        },
        "speakers": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Speaker"}},
    },
    "required": ["id", "name", "kind", "state", "reason", "started", "interruptions", "feed", "speakers"],
}
LIST: Document = {
    "type": "object",
    "properties": {
        "rooms": {"type": "array", "items": {"$ref": "#/components/schemas/Room"}},
        "largest": {"type": "integer", "description": "How many rooms this worker opens."},
        "templates": {"type": "array", "items": TEXT},
    },
    "required": ["rooms", "largest", "templates"],
}
CONSENT: Document = {
    "type": "object",
    "properties": {
        "speaker": TEXT,
        "level": {"enum": [*LEVELS], "description": "How much they agree to; `presence` is a no."},
        "analysed": {
            "type": "boolean",
            "description": "In place of `level`: as much as the policy wishes for, short of emotion.",
        },
        "text": {**TEXT, "description": "The version of the words that they were shown; emotion needs it."},
        "purpose": {**TEXT, "description": "What they were told it is for."},
        "role": {
            "enum": [*ROLES, *ALIASES],
            "description": "What they are in this conversation, for the law.",
        },
        "feed": {
            "type": ["integer", "string"],
            "description": "The Janus feed on which they agreed; a yes counts only if they are still there.",
        },
    },
    "required": ["speaker"],
    "anyOf": [{"required": ["level"]}, {"required": ["analysed"]}],
    "additionalProperties": False,
}
GRANT: Document = {
    "type": "object",
    "properties": {
        "audience": {"enum": list(get_args(Audience))},
        "speaker": {**TEXT, "description": "Who a participant is."},
        "ttl_s": {"type": "number", "minimum": 1, "maximum": LONGEST_S, "default": LONGEST_S},
    },
    "required": ["audience"],
    "additionalProperties": False,
}
TOKEN: Document = {
    "type": "object",
    "properties": {
        "token": {
            **TEXT,
            "description": "For the first message to `/v1/rooms/{room}/events`, or for a request's header.",
        }
    },
    "required": ["token"],
}
ERROR: Document = {
    "type": "object",
    "properties": {"error": {**TEXT, "description": "One sentence that says what to do."}, "code": TEXT},
    "required": ["error"],
}
REFUSALS = {
    "401": "The token is missing or wrong.",
    "403": "A page from elsewhere asked, or the token does not give this.",
    "404": "There is no such room or speaker.",
    "409": "A room of this name is open, or the person is on another feed by now or agreed to other words.",
    "413": "What was sent is too large.",
    "415": "What was sent is not of the type application/json.",
    "422": "What was sent can't be done; the sentence says why.",
    "503": "This worker holds as many rooms as it may, or is stopping.",
}


def document(kinds: Mapping[str, Mapping[str, Any]], withheld: Collection[str] = ()) -> Document:
    """`kinds` are the JSON Schemas of the rooms that may be asked for, by kind, with definitions inside; of their
    properties no request may hold those that are `withheld`."""
    room = {"name": "id", "in": "path", "required": True, "schema": TEXT}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Undertone control API", "version": __version__, "license": {"name": "Apache-2.0"}},
        "security": [{"token": []}],
        "paths": {
            "/v1/rooms": {
                "get": _verb("listRooms", "Rooms, those that ended last included.", "200", "Rooms"),
                "post": _verb("joinRoom", "Join or open a room.", "201", "Room", "Join", "409", "503"),
            },
            "/v1/rooms/{id}": {
                "parameters": [room],
                "get": _verb("showRoom", "One room.", "200", "Room", None, "404"),
                "delete": _verb("leaveRoom", "Leave a room, and forget it.", "204", None, None, "404"),
            },
            "/v1/rooms/{id}/consent": {
                "parameters": [room],
                "put": _verb("setConsent", "Say whether a speaker is heard.", "204", None, "Consent", "404", "409"),
            },
            "/v1/rooms/{id}/tokens": {
                "parameters": [room],
                "post": _verb("grantToken", "A token for a listener of a room.", "201", "Token", "Grant", "404"),
            },
            "/v1/openapi.json": {"get": _verb("showDocument", "This document.", "200", "Document")},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {status: _response(text, "Error") for status, text in REFUSALS.items()},
            "schemas": {
                "Room": ROOM,
                "Rooms": LIST,
                "Speaker": SPEAKER,
                "Join": _join(kinds, withheld),
                "Consent": CONSENT,
                "Grant": GRANT,
                "Token": TOKEN,
                "Error": ERROR,
                "Document": {"type": "object"},
            },
        },
    }


def _join(kinds: Mapping[str, Mapping[str, Any]], withheld: Collection[str]) -> Document:
    rooms = []
    for schema in kinds.values():
        properties = {name: one for name, one in schema["properties"].items() if name not in withheld}
        rooms.append({**schema, "properties": properties})
    template = {"template": TEXT, "fields": {"type": "object", "description": "What the template leaves open."}}
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {"room": {"oneOf": rooms}},
                "required": ["room"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": template,
                "required": ["template"],
                "additionalProperties": False,
            },
        ]
    }


def _verb(name: str, summary: str, status: str, answer: str | None, body: str | None = None, *errors: str) -> Document:
    refused = ["401", "403", *(["413", "415", "422"] if body else []), *errors]
    said = {one: {"$ref": f"#/components/responses/{one}"} for one in sorted(refused)}
    verb: Document = {
        "operationId": name,
        "summary": summary,
        "responses": {status: _response("Done.", answer), **said},
    }
    return verb | ({"requestBody": {"required": True, **_content(body)}} if body else {})


def _response(text: str, schema: str | None) -> Document:
    return {"description": text, **(_content(schema) if schema else {})}


def _content(schema: str) -> Document:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
