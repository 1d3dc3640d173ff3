"""Publishes a room's events to Redis: live, as a Stream to replay, and as a snapshot."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Annotated, Any

import structlog
from pydantic import Field
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import EqualJitterBackoff, NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from worker.envelope import Envelope
from worker.errors import ConfigError, SinkError
from worker.secrets import reveal
from worker.sinks import Keeping
from worker.sinks.snapshot import Snapshot

WAIT_S = 5.0
"""Seconds to wait for a connection or an answer."""
LONGEST_PAUSE_S = 5.0
DOUBLINGS = 8
"""The pause doubles this often at most; by then it has long reached its longest."""

log = structlog.get_logger()


class RedisSink:
    """One transaction per event, on three keys; the braces are literal and keep a room on one shard of a cluster.

    - `ut:{room}:live`, Pub/Sub: the event's JSON.
    - `ut:{room}:events`, Stream of about `stream_length` events: field `event`, id `<epoch>-<seq>`, hence none twice.
    - `ut:{room}:state`, hash: `Snapshot.as_hash`.

    With `prompts`, what is said to one person alone goes to a Stream of its own, `ut:{room}:prompts`, and nowhere else:
    field `event`, id `<epoch>-<count>`.

    The keys end when their last event was kept for as long as `keeping` says; `worker.ops.streams` takes out the others
    when their time has come. What is published is kept nowhere. While Redis is away `send` tries again until it is
    cancelled, with pauses that grow to `LONGEST_PAUSE_S`; meanwhile the newest `outbox` events wait, and older ones
    become a Gap.
    A try whose answer was lost may repeat an event on `live`; its `seq` says so.

    `url` is redis://, rediss:// (TLS) or unix://, with user and password if need be; or `env:NAME` or `file:PATH` to
    keep it out of the configuration.
    """

    deadline_s = None

    def __init__(
        self,
        snapshot: Snapshot,
        keeping: Keeping,
        url: str = "redis://127.0.0.1:6379/0",
        stream_length: Annotated[int, Field(ge=1, le=1_000_000_000)] = 10_000,
        outbox: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000,
        prompts: bool = False,
    ) -> None:
        self.waiting, self.private = outbox, prompts
        self._prompts = 0
        """Private events so far, of all audiences."""
        self._snapshot = snapshot
        self._stream_length = stream_length
        self._events_ms, self._prompts_ms = (round(time_s * 1000) for time_s in (keeping.events_s, keeping.prompts_s))
        self._pauses = EqualJitterBackoff(cap=LONGEST_PAUSE_S, base=0.1)
        self._trouble: str | None = None
        self._redis = _client(reveal(url))
        options = self._redis.connection_pool.connection_kwargs
        self._where = str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError for a url that is none. One that is named as `env:` or `file:` is not looked up."""
        if not options["url"].startswith(("env:", "file:")):
            _client(options["url"])

    async def check(self) -> None:
        """Ask Redis for an answer. Raises ConfigError when it refuses us; that it is away is only logged."""
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            code, sentence = self._say(error)
            if code != "redis_away":
                raise ConfigError(sentence, code) from None
            self._report(error)

    async def send(self, envelope: Envelope) -> None:
        failures = 0
        self._prompts += bool(envelope.audience)
        write = self._write_private if envelope.audience else self._write
        while True:
            try:
                results = await write(envelope)
                break
            except (RedisError, OSError) as error:
                failures += 1
                self._report(error)
                await asyncio.sleep(self._pauses.compute(min(failures, DOUBLINGS)))
        self._recovered()
        for result in results:
            if isinstance(result, Exception) and not (failures and "equal or smaller" in str(result)):
                raise SinkError(f"Redis at {self._where} did not take an event: {_brief(result)}.", "redis_rejected")

    async def _write(self, envelope: Envelope) -> list[Any]:
        live, events, state = (f"ut:{{{envelope.room}}}:{part}" for part in ("live", "events", "state"))
        text = envelope.as_json()
        fields: Mapping[Any, Any] = self._snapshot.as_hash()
        async with self._redis.pipeline(transaction=True) as commands:
            commands.xadd(
                events,
                {"event": text},
                id=f"{envelope.epoch}-{envelope.seq}",
                maxlen=self._stream_length,
                approximate=True,
            )
            commands.delete(state)  # the snapshot forgets people, and a hash alone would not
            commands.hset(state, mapping=fields)
            commands.pexpire(events, self._events_ms)
            commands.pexpire(state, self._events_ms)
            commands.publish(live, text)
            return await commands.execute(raise_on_error=False)

    async def _write_private(self, envelope: Envelope) -> list[Any]:
        prompts = f"ut:{{{envelope.room}}}:prompts"
        async with self._redis.pipeline(transaction=True) as commands:
            commands.xadd(
                prompts,
                {"event": envelope.as_json()},
                id=f"{envelope.epoch}-{self._prompts}",
                maxlen=self._stream_length,
                approximate=True,
            )
            commands.pexpire(prompts, self._prompts_ms)
            return await commands.execute(raise_on_error=False)

    def _say(self, error: Exception) -> tuple[str, str]:
        """A code and one sentence, without anything from the url but its address."""
        if isinstance(error, AuthenticationError | NoPermissionError):
            return "redis_refused", (
                f"Redis at {self._where} refuses the worker's user or password: correct the url, or the user's rights."
            )
        if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError) or "SSL" in str(error):
            return "redis_refused", (
                f"Redis at {self._where} shows no certificate that this machine trusts: "
                "correct the certificate, or name its authority in the url with ?ssl_ca_certs=PATH."
            )
        if isinstance(error, ResponseError):
            return "redis_rejected", f"Redis at {self._where} answers: {_brief(error)}."
        return "redis_away", (
            f"Redis at {self._where} does not answer ({type(error).__name__}): start it, or correct the url."
        )

    def _report(self, error: Exception) -> None:
        code, sentence = self._say(error)
        if code != self._trouble:
            self._trouble = code
            log.warning("redis_trouble", code=code, reason=sentence)

    def _recovered(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            log.info("redis_back", where=self._where)

    async def close(self) -> None:
        await self._redis.aclose()


def _client(url: str) -> Redis:
    """A client that has not connected yet. Raises ConfigError when `url`, or something after its `?`, is wrong."""
    try:
        client: Redis = Redis.from_url(
            url,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=WAIT_S,
            socket_connect_timeout=WAIT_S,
        )
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # what follows the `?` is read only here
    except (ValueError, TypeError, AttributeError, RedisError):
        raise ConfigError(
            "the Redis url is not one: write redis://user:password@host:6379/0, with options of redis-py alone after ?."
        ) from None
    return client


def _brief(error: Exception) -> str:
    """What Redis says, without the arguments that some of its errors repeat."""
    return str(error).partition(", with args")[0].rstrip(".")
