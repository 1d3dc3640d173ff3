"""The demo page in a real Janus room: whom it shows, whom it believes, and what it comes through."""

import asyncio
import json
import time
from itertools import pairwise

import numpy as np
import pytest

from tests.browser.test_room import LOUDNESS, microphone, worker
from tests.hosted import WORDS, Hosted, until
from tests.hosted import hosted as hosted
from tests.janus import janus as janus
from tests.janus import made_room, telling
from tests.janus import own_janus as own_janus
from tests.speech import speech
from tests.support import free_port, require
from worker.audio import RATE
from worker.bench.browser import choose, chromium, join

TALKED = "(seconds) => Number(document.querySelector('.tile[aria-label=\"Ada\"]').dataset.talk) > seconds"


@pytest.fixture(autouse=True)
def _browser():
    require("chromium")


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
        bo = await hosted.open(there, "Bo", "presence")
        await hosted.enter()  # its data comes to connections that had none
        for page in (ada, bo):
            speaking = await tile(page, "Ada")
            await page.wait_for_selector(f'.tile[data-speaker="{speaking}"][data-speaking="true"]', timeout=20_000)
            await page.wait_for_function(
                "(id) => Number(document.querySelector(`.tile[data-speaker='${id}']`).dataset.talk) > 2",
                arg=speaking,
                timeout=20_000,
            )
            assert "Undertone (AI analysis)" in await page.text_content("#listener")
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
        await choose(ada, "#form")
        await ada.click("#submit:not([disabled])")
        await ada.wait_for_selector("#rejoin:not([hidden])", timeout=15_000)
        assert "could not be told" in await ada.text_content("#status")
        await until(lambda: hosted.speakers(), {})


async def test_a_choice_can_be_changed_in_a_janus_room_and_clears_the_tile(tmp_path, hosted):
    talk = microphone(tmp_path / "talk.wav", speech("anna"))
    async with chromium(talk) as browser:
        await hosted.enter()
        ada = await hosted.open(browser, "Ada")
        await ada.wait_for_function(TALKED, arg=1, timeout=20_000)
        await ada.click("#stop")
        await ada.wait_for_selector('.tile[data-level="presence"][data-talk=""][data-speaking="false"]')
        await until(lambda: hosted.speakers(), {"Ada": False})
        await ada.click("#mine-open")
        await ada.check('#mine-choice input[value="metrics"]')
        await ada.wait_for_selector('.tile[data-level="metrics"][data-speaking="true"]', timeout=20_000)
        await until(lambda: hosted.speakers(), {"Ada": True})
        assert await ada.text_content("#status") == ""
        async with ada.expect_download() as started:
            await ada.click("#download")
        assert json.loads((await (await started.value).path()).read_text())["names"] == ["Ada"]


async def test_in_a_janus_room_data_come_through_the_control_api_where_it_signs_tokens(tmp_path, monkeypatch, janus):
    port = free_port()
    monkeypatch.setattr("tests.browser.test_room.free_port", lambda: port)
    async with made_room(janus.url) as number:
        room = {"kind": "janus", "url": janus.url, "room": number, "name": "meeting", "consent": "each"}
        server = {"port": port, "janus_url": janus.url, "janus_room": number, "signing_key": "k" * 40}
        async with worker(tmp_path, room=room, server=server, control={}) as one, chromium() as browser:
            page = await browser.new_page()
            await join(page, one.address, "Ada")
            await until(Hosted(one, janus, number).speakers, {"Ada": True})
            await page.click("#mine-open")
            async with page.expect_download() as started:
                await page.click("#download")
            data = json.loads((await (await started.value).path()).read_text())
            assert data["names"] == ["Ada"]


async def test_in_a_janus_room_a_yes_to_other_words_is_asked_anew(hosted):
    async with chromium() as browser:
        await hosted.enter()
        hosted.words = {**WORDS, "version": "v0"}
        ada = await hosted.open(browser, "Ada")
        hosted.words = WORDS
        await ada.wait_for_selector("#sheet:not([hidden])", timeout=10_000)
        assert await hosted.speakers() == {"Ada": False}
        await choose(ada, "#sheet")
        await ada.click("#sheet button")
        await until(lambda: hosted.speakers(), {"Ada": True})
        assert not await ada.is_visible("#sheet")


async def test_a_janus_page_comes_back_after_janus(tmp_path, own_janus):
    server = own_janus()
    room = {"kind": "janus", "url": server.url, "room": 1234, "name": "meeting"}
    words = {"version": "v1"}
    async with worker(tmp_path, room=room, control={}, notice=words) as one, chromium() as browser:
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


UNDERTONE = "Undertone (AI analysis)"


async def test_who_takes_undertones_name_is_a_tile_like_all_and_is_not_believed(hosted):
    async with chromium() as browser, telling(hosted.janus.url, hosted.room, UNDERTONE, data={}) as (_, channels):
        ada = await hosted.open(browser, "Ada", "presence")
        await tile(ada, UNDERTONE)
        assert "nobody listens" in await ada.text_content("#listener")
        await hosted.enter()
        await ada.wait_for_function("() => document.querySelector('#listener').textContent.includes('Undertone')")
        await until(lambda: hosted.speakers(), {"Ada": False})
        room = (await hosted.ask("GET"))["rooms"][-1]
        (speaker,) = room["speakers"]
        later = round(time.time() * 1000) + 60_000  # a run of the worker after the one that there is
        event = {"type": "io.undertone.speech.started.v1", "epoch": later, "data": {"at": 1.0, "speaker": speaker}}
        for seq in range(20):
            channels["data"].send(json.dumps({**event, "seq": seq}))
            await asyncio.sleep(0.05)
        assert await ada.locator('.tile[data-speaking="true"]').count() == 0
        assert await ada.locator(".tile").count() == 2
        await hosted.leave(room["id"])
        await ada.wait_for_function("() => document.querySelector('#listener').textContent.includes('nobody')")


async def test_a_page_loaded_anew_in_the_middle_of_an_utterance_is_the_same_person(tmp_path, hosted):
    """Her voice is never heard as that of the other, who says nothing. Her talk time begins anew with her new yes."""
    talk = microphone(tmp_path / "talk.wav", speech("anna"))
    quiet = microphone(tmp_path / "quiet.wav", np.zeros(10 * RATE, np.float32))
    async with chromium(talk) as here, chromium(quiet) as there:
        await hosted.enter()
        ada, bo = await hosted.open(here, "Ada"), await hosted.open(there, "Bo")
        await until(lambda: hosted.speakers(), {"Ada": True, "Bo": True})
        await bo.wait_for_selector('.tile[aria-label="Ada"][data-speaking="true"]', timeout=20_000)
        await bo.wait_for_function(TALKED, arg=1, timeout=20_000)
        await ada.wait_for_selector('.tile[data-speaking="true"]', timeout=20_000)
        await ada.reload()
        await ada.wait_for_selector("#submit:not([disabled])")
        await choose(ada, "#form")
        await ada.click("#submit")
        await ada.wait_for_selector('.tile[data-speaking="true"]', timeout=20_000)
        await bo.wait_for_function(TALKED, arg=1, timeout=20_000)
        await until(lambda: hosted.speakers(), {"Ada": True, "Bo": True})
    events = hosted.one.events()
    joined = [one["data"] for one in events if one["type"] == "io.undertone.speaker.joined.v1"]
    her = [one for one in joined if one["name"] == "Ada"]
    assert [one["generation"] for one in her] == [1, 2]
    assert len({one["speaker"] for one in her}) == 1
    spoke = [one["data"]["speaker"] for one in events if one["type"] == "io.undertone.speech.started.v1"]
    assert set(spoke) == {her[0]["speaker"]}
    talk = [one["data"]["speakers"] for one in events if one["type"] == "io.undertone.talk_time.v1"]
    seconds = [said[her[0]["speaker"]]["seconds"] for said in talk if her[0]["speaker"] in said]
    assert sum(later < earlier for earlier, later in pairwise(seconds)) == 1
    left = next(n for n, one in enumerate(events) if one["type"] == "io.undertone.speaker.left.v1")
    assert "io.undertone.speech.ended.v1" in [one["type"] for one in events[left - 2 : left]]


async def test_a_room_with_a_pin_asks_for_it_and_the_page_never_learns_it_from_the_worker(tmp_path, monkeypatch, janus):
    port = free_port()
    monkeypatch.setattr("tests.browser.test_room.free_port", lambda: port)
    async with made_room(janus.url, pin="quite-secret") as number:
        room = {"kind": "janus", "url": janus.url, "room": number, "name": "meeting", "pin": "quite-secret"}
        server = {"port": port, "janus_url": janus.url, "janus_room": number}
        async with worker(tmp_path, room=room, server=server, control={}) as one, chromium() as browser:
            page = await browser.new_page()
            await page.goto(one.address)
            said = await page.evaluate("fetch('./v1/page').then((answer) => answer.text())")
            assert json.loads(said)["janus"]["pin_needed"] is True
            assert "quite-secret" not in said
            await page.fill("#name", "Ada")
            await page.wait_for_selector("#submit:not([disabled])")
            await choose(page, "#form")
            await page.fill("#pin", "wrong")
            await page.click("#submit:not([disabled])")
            await page.wait_for_selector("#entrance:not([hidden])")
            await page.wait_for_function("() => document.querySelector('#problem').textContent.includes('PIN')")
            await page.fill("#pin", "quite-secret")
            await page.click("#submit:not([disabled])")
            await page.wait_for_function("() => document.querySelector('#listener').textContent.includes('Undertone')")
            await until(Hosted(one, janus, number).speakers, {"Ada": True})
