"""Events of every kind with people in every place where one can be, for tests that take one of them out."""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from worker.events import EVENTS, SpeakerJoined
from worker.figures import PersonFigures, RoomFigures, SideFigures, Talk

PEOPLE = {"p1": "Ada", "p2": "Bo", "p3": "Ada Lovelace", "g1": "</b> *"}
"""By pseudonym; one name is within another, one is no word."""
ROLES = {"p1": "seller", "p2": "customer", "p3": "customer", "g1": ""}
SPEAKERS = st.sampled_from(list(PEOPLE))
TEXTS = st.lists(st.sampled_from([*PEOPLE.values(), "speaks", "p1", "a 3 s", "Adam"]), max_size=5).map(" ".join)
MATRIX = st.dictionaries(SPEAKERS, st.dictionaries(SPEAKERS, st.integers(1, 9), min_size=1, max_size=3), max_size=3)

OF_FIELD: Mapping[str, st.SearchStrategy[Any]] = {
    "speaker": SPEAKERS,
    "by": SPEAKERS,
    "on": SPEAKERS,
    "previous": st.none() | SPEAKERS,
    "to": SPEAKERS | st.just("managers"),
    "speakers": st.dictionaries(SPEAKERS, st.just(Talk(1.0, 0.5)), max_size=4),
    "interrupted_by": MATRIX,
    "floor": MATRIX,
    "silent": st.lists(SPEAKERS, unique=True).map(tuple),
    "sides": st.dictionaries(st.sampled_from(["seller", "customer"]), st.just(SideFigures(1.0)), max_size=2),
    "room": st.just(RoomFigures(people=2)),
    "text": TEXTS,
    "reason": TEXTS,
    "numbers": st.dictionaries(st.sampled_from(["event.by", "me.run_s"]), SPEAKERS | st.just(3.5), max_size=2),
    "scores": st.just({"calm": 0.5}),
    "parts": st.just({"balance": 0.5}),
    "weights": st.just({"balance": 0.5}),
}
PLAIN = {str: "word", float: 1.5, int: 3, bool: True}


def _value(event: Any, name: str, hint: Any) -> st.SearchStrategy[Any]:
    if name == "to" and event.type.startswith("back_channel"):
        return SPEAKERS
    if name == "speakers" and event.type.startswith("conversation"):
        return st.dictionaries(SPEAKERS, st.just(PersonFigures(talk_s=2.0)), max_size=4)
    if name == "reason" and not event.type.startswith("coaching"):
        return st.just("left")
    if name in OF_FIELD:
        return OF_FIELD[name]
    kind = next(part for part in (hint, *get_args(hint)) if part in PLAIN)
    return st.just(PLAIN[kind])


def _build(event: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(event)
    given = {field.name: _value(event, field.name, hints[field.name]) for field in dataclasses.fields(event)}
    if event is SpeakerJoined:
        return SPEAKERS.map(lambda who: SpeakerJoined(1.5, who, PEOPLE[who], role=ROLES[who]))
    return st.builds(event, **given)


ANY_EVENT = st.one_of([_build(event) for event in EVENTS])


def words_of(value: Any) -> list[str]:
    """Every text in some JSON, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for part in pair for text in words_of(part)]
    return [text for part in value for text in words_of(part)] if isinstance(value, list | tuple) else []
