"""A room in Redis: its Streams are written anew without somebody and swapped while a worker goes on writing."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, WatchError

from worker.data.person import Census, Whom
from worker.data.records import about_message, learn, parsed, place, without_message, written
from worker.data.stores import Tally, Unreached
from worker.errors import ConfigError
from worker.report.sources import ERASED, client

CHUNK = 500
ATTEMPTS = 200
"""Swaps that a writer may foil: each takes some milliseconds, in which a room says a few events at most."""
LEFTOVER_MS = 600_000
"""How long a copy that a crash left behind is kept, in milliseconds."""
STREAMS = ("events", "prompts")
OF_SPEAKER = b"speaker:"

Entry = tuple[bytes, dict[bytes, bytes]]


class RedisStore:
    """The keys that the sink `redis` writes for one room. What it published was kept by nobody here.

    `url` is redis://…, `env:NAME` or `file:PATH`. Entries of others stay as they are, byte for byte, with their ids;
    so do the key's time to live, its last id and its consumer groups, except for what these had not yet acknowledged.
    `ut:{room}:erased` is another value afterwards, so that who read the Streams before knows to begin anew.
    """

    def __init__(self, url: str, room: str, name: str = "redis") -> None:
        self.name, self._url, self._room = name, url, room
        self._key = f"ut:{{{room}}}"

    async def look(self, census: Census) -> None:
        await asyncio.to_thread(self._asked, self._look, census)

    async def export(self, whom: Whom) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await asyncio.to_thread(self._asked, self._export, whom)
        return found

    async def erase(self, whom: Whom) -> Tally:
        tally: Tally = await asyncio.to_thread(self._asked, self._erase, whom)
        return tally

    def _asked(self, ask: Any, about: Any) -> Any:
        try:
            with client(self._url, as_text=False) as redis:
                return ask(redis, about)
        except (RedisError, OSError) as error:
            reason = f"Redis does not answer ({type(error).__name__}): start it, or correct the sink's url."
            raise Unreached(reason) from None
        except ConfigError as error:
            raise Unreached(str(error)) from None

    # -- reading --------------------------------------------------------------------------------------------------

    def _entries(self, redis: Redis, key: str) -> Iterator[Entry]:
        after = b"-"
        while entries := _range(redis, key, after):
            yield from entries
            after = b"(" + entries[-1][0]

    def _look(self, redis: Redis, census: Census) -> None:
        for part in STREAMS:
            for _, fields in self._entries(redis, f"{self._key}:{part}"):
                if (message := parsed(fields.get(b"event", b""))) is not None:
                    learn(message, census)
        epoch, people = self._state(redis)
        for speaker, one in people.items():
            census.call(epoch, speaker, one.get("name"))

    def _export(self, redis: Redis, whom: Whom) -> list[dict[str, Any]]:
        found = []
        for part in STREAMS:
            for _, fields in self._entries(redis, f"{self._key}:{part}"):
                message = parsed(fields.get(b"event", b""))
                if message is not None and (own := about_message(message, whom)) is not None:
                    found.append(own)
        epoch, people = self._state(redis)
        if whom.person(self._room, epoch) is not None and whom.speaker in people:
            found.append({"state": people[whom.speaker], "epoch": epoch})
        return found

    def _state(self, redis: Redis) -> tuple[int, dict[str, dict[str, Any]]]:
        fields: Any = redis.hgetall(f"{self._key}:state")
        people = {}
        for name, text in fields.items():
            if name.startswith(OF_SPEAKER):
                try:
                    one = json.loads(text)
                except ValueError:
                    one = None
                speaker = name.removeprefix(OF_SPEAKER).decode(errors="replace")
                people[speaker] = one if isinstance(one, dict) else {}
        return _epoch(fields.get(b"epoch")), people

    # -- erasing --------------------------------------------------------------------------------------------------

    def _erase(self, redis: Redis, whom: Whom) -> Tally:
        tally = Tally()
        for part in STREAMS:
            tally.add(self._rewrite(redis, f"{self._key}:{part}", whom))
        tally.add(self._leave_state(redis, whom))
        return tally

    def _rewrite(self, redis: Redis, key: str, whom: Whom) -> Tally:
        """Copy what stays beside it, catch up with what came meanwhile, and put the copy in its place in one go."""
        fresh = f"{self._key}:fresh:{secrets.token_hex(8)}"
        tally, after = Tally(), b"-"
        try:
            for _ in range(ATTEMPTS):
                after = self._copy(redis, key, fresh, after, whom, tally)
                if not tally.records or self._swap(redis, key, fresh, after):
                    return tally
            raise Unreached("a room is so busy that its events in Redis could not be exchanged: try again.")
        finally:
            redis.delete(fresh)

    def _copy(self, redis: Redis, key: str, fresh: str, after: bytes, whom: Whom, tally: Tally) -> bytes:
        """Go on from `after` to the end; returns where that was."""
        while entries := _range(redis, key, after):
            kept = [one for entry in entries if (one := _without(entry, whom, tally)) is not None]
            with redis.pipeline(transaction=False) as commands:
                for name, fields in kept:
                    commands.xadd(fresh, fields, id=name)  # type: ignore[arg-type]
                commands.pexpire(fresh, LEFTOVER_MS)
                commands.execute()
            after = b"(" + entries[-1][0]
        return after

    def _swap(self, redis: Redis, key: str, fresh: str, after: bytes) -> bool:
        """False where something came in between, or left."""
        with redis.pipeline(transaction=True) as commands:
            commands.watch(key)  # type: ignore[no-untyped-call]
            if not commands.exists(key):
                return True  # it ended by itself, with all that was in it
            first: Any = commands.xrange(key, count=1)
            if _range(commands, key, after):
                return False
            about: Any = commands.xinfo_stream(key)
            groups: Any = commands.xinfo_groups(key) if about["groups"] else []
            ttl_ms: Any = commands.pttl(key)
            left = bool(commands.exists(fresh))
            commands.multi()
            if left:
                if first:  # what was dropped at the front meanwhile does not come back
                    commands.xtrim(fresh, minid=first[0][0], approximate=False)
                commands.execute_command("XSETID", fresh, about["last-generated-id"])  # type: ignore[no-untyped-call]
                for group in groups:
                    commands.xgroup_create(fresh, group["name"], id=group["last-delivered-id"])
                commands.rename(fresh, key)
                commands.pexpire(key, ttl_ms) if ttl_ms >= 0 else commands.persist(key)
            else:
                commands.delete(key)
            commands.set(f"{self._key}:{ERASED}", secrets.token_hex(8), px=ttl_ms if ttl_ms > 0 else None)
            try:
                commands.execute()
            except WatchError:
                return False
        return True

    def _leave_state(self, redis: Redis, whom: Whom) -> Tally:
        key, field = f"{self._key}:state", OF_SPEAKER + whom.speaker.encode(errors="surrogatepass")
        for _ in range(ATTEMPTS):
            with redis.pipeline(transaction=True) as commands:
                commands.watch(key)  # type: ignore[no-untyped-call]
                epoch: Any = commands.hget(key, "epoch")
                if whom.person(self._room, _epoch(epoch)) is None or not commands.hexists(key, field):
                    return Tally()
                commands.multi()
                commands.hdel(key, field)
                try:
                    commands.execute()
                    return Tally(cut=1)
                except WatchError:
                    continue
        raise Unreached("a room is so busy that its state in Redis could not be changed: try again.")


def _range(redis: Redis | Pipeline, key: str, after: bytes) -> list[Entry]:
    entries: Any = redis.xrange(key, min=after, count=CHUNK)
    return list(entries)


def _without(entry: Entry, whom: Whom, tally: Tally) -> Entry | None:
    name, fields = entry
    message = parsed(fields.get(b"event", b""))
    if message is None:
        tally.unread += 1
        return entry
    left = without_message(message, whom)
    if left is message:
        return entry
    tally.note(place(message), gone=left is None)
    return None if left is None else (name, {**fields, b"event": written(left)})


def _epoch(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() else -1
