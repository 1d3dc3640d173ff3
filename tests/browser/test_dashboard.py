"""The engagement dashboard, the coaching sidebar and the report in a real browser, on live and on recorded events.

Pictures of them are kept in the folder that UNDERTONE_PICTURES names, or with the test's temporary files.
"""

import json
import os
from pathlib import Path

import aiohttp
import pytest
import redis
import yaml

from tests.browser.test_room import worker
from tests.support import require
from worker.bench.browser import chromium, join
from worker.bench.dashboard import EPOCH, PEOPLE, ROOM, STARTED, meeting
from worker.envelope import Numbering
from worker.report.page import write
from worker.report.readers import Readers, record_for
from worker.report.sources import from_file, meetings

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
LOOKS = [(1200, "light"), (320, "dark")]
GUESTS = {"kind": "embedded", "guests": 4}
SHOWN = """
() => document.querySelectorAll(".lane").length === 4
  && [...document.querySelectorAll(".lane .speech")].some((path) => path.getAttribute("d"))
"""
WHOLE = ".overview .part { content-visibility: visible !important }"
"""For pictures of the whole page, of which a browser lays out what is on the screen."""


@pytest.fixture(autouse=True)
def _browser():
    require("chromium")


@pytest.fixture
def pictures(tmp_path):
    folder = Path(os.environ.get("UNDERTONE_PICTURES") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def looked_at(browser, address, width, scheme):
    """A page, what it asked for elsewhere, and what went wrong in it."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
    )
    page = await context.new_page()
    page.outside, page.wrong = [], []
    page.on("request", lambda r: None if r.url.startswith(address) else page.outside.append(r.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: page.wrong.append(said.text) if said.type == "error" else None)
    return page


async def fine(page, picture):
    """axe finds nothing against WCAG 2.2 A and AA; nothing is too wide, moves, or comes from elsewhere."""
    from axe_core_python.async_playwright import Axe

    await page.add_style_tag(content=WHOLE)
    await page.screenshot(path=picture, full_page=True)
    found = await Axe().run(page, options=RULES)
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found["violations"]] == []
    assert await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert await page.evaluate("document.getAnimations().length") == 0
    assert (page.outside, page.wrong) == ([], [])


async def ask(method, address, body=None):
    async with aiohttp.ClientSession() as session, session.request(method, address, json=body) as answer:
        assert answer.ok
        return await answer.json() if answer.status != 204 else None


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
async def test_a_meeting_is_shown_while_it_runs_and_after_it(tmp_path, pictures, width, scheme):
    dashboard = {"prompts": True, "smallest_group": 1}
    sections = {"room": GUESTS, "control": {}, "dashboard": dashboard, "coaching": {"rules": ["sales"]}}
    async with worker(tmp_path, **sections) as one, chromium() as browser:
        page = await looked_at(browser, one.address, width, scheme)
        await page.goto(f"{one.address}/dashboard.html")
        await page.wait_for_function(SHOWN, timeout=20_000)
        await page.wait_for_function("() => document.querySelector('.part-short p').textContent.includes('longest')")
        await fine(page, pictures / f"dashboard-{width}-{scheme}.png")
        assert await page.text_content("#state") == "Running"
        await page.reload()
        await page.wait_for_function(SHOWN, timeout=10_000)
        assert "room=demo" in page.url
        before = await page.text_content("#length")
        await page.wait_for_function("(before) => document.querySelector('#length').textContent !== before", arg=before)
        [room] = (await ask("GET", f"{one.address}/v1/rooms"))["rooms"]
        await ask("DELETE", f"{one.address}/v1/rooms/{room['id']}")
        await page.wait_for_function("() => document.querySelector('#state').textContent === 'Ended'", timeout=15_000)
        assert await page.evaluate(SHOWN)
        assert page.wrong == []


NAMES = "all => all.map((one) => one.firstChild?.textContent).filter(Boolean)"


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
async def test_a_meeting_of_too_few_is_shown_by_name_and_time_alone_and_so_is_one_that_became_too_small(
    tmp_path, pictures, width, scheme
):
    sections = {"room": GUESTS, "control": {}, "dashboard": {"prompts": True, "smallest_group": 3}}
    async with worker(tmp_path, **sections) as one, chromium() as browser:
        page = await looked_at(browser, one.address, width, scheme)
        await page.goto(f"{one.address}/dashboard.html")
        await page.wait_for_function(SHOWN, timeout=20_000)
        names = await page.eval_on_selector_all(".lane-name", NAMES)
        [room] = (await ask("GET", f"{one.address}/v1/rooms"))["rooms"]
        people = (await ask("GET", f"{one.address}/v1/meetings/demo"))["people"]
        speakers = [speaker for speaker, person in people.items() if person["analysed"]]
        assert len(speakers) == 3
        answer = {"speaker": speakers[0], "level": "presence"}
        await ask("PUT", f"{one.address}/v1/rooms/{room['id']}/consent", answer)
        await page.wait_for_function("() => document.querySelectorAll('#overview .part').length === 1", timeout=15_000)
        assert "Fewer than 3 people are analysed" in await page.text_content("#overview")
        assert len(names) == 4
        content = await page.content()
        assert not any(name in content for name in names)
        assert not await page.is_visible("#people")
        assert await page.is_visible("#meeting")
        await fine(page, pictures / f"withheld-{width}-{scheme}.png")


async def test_people_and_time_are_chosen_by_keyboard(tmp_path):
    with_stream = {"room": None, "control": {}}
    async with worker(tmp_path, **with_stream, dashboard={}) as one, chromium() as browser:
        page = await looked_at(browser, one.address, 1200, "light")
        record = recorded(tmp_path, 1200.0)
        await page.route("**/v1/meetings", lambda r: r.fulfill(json={"meetings": [{"room": ROOM, "epoch": EPOCH}]}))
        await page.route(f"**/v1/meetings/{ROOM}", lambda r: r.fulfill(json=record))
        await page.goto(f"{one.address}/dashboard.html")
        await page.wait_for_function("() => document.querySelectorAll('.lane').length === 20")
        for rows in (".lane-name", ".part-numbers tbody th", ".matrix:first-of-type tbody th", "#people label"):
            names = await page.eval_on_selector_all(
                rows, "all => all.map((one) => one.textContent.trim()).filter(Boolean)"
            )
            assert names[:20] == [f"Person {number}" for number in range(1, 21)], rows
        whole = await page.text_content(".part-share .bar-value")
        await page.focus("#meeting")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.id") == "span"
        await page.keyboard.press("ArrowDown")
        assert await page.text_content("#shown") == "15:00 to 20:00"
        assert await page.text_content(".part-share .bar-value") != whole
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.id") == "until"
        await page.keyboard.press("Home")
        assert await page.text_content("#shown") == "0:00 to 5:00"
        await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
        assert await page.evaluate("document.querySelectorAll('.lane').length") == 19
        assert "Person 1 " not in await page.text_content(".part-people")
        await page.focus("#everyone")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.querySelectorAll('.lane').length") == 20
        assert page.wrong == []


def recorded(folder, seconds):
    """The record of a written meeting, by way of a file of events."""
    return meetings(from_file(jsonl(folder, seconds)))[-1].as_dict()


def jsonl(folder, seconds):
    numbering = Numbering(ROOM, EPOCH, STARTED)
    path = folder / "meeting.jsonl"
    path.write_text("".join(numbering.wrap(event).as_json() + "\n" for event in meeting(seconds)))
    return path


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
async def test_a_report_is_a_page_that_needs_nothing(tmp_path, pictures, width, scheme):
    page_path, *_ = write(recorded(tmp_path, 600.0), tmp_path / "report")
    async with chromium() as browser:
        page = await looked_at(browser, page_path.as_uri(), width, scheme)
        await page.goto(page_path.as_uri())
        headings = await page.eval_on_selector_all("h2", "all => all.map((one) => one.textContent)")
        assert headings[:3] == ["In short", "Who spoke when", "Talk time"]
        assert await page.evaluate("document.querySelectorAll('.lane').length") == len(PEOPLE)
        assert "people cut in on each other" in await page.text_content(".part-short")
        await fine(page, pictures / f"report-{width}-{scheme}.png")


@pytest.mark.parametrize("readers", [Readers.PERSONNEL, Readers.PARTICIPANT])
async def test_reports_for_other_readers_are_whole_pages_too(tmp_path, pictures, readers):
    path = jsonl(tmp_path, 600.0)
    who = "p3" if readers is Readers.PARTICIPANT else ""
    page_path, *_ = write(record_for(meetings(from_file(path))[-1], readers, who), tmp_path / "report")
    async with chromium() as browser:
        page = await looked_at(browser, page_path.as_uri(), 1200, "light")
        await page.goto(page_path.as_uri())
        headings = await page.eval_on_selector_all("h2", "all => all.map((one) => one.textContent)")
        lanes = await page.evaluate("document.querySelectorAll('.lane').length")
        if readers is Readers.PERSONNEL:
            assert "Left out on purpose" in await page.text_content(".report-head")
            assert headings == [
                "In short",
                "Who spoke when",
                "Talk time",
                "Between people",
                "All numbers, whole meeting",
            ]
            assert lanes == len(PEOPLE)
        else:
            assert headings[0] == "Who spoke when"
            assert {"In short", "Engagement", "Between people"}.isdisjoint(headings)
            assert lanes == 1
        await fine(page, pictures / f"report-{readers.value}.png")


async def test_a_recorded_meeting_in_redis_is_shown_and_a_wrong_token_is_not_let_in(tmp_path, redis_url):
    numbering = Numbering(ROOM, EPOCH, STARTED)
    with redis.Redis.from_url(redis_url) as client:
        for one in map(numbering.wrap, meeting(300.0)):
            client.xadd(f"ut:{{{ROOM}}}:events", {"event": one.as_json()}, id=f"{one.epoch}-{one.seq}")
    dashboard = {"redis": redis_url, "token": "for the dashboard"}
    async with worker(tmp_path, room=None, control={}, dashboard=dashboard) as one, chromium() as browser:
        page = await looked_at(browser, one.address, 1200, "light")
        await page.goto(f"{one.address}/dashboard.html")
        await page.fill("#token", "wrong")
        await page.keyboard.press("Enter")
        await page.wait_for_function("() => document.querySelector('#refused').textContent")
        await page.fill("#token", "for the dashboard")
        await page.keyboard.press("Enter")
        await page.wait_for_function("() => document.querySelectorAll('.lane').length === 20", timeout=20_000)
        assert (await page.text_content("#state"), await page.text_content("#length")) == ("Ended", "after 5:00")
        await page.reload()
        await page.wait_for_function("() => document.querySelectorAll('.lane').length === 20", timeout=20_000)
        assert "token" not in page.url


RULE = [
    {
        "name": "greet",
        "when": "room.heard_s > 2",
        "text": "Say hello to the others.",
        "reason": "The room was heard for {room.heard_s:seconds}.",
    }
]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
async def test_a_prompt_reaches_its_person_and_the_dashboard_shows_what_they_did_with_it(
    tmp_path, pictures, width, scheme
):
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(RULE))
    sections = {"room": GUESTS, "coaching": {"rules": [str(rules)], "band": [0.4, 0.6]}}
    sections["dashboard"] = {"prompts": True, "smallest_group": 1}
    async with worker(tmp_path, **sections) as one, chromium() as browser:
        page = await looked_at(browser, one.address, width, scheme)
        await join(page, one.address, "Ada")
        await page.wait_for_function("() => document.querySelector('#coach.prompted')", timeout=20_000)
        assert await page.text_content("#prompt-text") == "Say hello to the others."
        await fine(page, pictures / f"room-{width}-{scheme}.png")
        await page.focus("#answers button")
        await page.keyboard.press("Enter")
        assert await page.text_content("#prompt-text") == "Dismissed."
        over = await looked_at(browser, one.address, width, scheme)
        await over.goto(f"{one.address}/dashboard.html")
        await over.wait_for_selector(".prompt-list li:has-text('Ada · dismissed')", timeout=15_000, state="attached")
        assert over.wrong == []
    public = [json.dumps(event) for event in one.events()]
    assert not any("Say hello" in event for event in public)
