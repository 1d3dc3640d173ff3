"""Drops what was kept long enough, from files and from Redis, for as long as the worker runs; and seals files anew."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import structlog

from worker.errors import ConfigError
from worker.lines import rewrite
from worker.ops.doctor import REDIS
from worker.ops.streams import trim
from worker.privacy.keeping import Keeping
from worker.privacy.sealing import Seal

HOUR_S = 3600.0
"""Between two looks at Redis."""
DAY = 24
"""Looks at Redis between two at files, which are written anew for it."""
AT_ONCE = 20
"""Lines that are looked at without a pause: a millisecond of Python, for which the event loop may have to wait."""
PAUSE_S = 0.002

Section = Mapping[str, Any]

log = structlog.get_logger()


def files_of(sinks: Iterable[Section]) -> list[Path]:
    """The files in which the configured sinks keep events, as far as they are there: also dead letters."""
    found: dict[Path, None] = {}
    for section in sinks:
        named = section.get("path") if section["kind"] == "jsonl" else section.get("dead_letters")
        if section["kind"] in ("jsonl", "webhook") and named:
            path = Path(named)
            found |= dict.fromkeys([path.with_name(path.name + ".1"), path] if section["kind"] == "webhook" else [path])
    return [path for path in found if path.is_file()]


def drop_due(path: Path, keeping: Keeping, now: float, pause: Callable[[], None] = lambda: None) -> int:
    """Take out of a file what was kept long enough at `now`, in seconds since 1970; how many lines are gone.

    What is no event goes or stays with the line before it. Others may write to the file meanwhile. `pause` is called
    for each line. Blocks. Raises OSError, or ConfigError for a line whose key is missing; then the file stays as it is.
    """
    gone = False

    def change(line: bytes) -> bytes | None:
        nonlocal gone
        pause()
        due = keeping.due(_event(keeping.seal.unseal(line, str(path))), now)
        gone = gone if due is None else due
        return None if gone else line

    return rewrite(path, change)


def reseal(paths: Iterable[Path], seal: Seal) -> dict[Path, int]:
    """Seal every line of these files under the first key, sealed before or not; how many lines each has.

    Others may write to the files meanwhile. Blocks. Raises ConfigError without keys, for a line whose key is missing,
    and for a file that can't be written; that file then stays as it is.
    """
    if not seal:
        raise ConfigError("keeping.keys is empty: name a key to seal with, which openssl rand -base64 32 makes.")
    lines = dict.fromkeys(paths, 0)
    for path in lines:
        try:
            lines[path] = rewrite(path, partial(seal.reseal, where=str(path)))
        except OSError as error:
            advice = "try again, or see to its folder and its disk"
            raise ConfigError(f"{path} cannot be written anew ({error.strerror}): {advice}.") from None
    return lines


def _event(line: bytes) -> Any:
    """Dead letters have it inside."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record.get("event", record) if isinstance(record, dict) else None


class _Stopped(Exception):
    """The worker ends; the file that is under way stays as it was."""


class Retention:
    """Looks at everything when it begins, and from then on at Redis every hour and at files every day.

    `sinks` are the sections of the configuration. What can't be reached is said in the worker's log, and tried again.
    """

    def __init__(self, sinks: Sequence[Section], keeping: Keeping) -> None:
        self._sinks, self._keeping = sinks, keeping
        self._stop = Event()
        self._task: asyncio.Task[None] | None = None
        self._seen = 0

    def begin(self) -> None:
        """Needs a running loop."""
        self._task = asyncio.create_task(self._run(), name="retention")
        self._task.add_done_callback(_ended)

    async def _run(self) -> None:
        hours = 0
        while True:
            await self.look(files=hours % DAY == 0)
            hours += 1
            await asyncio.sleep(HOUR_S)

    async def look(self, files: bool) -> None:
        """Once at Redis, and at files if they are to be."""
        now = time.time()
        for url in {str(section.get("url", REDIS)) for section in self._sinks if section["kind"] == "redis"}:
            try:
                _say("redis", await trim(url, self._keeping, now))
            except ConfigError as error:
                log.warning("old events stay", code=error.code, reason=str(error))
        for path in files_of(self._sinks) if files else ():
            try:
                _say("file", await asyncio.to_thread(drop_due, path, self._keeping, now, self._pause))
            except _Stopped:
                return
            except (OSError, ConfigError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                log.error("old events stay", path=str(path), reason=reason)

    def _pause(self) -> None:
        self._seen += 1
        if self._seen % AT_ONCE == 0 and self._stop.wait(PAUSE_S):
            raise _Stopped

    async def close(self) -> None:
        """Stop at once, also within a file."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


def _say(where: str, gone: int) -> None:
    if gone:
        log.info("old events dropped", where=where, count=gone)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("retention broken", code="bug", exc_info=error)
