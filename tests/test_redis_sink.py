"""A real Redis: its keys, its absence, its return."""

import asyncio
import json
import subprocess

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from tests.fakes import EPOCH, envelopes, folded, run_of
from tests.support import free_port, require
from worker.errors import ConfigError, SinkError
from worker.events import PromptAnswered, SpeakerJoined, SpeakerLeft, SpeechStarted, TalkTime
from worker.privacy.keeping import Keeping
from worker.sinks.delivery import Outlet
from worker.sinks.redis import RedisSink

PASSWORD = "quite-secret"


@pytest.fixture
def redis(redis_url):
    return Redis.from_url(redis_url, decode_responses=True)


async def stream(client):
    """The numbers in the Stream, in order."""
    return [json.loads(fields["event"])["seq"] for _, fields in await client.xrange("ut:{quiet}:events")]


async def until(condition, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_event_is_live_in_the_stream_and_in_the_state(redis, redis_url):
    said = envelopes(SpeakerJoined(1.0, "ada", "Ada"), SpeechStarted(2.0, "ada"))
    sink = RedisSink(folded(said), Keeping(), redis_url)
    async with redis, redis.pubsub() as pubsub:
        await pubsub.subscribe("ut:{quiet}:live")
        await pubsub.get_message(timeout=5)
        for envelope in said:
            await sink.send(envelope)
        live = [(await pubsub.get_message(timeout=5))["data"] for _ in said]
        assert live == [envelope.as_json() for envelope in said]
        entries = await redis.xrange("ut:{quiet}:events")
        assert entries == [(f"{EPOCH}-{one.seq}", {"event": one.as_json()}) for one in said]
        state = await redis.hgetall("ut:{quiet}:state")
        assert state == folded(said).as_hash()
        assert json.loads(state["speaker:ada"])["speaking"] is True
    await sink.close()


async def test_the_keys_end_when_their_last_event_was_kept_long_enough(redis, redis_url):
    said = envelopes(SpeakerJoined(1.0, "ada", "Ada"), PromptAnswered(2.0, "r-1", "ada", "r", "dismissed"))
    sink = RedisSink(folded(said[:1]), Keeping(2, 1), redis_url, prompts=True)
    async with redis:
        for envelope in said:
            await sink.send(envelope)
        ends = {key: await redis.ttl(f"ut:{{quiet}}:{key}") for key in ("events", "state", "prompts")}
    assert {key: round(left_s / 86_400, 2) for key, left_s in ends.items()} == {"events": 2, "state": 2, "prompts": 1}
    await sink.close()


async def test_the_stream_is_trimmed_roughly(redis, redis_url):
    sink = RedisSink(folded([]), Keeping(), redis_url, stream_length=100)
    async with redis:
        for envelope in run_of(450):
            await sink.send(envelope)
        assert 100 <= len(numbers := await stream(redis)) < 300
        assert numbers[-1] == 450
    await sink.close()


async def test_redis_dies_and_comes_back(redis_server):
    server = redis_server()
    said = run_of(60)
    sink = RedisSink(folded([]), Keeping(), server.url)
    outlet = Outlet(sink)
    with capture_logs() as logs:
        for envelope in said[:20]:
            outlet.put(envelope)
        await until(lambda: outlet.delivered == 20)
        server.kill()
        for envelope in said[20:40]:
            outlet.put(envelope)
        await until(lambda: any(entry.get("code") == "redis_away" for entry in logs))
        await asyncio.to_thread(server.start)
        for envelope in said[40:]:
            outlet.put(envelope)
        await until(lambda: outlet.delivered == 60)
    async with Redis.from_url(server.url, decode_responses=True) as client:
        assert await stream(client) == list(range(21, 61))
    assert await outlet.close(5.0) == 0
    assert [entry["event"] for entry in logs] == ["redis_trouble", "redis_back"]


async def test_what_does_not_fit_the_outbox_is_announced(redis_server):
    server = redis_server()
    server.kill()
    sink = RedisSink(folded([]), Keeping(), server.url, outbox=5)
    outlet = Outlet(sink)
    said = run_of(30)
    outlet.put(said[0])
    await until(lambda: sink._trouble is not None)
    for envelope in said[1:]:
        outlet.put(envelope)
    await asyncio.to_thread(server.start)
    await until(lambda: outlet.waiting == 0)
    async with Redis.from_url(server.url, decode_responses=True) as client:
        entries = [json.loads(fields["event"]) for _, fields in await client.xrange("ut:{quiet}:events")]
    assert [entry["seq"] for entry in entries] == [1, 25, 26, 27, 28, 29, 30]
    assert (entries[1]["data"]["from_seq"], entries[1]["data"]["to_seq"]) == (2, 25)
    assert await outlet.close(5.0) == 0


async def test_a_try_whose_answer_was_lost_is_not_in_the_stream_twice(redis, redis_url, monkeypatch):
    sink = RedisSink(folded([]), Keeping(), redis_url)
    write, lost = sink._write, [ConnectionResetError("after it was done")]

    async def write_and_lose_the_answer(envelope):
        results = await write(envelope)
        if lost:
            raise lost.pop()
        return results

    monkeypatch.setattr(sink, "_write", write_and_lose_the_answer)
    async with redis:
        for envelope in run_of(3):
            await sink.send(envelope)
        assert await stream(redis) == [1, 2, 3]
    await sink.close()


async def test_a_stream_that_is_ahead_of_us_is_not_taken_for_success(redis, redis_url):
    sink = RedisSink(folded([]), Keeping(), redis_url)
    await sink.send(run_of(2)[1])
    with pytest.raises(SinkError, match="equal or smaller"):
        await sink.send(run_of(1)[0])
    await sink.close()
    await redis.aclose()


async def test_closing_while_redis_is_away_ends_in_time(redis_server):
    server = redis_server()
    server.kill()
    outlet = Outlet(RedisSink(folded([]), Keeping(), server.url))
    for envelope in run_of(7):
        outlet.put(envelope)
    async with asyncio.timeout(3):
        assert await outlet.close(0.1) == 7


async def test_a_password_that_is_wrong_is_said_once_and_never_shown(redis_server):
    server = redis_server("--requirepass", PASSWORD)
    for url in (server.url, server.url.replace("//", "//:not-that@"), server.url.replace("//", "//ada:not-that@")):
        sink = RedisSink(folded([]), Keeping(), url)
        with pytest.raises(ConfigError, match="refuses the worker's user or password: correct the url"):
            await sink.check()
        await sink.close()
    outlet = Outlet(RedisSink(folded([]), Keeping(), server.url.replace("//", "//:not-that@")))
    with capture_logs() as logs:
        outlet.put(run_of(1)[0])
        await asyncio.sleep(0.5)
        assert await outlet.close(0.0) == 1
    assert [entry["event"] for entry in logs] == ["redis_trouble", "events_undelivered"]
    assert "not-that" not in str(logs)
    assert PASSWORD not in str(logs)


async def test_whom_the_snapshot_forgot_is_no_longer_in_the_hash(redis, redis_url):
    said = envelopes(SpeakerJoined(1.0, "ada", "Ada"), SpeakerLeft(2.0, "ada"), TalkTime(3.0, {}))
    snapshot, held = folded([]), []
    sink = RedisSink(snapshot, Keeping(), redis_url)
    async with redis:
        for envelope in said:
            snapshot.fold(envelope)
            await sink.send(envelope)
            held.append("speaker:ada" in await redis.hkeys("ut:{quiet}:state"))
    assert held == [True, True, False]
    await sink.close()


async def test_a_user_with_few_rights_suffices(redis_server, monkeypatch):
    server = redis_server()
    async with Redis.from_url(server.url, decode_responses=True) as admin:
        rights = ["+ping", "+multi", "+exec", "+xadd", "+del", "+hset", "+pexpire", "+publish", "~ut:*", "&ut:*"]
        await admin.execute_command("ACL", "SETUSER", "undertone", "on", f">{PASSWORD}", *rights)
        monkeypatch.setenv("UT_TEST_REDIS", server.url.replace("//", f"//undertone:{PASSWORD}@"))
        sink = RedisSink(folded([]), Keeping(), "env:UT_TEST_REDIS")
        await sink.check()
        await sink.send(run_of(1)[0])
        assert await stream(admin) == [1]
        await sink.close()


async def test_tls(redis_server, tmp_path):
    key, certificate, port = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    request += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([require("openssl"), *request], check=True, capture_output=True)
    redis_server(
        "--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
        "--tls-auth-clients", "no",
    )  # fmt: skip
    sink = RedisSink(folded([]), Keeping(), f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")
    await sink.check()
    await sink.send(run_of(1)[0])
    await sink.close()
    stranger = RedisSink(folded([]), Keeping(), f"rediss://localhost:{port}/0")
    with pytest.raises(ConfigError, match="no certificate that this machine trusts"):
        await stranger.check()
    await stranger.close()


async def test_a_redis_that_is_away_is_no_reason_not_to_start():
    sink = RedisSink(folded([]), Keeping(), f"redis://127.0.0.1:{free_port()}/0")
    with capture_logs() as logs:
        await sink.check()
    assert logs[0]["reason"].endswith("does not answer (ConnectionError): start it, or correct the url.")
    await sink.close()


async def test_a_database_that_does_not_exist_is_a_reason(redis_url):
    sink = RedisSink(folded([]), Keeping(), redis_url.replace("/0", "/99"))
    with pytest.raises(ConfigError, match="DB index is out of range"):
        await sink.check()
    await sink.close()


@pytest.mark.parametrize(
    "url",
    ["http://localhost", "redis://localhost:port", "redis://[::1", "", "redis://h/0?db=x", "redis://h/0?nothing=1"],
)
def test_a_url_that_is_none(url):
    with pytest.raises(ConfigError, match="Redis url is not one"):
        RedisSink(folded([]), Keeping(), url)
