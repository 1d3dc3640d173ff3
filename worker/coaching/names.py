"""What rules may speak of: the figures of a conversation, and the fields of events."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from worker.coaching.expressions import Kind
from worker.events import (
    BackChannel,
    EmotionShifted,
    Engagement,
    Interrupted,
    Overlapped,
    Speaker,
    TurnEnded,
    TurnStarted,
)
from worker.figures import PersonFigures, RoomFigures, SideFigures

OCCASIONS: dict[str, type[Any]] = {
    cls.type.removesuffix(".v1").replace(".", "_"): cls
    for cls in (Interrupted, Overlapped, BackChannel, TurnStarted, TurnEnded, EmotionShifted, Engagement)
}
"""Events that a rule may wait for, by what it writes after `on`."""

SCOPES: dict[str, type[Any]] = {"me": PersonFigures, "room": RoomFigures, "side": SideFigures}
"""What stands before the dot, and whose figures those are: the person's whom a rule is about, everyone's together,
and those of the person's side."""


def in_conditions(on: type[Any] | None) -> Mapping[str, Kind]:
    """The names that a condition may hold; `on` is the event that its rule waits for."""
    known: dict[str, Kind] = {}
    for scope, cls in SCOPES.items():
        known |= {f"{scope}.{field.name}": "number" for field in fields(cls)}
    known["me.role"] = "text"
    if on is not None:
        known |= {f"event.{name}": kind for name, kind in _fields(on).items()}
        if "speaker" in people(on):
            known["event.role"] = "text"
    return known


def in_texts(on: type[Any] | None) -> Mapping[str, Kind]:
    """The names that a text may hold; people's are shown as they call themselves."""
    return {**in_conditions(on), "me.name": "text", "window_s": "number"}


def people(on: type[Any]) -> tuple[str, ...]:
    """The fields of an event that name a speaker."""
    return tuple(field.name for field in fields(on) if Speaker in (field.type, *get_args(field.type)))


def _fields(on: type[Any]) -> dict[str, Kind]:
    """The fields that hold one number or one text each."""
    hints = get_type_hints(on)
    kinds: dict[Any, Kind] = {str: "text", int: "number", float: "number"}
    found: dict[str, Kind] = {}
    for field in fields(on):
        hint = next((part for part in get_args(hints[field.name]) if part is not type(None)), hints[field.name])
        if hint in kinds and field.name != "at":
            found[field.name] = kinds[hint]
    return found
