"""Notes what must be shown later: who decided what about being heard, which models ran, and who asked the worker."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import structlog
from aiohttp import web
from pydantic import Field

from worker.errors import ConfigError
from worker.ops.http import Doors, Handler
from worker.ops.ledger import Ledger, Note
from worker.privacy.audit import AuditError, check_facts
from worker.privacy.keeping import Keeping
from worker.secrets import reveal

WAITING = 10_000
"""Notes that may wait for the disk; the number of those that found no place is noted after them."""
AT_ONCE = 32
"""Notes that are written together: less than a millisecond of Python, for which the event loop may have to wait."""
RETRY_S = 2.0
"""Seconds between attempts when the disk refuses."""
CLOSE_S = 1.0
"""Seconds that the last notes have to be written."""
SHORTEST_KEY = 32
"""Bytes of the key, as long as the digest: RFC 2104, 3."""
EQUAL_S = 10.0
"""Seconds in which equal refusals, and equal looks, are counted instead of noted one by one: nobody fills the disk."""

log = structlog.get_logger()


class Audit:
    """The audit log of a process, in the file `path`; `key` (also `env:NAME` or `file:PATH`) signs its last entry.

    `note` takes some microseconds; another thread writes. At `largest_mb` a new file is begun, and none is deleted.
    The salts of its pseudonyms are sealed where `keeping` has keys.
    Raises AuditError when the files are not as they were left, ConfigError for a key or a path that is none.
    """

    def __init__(
        self,
        path: Path,
        key: str | None = None,
        largest_mb: Annotated[float, Field(gt=0, le=10_000)] = 64.0,
        keeping: Keeping | None = None,
    ) -> None:
        self.check_options({"path": path})
        secret = reveal(key).encode() if key else b""
        if key and len(secret) < SHORTEST_KEY:
            raise ConfigError(f"audit.key needs {SHORTEST_KEY} bytes or more: openssl rand -hex 32 makes one.")
        try:
            seal = keeping.seal if keeping is not None else None
            self.ledger = Ledger(Path(path), secret, int(largest_mb * 1_000_000), seal)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}): change audit.path.") from None
        self.lost = 0
        """Notes that found no place since that was last written."""
        self.before_close: list[Callable[[], None]] = []
        """Called first by `close`, for what was only counted so far."""
        self._waiting: deque[Note] = deque()
        self._writing: asyncio.Task[None] | None = None

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raises ConfigError when there can be no such file; opens nothing."""
        path = Path(options["path"])
        if not path.parent.is_dir():
            raise ConfigError(f"the folder {path.parent} does not exist: create it, or change audit.path.")
        if path.is_dir() or not path.suffix:
            raise ConfigError(f"audit.path must be a file with an ending, such as {path}.jsonl.")

    def note(self, kind: str, room: str = "", speaker: str = "", epoch: int = 0, **facts: Any) -> None:
        """Write this down soon; from the event loop. Raises ValueError for what the log never holds."""
        check_facts(kind, facts)
        if len(self._waiting) >= WAITING:
            self.lost += 1
            return
        self._waiting.append(Note(time.time(), kind, room, epoch, speaker, facts))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="audit")

    async def settle(self) -> None:
        """Return when everything noted is on the disk."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting[place] for place in range(min(AT_ONCE, len(self._waiting)))]
            lost = self.lost
            if lost:
                batch.append(Note(time.time(), "audit.lost", "", 0, "", {"entries": lost}))
            try:
                await asyncio.to_thread(self.ledger.append, batch)
            except (OSError, AuditError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                log.error("audit log not written", reason=reason, waiting=len(self._waiting), lost=self.lost)
                await asyncio.sleep(RETRY_S)
                continue
            self.lost -= lost
            for _ in range(len(batch) - bool(lost)):
                self._waiting.popleft()
        self._writing = None

    async def close(self) -> None:
        """Write what waits, for `CLOSE_S` at most; what is lost then is said in the worker's own log."""
        for finish in self.before_close:
            finish()
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=CLOSE_S)
        if self._waiting or self.lost:
            log.error("audit log incomplete", lost=len(self._waiting) + self.lost)
        if self._writing is not None:
            self._writing.cancel()


class Noted:
    """The server for those who open doors on it, and every request at these doors is noted: which, and how it ended.

    Neither who asked nor for what: tokens have no names, and addresses hold those of rooms.
    """

    def __init__(self, server: Doors, audit: Audit) -> None:
        self._server, self._audit = server, audit
        self.authorise = server.authorise
        self._counted: dict[tuple[str, str, int], tuple[float, int]] = {}
        """When it was last noted, and how often it happened since."""
        audit.before_close.append(self._flush)

    @property
    def loopback(self) -> bool:
        return self._server.loopback

    def serve(self, method: str, path: str, handler: Handler) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            status = 500
            try:
                answer = await handler(request)
                status = answer.status
                return answer
            except web.HTTPException as error:
                status = error.status
                raise
            finally:
                self._note(method, path, status)

        self._server.serve(method, path, handle)

    def _note(self, method: str, route: str, status: int) -> None:
        times, now = 1, time.monotonic()
        if status in (401, 403) or method == "GET":
            last, more = self._counted.get((method, route, status), (-EQUAL_S, 0))
            if now - last < EQUAL_S:
                self._counted[method, route, status] = last, more + 1
                return
            self._counted[method, route, status] = now, 0
            times += more
        self._audit.note("api.access", method=method, route=route, status=status, times=times)

    def _flush(self) -> None:
        """Note what was only counted."""
        for (method, route, status), (_, more) in self._counted.items():
            if more:
                self._audit.note("api.access", method=method, route=route, status=status, times=more)
        self._counted.clear()
