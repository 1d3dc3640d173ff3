"""Reports of meetings on the disk: written anew without somebody, or taken away where they were of nobody else."""

import asyncio
import json
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from worker.data.decisions import Misshapen
from worker.data.person import Census, Whom
from worker.data.records import Record, about_meeting, as_meeting, judged, learn_meeting, without_meeting
from worker.data.stores import Tally, Unreached
from worker.ops.disk import replace
from worker.report.page import as_csv, as_html, as_json

ENDINGS: Mapping[str, Callable[[Record], str]] = {".html": as_html, ".csv": as_csv, ".json": as_json}
"""Of the files of one report, and what writes each."""
HELD = re.compile(r'<script type="application/json" id="record">(.*?)</script>', re.DOTALL)
"""The record within a page."""


class ReportStore:
    """A report of `undertone report`, named by any of its files or without an ending; or a folder of them, with all
    that lies below it.

    A report is known by its record, in the .json or in the page. Those of others are not touched, nor is what is none.
    """

    def __init__(self, path: Path, name: str = "reports") -> None:
        self.name = name
        self._path = path

    async def look(self, census: Census) -> None:
        for _, record in await asyncio.to_thread(self._reports):
            with suppress(Misshapen):  # `erase` tells of it
                judged(partial(learn_meeting, record, census))

    async def export(self, whom: Whom) -> list[dict[str, Any]]:
        found = []
        for stem, record in await asyncio.to_thread(self._reports):
            try:
                found.append(judged(partial(about_meeting, record, whom)))
            except Misshapen:
                raise Unreached(_damaged(stem)) from None
        return [own for own in found if own is not None]

    async def erase(self, whom: Whom) -> Tally:
        return await asyncio.to_thread(self._erase, whom)

    def _erase(self, whom: Whom) -> Tally:
        tally, damaged = Tally(notes=self._lone()), []
        for stem, record in self._reports():
            try:
                left = judged(partial(without_meeting, record, whom))
            except Misshapen:
                damaged.append(stem)
                continue
            if left is not record:
                self._put(stem, left if left["people"] else None, tally)
        if damaged:
            raise Unreached(" ".join(map(_damaged, damaged)), tally)
        return tally

    def _lone(self) -> list[str]:
        return [
            f"{path} has no record beside it, so nobody can tell whom it is of: look into it."
            for path in self._files(".csv")
            if not any(path.with_suffix(ending).exists() for ending in (".json", ".html"))
        ]

    def _put(self, stem: Path, record: Record | None, tally: Tally) -> None:
        for ending, text in ENDINGS.items():
            path = stem.with_name(stem.name + ending)
            if not path.exists():
                continue
            try:
                if record is None:
                    path.unlink()
                else:
                    replace(path, text(record).encode(), stat.S_IMODE(path.stat().st_mode))
            except OSError as error:
                reason = f"{path} cannot be written ({error.strerror}): see to its rights and its disk."
                raise Unreached(reason, tally) from None
            tally.gone += record is None
            tally.cut += record is not None

    def _reports(self) -> list[tuple[Path, Record]]:
        """Paths without their endings, and the records of meetings that are there."""
        found: dict[Path, Record] = {}
        for path in (*self._files(".json"), *self._files(".html")):
            stem = path.with_suffix("")
            if stem not in found and (record := _record(path)) is not None:
                found[stem] = record
        return list(found.items())

    def _files(self, ending: str) -> Iterator[Path]:
        if self._path.is_dir():
            yield from sorted(path for path in self._path.rglob(f"*{ending}") if path.is_file())
            return
        stem = self._path.with_suffix("") if self._path.suffix in ENDINGS else self._path
        if not any(stem.with_name(stem.name + one).is_file() for one in ENDINGS):
            raise Unreached(f"{self._path} is no report and no folder: correct --report.")
        if (path := stem.with_name(stem.name + ending)).is_file():
            yield path


def _record(path: Path) -> Record | None:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unreached(f"{path} cannot be read ({error.strerror}): see to its rights.") from None
    except ValueError:
        return None
    if path.suffix == ".html":
        held = HELD.search(text)
        text = held[1] if held is not None else ""
    try:
        return as_meeting(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _damaged(stem: Path) -> str:
    return f"the record of the report {stem} is damaged: look into its files, and take them away."
