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
from worker.audio.windows import Windows
from worker.batch import Batcher
from worker.emotion.smoothing import Smoother
from worker.events import Envelope, Numbering, SpeakerJoined
from worker.privacy.policy import Recorded
from worker.ring import Ring
from worker.rooms import RoomItem, Tick
from worker.rooms.embedded import BEHIND_S, TICK_S, WAITING
from worker.rooms.webrtc.listener import Hearing, Listener
from worker.session import Session
from worker.speaker import Models, Speaker
from worker.vad.segmenter import Segmenter
from worker.vad.silero import Silero

SETTLE_S = 0.5
"""Left out at the start of each measurement."""


class Timed:
    """An ear that notes when each packet became sound."""

    def __init__(self, line: int, ear: Hearing) -> None:
        self.line, self.ear = line, ear
        self.heard: list[tuple[int, int, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ear, name)

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
        self.samples = 0
        self.items: Ring[RoomItem] = Ring(WAITING)
        self.listener = Listener(self.give, time.monotonic, "own" if path == "own" else "stock", gated)
        self.for_session = False

    def give(self, chunks: list[AudioChunk]) -> None:
        for chunk in chunks:
            self.samples += len(chunk.samples)
            if self.for_session:
                self.items.put(chunk)

    async def connect(self) -> None:
        command = [sys.executable, "-m", "worker.bench.ear.sender", str(self.speakers)]
        pipe = asyncio.subprocess.PIPE
        self.sender = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=2**26)
        answer, _ = await self.listener.answer((await self.ask())["offer"])
        await self.ask({"answer": answer})
        for n, mid in enumerate([t.mid for t in self.listener.pc.getTransceivers() if t.kind == "audio"]):
            self.listener.hear(mid, f"p{n}")
            if self.timed:
                self.listener.ears[mid] = Timed(n, self.listener.ears[mid])

    async def ask(self, request: dict[str, Any] | None = None) -> dict[str, Any]:
        if request is not None:
            self.sender.stdin.write(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self.sender.stdout.readline())
        return answer

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

    def __init__(self) -> None:
        self.events = 0

    def put(self, envelope: Envelope) -> None:
        self.events += 1

    async def welcome(self, listener: str, behind: bool) -> None: ...

    async def settle(self) -> None: ...


def session(hall: Hall, nobody: Nobody) -> Session:
    """The worker's own chain behind the room, with voice activity and without emotion."""
    models = Models(Batcher(Silero().predict, "vad"), None, "none")

    def speaker(name: str) -> Speaker:
        return Speaker(name, models, Segmenter(name), Windows(), Smoother())

    return Session(hall, Recorded(), speaker, [], Numbering("bench", 1, hall.started), nobody)


async def measure(hall: Hall, request: dict[str, Any]) -> dict[str, Any]:
    """Processor time over wall time while the far end sends, and what came of the sound."""
    ears = [ear for ear in hall.listener.ears.values() if isinstance(ear, Ear)]
    before = {name: sum(getattr(ear, name) for ear in ears) for name in ("lost", "rebuilt", "decoded")}
    hall.samples = 0
    answer = asyncio.create_task(hall.ask(request))
    await asyncio.sleep(SETTLE_S)
    wall, work = time.monotonic(), time.process_time()
    await asyncio.sleep(request["seconds"] - SETTLE_S)
    cores = (time.process_time() - work) / (time.monotonic() - wall)
    sent = await answer
    await asyncio.sleep(0.3)
    after = {name: sum(getattr(ear, name) for ear in ears) - before[name] for name in before}
    return {"cores": cores, "heard_s": hall.samples / RATE, **after, **delays(hall, sent["sent"]), **totals(sent)}


def totals(sent: dict[str, Any]) -> dict[str, Any]:
    return {"missed": sent["lost"], "frames": sent["frames"]}


def delays(hall: Hall, sent: list[tuple[int, int, float]]) -> dict[str, Any]:
    """Milliseconds from sending a packet to having its sound, with when it was sent, of the packets that gave sound."""
    if not hall.timed:
        return {}
    when = {(line, timestamp): at for line, timestamp, at in sent}
    first = min(when.values())
    heard = [entry for ear in hall.listener.ears.values() if isinstance(ear, Timed) for entry in ear.heard]
    pairs = [(when[n, ts], at) for n, ts, at in heard if (n, ts) in when]
    return {"delays": [(round(began - first, 4), round((at - began) * 1e3, 3)) for began, at in pairs]}


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def main() -> None:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    options = json.loads(sys.argv[1])
    hears = options.pop("vad", False)
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    hall = Hall(**options)
    threads, memory = threading.active_count(), resident_mb()
    await hall.connect()
    tasks = [asyncio.create_task(hall.keep_time())]
    if hears:
        tasks.append(asyncio.create_task(session(hall, Nobody()).run()))
    print(json.dumps({"ready": True}), flush=True)
    while line := await reader.readline():
        found = await measure(hall, json.loads(line))
        found |= {"threads": threading.active_count() - threads, "memory_mb": resident_mb() - memory}
        print(json.dumps(found), flush=True)
    for task in tasks:
        task.cancel()
    await hall.listener.close()
    hall.sender.stdin.close()
    await hall.sender.wait()


if __name__ == "__main__":
    import os as _o

    if _o.environ.get("UV"):
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
