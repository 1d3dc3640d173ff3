"""The worker's settings: a YAML file, then the environment, then the command line, checked before anything starts."""

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, create_model

from worker.conversation import OBSERVERS
from worker.emotion import ENGINES
from worker.errors import ConfigError
from worker.packaged import packaged
from worker.registry import check, construct, load, options, split
from worker.rooms import ROOMS
from worker.sinks import SINKS
from worker.vad import VADS

ENVIRONMENT = "UNDERTONE__"

GIVEN = frozenset(
    {
        "room",
        "rooms",
        "server",
        "policy",
        "snapshot",
        "speaker",
        "progress",
        "answers",
        "conversation",
        "today",
        "law",
        "keeping",
    }
)
"""Constructor parameters that the worker fills in itself; they are no options."""

TABLES: dict[str, Mapping[str, str]] = {
    "room": ROOMS,
    "vad": VADS,
    "emotion": ENGINES,
    "conversation": OBSERVERS,
    "sinks": SINKS,
}
"""Sections that choose an implementation with `kind`."""

FIXED = {
    "policy": "worker.privacy.law:Law",
    "segmenter": "worker.vad.segmenter:Segmenter",
    "windows": "worker.audio.windows:Windows",
    "smoothing": "worker.emotion.smoothing:Smoother",
    "drift": "worker.emotion.drift:DriftWatch",
    "server": "worker.ops.http:Server",
    "control": "worker.ops.control:Control",
    "coaching": "worker.coaching.coach:Coach",
    "dashboard": "worker.ops.dashboard:Dashboard",
    "audit": "worker.ops.audit:Audit",
    "notice": "worker.privacy.notice:Notice",
    "keeping": "worker.privacy.keeping:Keeping",
}
"""Sections with one implementation."""

PURE = {"segmenter", "windows", "smoothing", "drift", "server", "prosody", *OBSERVERS}
"""Sections and kinds whose objects hold nothing, so that making one is the way to check what their options mean
together. Other classes may have a `check_options(options)` that raises ConfigError."""

UNREAD = "unread" * 8
"""Stands for a secret while a section is checked, since what holds it may be elsewhere."""

Section = dict[str, Any]


class Logs(BaseModel):
    """How the worker speaks to its operator, on standard error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "text"
    pii: bool = False
    """True keeps the fields that identify people; they are left out otherwise."""


class Settings(BaseModel):
    """Every section in the order of the flow. Their options are hidden from `repr`, because some are secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    room: Section | None = Field(None, repr=False)
    policy: Section = Field({}, repr=False)
    notice: Section = Field({}, repr=False)
    keeping: Section = Field({}, repr=False)
    vad: Section = Field({"kind": "silero"}, repr=False)
    segmenter: Section = Field({}, repr=False)
    windows: Section = Field({}, repr=False)
    emotion: Section | None = Field({"kind": "onnx"}, repr=False)
    smoothing: Section = Field({}, repr=False)
    drift: Section = Field({}, repr=False)
    conversation: list[Section] = Field([{"kind": kind} for kind in OBSERVERS], repr=False)
    coaching: Section | None = Field(None, repr=False)
    sinks: list[Section] = Field([], repr=False)
    server: Section = Field({}, repr=False)
    control: Section | None = Field(None, repr=False)
    dashboard: Section | None = Field(None, repr=False)
    audit: Section | None = Field(None, repr=False)
    logs: Logs = Logs()
    drain_s: float = Field(10.0, ge=0, le=86_400)
    """Longest time from the wish to stop until the process has ended."""


def read(
    path: Path, overrides: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The checked settings of a file. `overrides` maps `section.key` to what the command line says.

    Raises ConfigError with one sentence that names the key. Connects to nothing and starts nothing.
    """
    fields = _defaults() | _mapping(path)
    for name, text in sorted(environment.items()):
        if name.startswith(ENVIRONMENT):
            _put(fields, name.removeprefix(ENVIRONMENT).lower().split("__"), _value(text, name), name)
    for key, value in (overrides or {}).items():
        _put(fields, key.split("."), value, key)
    return settle(fields)


def settle(fields: Mapping[str, Any]) -> Settings:
    """Check every section against the class it configures; what comes back holds each option in its own type."""
    fields = dict(fields)
    logs = fields.get("logs")
    if isinstance(logs, dict):
        fields["logs"] = check(Logs, logs, "logs")
    raw = check(Settings, fields, "")
    settled: dict[str, Any] = {name: getattr(raw, name) for name in Settings.model_fields}
    for name in Settings.model_fields:
        value = settled[name]
        if isinstance(value, list):
            settled[name] = [_section(name, section, f"{name}.{index}") for index, section in enumerate(value)]
        elif isinstance(value, dict):
            settled[name] = _section(name, value, name)
    _check_together(settled)
    return Settings.model_construct(**settled)


def settle_room(section: Mapping[str, Any]) -> Section:
    """Check the section of one room as `settle` does; what comes back holds its defaults too."""
    kind, fields = split(ROOMS, _section("room", dict(section), "room"), "room")
    return {"kind": kind} | dict(check(option_model("room", kind), fields, "room"))


def _check_together(settled: Mapping[str, Any]) -> None:
    """What sections mean for each other. Raises ConfigError."""
    observers = [load(OBSERVERS, section["kind"]) for section in settled["conversation"]]
    if settled["coaching"] is not None and not any(hasattr(observer, "figures") for observer in observers):
        raise ConfigError("coaching needs the figures of the conversation: add 'kind: dynamics' to conversation.")
    control = settled["control"]
    if control is None:
        if settled["room"] is None:
            raise ConfigError("room is missing; without one there must be a section control, that opens rooms.")
        return
    server = construct(load({}, FIXED["server"]), _unread(settled["server"]), "server")
    load({}, FIXED["control"]).check_place(server, control.get("token"))
    for name, template in control.get("templates", {}).items():
        _check_template(template, f"control.templates.{name}")
    for number, sink in enumerate(settled["sinks"]):
        if sink["kind"] == "jsonl" and not sink.get("append", True):
            raise ConfigError(f"sinks.{number}.append must be true with a section control: rooms share the file.")


def _check_template(template: Section, where: str) -> None:
    """A room whose missing keys are given when it is opened."""
    kind, fields = split(ROOMS, template, where)
    try:
        model = option_model("room", kind)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    loose: dict[str, Any] = {
        name: (field.annotation, None) for name, field in model.model_fields.items() if name not in fields
    }
    check(create_model(model.__name__, __base__=model, **loose), fields, where)


def option_model(name: str, kind: str | None = None) -> type[BaseModel]:
    """The options of one section; `kind` for a section that chooses."""
    cls = load(TABLES[name], kind) if kind is not None else load({}, FIXED[name])
    return options(cls, GIVEN - {"room"} if name == "room" else GIVEN)


def shipped(name: str) -> Path:
    """A configuration that comes with the worker, `demo.yaml` for one."""
    return packaged("configs") / name


def _section(name: str, section: Section, where: str) -> Section:
    kind, fields = split(TABLES[name], section, where) if name in TABLES else (None, dict(section))
    try:
        model = option_model(name, kind)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    checked = check(model, fields, where)
    cls = load(TABLES.get(name, FIXED), kind or name)
    if (kind or name) in PURE:
        construct(cls, _unread(fields), where, speaker="")
    elif (check_options := getattr(cls, "check_options", None)) is not None:
        try:
            check_options(dict(iter(checked)))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
    return ({"kind": kind} if kind else {}) | {key: getattr(checked, key) for key in fields}


def _unread(fields: Section) -> Section:
    return fields | {secret: UNREAD for secret in ("token", "signing_key") if fields.get(secret)}


def _defaults() -> dict[str, Any]:
    fields = Settings.model_fields.items()
    return {name: deepcopy(field.default) for name, field in fields if not field.is_required() and name != "logs"}


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name a YAML file that exists.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        hint = "look at its indent, and put quotes around a value that starts with a special character"
        raise ConfigError(f"{path} is not YAML near line {line}: {hint}.") from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"{path} is not text in YAML: save it as UTF-8.") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path} must be a YAML mapping of sections, such as 'room:' with its settings below.")
    return {name: section for name, section in content.items() if section is not None or name == "emotion"}


def _value(text: str, name: str) -> Any:
    """Plain text, for its section to convert; `null`, `[...]` and `{...}` are read as YAML."""
    if text != "null" and text[:1] not in ("[", "{"):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"the environment variable {name} is not YAML: close its brackets and quotes.") from None


def _put(fields: Any, path: list[str], value: Any, name: str) -> None:
    *parents, last = path
    for step in parents:
        key = _key(fields, step, name)
        if isinstance(fields, dict) and fields.get(key) is None:
            fields[key] = {}
        fields = fields[key]
    fields[_key(fields, last, name)] = value


def _key(fields: Any, step: str, name: str) -> Any:
    if isinstance(fields, dict) and step:
        return step
    if isinstance(fields, list) and step.isdecimal() and int(step) < len(fields):
        return int(step)
    raise ConfigError(f"{name} leads nowhere: there is no entry {step!r} to set; correct the name.")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file, with the options of every kind that comes with the worker."""
    schema = Settings.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    for name in (*TABLES, *FIXED):
        kinds = TABLES.get(name)
        entry = _options_schema(name, None, definitions) if kinds is None else _kinds_schema(name, kinds, definitions)
        old = schema["properties"][name]
        if old.get("type") == "array":
            entry = {"type": "array", "items": entry}
        elif "anyOf" in old:
            entry = {"anyOf": [entry, {"type": "null"}]}
        schema["properties"][name] = entry | ({"default": old["default"]} if "default" in old else {})
    schema["anyOf"] = [{"required": ["room"]}, {"required": ["control"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Undertone configuration"}


def _kinds_schema(name: str, kinds: Mapping[str, str], definitions: dict[str, Any]) -> dict[str, Any]:
    choices = [_options_schema(name, kind, definitions) for kind in sorted(kinds)]
    own = {
        "description": "A class of your own: `kind: package.module:Name` and its constructor's parameters.",
        "type": "object",
        "properties": {"kind": {"type": "string", "pattern": ":"}},
        "required": ["kind"],
    }
    return {"anyOf": [*choices, own]}


def _options_schema(name: str, kind: str | None, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = option_model(name, kind).model_json_schema()
    definitions.update(schema.pop("$defs", {}))
    if kind is None:
        return schema
    schema["properties"] = {"kind": {"const": kind}, **schema.get("properties", {})}
    schema["required"] = ["kind", *schema.get("required", [])]
    return schema
