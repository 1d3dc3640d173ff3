"""Builds what the configuration names: an entry of a table, or a user's own `package.module:Name`."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from worker.errors import ConfigError


def load(table: Mapping[str, str], kind: str) -> Any:
    """Import one implementation; nothing else in its package is imported.

    Raises ConfigError with what exists when `kind` is unknown or cannot be imported.
    """
    target = kind if ":" in kind else table.get(kind)
    if target is None:
        raise ConfigError(f"kind {kind!r} is unknown: use one of {', '.join(sorted(table))}, or 'package.module:Name'.")
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"kind {kind!r} could not be loaded: {error}. Is its package installed?") from error


def options(cls: Any, given: frozenset[str] = frozenset()) -> type[BaseModel]:
    """The configuration section of a class: its constructor's parameters, without those the worker gives itself."""
    hints = get_type_hints(cls.__init__, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(cls).parameters.items()):
        if name not in given:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (hints.get(name, Any), default)
    model: type[BaseModel] = create_model(
        cls.__name__,
        __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False),
        **fields,
    )
    return model


def split(table: Mapping[str, str], section: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """The kind that a section names, and its other keys. Raises ConfigError with what exists when it names none."""
    fields = dict(section)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str):
        raise ConfigError(f"{where}.kind is missing: use one of {', '.join(sorted(table))}.")
    return kind, fields


def build(table: Mapping[str, str], section: Mapping[str, Any], where: str, **given: Any) -> Any:
    """Make the object that a section describes: `kind`, and the class's own parameters.

    `given` are parameters that come from the worker (the room, the server) and never from a file; a class takes
    those it names. Raises ConfigError with the key's full name.
    """
    kind, fields = split(table, section, where)
    try:
        cls = load(table, kind)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return construct(cls, fields, where, **given)


def construct(cls: Any, fields: Mapping[str, Any], where: str, **given: Any) -> Any:
    """Make an object of one class from its section; see `build`."""
    wanted = {name: value for name, value in given.items() if name in inspect.signature(cls).parameters}
    checked = check(options(cls, frozenset(wanted)), fields, where)
    values = {name: getattr(checked, name) for name in type(checked).model_fields}
    return cls(**values, **wanted)


def check(model: type[BaseModel], fields: Mapping[str, Any], where: str) -> BaseModel:
    """Validate a section; its first fault becomes one sentence that names the key and, if misspelt, its neighbour."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in fault["loc"])
        key = f"{where}.{path}" if where and path else where or path
        if fault["type"] == "extra_forbidden":
            known = list(model.model_fields)
            near = get_close_matches(str(fault["loc"][-1]), known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known) or 'nothing'}."
            raise ConfigError(f"{key} is not a known setting; {hint}") from None
        if fault["type"] == "missing":
            raise ConfigError(f"{key} is missing; it has no default.") from None
        raise ConfigError(f"{key}: {fault['msg']}.") from None
