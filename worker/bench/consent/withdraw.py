"""From saying no to the last packet that is decoded, and to the listener who is told."""

import asyncio
import json
import sys
from typing import Any

import numpy as np

from worker.bench.consent.account import Taken
from worker.bench.consent.place import opened, told


def measure(quick: bool) -> dict[str, Any]:
    """Four people who talk without a pause at the level `emotion`; by turns each takes it back and agrees again."""
    return asyncio.run(_measure(20 if quick else 200))


async def _measure(rounds: int) -> dict[str, Any]:
    async with opened() as place:
        arguments = ["-m", "worker.bench.consent.people", place.address, place.id, "withdraw", str(rounds)]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        lines = [json.loads(line) async for line in told(process)]
        return figures([line["round"] for line in lines if "round" in line], list(place.decoded))


def figures(rounds: list[dict[str, Any]], decoded: list[Taken]) -> dict[str, Any]:
    """Milliseconds from sending a no; 0 to the last packet where none was decoded any more.

    `said_later` counts what listeners were told of their voice after they were told to clear it, `concluded_later`
    turns and overlaps of before that were certain only then.
    """
    last = [_last_s(one, decoded) for one in rounds]
    notified = [one["told"] - one["sent"] for one in rounds if one["told"] is not None]
    return {
        "withdrawals": len(rounds),
        "to_last_decoded_ms": {"bar_p99": 100} | spread_ms(last),
        "decoded_before": sum(
            any(t.person == one["person"] and 0 < one["sent"] - t.at < 0.1 for t in decoded) for one in rounds
        ),
        "to_answer_ms": spread_ms([one["acked"] - one["sent"] for one in rounds]),
        "told": len(notified),
        "to_listener_ms": spread_ms(notified),
        "said_later": sum(len(one["later"]) for one in rounds),
        "concluded_later": sum(len(one["concluded"]) for one in rounds),
    }


def _last_s(one: dict[str, Any], decoded: list[Taken]) -> float:
    after = [t.at - one["sent"] for t in decoded if t.person == one["person"] and one["sent"] < t.at < one["again"]]
    return max(after, default=0.0)


def spread_ms(seconds: list[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest, in milliseconds."""
    if not seconds:
        return {}
    found = {f"p{cut}": round(1000 * float(np.percentile(seconds, cut)), 1) for cut in (50, 95, 99)}
    return found | {"max": round(1000 * max(seconds), 1)}
