"""A tile in a real browser, without a worker: what it says of a voice, and that saying it moves nothing."""

from pathlib import Path

import pytest

from tests.support import require
from worker.bench.browser import chromium

FOLDER = Path(__file__).parent.parent.parent / "frontend_demo"
ADDRESS = "http://page.test/"

APP = """
import { writeTexts } from "./page.js";
import { Coach } from "./coach.js";
import { strings } from "./strings.js";
import { Tile } from "./tile.js";

writeTexts();
document.querySelector("#entrance").hidden = true;
document.querySelector("#room").hidden = false;
document.querySelector("#banner-detail").textContent = strings.banner.on;
window.answers = [];
window.coach = new Coach((...answer) => answers.push(answer));
window.show = (people) => {
  document.querySelector("#tiles").replaceChildren();
  for (const [n, person] of people.entries()) {
    const participant = { speaker: `p${n}`, muted: false, ...person };
    const tile = new Tile(participant, n === 0);
    document.querySelector("#tiles").append(tile.element);
    window.update = (told, known) => {
      tile.update({ ...participant, ...told }, { talk: { seconds: 599, share: 1 }, trend: [], ...known }, 60);
    };
    update({}, person);
  }
};
"""
"""Stands in for the page's own wiring: `show` makes one tile for each of these people, `update` changes the last."""

TOLD = """
(tiles) => tiles.map((tile) => ({
  height: tile.getBoundingClientRect().height,
  mood: tile.querySelector(".mood").innerText.split(/\\s+/).filter(Boolean).join(" "),
  ring: getComputedStyle(tile, "::after").borderTopColor,
}))
"""

GROUND = "(element) => getComputedStyle(element).backgroundColor"


def heard(name="Ada", speaking=True, **event):
    """A person whose voice was last heard as `event` says."""
    told = {"type": "emotion.estimated.v1", "arousal": 0.5, "confidence": 0.72, "provisional": False} | event
    return {"name": name, "level": "emotion", "speaking": speaking, "emotion": told}


def abstained(reason):
    return heard(type="emotion.abstained.v1", reason=reason, arousal=None)


WORDS = {
    "Sounded neutral fairly sure · 70 %": heard(label="neutral"),
    "Sounded positive sure · 95 %": heard(label="positive", confidence=0.99),
    "Sounded tense first impression": heard(label="tense", provisional=True),
    "Sounded low not very sure · 55 %": heard(label="low", confidence=0.56),
    "Mixed signals no clear tone": abstained("mixed"),
    "Listening… no single clear voice": abstained("not_speech"),
    "Listening… getting to know this voice": abstained("learning"),
    "Unsure could be either": abstained("unsure"),
    "Sounded lively fairly sure": heard(label=None),
    "Not available": heard(type="emotion.unavailable.v1", reason="engine_slow"),
    "Listening…": heard() | {"emotion": None},
}


def spoken(level="prosody", **figures):
    """A person whose way of speaking is known, at this level."""
    usual = {"pace_change": 0.0, "loudness_change_db": 0.0, "silent_for_s": 0, "run_s": 0}
    return heard(label="tense") | {"level": level, "figures": usual | figures}


LEVELS = {
    "presence": [("Not analysed", spoken("presence"))],
    "metrics": [
        ("Talk time only", spoken("metrics", pace_change=0.3)),
        ("Talk time only", spoken("metrics", run_s=95) | {"speaking": False}),
    ],
    "prosody": [
        ("Talk time, pace, loudness", spoken() | {"figures": None}),
        ("Pace and loudness as usual", spoken()),
        ("40 % slower · 12 dB softer than usual", spoken(pace_change=-0.4, loudness_change_db=-12)),
        ("15 % faster than usual", spoken(pace_change=0.15)),
    ],
}
"""Below emotion: what a tile says, whatever else is known."""


async def opened(browser, width=1200, scheme="light"):
    """The page, ready to `show` people."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = await context.new_page()

    async def answer(route):
        name = route.request.url.removeprefix(ADDRESS) or "index.html"
        if name == "app.js":
            await route.fulfill(body=APP, content_type="text/javascript")
        else:
            await route.fulfill(path=FOLDER / name)

    await page.route(f"{ADDRESS}**", answer)
    await page.goto(ADDRESS)
    await page.wait_for_function("() => window.show")
    return page


async def show(page, *people):
    """A tile for each of these people, and what is seen of it."""
    await page.evaluate("(people) => show(people)", people)
    return await page.eval_on_selector_all(".tile", TOLD)


@pytest.fixture(autouse=True)
def _browser():
    require("chromium")


@pytest.mark.parametrize("width", [1200, 700, 320])
async def test_each_state_has_its_words_and_none_moves_the_page(width):
    async with chromium() as browser:
        page = await opened(browser, width)
        seen = [tile for person in WORDS.values() for tile in await show(page, person)]
    assert [tile["mood"] for tile in seen] == list(WORDS)
    assert len({tile["height"] for tile in seen}) == 1, [(tile["mood"], tile["height"]) for tile in seen]


@pytest.mark.parametrize("width", [1200, 320])
async def test_a_tile_says_no_more_than_its_level_and_has_no_place_left_empty(width):
    heights = {}
    async with chromium() as browser:
        page = await opened(browser, width)
        for level, people in LEVELS.items():
            seen = [tile for _, person in people for tile in await show(page, person)]
            assert [tile["mood"] for tile in seen] == [words for words, _ in people]
            (heights[level],) = {tile["height"] for tile in seen}
            assert await page.locator(".trend:visible, .swatch:visible").count() == 0
        (whole,) = await show(page, heard(label="tense"))
    assert heights["presence"] < heights["metrics"] <= heights["prosody"] < whole["height"]


WITHDRAWN = """
() => {
  const tile = document.querySelector(".tile");
  const drawn = [...tile.querySelectorAll("path")].map((path) => path.getAttribute("d")).join("");
  const style = ["--share", "--arousal"].map((name) => tile.outerHTML.match(new RegExp(`${name}: ([^;]*)`))?.[1]);
  return { ...tile.dataset, classes: tile.className, said: tile.textContent, drawn, style };
}
"""


@pytest.mark.parametrize("by", ["the list of people", "an event"])
async def test_a_tile_whose_voice_is_withdrawn_is_cleared_at_once_and_keeps_no_value(by):
    trend = [{"at": 50 + n, "arousal": 0.4, "valence": 0.1} for n in range(9)]
    less = {"level": "presence"}
    full = spoken("emotion", pace_change=0.3) | {"cutOff": {"at": 59, "by": "p1"}, "trend": trend}
    async with chromium() as browser:
        page = await opened(browser)
        await show(page, full)
        before = await page.evaluate(WITHDRAWN)
        assert (before["level"], before["mood"], before["speaking"], before["talk"]) == (
            "emotion",
            "tense",
            "true",
            "599",
        )
        told, known = ({}, less) if by == "an event" else (less, {})
        await page.evaluate("([told, known]) => update(told, known)", [full | told, full | known])
        after = await page.evaluate(WITHDRAWN)
    wanted = {"level": "presence", "mood": "off", "speaking": "false", "talk": "", "arousal": ""}
    assert {key: after[key] for key in wanted} == wanted
    assert "speaking" not in after["classes"]
    assert after["drawn"] == "M4 22H236"
    assert after["style"] == ["0%", "50%"]
    assert "".join(after["said"].split()) == "AAdayouNotanalysed"


@pytest.mark.parametrize("width", [1200, 320])
async def test_a_cue_has_words_and_moves_nothing(width):
    quiet = heard(label="neutral")
    cut, long = ({**quiet, **how} for how in ({"cutOff": {"at": 55, "by": "p1"}}, {"figures": {"run_s": 95}}))
    async with chromium() as browser:
        page = await opened(browser, width)
        heights, cues = set(), []
        for person in (quiet, cut, long):
            heights |= {tile["height"] for tile in await show(page, person)}
            cues.append(await page.text_content(".tile .cue"))
    assert cues == ["", "Was cut off", "Has gone on for 1 min 35 s"]
    assert len(heights) == 1


PROMPT = {"prompt": "c1", "to": "p0", "severity": "hint", "text": "Pause.", "reason": "You have gone on for 95 s."}


@pytest.mark.parametrize("width", [1200, 320])
async def test_a_prompt_comes_is_answered_and_moves_nothing(width):
    said = {"type": "io.undertone.coaching.prompted.v1", "data": PROMPT}
    for_managers = {"type": said["type"], "data": PROMPT | {"to": "managers", "text": "Invite Sam."}}
    async with chromium() as browser:
        page = await opened(browser, width)
        await page.evaluate("coach.open(true, { band: [0.4, 0.6] })")
        height = await page.eval_on_selector("#coach", "coach => coach.offsetHeight")
        assert not await page.is_visible("#answers")
        await page.evaluate(
            "([mine, other]) => [other, mine, other].map((one) => coach.hear(one))", [said, for_managers]
        )
        assert await page.text_content("#prompt-text") == "Pause."
        assert await page.text_content("#prompt-why") == "Why: You have gone on for 95 s."
        assert await page.eval_on_selector("#coach", "coach => coach.offsetHeight") == height
        await page.focus("#answers button")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert await page.evaluate("answers") == [["c1", "snoozed"]]
        assert await page.text_content("#prompt-text") == "Snoozed for 10 minutes."
        assert not await page.is_visible("#answers")
        assert await page.evaluate("document.activeElement.id") == "room"
        assert await page.eval_on_selector("#coach", "coach => coach.offsetHeight") == height


@pytest.mark.parametrize(
    ("figures", "share", "pace", "run"),
    [
        (None, "not enough talk yet", "getting to know your pace", "not speaking"),
        (
            {"recent_talk_share": 0.62, "pace_change": 0.21, "run_s": 95},
            "62 %; usual for this kind of call: 40–60 %",
            "21 % faster than your usual",
            "1 min 35 s",
        ),
        (
            {"recent_talk_share": 0, "pace_change": -0.05, "run_s": 0},
            "0 %; usual for this kind of call: 40–60 %",
            "about your usual",
            "not speaking",
        ),
    ],
)
async def test_the_sidebar_says_how_one_takes_part(figures, share, pace, run):
    async with chromium() as browser:
        page = await opened(browser)
        await page.evaluate("coach.open(true, { band: [0.4, 0.6] })")
        await page.evaluate("(figures) => coach.update(figures)", figures)
        said = [await page.text_content(f"#my-{what}") for what in ("share", "pace", "run")]
    assert said == [share, pace, run]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_labels_colour_the_ring_and_can_be_told_from_the_ground(scheme):
    """Each label has a colour of its own, of a contrast of at least 3 with the page and with the card (WCAG 1.4.11)."""
    people = [heard(label=label) for label in ("neutral", "positive", "tense", "low")]
    async with chromium() as browser:
        page = await opened(browser, scheme=scheme)
        rings = [tile["ring"] for tile in await show(page, *people, abstained("mixed"))]
        grounds = [await page.eval_on_selector(of, GROUND) for of in ("body", ".tile")]
    assert len(set(rings)) == 5
    assert all(contrast(ring, ground) >= 3 for ring in rings for ground in grounds)


def contrast(one, other):
    """Of two colours written as rgb(r, g, b); WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
