"""Records as they are kept, in JSON: events in their envelopes, snapshots, dead letters, and whole meetings."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from worker.data.decisions import (
    CLOSED,
    CONVERSATION,
    JOINED,
    KEYED,
    PROMPTED,
    Misshapen,
    Part,
    about,
    changes,
    mentions,
    speakers,
)
from worker.data.person import ERASED, Census, Person, Whom
from worker.events import PREFIX

SNAPSHOT = "snapshot.v1"
ROOM = "/rooms/"
ATTRIBUTES = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "seq", "epoch", "audience", "data"}
)
"""Around an event; `subject` and `audience` are people, and `id` has the audience in it."""

Message = Mapping[str, Any]
T = TypeVar("T")


def parsed(line: bytes | str) -> dict[str, Any] | None:
    """The event, snapshot or dead letter of a line; None for what is none of them."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _event(found) is not None else None


def written(message: Message) -> bytes:
    """One line, without its end."""
    try:
        return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair, that only JSON's own escapes can hold
        return json.dumps(message, separators=(",", ":")).encode()


def _event(found: Message) -> Message | None:
    """The envelope, which in a dead letter is `event`."""
    if isinstance(found.get("event"), dict) and "lost" in found:
        found = found["event"]
    fits = isinstance(found.get("type"), str) and isinstance(found.get("source"), str)
    fits = fits and type(found.get("epoch")) is int and type(found.get("seq")) is int
    return found if fits and isinstance(found.get("data"), dict) else None


def place(message: Message) -> str:
    """Which record it is: the run of its room and its number there, among those of its audience if it has one."""
    event = _event(message) or {}
    audience = event.get("audience")
    return f"{event.get('epoch')}-{f'{audience}-' if audience else ''}{event.get('seq')}"


def _parted(message: Message, whom: Whom) -> tuple[Message, str, Person] | None:
    """The event within a message, its kind, and who is meant in it; None where it is of another room or run."""
    event = _event(message)
    if event is None or not event["source"].startswith(ROOM):
        return None
    person = whom.person(event["source"].removeprefix(ROOM), event["epoch"])
    return (event, event["type"].removeprefix(PREFIX), person) if person is not None else None


def about_message(message: Message, whom: Whom) -> dict[str, Any] | None:
    """What a message says of somebody, as a message; None for nothing."""
    parts = _parted(message, whom)
    if parts is None:
        return None
    event, kind, person = parts
    if event.get("audience") == person.speaker:
        return dict(event)
    data = event["data"]
    own = _about_snapshot(data, person) if kind == SNAPSHOT else about(kind, data, person)
    if own is None:
        return None
    return {name: value for name, value in event.items() if name in ATTRIBUTES} | {"data": own}


def without_message(message: Message, whom: Whom) -> Message | None:
    """The message without somebody: itself where nothing of them is in it, None where nothing else is."""
    parts = _parted(message, whom)
    if parts is None:
        return message
    event, kind, person = parts
    left = _without(event, kind, person)
    if left is None or left is event:
        return None if left is None else message
    return left if event is message else {**message, "event": left}


def _without(event: Message, kind: str, person: Person) -> Message | None:
    around = {name: value for name, value in event.items() if name not in ATTRIBUTES}
    if event.get("audience") == person.speaker or mentions(around, person):
        return None
    data = event["data"]
    changed = _snapshot_changes(data, person) if kind == SNAPSHOT else changes(kind, data, person)
    if changed is None:
        return None
    subject = {"subject": ERASED} if event.get("subject") == person.speaker else {}
    return {**event, **subject, "data": {**data, **changed}} if changed or subject else event


def _about_snapshot(data: Message, person: Person) -> dict[str, Any] | None:
    try:
        own = KEYED.about(data.get("speakers", {}), person)
    except Misshapen:
        return None
    return {**data, "speakers": own} if own is not None else None


def _snapshot_changes(data: Message, person: Person) -> dict[str, Any] | None:
    try:
        left = KEYED.without(data.get("speakers", {}), person)
    except Misshapen:
        return None if mentions(data, person) else {}
    return {} if left is data.get("speakers", left) else {"speakers": left}


def learn(message: Message, census: Census) -> None:
    """Who is spoken of in a message of the census' room."""
    event = _event(message)
    if event is None or event["source"] != ROOM + census.room:
        return
    kind, data, epoch = event["type"].removeprefix(PREFIX), event["data"], event["epoch"]
    here = data.get("speakers") if kind == SNAPSHOT else None
    named = list(here) if isinstance(here, dict) else speakers(kind, data)
    census.note(epoch, named, event.get("time"))
    census.told.add(epoch)
    if kind == JOINED and isinstance(data.get("speaker"), str):
        census.call(epoch, data["speaker"], data.get("name"), data.get("role"))
    elif kind == CLOSED:
        census.closed.add(epoch)
    if isinstance(here, dict):
        for speaker, one in here.items():
            census.call(epoch, speaker, one.get("name") if isinstance(one, dict) else None)


# -- meetings, as `worker.report.meeting.Meeting` folds them ---------------------------------------------------------


def _rows(*parties: int, owner: int | None = None) -> Part:
    """A list of rows, in which people stand at fixed places."""
    places = [*parties, *([] if owner is None else [owner])]

    def about_rows(value: Any, person: Person) -> Any:
        return [row for row in value if person.speaker in (row[place] for place in places)] or None

    def without_row(row: list[Any], person: Person) -> list[Any] | None:
        if owner is not None and row[owner] == person.speaker:
            return None
        left = [ERASED if at in parties and one == person.speaker else one for at, one in enumerate(row)]
        return None if left != row and all(left[place] == ERASED for place in places) else left

    def without_rows(value: Any, person: Person) -> Any:
        kept = [left for row in value if (left := without_row(row, person)) is not None]
        return kept if kept != value else value

    return Part(about_rows, without_rows, lambda value: [row[place] for row in value for place in places])


def _nested(kind: str) -> Part:
    """An event's data, or null."""

    def without_nested(value: Any, person: Person) -> Any:
        changed = changes(kind, value, person) if value else {}
        return None if changed is None else {**value, **changed} if changed else value

    return Part(
        lambda value, person: about(kind, value, person) if value else None,
        without_nested,
        lambda value: speakers(kind, value) if value else [],
    )


def _each(part: Part) -> Part:
    """A list of such values."""

    def without_each(value: Any, person: Person) -> Any:
        kept = [left for one in value if (left := part.without(one, person)) is not None]
        return kept if kept != value else value

    return Part(
        lambda value, person: [own for one in value if (own := part.about(one, person)) is not None] or None,
        without_each,
        lambda value: [who for one in value for who in part.speakers(one)],
    )


MEETING: Mapping[str, Part] = {
    "people": KEYED,
    "talk": KEYED,
    "speech": KEYED,
    "speaking": KEYED,
    "emotion": KEYED,
    "turns": _rows(owner=0),
    "interruptions": _rows(1, 2),
    "overlaps": _rows(1, 2),
    "back_channels": _rows(2, owner=1),
    "shifts": _rows(owner=1),
    "figures": _nested(CONVERSATION),
    "prompts": _each(_nested(PROMPTED)),
}
"""What of a meeting's record speaks of people."""
MEETING_REST = frozenset(
    {"room", "epoch", "seq", "started", "at", "closed", "engagement", "parts", "outages", "missed", "forgotten"}
    | {"for", "note", "contact"}
)

Record = dict[str, Any]


def as_meeting(found: object) -> Record | None:
    """A meeting's record; None for any other JSON."""
    if not isinstance(found, dict) or not {"room", "epoch", "people", "figures"} <= found.keys():
        return None
    people = found["people"]
    fits = isinstance(people, dict) and all(isinstance(one, dict) for one in people.values())
    return found if fits and type(found["epoch"]) is int else None


def about_meeting(record: Record, whom: Whom) -> Record | None:
    """What a meeting's record says of somebody; None for nothing, or a record that is not as it should be."""
    person = whom.person(record["room"], record["epoch"])
    if person is None:
        return None
    found = {name: part.about(record[name], person) for name, part in MEETING.items() if name in record}
    own = {name: one for name, one in found.items() if one is not None}
    head = {name: record.get(name) for name in ("room", "epoch", "started", "at")}
    return head | own if own else None


def without_meeting(record: Record, whom: Whom) -> Record:
    """The record without somebody; itself where nothing of them is in it. Other fields than a meeting's are kept, but
    for those that mention them."""
    person = whom.person(record["room"], record["epoch"])
    if person is None:
        return record
    left = {name: MEETING[name].without(value, person) if name in MEETING else value for name, value in record.items()}
    for name in left.keys() - MEETING.keys() - MEETING_REST:
        if mentions({name: left[name]}, person):
            del left[name]
    return left if left != record else record


def learn_meeting(record: Record, census: Census) -> None:
    if record["room"] != census.room:
        return
    epoch, began, ended = record["epoch"], record.get("started"), None
    if isinstance(began, str):
        moment = datetime.fromisoformat(began) + timedelta(seconds=record.get("at") or 0.0)
        ended = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for time in (began, ended):
        census.note(epoch, [who for name in MEETING.keys() & record.keys() for who in _named(name, record)], time)
    for speaker, one in record["people"].items():
        census.call(epoch, speaker, one.get("name"), one.get("role"))
    if record.get("closed") is not None:
        census.closed.add(epoch)


def _named(name: str, record: Record) -> list[str]:
    return [who for who in MEETING[name].speakers(record[name]) if isinstance(who, str)]


def judged(judge: Callable[[], T]) -> T:
    """What a judgement of a meeting answers; raises Misshapen where its insides are not as its outside says."""
    try:
        return judge()
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        raise Misshapen from None
