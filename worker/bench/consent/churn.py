"""People come, go, come back and change their minds: whose sound was decoded, by an account of the bench's own."""

import asyncio
import json
import sys
from collections.abc import Iterable
from statistics import median
from typing import Any

from worker.bench.consent.account import NEVER, Account, Said, Taken
from worker.bench.consent.life import AT_ONCE, PEOPLE, never
from worker.bench.consent.place import Place, opened, told
from worker.bench.consent.tagged import NOBODY
from worker.bench.consent.withdraw import spread_ms
from worker.privacy.levels import LEVELS, Level

MINUTES = 5.0


def measure(minutes: float) -> dict[str, Any]:
    """20 people at a time, of 30. In each state: packets decoded with their samples, and windows given to models."""
    return {"minutes": minutes, "people": PEOPLE, "at_once": AT_ONCE} | asyncio.run(_measure(60 * minutes))


async def _measure(seconds: float) -> dict[str, Any]:
    async with opened() as place:
        arguments = ["-m", "worker.bench.consent.people", place.address, place.id, "churn", str(seconds)]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        lines = [json.loads(line) async for line in told(process)]
        return figures(lines, place)


def figures(lines: list[dict[str, Any]], place: Place) -> dict[str, Any]:
    """`lines` are what the people wrote. What nobody here sent is `of_nobody`."""
    said = [Said(one["person"], one["at"], one["acked"], LEVELS[one["level"]]) for one in lines if "person" in one]
    whose = {one["speaker"]: one["person"] for one in lines if "person" in one}
    done: dict[str, Any] = next(line["done"] for line in lines if "done" in line)
    sent = {int(person): count for person, count in done.pop("sent").items()}
    account = Account(said)
    known = [one for one in place.decoded if one.person != NOBODY]
    told_by_level = [("vad_windows", "vad", account), ("emotion_windows", "engine", Account(said, Level.EMOTION))]
    windows = {name: by.judge(_windows(place.windows[part], whose)) for name, part, by in told_by_level}
    at_once: list[int] = next(line["speaking"] for line in lines if "speaking" in line)
    never_sent = sum(count for person, count in sent.items() if never(person))
    return {
        "speaking": {"median": median(at_once), "max": max(at_once)},
        "statements": len(said),
        "to_answer_ms": spread_ms([one.acked - one.at for one in said]),
        "steps": dict(sorted(done.items())),
        "never_consented_people": sum(never(person) for person in sent),
        "packets_sent": {"all": sum(sent.values()), NEVER: never_sent},
        "decoded": account.judge(known),
        **windows,
        "of_nobody": len(place.decoded) - len(known),
    }


def _windows(notes: Iterable[tuple[str, float, int]], whose: dict[str, int]) -> Iterable[Taken]:
    return (Taken(whose.get(speaker, NOBODY), at, samples) for speaker, at, samples in notes)
