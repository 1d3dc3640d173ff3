"""Old events in a real Redis: each goes when its own time has come, of rooms that are open and of rooms long closed."""

import asyncio
import json
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from tests.fakes import EPOCH, NOON, envelopes, folded
from tests.support import free_port
from worker.errors import ConfigError
from worker.events import PromptAnswered, SpeechStarted
from worker.ops import streams
from worker.ops.streams import trim
from worker.privacy.keeping import Keeping
from worker.sinks.redis import RedisSink

DAY = 86_400.0
NOW = NOON.timestamp()


@pytest.fixture
def redis(redis_url):
    return Redis.from_url(redis_url, decode_responses=True)


async def fill(redis, days, room="quiet", key="events", epoch=EPOCH):
    """An event a day, from day to day; the room was opened on the first."""
    for number in days:
        await add(redis, number, number, room, key, epoch)
    await redis.hset(f"ut:{{{room}}}:state", mapping={"room": room})


async def add(redis, number, day, room="quiet", key="events", epoch=EPOCH):
    event = PromptAnswered(0.0, "r-1", "ada", "r", "dismissed") if key == "prompts" else SpeechStarted(0.0, "ada")
    text = json.dumps(envelopes(event)[0].as_dict() | {"time": (NOON + timedelta(days=day)).isoformat()})
    await redis.xadd(f"ut:{{{room}}}:{key}", {"event": text}, id=f"{epoch}-{number}")


async def left(redis, room="quiet", key="events"):
    return [int(name.partition("-")[2]) for name, _ in await redis.xrange(f"ut:{{{room}}}:{key}")]


async def test_a_room_that_is_open_for_long_loses_what_is_old_and_nothing_else(redis, redis_url, monkeypatch):
    monkeypatch.setattr(streams, "CHUNK", 3)
    async with redis:
        await fill(redis, range(1, 61))
        assert await trim(redis_url, Keeping(), NOW + 50 * DAY - 1) == 19
        assert await left(redis) == list(range(20, 61))
        assert await trim(redis_url, Keeping(), NOW + 50 * DAY) == 1
        assert await trim(redis_url, Keeping(), NOW + 50 * DAY) == 0
        assert await left(redis) == list(range(21, 61))


async def test_prompts_go_earlier_and_other_rooms_keep_theirs(redis, redis_url):
    async with redis:
        await fill(redis, range(1, 11))
        await fill(redis, range(1, 11), key="prompts")
        await fill(redis, range(9, 11), room="other", key="prompts")
        assert await trim(redis_url, Keeping(), NOW + 10 * DAY) == 3
        assert await left(redis) == list(range(1, 11))
        assert await left(redis, key="prompts") == list(range(4, 11))
        assert await left(redis, "other", "prompts") == [9, 10]


async def test_an_earlier_run_of_the_room_goes_by_its_events_not_by_when_it_was_opened(redis, redis_url):
    async with redis:
        await fill(redis, range(1, 41), epoch=1)
        await fill(redis, range(41, 43), epoch=2)
        assert await trim(redis_url, Keeping(), NOW + 42 * DAY) == 12
        assert (await left(redis))[0] == 13


async def test_of_a_room_of_which_all_is_old_nothing_is_left(redis, redis_url):
    async with redis:
        await fill(redis, [1, 2])
        await fill(redis, [1, 2], key="prompts")
        assert await trim(redis_url, Keeping(), NOW + 20 * DAY) == 2
        assert sorted(await redis.keys()) == ["ut:{quiet}:events", "ut:{quiet}:state"]
        assert await trim(redis_url, Keeping(), NOW + 40 * DAY) == 2
        assert await redis.keys() == []


async def test_what_is_no_event_goes_with_what_stands_after_it(redis, redis_url):
    async with redis:
        await redis.xadd("ut:{quiet}:events", {"event": "{"}, id=f"{EPOCH}-1")
        await fill(redis, [2, 3])
        await redis.xadd("ut:{quiet}:events", {"something": "else"}, id=f"{EPOCH}-4")
        await redis.set("ut:{quiet}:notes", "not ours")
        assert await trim(redis_url, Keeping(), NOW + 3 * DAY) == 0
        assert await trim(redis_url, Keeping(), NOW + 32 * DAY) == 2
        assert await left(redis) == [3, 4]
        assert await trim(redis_url, Keeping(), NOW + 99 * DAY) == 1
        assert await left(redis) == [4]
        assert await redis.get("ut:{quiet}:notes") == "not ours"


async def test_nothing_young_goes_where_a_clock_was_set_back(redis, redis_url):
    async with redis:
        for number, day in enumerate([1, 40, 2], 1):
            await add(redis, number, day)
        assert await trim(redis_url, Keeping(), NOW + 35 * DAY) == 1
        assert await left(redis) == [2, 3]


async def test_a_room_goes_on_while_it_is_trimmed(redis, redis_url):
    """The sink writes to the Stream all the time; of what it wrote nothing is missing, and what is old is gone."""
    sink = RedisSink(folded([]), Keeping(), redis_url)
    said = envelopes(*(SpeechStarted(hour * 3600.0, "ada") for hour in range(300)))

    async def talk():
        for envelope in said:
            await sink.send(envelope)

    async with redis:
        talking = asyncio.create_task(talk())
        days = 2.0
        while not talking.done():
            days = min(days + 0.1, 8.0)
            await trim(redis_url, Keeping(events_days=1), NOW + days * DAY)
        await talking
        await trim(redis_url, Keeping(events_days=1), NOW + 8 * DAY)
        assert await left(redis) == list(range(7 * 24 + 2, 301))  # the first, number 1, is of hour 0
    await sink.close()


async def test_who_may_not_trim_is_told_what_is_missing(redis_server):
    server = redis_server()
    async with Redis.from_url(server.url, decode_responses=True) as admin:
        rights = ["+ping", "+xadd", "~ut:*", "&ut:*"]
        await admin.execute_command("ACL", "SETUSER", "undertone", "on", ">quite-secret", *rights)
        url = server.url.replace("//", "//undertone:quite-secret@")
        with pytest.raises(ConfigError, match=r"give its user also \+scan") as error:
            await trim(url, Keeping(), NOW)
        await fill(admin, [1, 2])
        more = str(error.value).partition("also ")[2].rstrip(".").split()
        await admin.execute_command("ACL", "SETUSER", "undertone", "+multi", "+exec", *more)
        assert await trim(url, Keeping(), NOW + 90 * DAY) == 2
        assert await admin.keys() == []


async def test_a_redis_that_is_away_is_a_sentence():
    with pytest.raises(ConfigError, match=r"Redis does not answer \(ConnectionError\)"):
        await trim(f"redis://127.0.0.1:{free_port()}/0", Keeping(), NOW)
