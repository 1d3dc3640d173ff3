"""People in a room of a Janus, in a process of their own: each sends known speech, and comes back when Janus does.

    python -m worker.bench.janus.people URL ROOM PEOPLE TALK_S CYCLE_S

Says `here` once everyone is in, and ends when its standard input does.
"""

import asyncio
import sys
import time
from typing import Any

from worker.bench.ear.sender import Far
from worker.bench.ear.sound import VOICES, Sent, stream
from worker.errors import RoomError
from worker.rooms.janus.api import Api

AGAIN_S = 0.05
LOOK_S = 0.1
CONNECTED_S = 10.0


class Person:
    """A publisher of one voice."""

    def __init__(self, url: str, room: int, number: int, of: int, talk_s: float, cycle_s: float) -> None:
        self._url, self._room, self._name = url, room, f"Person {number}"
        self._packets: list[Sent] = stream(number % VOICES, talk_s, cycle_s)
        self._next = number * len(self._packets) // of
        """People begin at different places, evenly spread."""
        self._phase = number / of * 0.02
        self.here = asyncio.Event()

    async def live(self) -> None:
        """Be in the room for good."""
        while True:
            try:
                await self._stay()
            except (RoomError, TimeoutError):
                await asyncio.sleep(AGAIN_S)

    async def _stay(self) -> None:
        lost: list[BaseException] = []
        api = Api(self._url, {}, lost.append)
        far = Far(1)
        sending: asyncio.Task[None] | None = None
        try:
            await api.open()
            handle = await api.attach(lambda reply: None)
            join = {"request": "join", "ptype": "publisher", "room": self._room, "display": self._name}
            await api.message(handle, join)
            offer = {"type": "offer", **(await far.offer())}
            wish = {"request": "publish", "audio": True, "video": False}
            answer = await api.message(handle, wish, offer)
            await asyncio.wait_for(far.answer(answer["jsep"]["sdp"]), CONNECTED_S)
            self.here.set()
            sending = asyncio.create_task(self._send(far))
            while not lost:
                await asyncio.sleep(LOOK_S)
                api.watch(LOOK_S)
        finally:
            if sending is not None:
                sending.cancel()
            await api.close()
            await far.pc.close()

    async def _send(self, far: Any) -> None:
        begun, number = time.monotonic() + self._phase, 0
        while True:
            if (pause := begun + number * 0.02 - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            far._send(far.lines[0], number, self._packets[self._next % len(self._packets)])
            self._next += 1
            number += 1


async def main() -> None:
    url, room, count, talk_s, cycle_s = sys.argv[1:]
    people = [Person(url, int(room), n, int(count), float(talk_s), float(cycle_s)) for n in range(int(count))]
    living = [asyncio.create_task(person.live()) for person in people]
    for person in people:
        await person.here.wait()
    print("here", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in living:
        task.cancel()
    await asyncio.gather(*living, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
