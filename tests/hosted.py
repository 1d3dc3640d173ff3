"""A worker that joins a Janus room when it is asked to, and the demo page in real browsers."""

import asyncio

import aiohttp
import pytest

from tests.browser.test_room import worker
from tests.janus import made_room
from worker.bench.browser import join

WORDS = {"text": "It listens.", "version": "v1", "purpose": "", "operator": "", "contact": "", "seen_by": ""}
WORDS |= {"events_days": 30, "prompts_days": 7}


class Hosted:
    """A worker without a room of its own, its page told of a Janus room, which it joins when it is asked to."""

    def __init__(self, one, janus, room):
        self.one, self.janus, self.room = one, janus, room
        self.asked = []
        self.words = WORDS
        """The notice that pages show."""

    async def open(self, browser, name, level=None):
        """The page, with this person in the room."""
        page = await browser.new_page(bypass_csp=True)
        page.on("request", lambda request: self.asked.append(request.url))
        await page.route("**/v1/page", self._describe)
        await join(page, self.one.address, name, level)
        await page.wait_for_function("() => document.querySelector('#status').textContent === ''")
        return page

    async def _describe(self, route):
        """What a worker answers whose configuration names this Janus."""
        feed = next((one["feed"] for one in reversed((await self.ask("GET"))["rooms"])), None)
        about = {"url": self.janus.url, "room": self.room, "feed": feed}
        levels = [{"level": level, "name": level, "hint": ""} for level in ("presence", "metrics")]
        page = {"room": "meeting", "token_needed": False, "notice": self.words, "levels": levels, "janus": about}
        await route.fulfill(json=page)

    async def ask(self, method, below="", **body):
        address = f"{self.one.address}/v1/rooms{below}"
        async with aiohttp.ClientSession() as session, session.request(method, address, json=body or None) as answer:
            assert answer.ok, await answer.text()
            return await answer.json() if answer.status != 204 else None

    async def enter(self, **options):
        """The worker joins."""
        section = {"kind": "janus", "name": "meeting", "url": self.janus.url, "room": self.room, **options}
        return (await self.ask("POST", room=section))["id"]

    async def leave(self, room):
        await self.ask("DELETE", f"/{room}")

    async def speakers(self, present=True):
        """By name, whether they are analysed."""
        room = (await self.ask("GET"))["rooms"][-1]
        return {one["name"]: one["analysed"] for one in room["speakers"].values() if one["present"] is present}


async def until(ask, want, within_s=10):
    async with asyncio.timeout(within_s):
        while await ask() != want:
            await asyncio.sleep(0.1)


@pytest.fixture
async def hosted(tmp_path, janus):
    sections = {"room": None, "notice": {"version": "v1"}, "control": {"allow": [janus.url.rstrip("/")]}}
    async with worker(tmp_path, **sections) as one, made_room(janus.url) as room:
        yield Hosted(one, janus, room)
