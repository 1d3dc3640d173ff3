"""The places in which a configuration has the worker keep what it says."""

from collections.abc import Iterable
from pathlib import Path

from worker.config import Settings
from worker.data.files import LinesStore
from worker.data.reports import ReportStore
from worker.data.stores import Store
from worker.data.streams import RedisStore
from worker.ops.doctor import REDIS
from worker.privacy.sealing import Seal

KEPT = ("redis", "jsonl")
"""Kinds of sinks that keep what they are given."""
LIVE = ("data_channel", "websocket")
"""Kinds that hand it to pages, and hold it no longer than the room is open."""


def stores(settings: Settings, room: str, seal: Seal, reports: Iterable[Path] = ()) -> list[Store]:
    """Redis, files of events, dead letters, and the reports that are named besides. Nothing is opened."""
    found: list[Store] = [RedisStore(url, room, _named("redis", n)) for n, url in enumerate(_urls(settings))]
    found += [LinesStore(path, seal, _named("jsonl", n)) for n, path in enumerate(_paths(settings, "jsonl", "path"))]
    for number, path in enumerate(_paths(settings, "webhook", "dead_letters")):
        name = _named("dead_letters", number)
        found += [LinesStore(path, seal, name), LinesStore(path.with_name(path.name + ".1"), seal, f"{name}.older")]
    return [*found, *(ReportStore(path, _named("reports", n)) for n, path in enumerate(dict.fromkeys(reports)))]


def notes(settings: Settings) -> list[str]:
    """Sentences on where else something may be, that no command can reach."""
    others = dict.fromkeys(one["kind"] for one in settings.sinks if one["kind"] not in (*KEPT, *LIVE))
    found = []
    if others:
        found.append(f"What the sinks {', '.join(others)} handed to others is theirs to erase: ask them.")
    if settings.dashboard is not None:
        found.append(
            "A worker that runs shows a meeting that has ended on its dashboard, from memory, until"
            " dashboard.remembered newer ones have: start it anew, or wait."
        )
    return [*found, "Backups, and copies that listeners made, are not in reach."]


def _urls(settings: Settings) -> list[str]:
    urls = [str(section.get("url", REDIS)) for section in settings.sinks if section["kind"] == "redis"]
    archive = (settings.dashboard or {}).get("redis")
    return list(dict.fromkeys([*urls, *([archive] if archive else [])]))


def _paths(settings: Settings, kind: str, option: str) -> list[Path]:
    named = [section.get(option) for section in settings.sinks if section["kind"] == kind]
    return list(dict.fromkeys(Path(path) for path in named if path))


def _named(name: str, number: int) -> str:
    return f"{name}.{number + 1}" if number else name
