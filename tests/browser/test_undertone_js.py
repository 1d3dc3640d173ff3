"""The module for host pages in a real browser: an embedded room, the worker's WebSocket, and a real Janus."""

import pytest

from tests.browser.test_room import microphone, worker
from tests.hosted import hosted as hosted
from tests.hosted import until
from tests.janus import janus as janus
from tests.speech import speech
from tests.support import free_port, require
from worker.bench.browser import choose, chromium

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
        await page.wait_for_selector("#submit:not([disabled])")
        await choose(page, "#form", "presence")
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


HOST = """
async ({ url, room, feed }) => {
  const { Janus } = await import("/janus/client.js");
  const janus = new Janus(url, (error) => log.push({ kind: "lost", reason: error.message }));
  await janus.open();
  const roster = await janus.attach(() => {});
  await janus.message(roster, { request: "join", ptype: "publisher", room });
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
        feed = (await hosted.ask("GET"))["rooms"][-1]["feed"]
        page = await browser.new_page(bypass_csp=True)
        await page.goto(hosted.one.address)
        await page.evaluate(LISTENER)
        await page.evaluate(HOST, {"url": hosted.janus.url, "room": hosted.room, "feed": feed})
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
