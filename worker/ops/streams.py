"""Takes out of Redis what was kept long enough, event by event, of all rooms."""

import json
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, WatchError

from worker.errors import ConfigError
from worker.privacy.keeping import Keeping
from worker.secrets import reveal

CHUNK = 200
WAIT_S = 5.0
STREAMS = (":events", ":prompts")


async def trim(url: str, keeping: Keeping, now: float) -> int:
    """How many events are gone. `now` is in seconds since 1970; `url` as in the sink `redis`.

    The ids of a Stream tell when its room was opened, which may be long ago, so that each event's own time counts.
    Raises ConfigError when Redis does not answer, or refuses.
    """
    gone = 0
    try:
        async with _client(url) as redis:
            async for key in redis.scan_iter(match="ut:{*}:*", count=CHUNK):
                if key.endswith(STREAMS):
                    gone += await _trim(redis, key, keeping, now)
    except NoPermissionError:
        raise ConfigError(
            "Redis does not let the worker take out old events: give its user also +scan +xrange +xtrim +xlen +watch"
            " +unlink."
        ) from None
    except (RedisError, OSError) as error:
        raise ConfigError(f"Redis does not answer ({type(error).__name__}): start it, or correct the url.") from None
    return gone


def _client(url: str) -> Redis:
    try:
        client: Redis = Redis.from_url(
            reveal(url),
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=WAIT_S,
            socket_connect_timeout=WAIT_S,
        )
    except (ValueError, TypeError, RedisError):
        raise ConfigError("the Redis url is not one: write redis://user:password@host:6379/0.") from None
    return client


async def _trim(redis: Redis, key: str, keeping: Keeping, now: float) -> int:
    last = await _last_due(redis, key, keeping, now)
    if last is None:
        return 0
    opened, _, number = last.partition("-")
    gone = int(await redis.xtrim(key, minid=f"{opened}-{int(number) + 1}", approximate=False))
    if not await redis.xlen(key):
        await _leave(redis, key)
    return gone


async def _last_due(redis: Redis, key: str, keeping: Keeping, now: float) -> str | None:
    """The id of the last event before the first that stays; what is no event goes with the one after it."""
    last, after = None, "-"
    while entries := await _entries(redis, key, after):
        for name, fields in entries:
            due = keeping.due(_record(fields), now)
            if due is False:
                return last
            last = name if due else last
        after = f"({entries[-1][0]}"
    return last


async def _entries(redis: Redis, key: str, after: str) -> list[tuple[str, dict[str, str]]]:
    entries: Any = await redis.xrange(key, min=after, count=CHUNK)
    return list(entries)


def _record(fields: Any) -> Any:
    try:
        return json.loads(fields["event"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


async def _leave(redis: Redis, key: str) -> None:
    """Nothing is left of a Stream but its name, and of a room but who was in it: these go too, unless it goes on."""
    room, _, part = key.rpartition(":")
    commands: Any
    async with redis.pipeline(transaction=True) as commands:
        try:
            await commands.watch(key)
            if not await commands.xlen(key):
                commands.multi()
                commands.unlink(key, *([f"{room}:state"] if part == "events" else []))
                await commands.execute()
        except WatchError:
            pass  # somebody writes to it again
