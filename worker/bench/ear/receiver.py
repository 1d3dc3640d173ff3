"""The measured process: hears every line of one connection, by our path or by aiortc's, and tells what that took."""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aioice.ice

from worker.audio import RATE, AudioChunk
from worker.audio.ear import Ear
from worker.batch import Batcher
from worker.envelope import Envelope, Numbering
from worker.events import SpeakerJoined
from worker.privacy.levels import Level
from worker.privacy.policy import Recorded
from worker.ring import Ring
from worker.rooms import RoomItem, Tick
from worker.rooms.embedded import BEHIND_S, TICK_S, WAITING
from worker.rooms.webrtc.listener import Hearing, Listener
from worker.session import Session
from worker.speaker import Models, Speaker
from worker.vad.segmenter import Segmenter
from worker.vad.silero import Silero

SETTLE_S, TAIL_S = 0.3, 0.2
"""Left out at the start of each measurement, and waited for at its end."""
COUNTED = ("lost", "rebuilt", "decoded")


class Timed:
    """An ear that notes when each packet became sound."""

    def __init__(self, line: int, ear: Hearing) -> None:
        self.line, self.ear = line, ear
        self.heard: list[tuple[int, int, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ear, name)

    def take(self) -> list[tuple[int, int, float]]:
        heard, self.heard = self.heard, []
        return heard

    def push(self, header: Any, data: bytes, now: float) -> list[AudioChunk]:
        chunks = self.ear.push(header, data, now)
        if chunks:
            self.heard.append((self.line, header.timestamp, time.monotonic()))
        return chunks


class Hall:
    """A room of the measured kind: one connection to an SFU, and nobody who listens."""

    name, lockstep, started = "bench", False, datetime.now(UTC)

    def __init__(self, speakers: int, path: str, gated: bool, timed: bool) -> None:
        self.speakers, self.timed = speakers, timed
        self.given = [0] * speakers
        """Samples, by speaker."""
        self.items: Ring[RoomItem] = Ring(WAITING)
        self.listener = Listener(self.give, time.monotonic, "own" if path == "own" else "stock", gated)
        self.for_session = False

    def give(self, chunks: list[AudioChunk]) -> None:
        for chunk in chunks:
            self.given[int(chunk.speaker[1:])] += len(chunk.samples)
            if self.for_session:
                self.items.put(chunk)

    async def answer(self, sdp: str) -> dict[str, Any]:
        """Answers an offer and hears all of its lines."""
        answer, _ = await self.listener.answer(sdp)
        mids = [str(line.mid) for line in self.listener.pc.getTransceivers() if line.kind == "audio"]
        for n, mid in enumerate(mids):
            self.listener.hear(mid, f"p{n}")
            if self.timed:
                self.listener.ears[mid] = Timed(n, self.listener.ears[mid])
        return {"sdp": answer}

    async def keep_time(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.listener.tick()
            if self.for_session:
                self.items.put(Tick(max(0.0, time.monotonic() - BEHIND_S)))

    async def __aiter__(self) -> AsyncIterator[RoomItem]:
        self.for_session = True
        for n in range(self.speakers):
            yield SpeakerJoined(time.monotonic(), f"p{n}", f"Speaker {n}")
        async for item in self.items:
            yield item

    async def send(self, message: str, to: str | None = None) -> bool:
        return True

    async def close(self) -> None:
        self.items.close()


class Nobody:
    """No sinks."""

    def put(self, envelope: Envelope) -> None: ...

    async def welcome(self, listener: str, behind: bool) -> None: ...

    async def settle(self) -> None: ...


def session(hall: Hall) -> Session:
    """The worker's own chain behind the room, with voice activity and without emotion."""
    models = Models(Batcher(Silero().predict, "vad"), None, "none")

    def speaker(name: str, _: Level) -> Speaker:
        return Speaker(name, models, Segmenter(name))

    return Session(hall, Recorded(Level.METRICS), speaker, [], Numbering("bench", 1, hall.started), Nobody())


async def measure(hall: Hall, seconds: float) -> dict[str, Any]:
    """Processor time over wall time while the far end sends for `seconds`, and what came of the sound."""
    ears = [ear for ear in hall.listener.ears.values() if isinstance(ear, Ear | Timed)]
    before = {name: sum(getattr(ear, name) for ear in ears) for name in COUNTED}
    per_ear = [ear.rebuilt for ear in ears]
    hall.given = [0] * hall.speakers
    timing = asyncio.create_task(hall.keep_time())  # only now: the others must not disturb who is measured
    await asyncio.sleep(SETTLE_S)
    wall, work = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds - SETTLE_S)
    cores = (time.process_time() - work) / (time.monotonic() - wall)
    await asyncio.sleep(TAIL_S)
    if timing.done():
        timing.result()  # a connection that failed measures nothing
    timing.cancel()
    after = {name: sum(getattr(ear, name) for ear in ears) - before[name] for name in COUNTED}
    rebuilt = [ear.rebuilt - earlier for ear, earlier in zip(ears, per_ear, strict=True)]
    heard = [entry for ear in ears if isinstance(ear, Timed) for entry in ear.take()]
    given = [samples / RATE for samples in hall.given]
    return {"cores": cores, "heard_s": given, "rebuilt_each": rebuilt, "heard": heard, **after}


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def main() -> None:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    options = json.loads(sys.argv[1])
    hears = options.pop("vad", False)
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    hall = Hall(**options)
    threads, memory = threading.active_count(), resident_mb()
    hearing = asyncio.create_task(session(hall).run()) if hears else None
    while line := await reader.readline():
        request = json.loads(line)
        what = request.pop("do")
        found = await (hall.answer(**request) if what == "answer" else measure(hall, **request))
        found |= {"threads": threading.active_count() - threads, "memory_mb": resident_mb() - memory}
        print(json.dumps(found), flush=True)
    if hearing is not None:
        await hall.close()
        await hearing
    await hall.listener.close()


if __name__ == "__main__":
    asyncio.run(main())
