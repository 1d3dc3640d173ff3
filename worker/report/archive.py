"""Meetings of the past and of other workers, as Redis holds them; read beside the rooms, and each event once."""

import asyncio
import os
import signal
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread

from worker.errors import ConfigError
from worker.report.group import SMALLEST
from worker.report.meeting import Meeting
from worker.report.page import as_json
from worker.report.sources import Reading, Standing, rooms_in_redis

NICENESS = 10
"""Of the reading process: rooms come first."""


class Archive:
    """Reads in a process of its own, since hours of events keep a processor busy for seconds that rooms can't miss.

    It keeps the newest meeting of up to `remembered` rooms, the last asked for; what was said to one person alone
    only with `prompts`, and of fewer than `smallest` people nothing. `url` is redis://…, `env:NAME` or `file:PATH`.
    """

    def __init__(self, url: str, remembered: int, prompts: bool, smallest: int) -> None:
        self._url, self._options = url, (url, remembered, prompts, smallest)
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        """Together with the worker: to start a process holds everything up for a moment, and later there are rooms."""
        pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_open, initargs=self._options)
        pool.submit(_ready)
        return pool

    async def rooms(self) -> list[str]:
        """Raises ConfigError when Redis does not answer."""
        return await asyncio.to_thread(rooms_in_redis, self._url)

    async def record(self, room: str) -> str | None:
        """A room's newest meeting, as JSON; None of a room that Redis does not hold. Raises ConfigError."""
        try:
            text, trouble = await asyncio.get_running_loop().run_in_executor(self._pool, _record, room)
        except BrokenProcessPool:
            self._pool = self._start()
            raise ConfigError("the process that reads past meetings ended: give the worker more memory.") from None
        if trouble:
            raise ConfigError(trouble)
        return text


class Shelves:
    """What the reading process keeps."""

    def __init__(self, url: str, remembered: int, prompts: bool, smallest: int) -> None:
        self._url, self._remembered, self._prompts, self._smallest = url, remembered, prompts, smallest
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()

    def record(self, room: str) -> str | None:
        """Raises ConfigError when Redis does not answer."""
        shelf = self._shelves.pop(room, None) or Shelf(self._url, room, self._prompts, self._smallest)
        text = shelf.record()
        if text is not None:
            self._shelves[room] = shelf
        while len(self._shelves) > max(1, self._remembered):
            self._shelves.popitem(last=False)
        return text


class Shelf:
    """One room's newest meeting, and how far its Streams were read. What Redis no longer holds is forgotten too."""

    def __init__(self, url: str, room: str, prompts: bool = False, smallest: int = SMALLEST) -> None:
        self._url, self._room, self._prompts, self._smallest = url, room, prompts, smallest
        self._standing = Standing()
        self._begin()

    def _begin(self) -> None:
        self._reading = Reading(self._url, self._room, self._prompts)
        self._meeting: Meeting | None = None

    def record(self) -> str | None:
        before, self._standing = self._standing, self._reading.standing()
        if not self._standing.goes_on_from(before):
            self._begin()
        for message in self._reading.new():
            if self._meeting is None or message["epoch"] > self._meeting.epoch:
                self._meeting = Meeting(self._room, message["epoch"])
            if message["epoch"] == self._meeting.epoch:
                self._meeting.fold(message)
        if self._meeting is None:
            return None
        self._meeting.name(self._reading.people())
        return as_json(self._meeting.shown(self._smallest))


_kept: list[Shelves] = []
"""One, in the reading process."""


def _open(url: str, remembered: int, prompts: bool, smallest: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's, which ends this process
    os.nice(NICENESS)
    Thread(target=_end_with_the_worker, daemon=True).start()
    _kept.append(Shelves(url, remembered, prompts, smallest))


def _end_with_the_worker() -> None:
    """Also where it was killed, and told nobody."""
    worker = parent_process()
    if worker is not None:
        worker.join()
    os._exit(0)


def _ready() -> None:
    """Nothing: its answer says that the process stands."""


def _record(room: str) -> tuple[str | None, str]:
    """The record, and what went wrong."""
    try:
        return _kept[0].record(room), ""
    except ConfigError as error:
        return None, str(error)
