"""What docs/rooms.md tells a host application to do, done by a host's page in Chromium, with a real Janus."""

import asyncio
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.browser.test_room import worker
from tests.janus import client, made_room, our_feed
from tests.janus import janus as janus
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
  for (const { display } of await people(data.publishers)) tiles[display] = {};
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


@asynccontextmanager
async def host(name):
    """The page's server, to whom everyone is the person of this name; gives what asks it, as (path, data)."""
    parts = {}
    exec(compile(block("python"), "docs/rooms.md", "exec"), parts)
    parts["signed_in"] = lambda _: name
    app = web.Application()
    app.add_routes(parts["routes"])
    async with TestClient(TestServer(app)) as client:

        async def ask(path, data=None):
            async with client.request("GET" if data is None else "POST", path, data=data) as answer:
                return await answer.json()

        yield ask


async def until(ask, within_s=10):
    async with asyncio.timeout(within_s):
        while not await ask():
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


async def test_the_hosts_server_says_who_agreed_and_which_feed_is_undertones(tmp_path, monkeypatch, janus, speaking):
    port = free_port()
    monkeypatch.setattr("tests.browser.test_room.free_port", lambda: port)
    monkeypatch.setenv("UNDERTONE_URL", f"http://localhost:{port}")
    monkeypatch.setenv("UNDERTONE_CONTROL_TOKEN", "a-token-for-tests")
    sections = yaml.safe_load(block("yaml"))
    sections["server"] = {"port": port, "token": "a-token-for-tests"}
    sections["sinks"].append({"kind": "jsonl", "path": str(tmp_path / "events.jsonl")})
    async with made_room(janus.url) as number:
        sections["room"] |= {"url": janus.url, "room": number}
        async with worker(tmp_path, **sections) as one, host("Person 0") as ask:
            assert await ask("/undertone/consent", '{"analysed": true}') == {"told": False}
            await speaking(janus.url, number)

            async def told():
                return (await ask("/undertone/consent", '{"analysed": true}'))["told"]

            await until(told)
            async with client(janus.url, number) as watcher:
                assert (await ask("/undertone/feed"))["feed"] == await our_feed(watcher)

            async def heard():
                return "speech.started" in one.report.read_text()

            await until(heard)


async def test_a_host_page_shows_who_speaks_and_no_tile_for_undertone(tmp_path, monkeypatch, janus, speaking):
    port, pages = free_port(), tmp_path / "pages"
    monkeypatch.setenv("UNDERTONE_URL", f"http://localhost:{port}")
    monkeypatch.setattr("tests.browser.test_room.free_port", lambda: port)
    shutil.copytree("frontend_demo", pages)
    (pages / "rooms.js").write_text(block("js"))
    sections = yaml.safe_load(block("yaml"))
    sections["server"] = {"port": port, "pages": str(pages), "janus_url": janus.url}
    async with made_room(janus.url) as number:
        sections["room"] |= {"url": janus.url, "room": number}
        await speaking(janus.url, number)
        async with worker(tmp_path, **sections) as one, chromium() as browser, host("Person 0") as ask:

            async def answer(route):
                path = urlsplit(route.request.url).path
                await route.fulfill(json=await ask(path, route.request.post_data))

            page = await browser.new_page()
            await page.goto(one.address)
            await page.route("**/undertone/*", answer)
            async with client(janus.url, number) as watcher:
                await our_feed(watcher)
            await page.evaluate(HOST, {"url": janus.url, "room": number})
            assert await page.evaluate("Object.keys(tiles)") == ["Person 0"]
            await page.evaluate("import('/rooms.js').then(({ choose }) => choose(true)).then(() => null)")
            await page.wait_for_function(
                "() => tiles['Person 0'].speaking && tiles['Person 0'].talked > 0", timeout=15_000
            )
            assert await page.evaluate("Object.keys(tiles)") == ["Person 0"]
