"""How soon the dashboard shows a whole day's meeting, how soon it answers, and what that costs the rooms beside it."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession
from redis import Redis
from redis.exceptions import RedisError

from worker import supervisor
from worker.bench.browser import chromium
from worker.config import settle
from worker.envelope import Numbering
from worker.errors import ConfigError
from worker.events import (
    BackChannel,
    ConversationMeasured,
    EmotionEstimated,
    Engagement,
    Event,
    Interrupted,
    RoomClosed,
    RoomOpened,
    SpeakerJoined,
    SpeechEnded,
    SpeechMeasured,
    SpeechStarted,
    TalkTime,
    TurnEnded,
    TurnStarted,
)
from worker.figures import PersonFigures, RoomFigures, Talk
from worker.ops.http import Server

ROOM = "long"
PEOPLE = [f"p{number}" for number in range(1, 21)]
STARTED = datetime(2026, 1, 5, 9, tzinfo=UTC)
EPOCH = round(STARTED.timestamp() * 1000)
BATCH = 500
WARMING_S = 2.0
PULSE_S = 0.005

NOTE = """
() => new MutationObserver((_, watch) => {
  if (!document.querySelector(".lane .speech")) return;
  watch.disconnect();
  requestAnimationFrame(() => setTimeout(() => (window.drawnAt = performance.now())));
}).observe(document, { childList: true, subtree: true })
"""
"""Notes when the first lane has been painted."""

ACT = """
async () => {
  const span = document.querySelector("#span");
  const until = document.querySelector("#until");
  const people = [...document.querySelectorAll("#people input")];
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const took = { span: [], person: [], back: [] };
  const act = async (name, action) => {
    await painted();
    const began = performance.now();
    action();
    await painted();
    took[name].push(performance.now() - began);
  };
  for (const value of ["300", "900", "3600", "", "3600", "300", "900", ""]) {
    await act("span", () => { span.value = value; span.dispatchEvent(new Event("change")); });
  }
  for (let n = 0; n < 16; n += 1) await act("person", () => people[n % 8].click());
  span.value = "3600";
  span.dispatchEvent(new Event("change"));
  for (let n = 1; n <= 8; n += 1) {
    await act("back", () => { until.value = 3600 * (1 + n % 4); until.dispatchEvent(new Event("input")); });
  }
  return took;
}
"""
"""What a person does, each with the time until it is painted, ms."""


def run(quick: bool) -> dict[str, Any]:
    """A written meeting of 20 people and 8 hours, or 1, in a Redis of its own, shown by real Chromium."""
    hours = 1.0 if quick else 8.0
    with _redis() as url:
        filled = _fill(url, hours * 3600)
        found = asyncio.run(_measure(url, visits=3 if quick else 5))
    return {"hours": hours, "people": len(PEOPLE)} | filled | found | {"measured": datetime.now(UTC).date().isoformat()}


async def _measure(url: str, visits: int) -> dict[str, Any]:
    rows = []
    held = await _held(url)
    async with _worker(url) as address, chromium() as browser:
        for _ in range(visits):
            context = await browser.new_context(viewport={"width": 1200, "height": 900})
            page = await context.new_page()
            await page.add_init_script(f"({NOTE})()")
            await page.goto(f"{address}/dashboard.html")
            await page.wait_for_function("() => window.drawnAt", timeout=60_000)
            painted = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            rows.append((painted, await page.evaluate("window.drawnAt")))
        took = await page.evaluate(ACT)
    return {
        "first_paint_ms": {"bar": 1000, "first": round(rows[0][0]), "median": round(median(row[0] for row in rows))},
        "drawn_ms": {"first": round(rows[0][1]), "again": round(median(row[1] for row in rows[1:]))},
        "interaction_ms": {"bar": 100} | {name: _spread(times) for name, times in took.items()},
        "loop_held_ms": held,
    }


async def _held(url: str) -> dict[str, Any]:
    """How late the loop is, on which rooms would live, without and with somebody asking for the meeting; ms."""
    async with _worker(url) as address, _pulse() as late, ClientSession() as session:
        await asyncio.sleep(WARMING_S)
        idle = _spread([1000 * one for one in late])
        late.clear()
        began = time.perf_counter()
        async with session.get(f"{address}/v1/meetings/{ROOM}") as answer:
            size = len(await answer.read())
        took = time.perf_counter() - began
        reading = _spread([1000 * one for one in late])
    return {"idle": idle, "reading": reading, "reading_took_s": round(took, 2), "record_mb": round(size / 1e6, 2)}


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": round(median(values), 1), "max": round(max(values), 1)}


@asynccontextmanager
async def _worker(url: str) -> AsyncIterator[str]:
    """A worker that waits for rooms, with a dashboard that reads `url`."""
    started = asyncio.get_running_loop().create_future()
    settings = settle(
        {
            "room": None,
            "control": {},
            "dashboard": {"redis": url},
            "server": {"port": 0},
            "logs": {"level": "error"},
        }
    )
    serving = asyncio.create_task(supervisor.serve(settings, started.set_result))
    try:
        server: Server = await asyncio.wait_for(started, 30)
        yield f"http://localhost:{server.port}"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def _pulse() -> AsyncIterator[list[float]]:
    """Seconds by which the event loop, on which rooms would live, came late to what it was to do every 5 ms."""
    late: list[float] = []

    async def beat() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(PULSE_S)
            late.append(time.perf_counter() - began - PULSE_S)

    beating = asyncio.create_task(beat())
    try:
        yield late
    finally:
        beating.cancel()


@contextmanager
def _redis() -> Iterator[str]:
    """A Redis that keeps nothing on disk. Raises ConfigError when it is not installed, or does not start."""
    program = shutil.which("redis-server")
    if program is None:
        raise ConfigError("Redis is not installed: install Debian's package redis-server.")
    with TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
        url = f"redis://127.0.0.1:{port}/0"
        try:
            _await(url)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _await(url: str) -> None:
    with Redis.from_url(url) as client:
        for _ in range(200):
            try:
                client.ping()
            except RedisError:
                time.sleep(0.05)
            else:
                return
    raise ConfigError("Redis does not start: run redis-server by hand to see why.")


def _fill(url: str, seconds: float) -> dict[str, Any]:
    """Write the meeting as the sink `redis` would."""
    numbering, count, size = Numbering(ROOM, EPOCH, STARTED), 0, 0
    key = f"ut:{{{ROOM}}}:events"
    with Redis.from_url(url) as client, client.pipeline(transaction=False) as commands:
        for event in meeting(seconds):
            envelope = numbering.wrap(event)
            text = envelope.as_json()
            commands.xadd(key, {"event": text}, id=f"{envelope.epoch}-{envelope.seq}")
            count, size = count + 1, size + len(text)
            if count % BATCH == 0:
                commands.execute()
        commands.execute()
    return {"events": count, "stream_mb": round(size / 1e6, 1)}


def meeting(seconds: float) -> Iterator[Event]:
    """Everything the worker would say of people who take turns by a fixed pattern."""
    yield RoomOpened(0.0)
    for speaker in PEOPLE:
        yield SpeakerJoined(0.0, speaker, f"Person {speaker[1:]}")
    told, at, turn = _Told(), 1.0, 0
    while at < seconds - 20:
        speaker = PEOPLE[turn * 7 % len(PEOPLE)]
        events = _turn(turn, at, speaker)
        for event in sorted(events, key=lambda one: one.at):
            yield from told.until(event.at)
            told.note(event)
            yield event
        at, turn = at + 3.4 + turn * 5 % 11, turn + 1
    yield from told.until(seconds)
    yield RoomClosed(seconds, "ended")


def _turn(turn: int, at: float, speaker: str) -> list[Event]:
    """3 to 13 seconds of one person; some are cut off by the next, and to some another says "mhm"."""
    seconds = 3.0 + turn * 5 % 11
    end = at + seconds
    following, listening = PEOPLE[(turn + 1) * 7 % len(PEOPLE)], PEOPLE[(turn * 7 + 3) % len(PEOPLE)]
    said: list[Event] = [SpeechStarted(at, speaker), TurnStarted(at, speaker, None, 0.4)]
    said += [SpeechEnded(end, speaker, at), TurnEnded(end, speaker, at)]
    said.append(SpeechMeasured(at + 2, speaker, at, 4.2, -23.0))
    if turn % 9 == 0:
        said.append(Interrupted(end, speaker, following, 0.8))
    if turn % 4 == 0:
        said += [SpeechStarted(at + 1, listening), SpeechEnded(at + 1.4, listening, at + 1)]
        said.append(BackChannel(at + 1.4, listening, speaker, 0.4))
    scores = {"angry": 0.1, "happy": 0.1, "neutral": 0.7, "sad": 0.1}
    for hop in range(2, round(seconds * 2)):
        arousal = ((turn * 13 + hop) % 20 - 10) / 12
        heard = at + hop / 2
        said.append(
            EmotionEstimated(heard, speaker, heard - 2, arousal, arousal / 2, scores, 0.7, False, "onnx", "neutral")
        )
    return said


class _Told:
    """What is said by the clock: every second, and every five."""

    def __init__(self) -> None:
        self._at = 0
        self._talk = dict.fromkeys(PEOPLE, 0.0)

    def note(self, event: Event) -> None:
        if isinstance(event, SpeechEnded):
            self._talk[event.speaker] += event.at - event.started

    def until(self, at: float) -> Iterator[Event]:
        while self._at + 1 <= at:
            self._at += 1
            whole = sum(self._talk.values()) or 1.0
            yield TalkTime(self._at, {speaker: Talk(s, s / whole) for speaker, s in self._talk.items()})
            if self._at % 5 == 0:
                yield self._measured(whole)
                yield Engagement(self._at, 60 + self._at % 30, {"balance": 0.9, "silence": 0.8}, {"balance": 1.0}, 0.8)

    def _measured(self, whole: float) -> ConversationMeasured:
        people = {
            speaker: PersonFigures(talk_s=s, talk_share=s / whole, turns=self._at // 200, longest_run_s=13.0)
            for speaker, s in self._talk.items()
        }
        pairs = {one: dict.fromkeys(PEOPLE[place + 1 : place + 4], 2) for place, one in enumerate(PEOPLE)}
        room = RoomFigures(
            people=len(PEOPLE),
            heard_s=self._at,
            speech_s=whole,
            silence_share=0.1,
            floor_changes_per_min=7.2,
            interruptions=self._at // 76,
        )
        return ConversationMeasured(self._at, 300.0, room, people, {}, pairs, pairs, ())
