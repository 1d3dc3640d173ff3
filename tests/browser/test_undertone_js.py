"""The module for host pages in a real browser: an embedded room, the worker's WebSocket, and a real Janus."""

import asyncio

import aiohttp
import numpy as np
import pytest

from tests.browser.test_room import LOUDNESS, microphone, worker
from tests.janus import janus as janus
from tests.janus import made_room
from tests.janus import own_janus as own_janus
from tests.speech import speech
from tests.support import free_port, require
from worker.audio import RATE
from worker.bench.browser import chromium, join

LISTENER = """
async () => {
  const { attach } = await import("/undertone.js");
  window.log = [];
  const size = (map) => Object.keys(map).length;
  const on = {
    onEvent: ({ type, epoch, seq }) => log.push({ kind: "event", type, epoch, seq }),
    onSnapshot: ({ epoch, seq, data }) => log.push({ kind: "snapshot", epoch, seq, people: size(data.speakers) }),
    onGap: ({ epoch, data }) => log.push({ kind: "gap", epoch, from: data.from_seq, to: data.to_seq }),
    onState: (state, reason) => log.push({ kind: "state", state, reason }),
  };
  window.listen = (source, options) => (window.here = attach(source, { ...on, ...options }));
}
"""

CHANNEL = """
() => {
  const make = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (...how) {
    const channel = make.apply(this, how);
    listen(channel);
    return channel;
  };
}
"""

SOCKETS = """
() => {
  const Real = WebSocket;
  window.sockets = [];
  window.WebSocket = class extends Real {
    constructor(...how) {
      super(...how);
      sockets.push(this);
    }
  };
}
"""

HEARD = "(count) => log.filter(({ kind }) => kind === 'event').length >= count"


@pytest.fixture(autouse=True)
def _browser():
    require("chromium")


async def log_of(page, *kinds):
    return [entry for entry in await page.evaluate("log") if not kinds or entry["kind"] in kinds]


async def states_of(page):
    return [entry["state"] for entry in await log_of(page, "state")]


def assert_in_order(log):
    """One run of the worker, told from its snapshot on without a hole."""
    assert log[0]["kind"] == "snapshot"
    assert [entry["kind"] for entry in log[1:]] == ["event"] * (len(log) - 1)
    first = log[0]["seq"]
    assert [entry["seq"] for entry in log] == list(range(first, first + len(log)))


async def test_the_embedded_room_tells_a_host_page_everything_once(tmp_path):
    async with worker(tmp_path, room={"kind": "embedded", "guests": 2}) as one, chromium() as browser:
        page = await browser.new_page()
        await page.goto(one.address)
        await page.evaluate(LISTENER)
        await page.evaluate(CHANNEL)
        await page.fill("#name", "Ada")
        await page.check("#without")
        await page.click("#submit:not([disabled])")
        await page.wait_for_function(HEARD, arg=20, timeout=20_000)
        log, ignored = await log_of(page), await page.evaluate("here.ignored()")
    assert [entry["state"] for entry in log[:2]] == ["connecting", "open"]
    assert_in_order(log[2:])
    assert "io.undertone.speech.started.v1" in {entry.get("type") for entry in log}
    assert ignored["malformed"] == ignored["unknown"] == 0


async def test_the_websocket_resumes_and_its_token_stays_out_of_addresses(tmp_path):
    sections = {"room": {"kind": "embedded", "guests": 2}}
    async with worker(tmp_path, **sections) as one, chromium() as browser:
        page = await browser.new_page()
        seen = []
        page.on("websocket", lambda socket: seen.append(socket.url))
        await page.goto(one.address)
        await page.evaluate(LISTENER)
        await page.evaluate(SOCKETS)
        await page.evaluate("() => listen({ url: '/v1/rooms/demo/events', token: 'secret' }) && null")
        await page.wait_for_function(HEARD, arg=5, timeout=10_000)
        await page.evaluate("sockets[0].close()")
        await page.wait_for_function("() => sockets.length === 2", timeout=10_000)
        await page.evaluate("(heard) => log.push(heard)", {"kind": "mark"})
        await page.wait_for_function(HEARD, arg=15, timeout=20_000)
        log = await log_of(page)
    assert_in_order([entry for entry in log if entry["kind"] in ("snapshot", "event", "gap")])
    assert [entry["state"] for entry in log if entry["kind"] == "state"] == ["connecting", "open", "lost", "open"]
    assert len(seen) == 2
    assert not any("secret" in url for url in seen)


async def test_a_worker_that_starts_anew_is_found_again_and_a_wrong_token_is_not_repeated(tmp_path, monkeypatch):
    room, port = {"kind": "embedded", "guests": 1}, free_port()
    monkeypatch.setattr("tests.browser.test_room.free_port", lambda: port)
    async with chromium() as browser:
        page = await browser.new_page()
        async with worker(tmp_path, room=room) as one:
            await page.goto(one.address)
            await page.evaluate(LISTENER)
            await page.evaluate("() => listen({ url: '/v1/rooms/demo/events' }) && null")
            await page.wait_for_function(HEARD, arg=3, timeout=10_000)
        async with worker(tmp_path, room=room):
            await page.wait_for_function("() => log.filter(({ kind }) => kind === 'snapshot').length === 2")
        async with worker(tmp_path, room=room, server={"port": port, "token": "a-token-for-tests"}):
            await page.wait_for_function("() => log.at(-1).state === 'refused'", timeout=20_000)
        log = await log_of(page)
    runs = {entry["epoch"] for entry in log if "epoch" in entry}
    assert [len([e for e in log if e["kind"] == "snapshot" and e["epoch"] == epoch]) for epoch in runs] == [1, 1]
    assert log[-1]["reason"] == "The token is missing or wrong."
    assert [entry["state"] for entry in log if entry["kind"] == "state"][:3] == ["connecting", "open", "lost"]


# -- Janus ------------------------------------------------------------------------------------------------------------


class Hosted:
    """A worker without a room of its own, its page told of a Janus room, which it joins when it is asked to."""

    def __init__(self, one, janus, room):
        self.one, self.janus, self.room = one, janus, room
        self.asked = []

    async def open(self, browser, name, analysed=True):
        """The page, with this person in the room."""
        page = await browser.new_page(bypass_csp=True)
        page.on("request", lambda request: self.asked.append(request.url))
        about = {
            "room": "meeting",
            "token_needed": False,
            "notice": "",
            "janus": {"url": self.janus.url, "room": self.room},
        }
        await page.route("**/v1/page", lambda route: route.fulfill(json=about))
        await join(page, self.one.address, name, analysed)
        await page.wait_for_function("() => document.querySelector('#status').textContent === ''")
        return page

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


@pytest.fixture
async def hosted(tmp_path, janus):
    sections = {"room": None, "control": {"allow": [janus.url.rstrip("/")]}}
    async with worker(tmp_path, **sections) as one, made_room(janus.url) as room:
        yield Hosted(one, janus, room)


async def tile(page, name):
    """The number that Janus gave the person of this name."""
    found = await page.wait_for_selector(f'.tile[aria-label="{name}"]', timeout=10_000)
    return await found.get_attribute("data-speaker")


async def test_a_janus_page_shows_who_speaks_and_undertone_as_a_notice(tmp_path, hosted):
    talk = microphone(tmp_path / "talk.wav", np.concatenate([speech("anna"), np.zeros(RATE, np.float32)]))
    quiet = microphone(tmp_path / "quiet.wav", np.zeros(10 * RATE, np.float32))
    async with chromium(talk) as here, chromium(quiet) as there:
        ada = await hosted.open(here, "Ada")
        assert "nobody listens" in await ada.text_content("#listener")
        bo = await hosted.open(there, "Bo", analysed=False)
        await hosted.enter()  # its data comes to connections that had none
        for page in (ada, bo):
            speaking = await tile(page, "Ada")
            await page.wait_for_selector(f'.tile[data-speaker="{speaking}"][data-speaking="true"]', timeout=20_000)
            await page.wait_for_function(
                "(id) => Number(document.querySelector(`.tile[data-speaker='${id}']`).dataset.talk) > 2",
                arg=speaking,
                timeout=20_000,
            )
            assert "Undertone (listens" in await page.text_content("#listener")
            assert await page.locator(".tile").count() == 2
        assert await bo.evaluate(LOUDNESS, await tile(bo, "Ada")) > 0.01
        assert (
            await ada.text_content(f'.tile[data-speaker="{await tile(ada, "Bo")}"] [data-part="mood"]')
            == "Not analysed"
        )
        assert await hosted.speakers() == {"Ada": True, "Bo": False}
    assert all(url.startswith(hosted.one.address) for url in hosted.asked)


async def test_a_janus_page_comes_through_a_worker_that_leaves_and_returns(tmp_path, hosted):
    async with chromium(microphone(tmp_path / "talk.wav", speech("anna"))) as browser:
        ada = await hosted.open(browser, "Ada")
        for _ in range(2):
            room = await hosted.enter()
            await ada.wait_for_function(
                "() => Number(document.querySelector('.tile').dataset.talk) > 0", timeout=20_000
            )
            await hosted.leave(room)
            await ada.wait_for_function("() => document.querySelector('#listener').textContent.includes('nobody')")
        again = await hosted.open(browser, "Ada")
        await tile(again, "Ada (2)")


async def test_a_choice_ends_with_the_stay_and_nobody_stays_whose_choice_can_not_be_told(hosted):
    async with chromium() as browser:
        await hosted.enter()
        ada = await hosted.open(browser, "Ada")
        await until(lambda: hosted.speakers(), {"Ada": True})
        await ada.click("#leave")
        await until(lambda: hosted.speakers(present=False), {"Ada": False})
        await ada.route("**/consent", lambda route: route.abort())
        await ada.click("#submit:not([disabled])")
        await ada.wait_for_selector("#rejoin:not([hidden])", timeout=15_000)
        assert "could not be told" in await ada.text_content("#status")
        await until(lambda: hosted.speakers(), {})


async def until(ask, want, within_s=10):
    async with asyncio.timeout(within_s):
        while await ask() != want:
            await asyncio.sleep(0.1)


async def test_a_janus_page_comes_back_after_janus(tmp_path, own_janus):
    server = own_janus()
    room = {"kind": "janus", "url": server.url, "room": 1234, "name": "meeting"}
    async with worker(tmp_path, room=room, control={}) as one, chromium() as browser:
        hosted = Hosted(one, server, 1234)
        ada = await hosted.open(browser, "Ada")
        await until(lambda: hosted.speakers(), {"Ada": True})
        server.kill()
        await ada.wait_for_function("() => document.querySelector('#status').textContent.includes('lost')")
        server.start()
        await ada.wait_for_function("() => document.querySelector('#status').textContent === ''", timeout=20_000)
        await ada.wait_for_function("() => document.querySelector('#listener').textContent.includes('Undertone')")
        await until(lambda: hosted.speakers(), {"Ada": True}, 20)
    assert "io.undertone.room.interrupted.v1" in {event["type"] for event in one.events()}


HOST = """
async ({ url, room }) => {
  const { Janus } = await import("/janus/client.js");
  const janus = new Janus(url, (error) => log.push({ kind: "lost", reason: error.message }));
  await janus.open();
  const roster = await janus.attach(() => {});
  const { data } = await janus.message(roster, { request: "join", ptype: "publisher", room });
  const { id: feed } = data.publishers.find(({ display }) => display.startsWith("Undertone"));
  const subscriber = await janus.attach(() => {});
  const { jsep } = await janus.message(subscriber, { request: "join", ptype: "subscriber", room, streams: [{ feed }] });
  const pc = new RTCPeerConnection();
  listen(pc, { feed });
  await pc.setRemoteDescription(jsep);
  await pc.setLocalDescription(await pc.createAnswer());
  await janus.message(subscriber, { request: "start" }, pc.localDescription);
}
"""


async def test_a_host_page_that_only_listens_hears_a_janus_room_from_its_snapshot_on(tmp_path, hosted):
    async with chromium(microphone(tmp_path / "talk.wav", speech("anna"))) as browser:
        await hosted.enter()
        await hosted.open(browser, "Ada")
        await until(lambda: hosted.speakers(), {"Ada": True})
        page = await browser.new_page(bypass_csp=True)
        await page.goto(hosted.one.address)
        await page.evaluate(LISTENER)
        await page.evaluate(HOST, {"url": hosted.janus.url, "room": hosted.room})
        await page.wait_for_function("() => log.some(({ people }) => people === 1)", timeout=15_000)
        await page.wait_for_function(HEARD, arg=12, timeout=20_000)
        log, ignored = await log_of(page), await page.evaluate("here.ignored()")
    assert [entry["state"] for entry in log[:2]] == ["connecting", "open"]
    seqs = [entry["seq"] for entry in log if entry["kind"] == "event"]
    assert len(set(seqs)) == len(seqs)
    assert seqs == sorted(seqs)
    assert [entry["kind"] for entry in log].count("snapshot") == 1
    assert "gap" not in {entry["kind"] for entry in log}
    assert ignored["malformed"] == ignored["unknown"] == 0
