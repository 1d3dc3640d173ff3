"""What docs/rooms.md tells a host application to do, done by a host's page in Chromium, with a real Janus."""

import asyncio
import re
import shutil
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.browser.test_room import worker
from tests.janus import janus as janus
from tests.janus import made_room
from tests.support import free_port, require
from worker.bench.browser import chromium
from worker.bench.janus.people import Person
from worker.config import settle

PAGE = Path("docs/rooms.md").read_text()


def block(language, number=0):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[number]


HOST = """
async ({ url, room }) => {
  const { Janus } = await import("/janus/client.js");
  const { people, listen } = await import("/rooms.js");
  window.tiles = {};
  const janus = new Janus(url, () => {});
  await janus.open();
  const roster = await janus.attach(() => {});
  const { data } = await janus.message(roster, { request: "join", ptype: "publisher", room });
  for (const { display } of people(data.publishers)) tiles[display] = {};
  const subscriber = await janus.attach(() => {});
  const streams = data.publishers.map(({ id }) => ({ feed: id }));
  const { jsep } = await janus.message(subscriber, { request: "join", ptype: "subscriber", room, streams });
  const pc = new RTCPeerConnection();
  listen(pc, (name, what) => (tiles[name] = { ...tiles[name], ...what }));
  await pc.setRemoteDescription(jsep);
  await pc.setLocalDescription(await pc.createAnswer());
  await janus.message(subscriber, { request: "start" }, pc.localDescription);
}
"""
"""A host application without a library: the first page's code does the rest."""


@pytest.fixture(autouse=True)
def _browser():
    require("chromium")


def test_the_configuration_on_the_page_is_one():
    settings = settle(yaml.safe_load(block("yaml")))
    assert (settings.room["kind"], settings.room["consent"]) == ("janus", "each")


async def ask(one, method, below="", **body):
    async with (
        aiohttp.ClientSession(one.address) as session,
        session.request(method, f"/v1/rooms{below}", json=body or None) as answer,
    ):
        assert answer.ok, await answer.text()
        return await answer.json() if answer.status == 200 else None


async def listed(one, name):
    """The ids of the worker's room and of the speaker of this name in it, once both are there."""
    async with asyncio.timeout(10):
        while True:
            for room in (await ask(one, "GET"))["rooms"]:
                for speaker, who in room["speakers"].items():
                    if who["name"] == name:
                        return room["id"], speaker
            await asyncio.sleep(0.1)


@pytest.fixture
async def speaking():
    """Lets somebody speak in a room, in a voice that is known: `await speaking(url, room)`."""
    living = []

    async def begin(url, room):
        person = Person(url, room, 0, 1, 4.0, 4.0)
        living.append(asyncio.create_task(person.live()))
        await person.here.wait()

    yield begin
    for task in living:
        task.cancel()
    await asyncio.gather(*living, return_exceptions=True)


async def test_a_host_page_shows_who_speaks_and_no_tile_for_undertone(tmp_path, monkeypatch, janus, speaking):
    port, pages = free_port(), tmp_path / "pages"
    monkeypatch.setattr("tests.browser.test_room.free_port", lambda: port)
    shutil.copytree("frontend_demo", pages)
    (pages / "rooms.js").write_text(block("js"))
    sections = yaml.safe_load(block("yaml"))
    sections["server"] = {"port": port, "pages": str(pages), "janus_url": janus.url}
    async with made_room(janus.url) as number:
        sections["room"] |= {"url": janus.url, "room": number}
        await speaking(janus.url, number)
        async with worker(tmp_path, **sections) as one, chromium() as browser:
            await listed(one, "Person 0")
            page = await browser.new_page()
            await page.goto(one.address)
            await page.evaluate(HOST, {"url": janus.url, "room": number})
            room, speaker = await listed(one, "Person 0")
            assert await page.evaluate("Object.keys(tiles)") == ["Person 0"]
            await ask(one, "PUT", f"/{room}/consent", speaker=speaker, analysed=True)
            await page.wait_for_function(
                "() => tiles['Person 0'].speaking && tiles['Person 0'].talked > 0", timeout=15_000
            )
            assert await page.evaluate("Object.keys(tiles)") == ["Person 0"]
