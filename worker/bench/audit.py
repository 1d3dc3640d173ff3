"""What the audit log costs: entries verified and written per second, and what a note costs the event loop."""

import asyncio
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from worker.ops.audit import WAITING, Audit
from worker.ops.audit_cli import examine

KEY = "0123456789abcdef" * 2
PEOPLE = 20
ROUNDS = 5


def run(quick: bool) -> dict[str, Any]:
    """Entries per second of one core, of a log in a temporary folder; of verifying the median of five rounds."""
    with TemporaryDirectory() as folder:
        written = asyncio.run(_write(Path(folder) / "audit.jsonl", 20_000 if quick else 200_000))
        files = [*Path(folder).glob("audit*.jsonl")]
        rates, entries, intact = [], 0, True
        for _ in range(ROUNDS):
            began = time.perf_counter()
            report = examine(files, KEY.encode())
            rates.append(report.entries / (time.perf_counter() - began))
            entries, intact = report.entries, intact and not report.findings
        return {
            "entries": entries,
            "intact": intact,
            "bytes_per_entry": round(sum(file.stat().st_size for file in files) / entries),
            "verified_per_s": round(median(rates)),
            "verified_per_s_least": round(min(rates)),
        } | written


async def _write(path: Path, count: int) -> dict[str, float]:
    audit, notes_us = Audit(path, KEY), []
    began = time.perf_counter()
    for first in range(0, count, WAITING):
        for number in range(first, min(first + WAITING, count)):
            before = time.perf_counter()
            audit.note("consent.granted", "room", f"p{number % PEOPLE}", level="metrics")
            notes_us.append((time.perf_counter() - before) * 1e6)
        await audit.settle()
    written_s = time.perf_counter() - began
    await audit.close()
    return {
        "written_per_s": round(count / written_s),
        "note_us_p50": round(median(notes_us), 1),
        "note_us_p99": round(sorted(notes_us)[int(len(notes_us) * 0.99)], 1),
    }
