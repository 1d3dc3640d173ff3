"""People in a process of their own, each with a connection of their own that sends known speech.

    python -m worker.bench.consent.people ADDRESS ID withdraw ROUNDS
    python -m worker.bench.consent.people ADDRESS ID churn SECONDS

Prints what each of them said and when, a line of JSON each, and last `{"done": …}`.
"""

import asyncio
import json
import math
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Any

import aiohttp
import aioice.ice

from worker.bench.consent.life import OTHER_WORDS, PEOPLE, Step, by_control, life
from worker.bench.consent.place import NAME
from worker.bench.consent.tagged import tag
from worker.bench.ear.sender import Far
from worker.bench.ear.sound import VOICES, Sent, stream
from worker.events import PREFIX, SpeakerAnalysed

CLEAR = PREFIX + SpeakerAnalysed.type
OF_VOICES = (f"{PREFIX}speech.", f"{PREFIX}emotion.")
PATIENCE_S = 30.0
STILL_S = 1.0
"""For so long somebody whose socket was lost goes on sending."""
PEERS = 4
YES_S, NO_S, STEP_S = 0.1, 0.3, 0.007
"""Withdrawals come at every phase of 20 ms packets and 32 ms windows, by written steps."""


class Hall:
    """What everyone here shares."""

    def __init__(self, session: aiohttp.ClientSession, address: str, id: str, version: str) -> None:
        self.session, self.address, self.id, self.version = session, address, id, version
        self.sent: Counter[int] = Counter()
        """Packets, by person."""
        self.counts: Counter[str] = Counter()
        self.speaking = 0
        """Connections on which somebody speaks now."""

    def answer(self, answer: str | None) -> dict[str, str]:
        """The fields of a message."""
        if answer is None:
            return {}
        if answer == OTHER_WORDS:
            return {"level": "emotion", "text": "0123456789ab"}
        return {"level": answer, "text": self.version}

    def note(self, person: int, speaker: str, at: float, acked: float, answer: str | None) -> None:
        level = "presence" if answer in (None, OTHER_WORDS) else answer
        said = {"person": person, "speaker": speaker, "at": at, "acked": acked, "level": level}
        print(json.dumps(said), flush=True)


class Link:
    """One connection of one person."""

    def __init__(self, hall: Hall, person: int, packets: list[Sent], socket: aiohttp.ClientWebSocketResponse) -> None:
        self._hall, self._person, self._packets, self._socket = hall, person, packets, socket
        self._far = Far(1)
        self._pending: deque[asyncio.Future[dict[str, Any]]] = deque()
        self._described: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self.speaker = ""

    async def open(self, answer: str | None) -> None:
        """Go in with this answer, and begin to speak."""
        self._tasks.append(asyncio.create_task(self._read()))
        key = f"a-person-key-{self._person}"
        hello = {"type": "join", "name": f"Person {self._person}", "person": key, "muted": False}
        await self._tell(hello | self._hall.answer(answer), answer)
        await self._socket.send_json({"type": "offer", **await self._far.offer()})
        await self._far.answer(await asyncio.wait_for(self._described, PATIENCE_S))
        self._tasks.append(asyncio.create_task(self._speak()))

    async def say(self, answer: str) -> tuple[float, float]:
        """Answer anew, by the page; when that was sent and when it was answered."""
        return await self._tell({"type": "consent", **self._hall.answer(answer)}, answer)

    async def _tell(self, message: dict[str, Any], answer: str | None) -> tuple[float, float]:
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending.append(reply)
        at = time.monotonic()
        acked = math.inf  # who has no answer is under way for ever
        try:
            await self._socket.send_json(message)
            await asyncio.wait_for(reply, PATIENCE_S)
            acked = time.monotonic()
        finally:
            self._hall.note(self._person, self.speaker, at, acked, answer)
        return at, acked

    async def say_by_control(self, answer: str) -> None:
        hall, at = self._hall, time.monotonic()
        message = {"speaker": self.speaker, **hall.answer(answer)}
        acked = math.inf
        try:
            async with hall.session.put(f"{hall.address}/v1/rooms/{hall.id}/consent", json=message) as reply:
                hall.counts[f"control_{reply.status}"] += 1
                acked = time.monotonic()
        finally:
            hall.note(self._person, self.speaker, at, acked, answer)

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            said = json.loads(message.data)
            if said["type"] == "welcome":
                self.speaker = said["you"]
            elif said["type"] == "consent" and self._pending:
                self._pending.popleft().set_result(said)
            elif said["type"] == "answer" and not self._described.done():
                self._described.set_result(said["sdp"])

    async def _speak(self) -> None:
        begun = time.monotonic()
        number = shift = 7 * self._person
        self._hall.speaking += 1
        while True:
            if (pause := begun + (number - shift) * 0.02 - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            payload, level = self._packets[number % len(self._packets)]
            self._far._send(self._far.lines[0], number, Sent(tag(payload, self._person), level))
            self._hall.sent[self._person] += 1
            number += 1

    async def close(self, way: str = "leave") -> None:
        if way == "leave":
            with suppress(ConnectionError):
                await self._socket.send_json({"type": "leave"})
        elif way == "abort" and self._socket._response.connection is not None:
            transport = self._socket._response.connection.transport
            if transport is not None:
                transport.abort()
            await asyncio.sleep(STILL_S)
        self._hall.speaking -= len(self._tasks) > 1
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._far.pc.close()
        with suppress(ConnectionError):
            await self._socket.close()


async def enter(hall: Hall, person: int, packets: list[Sent], answer: str | None) -> Link:
    """Somebody goes in with this answer, and begins to speak."""
    socket = await hall.session.ws_connect(f"{hall.address}/v1/rooms/{NAME}/join", max_msg_size=0)
    link = Link(hall, person, packets, socket)
    try:
        await link.open(answer)
    except BaseException:
        await link.close("close")
        raise
    return link


# -- withdrawing ----------------------------------------------------------------------------------------------------


async def withdraw(hall: Hall, rounds: int) -> None:
    """Some people talk without a pause, and take back their yes in turn, and then agree again."""
    heard: list[tuple[float, dict[str, Any]]] = []
    listening = asyncio.create_task(_listen(hall, heard))
    entering = [enter(hall, number, stream(number % VOICES, 4.0, 4.0), "emotion") for number in range(PEERS)]
    links = await asyncio.gather(*entering)
    await asyncio.sleep(3.0)
    for number in range(rounds):
        link = links[number % PEERS]
        sent, acked = await link.say("presence")
        await asyncio.sleep(NO_S + STEP_S * (number % 11))
        again, _ = await link.say("emotion")
        of_them = [(at, one) for at, one in heard if sent < at < again and one["data"].get("speaker") == link.speaker]
        heard.clear()
        times = {"person": number % PEERS, "sent": sent, "acked": acked, "again": again}
        print(json.dumps({"round": times | told_later(of_them)}), flush=True)
        await asyncio.sleep(YES_S)
    listening.cancel()
    await asyncio.gather(*(link.close() for link in links), return_exceptions=True)


def told_later(heard: list[tuple[float, dict[str, Any]]]) -> dict[str, Any]:
    """When a listener was told to clear what it shows of somebody; and what it was told of them after that.

    What was said of their voice, or of a time since, is `later`. Turns and overlaps become certain a while after they
    happened: those of before are `concluded`.
    """
    place = next((n for n, (_, one) in enumerate(heard) if one["type"] == CLEAR and not one["data"]["analysed"]), None)
    if place is None:
        return {"told": None, "later": [], "concluded": []}
    (at, clear), after = heard[place], [one for _, one in heard[place + 1 :]]
    later = [one for one in after if one["type"].startswith(OF_VOICES) or one["data"]["at"] > clear["data"]["at"]]
    concluded = [one["type"] for one in after if one not in later]
    return {"told": at, "later": [one["type"] for one in later], "concluded": concluded}


async def _listen(hall: Hall, heard: list[tuple[float, dict[str, Any]]]) -> None:
    """Note all that is told to any program."""
    async with hall.session.ws_connect(f"{hall.address}/v1/rooms/{NAME}/events", max_msg_size=0) as socket:
        await socket.send_json({})
        async for message in socket:
            heard.append((time.monotonic(), json.loads(message.data)))


# -- coming and going -----------------------------------------------------------------------------------------------


async def churn(hall: Hall, seconds: float) -> None:
    begun = time.monotonic()
    at_once: list[int] = []
    counting = asyncio.create_task(_count(hall, at_once))
    await asyncio.gather(*(_live(hall, number, begun, seconds) for number in range(PEOPLE)))
    counting.cancel()
    print(json.dumps({"speaking": at_once}), flush=True)


async def _count(hall: Hall, at_once: list[int]) -> None:
    while True:
        await asyncio.sleep(1.0)
        at_once.append(hall.speaking)


async def _live(hall: Hall, person: int, begun: float, seconds: float) -> None:
    """A written life; whatever can't be done is left out, and counted."""
    packets = stream(person % VOICES, 2.0, 4.0)
    link: Link | None = None
    for step in life(person, seconds):
        await asyncio.sleep(max(0.0, begun + step.at_s - time.monotonic()))
        try:
            link = await _do(hall, person, packets, link, step)
            hall.counts[step.do] += 1
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            hall.counts[f"failed_{step.do}_{type(error).__name__}"] += 1
    if link is not None:
        await link.close()


async def _do(hall: Hall, person: int, packets: list[Sent], link: Link | None, step: Step) -> Link | None:
    if step.do in ("join", "again"):
        fresh = await enter(hall, person, packets, step.answer)
        if link is not None:
            await link.close("close")
        return fresh
    if link is None:
        return None
    if step.do != "say":
        await link.close(step.do)
        return None
    assert step.answer is not None, "who says something answers"
    await (link.say_by_control if by_control(person) else link.say)(step.answer)
    return link


async def main() -> None:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    address, id, what, amount = sys.argv[1:]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{address}/v1/page") as answer:
            version = (await answer.json())["notice"]["version"]
        hall = Hall(session, address, id, version)
        await (withdraw(hall, int(amount)) if what == "withdraw" else churn(hall, float(amount)))
        print(json.dumps({"done": {"sent": dict(hall.sent), **hall.counts}}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
