"""What of each kind of event is about somebody, and what stays of it without them, field by field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.data.person import ERASED, Person, without_words
from worker.prompts import MANAGERS

Data = Mapping[str, Any]


class Misshapen(ValueError):
    """A record that is not as its kind says; it is judged by whether it mentions the person at all."""


@dataclass(frozen=True)
class Part:
    """A value that may speak of several people.

    `about` is what it says of one of them, None for nothing; `without` is what is left without them, the same value
    where that is all; `speakers` are those whom it names. Each may raise Misshapen.
    """

    about: Callable[[Any, Person], Any]
    without: Callable[[Any, Person], Any]
    speakers: Callable[[Any], Sequence[str]] = lambda value: ()


@dataclass(frozen=True)
class Decision:
    """One kind of event; every field stands in it once.

    - `owner` names the person whose it is alone: without them nothing of it stays.
    - `parties` name people between whom something happened. It is a fact of each of them: that somebody was cut off
      twice stays true when the other is erased, and the figures of who stays would be wrong if it went. So it stays,
      with `erased` in the other's place. That is the same word for everyone who was ever erased, so that nothing links
      one such fact with another, let alone with a person. When nobody else is left in it, it goes.
    - `parts` speak of several people, or are text.
    - `rest` speaks of nobody, or of the owner.
    """

    owner: str = ""
    parties: tuple[str, ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    rest: tuple[str, ...] = ()

    @property
    def fields(self) -> set[str]:
        return {*self.parties, *self.parts, *self.rest} | ({self.owner} if self.owner else set())


# -- parts ----------------------------------------------------------------------------------------------------------


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Misshapen
    return value


def _sequence(value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise Misshapen
    return value


def _keyed_about(value: Any, person: Person) -> Any:
    found = {who: one for who, one in _mapping(value).items() if who == person.speaker}
    return found or None


def _keyed_without(value: Any, person: Person) -> Any:
    kept = {who: one for who, one in _mapping(value).items() if who != person.speaker}
    return kept if len(kept) < len(value) else value


KEYED = Part(_keyed_about, _keyed_without, lambda value: list(_mapping(value)))
"""By speaker."""


def _matrix_about(value: Any, person: Person) -> Any:
    found = {}
    for one, counts in _mapping(value).items():
        own = {other: n for other, n in _mapping(counts).items() if person.speaker in (one, other)}
        if own:
            found[one] = own
    return found or None


def _matrix_without(value: Any, person: Person) -> Any:
    """Their row and column become those of `erased`; what lies between two who are erased is nobody's."""
    if person.speaker not in _matrix_speakers(value):
        return value
    kept: dict[str, dict[str, int]] = {}
    for one, counts in value.items():
        for other, n in counts.items():
            if not isinstance(n, int):
                raise Misshapen
            row, column = (ERASED if who == person.speaker else who for who in (one, other))
            if row == column == ERASED:
                continue
            cells = kept.setdefault(row, {})
            cells[column] = cells.get(column, 0) + n
    return kept


def _matrix_speakers(value: Any) -> list[str]:
    return [*_mapping(value), *(other for counts in value.values() for other in _mapping(counts))]


MATRIX = Part(_matrix_about, _matrix_without, _matrix_speakers)
"""Counts by two speakers."""


def _listed_about(value: Any, person: Person) -> Any:
    return [person.speaker] if person.speaker in _sequence(value) else None


def _listed_without(value: Any, person: Person) -> Any:
    if person.speaker not in _sequence(value):
        return value
    return type(value)(who for who in value if who != person.speaker)


LISTED = Part(_listed_about, _listed_without, lambda value: [who for who in _sequence(value) if isinstance(who, str)])
"""Speakers in a row."""

SIDES = Part(
    lambda value, person: {side: one for side, one in _mapping(value).items() if person.alone_on(side)} or None,
    lambda value, person: (
        {side: one for side, one in value.items() if not person.alone_on(side)}
        if any(map(person.alone_on, _mapping(value)))
        else value
    ),
)
"""By role: where nobody else had it, its figures are one person's."""

EVERYONE = Part(lambda value, person: None, lambda value, person: value)
"""Of all together, and not changed by one who goes: it was so."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misshapen
    return value


WORDS = Part(
    lambda value, person: value if person.is_in(_text(value)) else None,
    lambda value, person: person.cut_from(_text(value)),
)
"""Text, in which people are called by their names."""


def _values_about(value: Any, person: Person) -> Any:
    return dict(value) if person.speaker in _mapping(value).values() else None


def _values_without(value: Any, person: Person) -> Any:
    if person.speaker not in _mapping(value).values():
        return value
    return {name: ERASED if one == person.speaker else one for name, one in value.items()}


VALUES = Part(_values_about, _values_without)
"""Named values, of which some are pseudonyms."""


# -- events ---------------------------------------------------------------------------------------------------------


def _own(*rest: str) -> Decision:
    return Decision("speaker", rest=rest)


TALK_TIME = "talk_time.v1"
CONVERSATION = "conversation.v1"
PROMPTED = "coaching.prompted.v1"
JOINED = "speaker.joined.v1"
CLOSED = "room.closed.v1"

_ENGINE = ("window_start", "reason", "engine")
_FIGURES = {
    "room": EVERYONE,
    "speakers": KEYED,
    "sides": SIDES,
    "interrupted_by": MATRIX,
    "floor": MATRIX,
    "silent": LISTED,
}
_SAID = {"text": WORDS, "reason": WORDS, "numbers": VALUES}

DECISIONS: Mapping[str, Decision] = {
    JOINED: _own("name", "generation", "analysed", "role", "level"),
    "speaker.left.v1": _own("reason"),
    "speaker.muted.v1": _own(),
    "speaker.unmuted.v1": _own(),
    "speaker.analysed.v1": _own("analysed", "level"),
    "speech.started.v1": _own(),
    "speech.ended.v1": _own("started"),
    "speech.measured.v1": _own("window_start", "syllables_per_s", "level_dbfs", "pitch_spread_st"),
    "emotion.estimated.v1": _own(
        "window_start", "arousal", "valence", "scores", "confidence", "provisional", "engine", "label"
    ),
    "emotion.abstained.v1": _own(*_ENGINE),
    "emotion.unavailable.v1": _own(*_ENGINE),
    "emotion.drifted.v1": Decision(rest=("measure", "reference", "now", "windows", "engine")),
    "emotion.shifted.v1": _own("kind", "before", "now", "seconds"),
    TALK_TIME: Decision(parts={"speakers": KEYED}),
    "turn.started.v1": Decision("speaker", ("previous",), rest=("gap_s",)),
    "turn.ended.v1": _own("started"),
    "interrupted.v1": Decision("", ("speaker", "by"), rest=("overlap_s",)),
    "overlapped.v1": Decision("", ("speaker", "on"), rest=("overlap_s",)),
    "back_channel.v1": Decision("speaker", ("to",), rest=("seconds",)),
    CONVERSATION: Decision(parts=_FIGURES, rest=("window_s",)),
    "engagement.v1": Decision(rest=("score", "parts", "weights", "confidence")),
    PROMPTED: Decision("to", parts=_SAID, rest=("prompt", "rule", "severity", "expires_s")),
    "coaching.answered.v1": Decision("to", rest=("prompt", "rule", "answer")),
    "room.opened.v1": Decision(),
    CLOSED: Decision(rest=("reason",)),
    "gap.v1": Decision(rest=("from_seq", "to_seq")),
    "room.interrupted.v1": Decision(rest=("seconds", "reason", "attempts")),
}
"""By type; a test holds this to worker/events.py."""

_ALWAYS = {"at"}


def decision(kind: str, data: Data) -> Decision:
    """Of a kind of event. Raises Misshapen for one that is not known, or whose people are no text."""
    decided = DECISIONS.get(kind)
    if decided is None or not all(isinstance(data.get(name), str | None) for name in _named(decided)):
        raise Misshapen
    return decided


def _named(decided: Decision) -> list[str]:
    return [name for name in (decided.owner, *decided.parties) if name]


def about(kind: str, data: Data, person: Person) -> dict[str, Any] | None:
    """What an event says of somebody: all of it, or only their part of what it says of several; None for nothing.

    What was said to another participant alone is not given out, also where it speaks of them; what was said to the
    managers is, with nobody else's name in it.
    """
    try:
        decided = decision(kind, data)
        if person.speaker in (data.get(name) for name in _named(decided)):
            return dict(data)
        if kind == PROMPTED and data.get("to") != MANAGERS:
            return None
        parts = {name: part.about(data[name], person) for name, part in decided.parts.items() if name in data}
        found = {name: one for name, one in parts.items() if one is not None}
        if not found:
            return None
        if kind == PROMPTED:
            others = {name: without_words(data[name], person.others, person.names) for name in ("text", "reason")}
            return {**data, **others}
        return {name: value for name, value in data.items() if name in {*_ALWAYS, *decided.rest}} | found
    except Misshapen:
        return dict(data) if person.speaker in (data.get("speaker"), data.get("to")) else None


def changes(kind: str, data: Data, person: Person) -> dict[str, Any] | None:
    """The fields that must change so that nothing of somebody is in an event; empty where nothing is, None where
    nothing of it can stay."""
    try:
        return _changes(kind, data, person)
    except Misshapen:
        return None if mentions(data, person) else {}


def _changes(kind: str, data: Data, person: Person) -> dict[str, Any] | None:
    decided = decision(kind, data)
    if decided.owner and data.get(decided.owner) == person.speaker:
        return None
    changed: dict[str, Any] = {name: ERASED for name in decided.parties if data.get(name) == person.speaker}
    if changed and all(changed.get(name, data.get(name)) == ERASED for name in _named(decided)):
        return None
    for name, part in decided.parts.items():
        if name in data:
            kept = part.without(data[name], person)
            if kept != data[name]:
                changed[name] = kept
    emptied = any(part is KEYED and changed.get(name) == {} for name, part in decided.parts.items())
    left = {**data, **changed}
    if emptied and not left.get("sides") and not set(speakers(kind, left)) - {ERASED}:
        return None  # it was of them alone, and with it what it says of everyone together
    if kind == PROMPTED and changed and data.get("to") == MANAGERS:
        return None
    unknown = {name: value for name, value in data.items() if name not in decided.fields | _ALWAYS}
    return None if mentions(unknown, person) else changed


def speakers(kind: str, data: Data) -> list[str]:
    """Everyone whom an event names by their pseudonym."""
    try:
        decided = decision(kind, data)
        found = [data[name] for name in _named(decided) if isinstance(data.get(name), str)]
        for name, part in decided.parts.items():
            if name in data:
                found += part.speakers(data[name])
        return found
    except Misshapen:
        return []


def mentions(value: Any, person: Person) -> bool:
    """Whether anything in it, keys too, is somebody's pseudonym or has their name in it."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and person.is_in(one):
            return True
        if isinstance(one, Mapping):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
    return False
