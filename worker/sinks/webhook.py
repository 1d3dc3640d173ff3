"""Posts events to an address of the operator's, signed as Standard Webhooks says."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any

from aiohttp import ClientError, ClientSession
from pydantic import Field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_exponential_jitter

from worker.envelope import Envelope
from worker.errors import ConfigError, SinkError
from worker.events import EVENTS, PREFIX, Gap
from worker.lines import Lines
from worker.prompts import PRIVATE
from worker.secrets import reveal
from worker.sinks import Keeping, Seal
from worker.sinks.post import NAMED, address, client

FACTS = (
    "room.", "speaker.", "speech.started.", "speech.ended.", "turn.", "interrupted.", "overlapped.", "back_channel.",
    "emotion.shifted.", "emotion.drifted.",
)  # fmt: skip
"""What is posted unless `events` says otherwise: nothing that is said every second or more often."""
LONGEST_PAUSE_S = 30.0
LARGEST_FILE = 10_000_000
"""Bytes of dead letters; then the file begins anew, and the one before is kept beside it."""


class Again(Exception):
    """An attempt failed and another may help, not before `after_s` seconds."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class WebhookSink:
    """One POST per event, one after another; `events` are types or beginnings of them.

    Its headers are those of Standard Webhooks (`webhook-id`, `webhook-timestamp`, and `webhook-signature` with
    HMAC-SHA256, <https://www.standardwebhooks.com>) and an `Idempotency-Key`, the event's id, the same in every
    attempt. 2xx is success. After no answer, 408, 429 or 5xx it tries again, with pauses that double from `pause_s`
    and are partly random, or as long as `Retry-After` asks, until `attempts` or `give_up_s` are used up. Redirects
    are not followed. What was not taken is lost to this listener, who is told by a Gap, and goes to the file
    `dead_letters` if there is one, sealed where `keeping` has keys.
    """

    deadline_s = None

    def __init__(
        self,
        url: str,
        secret: str,
        events: tuple[str, ...] = FACTS,
        prompts: bool = False,
        attempts: Annotated[int, Field(ge=1, le=100)] = 6,
        give_up_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0,
        pause_s: Annotated[float, Field(gt=0, le=LONGEST_PAUSE_S)] = 0.5,
        timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0,
        outbox: Annotated[int, Field(ge=1, le=10_000_000)] = 1000,
        dead_letters: Path | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        self._seal = keeping.seal if keeping is not None else None
        self.waiting, self.private = outbox, prompts
        self._url = reveal(url)
        self._where = address(self._url, "url")
        self._key = _key(reveal(secret))
        _check_events(events)
        self._events, self._timeout_s, self._dead_letters = events, timeout_s, dead_letters
        self._session: ClientSession | None = None
        backoff = wait_exponential_jitter(multiplier=pause_s, jitter=pause_s, max=LONGEST_PAUSE_S)

        def pause(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            return max(backoff(state), error.after_s if isinstance(error, Again) else 0.0)

        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(Again),
            stop=stop_after_attempt(attempts) | stop_before_delay(give_up_s),
            wait=pause,
            reraise=True,
        )

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError for what can't be; what is named as `env:` or `file:` is not looked up."""
        if not options["url"].startswith(NAMED):
            address(options["url"], "url")
        if not options["secret"].startswith(NAMED):
            _key(options["secret"])
        _check_events(options["events"])
        folder = Path(options["dead_letters"] or ".").parent
        if not folder.is_dir():
            raise ConfigError(f"the folder {folder} does not exist: create it, or change `dead_letters`.")

    async def send(self, envelope: Envelope) -> None:
        if not envelope.audience and not isinstance(envelope.event, Gap) and not self._wants(envelope.event.type):
            return
        name, body = _name(envelope), envelope.as_json().encode()
        try:
            await self._retrying(self._post, name, body)
        except Again as error:
            await self._lose(envelope, f"{error}, at the last attempt", "webhook_away")
        except _Refused as error:
            await self._lose(envelope, str(error), "webhook_refused")

    def _wants(self, kind: str) -> bool:
        return kind.startswith(self._events)

    async def _post(self, name: str, body: bytes) -> None:
        if self._session is None:
            self._session = client(self._timeout_s)
        headers = {"Content-Type": "application/json", "Idempotency-Key": name, **self._sign(name, body)}
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                status, after = answer.status, answer.headers.get("Retry-After", "")
        except (ClientError, TimeoutError, OSError) as error:
            raise Again(f"it does not answer ({type(error).__name__})") from None
        if status in (408, 429) or status >= 500:
            raise Again(f"it answers {status}", _seconds(after))
        if not 200 <= status < 300:
            raise _Refused(f"it answers {status}")

    def _sign(self, name: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(datetime.now(UTC).timestamp()))
        digest = hmac.digest(self._key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256)
        signature = "v1," + base64.b64encode(digest).decode()
        return {"webhook-id": name, "webhook-timestamp": timestamp, "webhook-signature": signature}

    def keep(self, envelope: Envelope, reason: str) -> None:
        """Put an event that was lost without being posted to the dead letters. Raises SinkError when it can't be."""
        wanted = envelope.audience or self._wants(envelope.event.type)
        if self._dead_letters is not None and wanted and not isinstance(envelope.event, Gap):
            _bury(self._dead_letters, envelope, reason, self._seal)

    async def _lose(self, envelope: Envelope, reason: str, code: str) -> None:
        await asyncio.to_thread(self.keep, envelope, reason)
        raise SinkError(f"the webhook at {self._where} did not take an event: {reason}.", code)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Refused(Exception):
    """An answer that another attempt would not change."""


def _name(envelope: Envelope) -> str:
    """A Gap bears the number of the last event that it stands for, which may have arrived without our knowing."""
    name = str(envelope.as_dict()["id"])
    return f"{name}:gap-{envelope.event.from_seq}" if isinstance(envelope.event, Gap) else name


def _key(secret: str) -> bytes:
    """Raises ConfigError for what is no secret of Standard Webhooks."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ConfigError(
            "secret must be whsec_ and 24 to 64 bytes in base64: openssl rand -base64 32 makes the latter."
        )
    return key


def _check_events(events: tuple[str, ...]) -> None:
    public = [event.type for event in EVENTS if event not in PRIVATE]
    for name in events:
        if name and any(event.type.startswith(name) for event in PRIVATE):
            raise ConfigError(f"events: {name!r} is for one person alone; prompts: true posts it.")
        if not name or not any(kind.startswith(name) for kind in public):
            near = get_close_matches(name.removeprefix(PREFIX), public, 1, 0.3)
            hint = f"did you mean {near[0]!r}?" if near else "docs/events.md has all."
            raise ConfigError(f"events: no type begins with {name!r}; {hint}")


def _seconds(after: str) -> float:
    """What `Retry-After` asks for, in seconds or as a date; 0 for what is neither."""
    if after.isascii() and after.isdigit():
        return float(after)
    try:
        return max(0.0, (parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _bury(path: Path, envelope: Envelope, reason: str, seal: Seal | None) -> None:
    """Raises SinkError when the file can't be written."""
    line = json.dumps({"lost": datetime.now(UTC).isoformat(), "reason": reason, "event": envelope.as_dict()}).encode()
    try:
        if path.exists() and path.stat().st_size > LARGEST_FILE:
            path.replace(path.with_name(path.name + ".1"))
        file = Lines(path, mode=0o600)
        try:
            taken = file.append(seal.seal(line) if seal is not None else line)
        finally:
            file.close()
        if not taken:
            raise OSError(0, "it is just being replaced")
    except OSError as error:
        reason = f"{path} cannot be written ({error.strerror}): free space, or change `dead_letters`."
        raise SinkError(reason, "dead_letters") from None
