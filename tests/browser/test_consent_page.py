"""What people are told and asked, what they see of themselves, and how they withdraw, in a real browser."""

import json

import pytest

from tests.browser.played import NOTICE, played
from tests.support import require

STANDING = """
() => ({
  tile: { ...document.querySelector('.tile[data-speaker="p1"]').dataset },
  banner: document.querySelector("#banner-detail").textContent,
  stop: !document.querySelector("#stop").hidden,
  said: document.querySelector("#said").textContent,
})
"""
LINES = """
(list) => Object.fromEntries(
  [...list.querySelectorAll("dt")].map((term) => [term.textContent, term.nextSibling.textContent]),
)
"""
CHOSEN = "(place) => [...place.querySelectorAll('input')].filter(({ checked }) => checked).map(({ value }) => value)"
FOCUS = "document.activeElement.id"
HEARD = {"type": "emotion.estimated.v1", "speaker": "p1", "window_start": 7.0, "arousal": 0.4, "valence": -0.3}
HEARD |= {"at": 9.0, "scores": {}, "confidence": 0.72, "provisional": False, "engine": "e", "label": "tense"}
FIGURES = {"turns": 4, "interruptions": 1, "interrupted": 2, "run_s": 3.0, "silent_for_s": 0.0}
FIGURES |= {"syllables_per_s": 4.2, "pace_change": 0.17, "loudness_change_db": -4.4, "pitch_spread_st": 3.1}


@pytest.fixture(autouse=True)
def _browser():
    require("chromium")


async def known(one, level="emotion"):
    """Something is known of the person."""
    person = {"name": "Ada", "level": level, "speaking": True, "talk": {"seconds": 12.3, "share": 0.3}}
    await one.snapshot(p1={**person, "emotion": HEARD if level == "emotion" else None})
    await one.tell("conversation.v1", at=9.0, room={}, speakers={"p1": FIGURES})


async def test_who_comes_is_told_first_and_has_to_choose():
    async with played() as one:
        page = one.page
        assert await page.text_content(".notice [data-part='words']") == NOTICE["text"]
        assert await page.eval_on_selector(".notice dl", LINES) == {
            "Run by": "Kolb & Sons",
            "Purpose": "coaching",
            "Seen by": "everyone in this room",
            "Kept": "30 days; suggestions 7 days",
            "Contact": "privacy@example.org",
        }
        assert await page.locator("#form fieldset").count() == 1
        assert await page.eval_on_selector("#form", CHOSEN) == []
        await page.fill("#name", "Ada")
        await page.click("#submit")
        assert await page.text_content("#problem") == "Please choose what may be measured of your voice."
        assert await page.evaluate("document.activeElement.value") == "presence"
        assert one.said == []
        await one.enter("prosody")
    (join,) = [said for said in one.said if said["type"] == "join"]
    assert (join["level"], join["text"], "analysed" in join) == ("prosody", NOTICE["version"], False)


async def test_what_the_words_say_already_is_not_said_again():
    async with played() as one:
        one.notice |= {"text": "For Kolb & Sons. Contact: privacy@example.org.", "purpose": "", "prompts_days": 30}
        await one.page.reload()
        await one.page.wait_for_selector("#submit:not([disabled])")
        assert await one.page.eval_on_selector(".notice dl", LINES) == {
            "Seen by": "everyone in this room",
            "Kept": "30 days",
        }


async def test_where_nothing_is_measured_nothing_is_asked():
    async with played("presence") as one:
        assert await one.page.text_content(".notice [data-part='heading']") == "Nothing is measured in this room"
        assert await one.page.locator("#form input[type='radio']").count() == 0
        await one.enter(None)
        assert await one.page.text_content("#banner-text") == "Nothing is measured in this room"
        assert not await one.page.is_visible("#stop")
        await one.page.click("#mine-open")
        assert await one.page.locator("#mine input:visible").count() == 0
    assert one.said[0]["level"] == "presence"


async def test_no_choice_is_remembered():
    async with played() as one:
        await one.enter("emotion")
        await one.page.click("#leave")
        assert await one.page.eval_on_selector("#form", CHOSEN) == []
        assert await one.page.input_value("#name") == "Ada"
        await one.page.reload()
        await one.page.wait_for_selector("#submit:not([disabled])")
        assert await one.page.eval_on_selector("#form", CHOSEN) == []
        kept = await one.page.evaluate("Object.values({ ...localStorage, ...sessionStorage })")
        assert not {"presence", "metrics", "prosody", "emotion", "yes", "no"} & set(kept)


async def test_one_click_in_the_room_stops_it_before_the_worker_has_answered_and_mutes_nobody():
    async with played() as one:
        await one.enter("emotion")
        await known(one)
        page = one.page
        before = await page.evaluate(STANDING)
        assert (before["tile"]["level"], before["tile"]["talk"], before["stop"]) == ("emotion", "12.3", True)
        one.deaf = True
        await page.focus("#stop")
        await page.keyboard.press("Enter")
        await page.wait_for_selector('.tile[data-speaker="p1"][data-level="presence"]')
        after = await page.evaluate(STANDING)
        assert (after["tile"]["mood"], after["tile"]["talk"], after["tile"]["arousal"]) == ("off", "", "")
        assert after["tile"]["speaking"] == "false"
        assert after["stop"] is False
        assert "Nothing" in after["banner"]
        assert "the others see and hear you as before" in after["said"].lower()
        assert await page.evaluate(FOCUS) == "mine-open"
        # What was on its way when the person said no changes nothing.
        one.decide("emotion")
        await one.tell("emotion.estimated.v1", **{**HEARD, "at": 10.0})
        await one.tell("talk_time.v1", at=11.0, speakers={"p1": {"seconds": 15.0, "share": 0.3}})
        assert (await page.evaluate(STANDING))["tile"] == after["tile"]
        one.decide("presence", state="withdrawn")
        assert await page.get_attribute("#mute", "aria-pressed") == "false"
    kinds = [said["type"] for said in one.said]
    assert one.said[kinds.index("consent")] == {"type": "consent", "level": "presence", "text": NOTICE["version"]}
    assert "mute" not in kinds


async def test_ones_own_data_are_shown_live_as_far_as_they_are_made():
    async with played() as one:
        await one.enter("emotion")
        await known(one)
        page = one.page
        await page.keyboard.press("Alt+Shift+KeyD")
        assert await page.evaluate(FOCUS) == "mine"
        assert await page.get_attribute("#mine-open", "aria-expanded") == "true"
        lines = await page.eval_on_selector("#known", LINES)
        assert lines == {
            "Measured": "My talk time, pace, loudness and tone",
            "Talk time": "12 s · 30 % of the talk",
            "Turns": "4",
            "Interruptions": "You cut others off: once. You were cut off: twice.",
            "Pace": "4.2 syllables per second, 17 % faster than usual",
            "Loudness": "4 dB softer than usual",
            "Pitch": "moved over 3.1 semitones",
            "Your voice": "Sounded tense (fairly sure · 70 %)",
        }
        assert (await page.eval_on_selector("#terms", LINES))["Seen by"] == "everyone in this room"
        assert "To contest it, or to ask about it: privacy@example.org." in await page.text_content("#contest")
        await page.check('#mine-choice input[value="metrics"]')
        await page.wait_for_selector('.tile[data-speaker="p1"][data-level="metrics"]')
        lines = await page.eval_on_selector("#known", LINES)
        assert list(lines) == ["Measured", "Talk time", "Turns", "Interruptions"]
        assert "My talk time" in await page.text_content("#said")
        await page.check('#mine-choice input[value="presence"]')
        await page.wait_for_selector('.tile[data-speaker="p1"][data-level="presence"]')
        lines = await page.eval_on_selector("#known", LINES)
        assert lines == {"Measured": "Your name, and that you are here. Nothing of your voice is measured."}
        await page.keyboard.press("Escape")
        assert await page.evaluate(FOCUS) == "mine-open"
        assert not await page.is_visible("#mine")


async def test_arrow_keys_that_pass_over_a_choice_agree_to_nothing():
    async with played() as one:
        await one.enter("presence")
        await one.page.click("#mine-open")
        await one.page.focus('#mine-choice input[value="presence"]')
        await one.page.keyboard.press("ArrowUp")  # round to the last, which is emotion
        await one.page.keyboard.press("ArrowUp")
        await one.page.keyboard.press("ArrowUp")
        await one.page.wait_for_selector('.tile[data-speaker="p1"][data-level="metrics"]')
    assert [said["level"] for said in one.said if said["type"] == "consent"] == ["metrics"]


async def test_the_law_may_leave_less_than_somebody_agreed_to():
    async with played() as one:
        await one.enter("emotion")
        one.decide("metrics", agreed="emotion")
        await one.page.click("#mine-open")
        await one.page.wait_for_function("() => document.querySelector('#mine-less').textContent")
        assert "no more than “My talk time” is measured" in await one.page.text_content("#mine-less")
        assert await one.page.eval_on_selector("#mine-choice", CHOSEN) == ["emotion"]


async def test_other_words_are_shown_and_asked_about_in_the_room_and_the_call_goes_on():
    async with played() as one:
        await one.enter("emotion")
        await known(one)
        page = one.page
        one.notice |= {"version": "ba9876543210", "text": "Other words."}
        one.decide("presence", state="unknown")
        await page.wait_for_selector("#sheet:not([hidden])")
        assert await page.evaluate(FOCUS) == "sheet"
        assert await page.text_content("#sheet [data-part='words']") == "Other words."
        assert await page.eval_on_selector("#sheet", CHOSEN) == []
        assert (await page.evaluate(STANDING))["tile"]["level"] == "presence"
        assert "until you answer" in await page.text_content("#banner-detail")
        assert await page.is_visible(".tile")
        await page.click("#sheet button")
        assert "Please choose" in await page.text_content("#sheet-problem")
        await page.check('#sheet input[value="metrics"]')
        await page.click("#sheet button")
        await page.wait_for_selector('.tile[data-speaker="p1"][data-level="metrics"]')
        assert not await page.is_visible("#sheet")
    assert one.said[-1] == {"type": "consent", "level": "metrics", "text": "ba9876543210"}


async def test_a_yes_to_words_that_have_changed_meanwhile_is_asked_anew():
    async with played() as one:
        await one.enter("presence")
        one.notice |= {"version": "ba9876543210"}
        await one.page.click("#mine-open")
        await one.page.check('#mine-choice input[value="metrics"]')
        await one.page.wait_for_selector("#sheet:not([hidden])")
        assert await one.page.eval_on_selector("#mine-choice", CHOSEN) == ["presence"]


def answered(**answer):
    return {"GET": answer, "DELETE": answer}


async def test_ones_own_data_can_be_taken_along():
    data = {"room": "demo", "participant": "p1", "records": []}
    async with played(files=answered(json=data)) as one:
        await one.enter("metrics")
        await one.page.click("#mine-open")
        async with one.page.expect_download() as started:
            await one.page.click("#download")
        download = await started.value
        assert download.suggested_filename == "undertone-my-data.json"
        assert json.loads((await download.path()).read_text()) == data
        await one.page.wait_for_function("() => document.querySelector('#mine-answer').textContent.includes('saved')")
    assert one.asked == [("GET", "Bearer a-pass")]


@pytest.mark.parametrize(
    ("stores", "words"),
    [
        (
            [{"store": "a.jsonl", "erased": 12, "cut": 3}, {"store": "redis", "erased": 0, "cut": 0}],
            "12 records were erased.3 that are of others too were kept without you.",
        ),
        ([{"store": "a.jsonl", "erased": 0, "cut": 0}], "Nothing of you was kept, so there was nothing to erase."),
        (
            [{"store": "a.jsonl", "erased": 1, "cut": 0}, {"store": "redis", "erased": 0, "cut": 0, "failed": "no"}],
            "One record was erased.Not reached: redis. Try again later, or ask privacy@example.org.",
        ),
    ],
)
async def test_what_was_kept_is_erased_when_it_is_meant_and_the_receipt_is_in_words(stores, words):
    complete = not any("failed" in store for store in stores)
    receipt = {"complete": complete, "stores": stores}
    async with played(files=answered(status=200 if complete else 503, json=receipt)) as one:
        await one.enter("metrics")
        page = one.page
        await page.click("#mine-open")
        await page.click("#erase")
        assert await page.evaluate(FOCUS) == "erase-no"
        await page.click("#erase-no")
        assert one.asked == []
        assert await page.evaluate(FOCUS) == "erase"
        await page.click("#erase")
        await page.click("#erase-yes")
        await page.wait_for_function("() => /erase|reached/.test(document.querySelector('#mine-answer').textContent)")
        assert await page.text_content("#mine-answer") == words
        assert (await page.evaluate(STANDING))["tile"]["level"] == "presence"
    assert one.said[-2]["type"] == "consent"  # before the pass with which it is erased
    assert one.asked == [("DELETE", "Bearer a-pass")]


async def test_who_can_not_be_answered_here_is_told_whom_to_ask():
    async with played(files=answered(status=404, json={})) as one:
        await one.enter("metrics")
        await one.page.click("#mine-open")
        for button in ("#download", "#erase-yes"):
            if button == "#erase-yes":
                await one.page.click("#erase")
            await one.page.click(button)
            await one.page.wait_for_function("() => /Ask/.test(document.querySelector('#mine-answer').textContent)")
            assert "Ask privacy@example.org." in await one.page.text_content("#mine-answer")


@pytest.mark.parametrize("highest", ["metrics", "emotion"])
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (320, "dark")])
async def test_the_notice_and_ones_data_are_accessible(highest, width, scheme):
    """axe finds nothing against WCAG 2.2 A and AA, and nothing is wider than the screen."""
    from axe_core_python.async_playwright import Axe

    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    screen = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "bypass_csp": True}
    async with played(highest, **screen) as one:
        told = await Axe().run(one.page, options=rules)
        one.others = [{"speaker": "p2", "name": "Bo", "generation": 1, "muted": False, "level": "presence"}]
        await one.enter(highest)
        await known(one, highest)
        await one.page.evaluate("document.querySelector('#tiles').classList.remove('stale')")
        await one.page.click("#mine-open")
        await one.page.click("#erase")
        opened = await Axe().run(one.page, options=rules)
        one.decide("presence", state="unknown")
        await one.page.wait_for_selector("#sheet:not([hidden])")
        asked = await Axe().run(one.page, options=rules)
        overflow = await one.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
    assert [v["id"] for page in (told, opened, asked) for v in page["violations"]] == []
    assert overflow <= 0
