"""What joining and leaving over and over leaves behind, in a process of its own.

    python -m worker.bench.janus.stays URL ROOM WARMING STAYS

Each stay hears somebody speak before it ends. Prints what is held before and after as JSON.
"""

import asyncio
import ctypes
import gc
import json
import os
import sys
import time
from typing import Any

from worker.bench.ear.receiver import resident_mb
from worker.bench.janus.notes import Notes, open_rooms, said
from worker.events import SpeechStarted
from worker.manager import Rooms
from worker.ops import logs

AT_ONCE = 5


async def stay(rooms: Rooms, url: str, room: int, name: str) -> None:
    begun = time.monotonic()
    one = await rooms.open({"kind": "janus", "url": url, "room": room, "name": name, "consent": "host"})
    await said(SpeechStarted, begun, name)
    await rooms.leave(one)


async def several(rooms: Rooms, url: str, room: int, stays: int) -> None:
    for first in range(0, stays, AT_ONCE):
        count = min(AT_ONCE, stays - first)
        await asyncio.gather(*(stay(rooms, url, room, f"bench{number}") for number in range(count)))
        Notes.said.clear()


async def held() -> dict[str, Any]:
    await asyncio.sleep(2.0)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what glibc keeps for later is not held by us
    files = len(os.listdir("/proc/self/fd"))
    return {"tasks": len(asyncio.all_tasks()), "files": files, "memory_mb": round(resident_mb(), 1)}


async def main() -> None:
    logs.setup(level="error")
    url, room, warming, stays = sys.argv[1], *map(int, sys.argv[2:])
    async with open_rooms() as rooms:
        await several(rooms, url, room, warming)
        before = await held()
        begun = time.monotonic()
        await several(rooms, url, room, stays)
        seconds = time.monotonic() - begun
        after = await held()
    print(json.dumps({"warming": warming, "stays": stays, "seconds": seconds, "before": before, "after": after}))


if __name__ == "__main__":
    asyncio.run(main())
