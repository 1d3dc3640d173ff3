"""Where past events are read from: a file of lines, or a room's Stream in Redis."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from worker.errors import ConfigError
from worker.events import PREFIX
from worker.report.meeting import Meeting
from worker.secrets import reveal

EVENTS = ".jsonl"
CHUNK = 1000
WAIT_S = 5.0
OF_SPEAKER = "speaker:"
ERASED = "erased"
"""The key of a room that says when somebody was erased from it."""
REPLACED = re.compile(rf'"type":"{re.escape(PREFIX)}(conversation|talk_time)\.v1"')
"""Events each of which holds all that the one before said. No text can look like it: JSON escapes quotes."""
HEAD = 1000
"""Characters of an envelope within which its type stands; where a room's long name moves it out, all are read."""

Message = Mapping[str, Any]
Unseal = Callable[[bytes, str], bytes]
"""Opens a line that may be sealed, and is told where it stands. Raises ConfigError without its key."""


def as_it_is(line: bytes, where: str) -> bytes:
    """For files that were never sealed."""
    return line


def meetings(messages: Iterable[Message]) -> list[Meeting]:
    """One record for each time a room was open, the newest last; snapshots and what is no event are passed over."""
    found: dict[tuple[str, int], Meeting] = {}
    for message in messages:
        if message["type"] == f"{PREFIX}snapshot.v1":
            continue
        place = (message["source"].removeprefix("/rooms/"), message["epoch"])
        found.setdefault(place, Meeting(*place)).fold(message)
    return sorted(found.values(), key=lambda one: one.epoch)


def newest(found: list[Meeting]) -> Meeting:
    """The last one. Raises ConfigError when there is none."""
    if not found:
        raise ConfigError("there are no events in it: name a file of the sink jsonl, or a recording.")
    return found[-1]


def read(what: list[str], redis: str, unseal: Unseal = as_it_is) -> Meeting:
    """The newest meeting in a file of events, or in a room's Stream. Raises ConfigError without one."""
    path = Path(what[0])
    if path.suffix == EVENTS and len(what) == 1:
        return newest(meetings(from_file(path, unseal)))
    if len(what) > 1 or path.suffix:
        missing = next((one for one in what if not Path(one).is_file()), what[0])
        raise ConfigError(f"{missing} does not exist: name one file of events, recordings, or one room.")
    return newest(meetings(from_redis(redis, what[0])))


def from_file(path: Path, unseal: Unseal = as_it_is) -> Iterator[Message]:
    """The events of a file that the sink `jsonl` wrote; a last line that is cut off is passed over.

    Raises ConfigError when the file cannot be read, or a line in it is no event or sealed with another key.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                message = _message(line, f"{path}, line {number}", unseal)
                if message is not None:
                    yield message
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name a file of events.") from None


def _message(line: bytes, where: str, unseal: Unseal) -> Message | None:
    whole = line.endswith(b"\n")
    try:
        message = _parsed(unseal(line.rstrip(b"\r\n"), where).decode(errors="replace"))
    except ConfigError:
        if whole:
            raise
        return None
    if message is None and whole and line.strip():
        raise ConfigError(f"{where} is no event of the worker: name a file of the sink jsonl.")
    return message


def from_redis(url: str, room: str) -> Iterator[Message]:
    """The events of a room that its Stream still holds, prompts last where they are kept.

    Raises ConfigError when Redis does not answer or holds nothing of that room.
    """
    nothing = True
    for message in Reading(url, room).new():
        nothing = False
        yield message
    if nothing:
        raise ConfigError("Redis holds no events of that room: check the name; they are kept for keeping.events_days.")


class Standing(NamedTuple):
    """What there is of a room in Redis."""

    events: bool = False
    prompts: bool = False
    erased: str | None = None
    """Another one after each time that somebody was erased from it."""

    def goes_on_from(self, before: "Standing") -> bool:
        """Whether what was read before may still be known."""
        ended = (before.events and not self.events) or (before.prompts and not self.prompts)
        return not ended and self.erased == before.erased


class Reading:
    """Reads a room's Streams on from where it came to; that of the prompts only with `prompts`."""

    def __init__(self, url: str, room: str, prompts: bool = True) -> None:
        self._url, self._key, self._prompts = url, f"ut:{{{room}}}", prompts
        self._last: dict[str, str] = {}
        self._epoch: int | None = None

    def new(self) -> Iterator[Message]:
        """What came since it last read, prompts last, without figures that later ones replace.

        Where Redis has dropped the beginning of a meeting, a gap says so. Raises ConfigError when it does not answer.
        """
        with client(self._url) as redis:
            for message in self._entries(redis, "events"):
                if message["epoch"] != self._epoch and message["seq"] > 1:
                    yield _dropped(message)
                self._epoch = message["epoch"]
                yield message
            if self._prompts:
                yield from self._entries(redis, "prompts")

    def standing(self) -> Standing:
        """Raises ConfigError when Redis does not answer."""
        with client(self._url) as redis:
            try:
                events, prompts = (bool(redis.exists(f"{self._key}:{part}")) for part in ("events", "prompts"))
                erased: Any = redis.get(f"{self._key}:{ERASED}")
            except RedisError as error:
                raise _trouble(error) from None
        return Standing(events, prompts, erased)

    def people(self) -> dict[str, Message]:
        """Who was in the room at last, by speaker. Raises ConfigError when Redis does not answer."""
        with client(self._url) as redis:
            try:
                state: Any = redis.hgetall(f"{self._key}:state")
            except RedisError as error:
                raise _trouble(error) from None
        return {
            key.removeprefix(OF_SPEAKER): json.loads(text) for key, text in state.items() if key.startswith(OF_SPEAKER)
        }

    def _entries(self, redis: Redis, part: str) -> Iterator[Message]:
        while True:
            last = self._last.get(part)
            try:
                entries: Any = redis.xrange(f"{self._key}:{part}", min=f"({last}" if last else "-", count=CHUNK)
            except RedisError as error:
                raise _trouble(error) from None
            for text in _current(entries):
                message = _parsed(text)
                if message is not None:
                    yield message
            if entries:
                self._last[part] = entries[-1][0]
            if len(entries) < CHUNK:
                return


def _current(entries: list[tuple[str, Mapping[str, str]]]) -> list[str]:
    """The events of these entries but for figures that are told anew in them: most of the bytes, never looked at."""
    kept, told = [], set()
    for place in range(len(entries) - 1, -1, -1):
        name, fields = entries[place]
        text = fields.get("event", "")
        found = REPLACED.search(text, 0, HEAD)
        about = (name.partition("-")[0], found[1]) if found is not None else None
        if about is None or about not in told or place == 0:
            kept.append(text)
        told.add(about)
    return kept[::-1]


def _dropped(first: Message) -> Message:
    data = {"at": 0.0, "from_seq": 1, "to_seq": first["seq"] - 1}
    return {**first, "type": f"{PREFIX}gap.v1", "seq": first["seq"] - 1, "time": None, "data": data}


def rooms_in_redis(url: str) -> list[str]:
    """Names of the rooms whose events Redis holds. Raises ConfigError when it does not answer."""
    try:
        with client(url) as redis:
            keys = redis.scan_iter(match="ut:{*}:events", count=CHUNK)
            return sorted(key.removeprefix("ut:{").removesuffix("}:events") for key in keys)
    except RedisError as error:
        raise _trouble(error) from None


def client(url: str, as_text: bool = True) -> Redis:
    """Not connected yet; answers with str, or with bytes. `url` is redis://…, `env:NAME` or `file:PATH`.

    Raises ConfigError for one that is none of these.
    """
    try:
        return Redis.from_url(
            reveal(url), decode_responses=as_text, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S
        )
    except (ValueError, TypeError, RedisError):
        raise ConfigError("the Redis url is not one: write redis://user:password@host:6379/0.") from None


def _trouble(error: RedisError) -> ConfigError:
    return ConfigError(f"Redis does not answer ({type(error).__name__}): start it, or give its address with --redis.")


def _parsed(line: str) -> Message | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    text, counts = (message.get("type"), message.get("source")), (message.get("seq"), message.get("epoch"))
    fits = all(isinstance(one, str) for one in text) and all(type(one) is int for one in counts)
    data = message.get("data")
    return message if fits and isinstance(data, dict) and isinstance(data.get("at"), int | float) else None
