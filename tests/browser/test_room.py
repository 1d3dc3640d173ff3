"""Two real browsers, a real Redis and the worker as its own process: everything a user would see."""

import asyncio
import json
import signal
import subprocess
import sys
import wave
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
import pytest
import redis.asyncio
import yaml

from tests.consenting import OPEN
from tests.speech import speech
from tests.support import free_port, require
from worker.audio import RATE
from worker.bench.browser import choose, chromium, join

WATCH = """
() => {
  window.changes = {};
  const note = (tile) => {
    const seen = (window.changes[tile.dataset.speaker] ??= new Set());
    seen.add(tile.dataset.speaking);
  };
  new MutationObserver((list) => list.forEach(({ target }) => note(target)))
    .observe(document.querySelector("#tiles"), { subtree: true, attributeFilter: ["data-speaking"] });
}
"""

LOUDNESS = """
async (speaker) => {
  const audio = document.querySelector(`.tile[data-speaker="${speaker}"] audio`);
  const context = new AudioContext();
  const meter = new AnalyserNode(context, { fftSize: 2048 });
  context.createMediaStreamSource(audio.srcObject).connect(meter);
  let loudest = 0;
  const samples = new Float32Array(2048);
  for (let i = 0; i < 60; i += 1) {
    await new Promise((resume) => setTimeout(resume, 50));
    meter.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, Math.hypot(...samples) / Math.sqrt(samples.length));
  }
  return loudest;
}
"""

PICTURE = """
(speaker) => {
  const video = document.querySelector(`.tile[data-speaker="${speaker}"] video`);
  if (!video.videoWidth) return null;
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 64, 48);
  return [...context.getImageData(0, 0, 64, 48).data].join();
}
"""


EMOTION = {"level": "emotion", **OPEN}


def microphone(path, samples):
    """A WAV file for Chromium's fake microphone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return path


class Worker:
    """`undertone run` in a process of its own."""

    def __init__(self, folder, **sections):
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        self.report = folder / "events.jsonl"
        sinks = [{"kind": "data_channel"}, {"kind": "websocket"}, {"kind": "jsonl", "path": str(self.report)}]
        settings = {"room": {"kind": "embedded"}, "sinks": sinks, "server": {"port": self.port}}
        settings["sinks"] += sections.pop("more_sinks", [])
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(settings | sections))
        self.log = (folder / "log.txt").open("w+")
        command = [sys.executable, "-m", "worker", "run", str(config)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)

    async def ready(self):
        async with aiohttp.ClientSession() as session, asyncio.timeout(30):
            while True:
                try:
                    async with session.get(f"{self.address}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    assert self.process.poll() is None, self.said()
                await asyncio.sleep(0.1)

    def events(self):
        return [json.loads(line) for line in self.report.read_text().splitlines()]

    def said(self):
        self.log.seek(0)
        return self.log.read()

    async def end(self):
        """SIGTERM drains; the exit code says how that went."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.process.wait, 20)
        self.log.close()
        return code


@asynccontextmanager
async def worker(folder, **sections):
    one = Worker(folder, **sections)
    try:
        await one.ready()
        yield one
    except BaseException:
        print(one.said())
        raise
    finally:
        one.code = await one.end()


@pytest.fixture(autouse=True)
def _browser():
    require("chromium")


async def test_two_people_meet_and_the_right_tile_changes(tmp_path, redis_url):
    talk = microphone(tmp_path / "talk.wav", np.concatenate([speech("anna"), np.zeros(RATE, np.float32)]))
    quiet = microphone(tmp_path / "quiet.wav", np.zeros(10 * RATE, np.float32))
    heard = []
    async with (
        worker(tmp_path, policy=EMOTION, more_sinks=[{"kind": "redis", "url": redis_url}]) as one,
        chromium(talk) as here,
        chromium(quiet) as there,
    ):
        listening = asyncio.create_task(subscribe(redis_url, heard))
        ada, bo = await here.new_page(), await there.new_page()
        outside = []
        for page in (ada, bo):
            page.on("request", lambda r: outside.append(r.url) if not r.url.startswith(one.address) else None)
        await join(ada, one.address, "Ada")
        await join(bo, one.address, "Bo")
        await asyncio.gather(*(page.evaluate(WATCH) for page in (ada, bo)))
        for page in (ada, bo):
            await page.wait_for_selector('.tile[data-speaker="p1"][data-speaking="true"]', timeout=20_000)
            await page.wait_for_function(
                """() => {
                  const { talk, arousal } = document.querySelector('.tile[data-speaker="p1"]').dataset;
                  return Number(talk) > 3 && arousal !== "";
                }""",
                timeout=40_000,
            )
        pictures = [await page.evaluate(PICTURE, other) for page, other in ((ada, "p2"), (bo, "p1"))]
        await asyncio.sleep(0.5)
        later = [await page.evaluate(PICTURE, other) for page, other in ((ada, "p2"), (bo, "p1"))]
        assert all(picture and picture != after for picture, after in zip(pictures, later, strict=True))
        assert await bo.evaluate(LOUDNESS, "p1") > 0.01
        assert await ada.evaluate(LOUDNESS, "p2") < 0.001
        for page in (ada, bo):
            changes = await page.evaluate("Object.fromEntries(Object.entries(changes).map(([k, v]) => [k, [...v]]))")
            assert "true" in changes["p1"]
            assert "true" not in changes.get("p2", [])
            silent = await page.eval_on_selector('.tile[data-speaker="p2"]', "tile => ({...tile.dataset})")
            assert (float(silent["talk"]), silent["arousal"]) == (0.0, "")
        assert outside == []
        client = redis.asyncio.from_url(redis_url, decode_responses=True)
        state = await client.hgetall("ut:{demo}:state")
        assert json.loads(state["speaker:p1"])["talk"]["seconds"] > 3
        await client.aclose()
    assert one.code == 0
    await asyncio.wait_for(listening, 10)
    assert_same_events(one.events(), heard)


async def subscribe(url, heard):
    """Everything on the room's channel until the room closes."""
    client = redis.asyncio.from_url(url, decode_responses=True)
    async with client, client.pubsub() as channel:
        await channel.subscribe("ut:{demo}:live")
        async for message in channel.listen():
            if message["type"] == "message":
                heard.append(json.loads(message["data"]))
                if heard[-1]["type"].endswith("room.closed.v1"):
                    return


def assert_same_events(reported, heard):
    assert heard == [event for event in reported if event["seq"] >= heard[0]["seq"]]
    assert [event["seq"] for event in reported] == list(range(1, len(reported) + 1))


async def test_reload_and_a_closed_tab_leave_a_correct_page(tmp_path):
    quiet = microphone(tmp_path / "quiet.wav", np.zeros(10 * RATE, np.float32))
    async with worker(tmp_path) as one, chromium(quiet) as here, chromium(quiet) as there:
        ada, bo = await here.new_page(), await there.new_page()
        await join(ada, one.address, "Ada")
        await join(bo, one.address, "Bo", "presence")
        await ada.wait_for_selector('.tile[data-speaker="p2"]')
        await bo.reload()
        await ada.wait_for_function("() => document.querySelectorAll('.tile').length === 1", timeout=10_000)
        await join(bo, one.address, "Bo", "presence")
        await ada.wait_for_selector('.tile[data-speaker="p2"]')
        await bo.close()
        await ada.wait_for_function("() => document.querySelectorAll('.tile').length === 1", timeout=15_000)
    joined = [e["data"] for e in one.events() if e["type"].endswith("speaker.joined.v1")]
    assert [(j["speaker"], j["generation"], j["analysed"]) for j in joined] == [
        ("p1", 1, True),
        ("p2", 1, False),
        ("p2", 2, False),
    ]


async def test_who_is_quicker_than_the_worker_keeps_what_they_wrote(tmp_path):
    answered = asyncio.Event()

    async def late(route):
        await answered.wait()
        await route.continue_()

    async with worker(tmp_path) as one, chromium() as browser:
        page = await browser.new_page()
        await page.route("**/v1/page", late)
        await page.goto(one.address)
        await page.fill("#name", "Ada")
        answered.set()
        await page.wait_for_selector("#submit:not([disabled])")
        await choose(page, "#form", "presence")
        await page.click("#submit")
        await page.wait_for_selector('.tile[data-speaker="p1"]')
    assert [e["data"]["name"] for e in one.events() if e["type"].endswith("speaker.joined.v1")] == ["Ada"]


TILE = """
() => {
  const { level, mood, talk, arousal, speaking } = document.querySelector('.tile[data-speaker="p1"]').dataset;
  return { level, mood, talk, arousal, speaking };
}
"""
CLEARED = {"level": "presence", "mood": "off", "talk": "", "arousal": "", "speaking": "false"}


async def test_who_withdraws_is_cleared_everywhere_and_is_heard_and_seen_as_before(tmp_path):
    """And may say yes again; what others give and get is as it was, too."""
    talk = microphone(tmp_path / "talk.wav", np.concatenate([speech("anna"), np.zeros(RATE, np.float32)]))
    async with worker(tmp_path, policy=EMOTION) as one, chromium(talk) as here, chromium(talk) as there:
        ada, bo = await here.new_page(), await there.new_page()
        await join(ada, one.address, "Ada")
        await join(bo, one.address, "Bo")
        for page in (ada, bo):
            await page.wait_for_selector(
                '.tile[data-speaker="p1"][data-arousal]:not([data-arousal=""])', timeout=40_000
            )
        await ada.click("#stop")
        for page in (ada, bo):
            await page.wait_for_selector('.tile[data-speaker="p1"][data-level="presence"]', timeout=2000)
            assert await page.evaluate(TILE) == CLEARED
        for page, other in ((bo, "p1"), (ada, "p2")):
            assert await page.evaluate(LOUDNESS, other) > 0.01
            first = await page.evaluate(PICTURE, other)
            await asyncio.sleep(0.5)
            assert first != await page.evaluate(PICTURE, other)
        assert [await page.evaluate(TILE) for page in (ada, bo)] == [CLEARED, CLEARED]
        assert await bo.get_attribute('.tile[data-speaker="p2"]', "data-level") == "emotion"
        await ada.click("#mine-open")
        await ada.check('#mine-choice input[value="metrics"]')
        for page in (ada, bo):
            await page.wait_for_selector('.tile[data-speaker="p1"][data-level="metrics"][data-speaking="true"]')
            assert (await page.evaluate(TILE))["arousal"] == ""
    events = [(event["type"].removeprefix("io.undertone."), event["data"]) for event in one.events()]
    hers = [(kind, data) for kind, data in events if data.get("speaker") == "p1"]
    levels = [(n, data["level"]) for n, (kind, data) in enumerate(hers) if kind == "speaker.analysed.v1"]
    assert [level for _, level in levels] == ["presence", "metrics"]
    (gone, _), (back, _) = levels
    assert all(data["at"] <= hers[gone][1]["at"] for _, data in hers[gone:back])
    assert not any(kind.startswith("emotion.") for kind, _ in hers[gone:])


async def test_ones_own_data_are_taken_along_and_erased_from_the_room(tmp_path):
    talk = microphone(tmp_path / "talk.wav", np.concatenate([speech("anna"), np.zeros(RATE, np.float32)]))
    async with worker(tmp_path) as one, chromium(talk) as browser:
        page = await browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        await join(page, one.address, "Ada")
        await page.wait_for_function("() => Number(document.querySelector('.tile').dataset.talk) > 1", timeout=20_000)
        await page.click("#mine-open")
        async with page.expect_download() as started:
            await page.click("#download")
        data = json.loads((await (await started.value).path()).read_text())
        assert (data["participant"], data["names"]) == ("p1", ["Ada"])
        kinds = {entry["record"]["type"].removeprefix("io.undertone.") for entry in data["records"]}
        assert {"speaker.joined.v1", "speech.started.v1", "talk_time.v1"} <= kinds
        await page.click("#erase")
        await page.click("#erase-yes")
        await page.wait_for_function("() => /erased/.test(document.querySelector('#mine-answer').textContent)")
        assert "Not reached" not in await page.text_content("#mine-answer")
        assert await page.get_attribute('.tile[data-speaker="p1"]', "data-level") == "presence"
        assert '"Ada"' not in one.report.read_text()
        await page.check("#mine-choice input[value=metrics]")
        anew = "() => Number(document.querySelector('.tile.own[data-speaker=\"p2\"]')?.dataset.talk) > 1"
        await page.wait_for_function(anew, timeout=20_000)
        assert '"p1"' not in one.report.read_text()
    assert not any("me?" in url or "token" in url for url in asked)


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (320, "dark")])
async def test_the_page_is_accessible(tmp_path, width, scheme):
    """axe finds nothing against WCAG 2.2 A and AA, before joining and in the room."""
    from axe_core_python.async_playwright import Axe

    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    async with worker(tmp_path, room={"kind": "embedded", "guests": 2}) as one, chromium() as browser:
        context = await browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
        )
        page = await context.new_page()
        await page.goto(one.address)
        await page.wait_for_selector("#submit:not([disabled])")
        before = await Axe().run(page, options=rules)
        await join(page, one.address, "Ada")
        await page.wait_for_selector('.tile[data-speaker="g2"]')
        within = await Axe().run(page, options=rules)
        overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert [v["id"] for v in before["violations"] + within["violations"]] == []
    assert overflow <= 0


async def test_everything_works_by_keyboard(tmp_path):
    async with worker(tmp_path) as one, chromium() as browser:
        page = await browser.new_page()
        await page.goto(one.address)
        await page.wait_for_selector("#submit:not([disabled])")
        await page.focus("#name")
        await page.keyboard.type("Ada")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.id") == "submit"
        await page.keyboard.press("Enter")
        await page.wait_for_selector('.tile[data-speaker="p1"]')
        await page.focus("#mute")
        await page.keyboard.press("Enter")
        await page.wait_for_selector('#mute[aria-pressed="true"]')
    kinds = [event["type"] for event in one.events()]
    assert "io.undertone.speaker.muted.v1" in kinds
