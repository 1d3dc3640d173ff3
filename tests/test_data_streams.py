"""One person out of a real Redis, while a worker goes on writing."""

import asyncio
import json

import pytest
from redis import Redis

from tests.fakes import envelopes, folded
from tests.test_data_stores import HOSTILE, MEETING_OF_TWO, TALKED, lines_of
from worker.data import streams
from worker.data.person import Census
from worker.data.stores import Unreached
from worker.data.streams import RedisStore
from worker.events import SpeechStarted
from worker.report.archive import Shelf
from worker.report.sources import ERASED

KEY = b"ut:{quiet}:events"


@pytest.fixture
def redis(redis_url):
    with Redis.from_url(redis_url) as client:
        yield client


def fill(redis, room="quiet", epoch=7, events=MEETING_OF_TWO, extra=b"\xff"):
    counts = {}
    for envelope in envelopes(*events, room=room, epoch=epoch):
        part = "prompts" if envelope.audience else "events"
        counts[part] = counts.get(part, 0) + 1
        key = f"ut:{{{room}}}:{part}"
        redis.xadd(key, {"event": envelope.as_json(), "extra": extra}, id=f"{epoch}-{counts[part]}")
        redis.pexpire(key, 9_000_000)
    said = [envelope for envelope in envelopes(*events, room=room, epoch=epoch) if not envelope.audience]
    redis.hset(f"ut:{{{room}}}:state", mapping=folded(said, room, epoch).as_hash())


async def whom_in(store, epochs=(7,)):
    census = Census("quiet")
    await store.look(census)
    return census.whom("p1", epochs)


def everything(redis):
    read = {b"stream": redis.xrange, b"hash": redis.hgetall}
    return {key: read[kind](key) for key in sorted(redis.keys()) if (kind := redis.type(key)) in read}


def marks(redis):
    return [redis.get(f"ut:{{quiet}}:{ERASED}")]


async def test_one_is_out_and_others_keep_their_ids_and_their_bytes(redis, redis_url):
    fill(redis, "loud")
    for epoch in (7, 8):
        fill(redis, epoch=epoch)
    for number, line in enumerate(HOSTILE):
        redis.xadd(KEY, {"event": line}, id=f"9-{number + 1}")
    redis.xadd(KEY, {"nothing": "p1"}, id="9-99")
    redis.xdel(KEY, "9-99")
    redis.xgroup_create(KEY, "readers", id="7-3")
    before = everything(redis)
    store = RedisStore(redis_url, "quiet")
    whom = await whom_in(store)
    assert whom.runs[7].names == {"Ada"}
    assert len(await store.export(whom)) == 7
    tally = await store.erase(whom)
    after = everything(redis)
    assert (tally.gone, tally.cut, tally.unread) == (5, 3, len(HOSTILE))
    assert after.keys() == before.keys()
    assert marks(redis) != [None]
    for key in after:
        if key not in (KEY, b"ut:{quiet}:prompts"):
            assert after[key] == before[key]
    left = [entry for entry in before[KEY] if entry in after[KEY]]
    cut = [entry for entry in after[KEY] if entry not in before[KEY]]
    assert [entry[0] for entry in after[KEY]] == sorted(name for name, _ in [*left, *cut])
    assert [entry for entry in before[KEY] if not (entry[0].startswith(b"7-") and b'"p1' in entry[1][b"event"])] == left
    assert [list(fields) for _, fields in cut] == [[b"event", b"extra"]] * 2
    assert not any(b'"p1' in fields[b"event"] or b"Ada" in fields[b"event"] for _, fields in cut)
    assert 8_000_000 < redis.pttl(KEY) <= 9_000_000
    assert redis.xinfo_stream(KEY)["last-generated-id"] == b"9-99"
    assert redis.xinfo_groups(KEY)[0]["last-delivered-id"] == b"7-3"
    assert await store.export(whom) == []
    mark = marks(redis)
    assert (await store.erase(whom)).records == 0
    assert (everything(redis), marks(redis)) == (after, mark)


async def test_who_read_the_meeting_before_reads_it_anew(redis, redis_url):
    fill(redis, extra="")
    shelf = Shelf(redis_url, "quiet", prompts=True, smallest=1)
    assert "Ada" in shelf.record()
    store = RedisStore(redis_url, "quiet")
    await store.erase(await whom_in(store))
    assert "Ada" not in shelf.record()
    assert "Bo" in shelf.record()


async def test_the_state_is_of_the_newest_run_alone(redis, redis_url):
    fill(redis)
    store = RedisStore(redis_url, "quiet")
    await store.erase(await whom_in(store, (6,)))
    assert redis.hexists("ut:{quiet}:state", "speaker:p1")
    whom = await whom_in(store)
    assert {"Ada"} == {one["state"]["name"] for one in await store.export(whom) if "state" in one}
    await store.erase(whom)
    state = redis.hgetall("ut:{quiet}:state")
    assert b"speaker:p1" not in state
    assert json.loads(state[b"speaker:p2"])["name"] == "Bo"


async def test_a_stream_of_theirs_alone_goes_and_an_empty_redis_is_no_trouble(redis, redis_url):
    store = RedisStore(redis_url, "quiet")
    assert (await store.erase(await whom_in(store))).records == 0
    fill(redis, events=[SpeechStarted(1.0, "p1")])
    assert (await store.erase(await whom_in(store))).gone == 1
    assert redis.keys("*events*") == []


async def test_a_worker_may_write_on_and_trim_while_somebody_is_erased(redis, redis_url, monkeypatch):
    monkeypatch.setattr(streams, "CHUNK", 50)
    lines = lines_of(*[SpeechStarted(1.0, "p1"), SpeechStarted(1.0, "p2"), TALKED] * 300)
    for number, line in enumerate(lines):
        redis.xadd(KEY, {"event": line}, id=f"7-{number + 1}")
    store, count, trimmed = RedisStore(redis_url, "quiet"), 1000, 0
    whom = await whom_in(store)
    erasing = asyncio.create_task(store.erase(whom))
    while not erasing.done():
        count += 1
        redis.xadd(KEY, {"event": lines[1]}, id=f"7-{count}")
        if count % 10 == 0:
            trimmed += 1
            redis.xtrim(KEY, minid=f"7-{trimmed}", approximate=False)
        await asyncio.sleep(0.001)
    assert count > 1005
    entries = redis.xrange(KEY)
    numbers = [int(name.split(b"-")[1]) for name, _ in entries]
    assert numbers == [n for n in range(1, 901) if n % 3 != 1 and n >= trimmed] + list(range(1001, count + 1))
    assert not any(b'"p1"' in fields[b"event"] for _, fields in entries)
    kept = {number: fields[b"event"] for number, (_, fields) in zip(numbers, entries, strict=True)}
    assert all(line == lines[number - 1] for number, line in kept.items() if number % 3 == 2 and number <= 900)
    assert all(line == lines[1] for number, line in kept.items() if number > 1000)
    assert redis.keys("*fresh*") == []


async def test_a_room_that_is_never_still_is_left_whole_and_told_of(redis, redis_url, monkeypatch):
    fill(redis)
    before, swap = redis.xlen(KEY), RedisStore._swap

    def foiled(self, client, key, fresh, after):
        redis.xadd(KEY, {"event": "{}"}, id="*")
        return swap(self, client, key, fresh, after)

    monkeypatch.setattr(RedisStore, "_swap", foiled)
    monkeypatch.setattr(streams, "ATTEMPTS", 3)
    store = RedisStore(redis_url, "quiet")
    with pytest.raises(Unreached, match="busy"):
        await store.erase(await whom_in(store))
    assert redis.xlen(KEY) == before + 3
    assert redis.keys("*fresh*") == []


async def test_what_was_dropped_at_the_front_meanwhile_does_not_come_back(redis, redis_url, monkeypatch):
    fill(redis)
    swap = RedisStore._swap

    def trimmed(self, client, key, fresh, after):
        redis.xtrim(key, minid="7-7" if key.endswith("events") else "7-1", approximate=False)
        return swap(self, client, key, fresh, after)

    monkeypatch.setattr(RedisStore, "_swap", trimmed)
    store = RedisStore(redis_url, "quiet")
    await store.erase(await whom_in(store))
    assert [name for name, _ in redis.xrange(KEY)] == [b"7-7", b"7-8", b"7-9"]


async def test_a_write_between_the_last_look_and_the_swap_is_not_lost(redis, redis_url, monkeypatch):
    fill(redis)
    store, asked = RedisStore(redis_url, "quiet"), []
    whom, pipeline = await whom_in(store), Redis.pipeline

    def spied(self, transaction=True, **more):
        commands = pipeline(self, transaction, **more)
        if transaction:
            execute = commands.execute

            def late(*args, **kwargs):
                if not asked:
                    asked.append(redis.xadd(KEY, {"event": "{}"}, id="8-1"))
                return execute(*args, **kwargs)

            commands.execute = late
        return commands

    monkeypatch.setattr(Redis, "pipeline", spied)
    await store.erase(whom)
    assert asked
    assert redis.xrange(KEY)[-1] == (b"8-1", {b"event": b"{}"})
    assert not any(b'"p1"' in fields[b"event"] for _, fields in redis.xrange(KEY))


async def test_a_redis_that_is_away_or_none_is_told_of():
    for url, sentence in (
        ("redis://127.0.0.1:9", "does not answer"),
        ("http://x", "not one"),
        ("env:NONE_1", "NONE_1"),
    ):
        store = RedisStore(url, "quiet")
        with pytest.raises(Unreached, match=sentence):
            await store.erase(Census("quiet").whom("p1", [7]))
