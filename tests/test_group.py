"""The smallest group: below it nobody is given more of a meeting than that it was."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_dashboard import EPOCH, answer, asked
from tests.test_meeting import joined, message, record_of
from worker.envelope import Numbering
from worker.events import RoomClosed, SpeakerAnalysed, SpeakerJoined, SpeakerLeft, SpeechEnded, SpeechStarted
from worker.report.group import Group, in_order
from worker.report.meeting import Meeting

PEOPLE = ["zoe", "yan", "abe", "kim", "bo"]
TOLD = {"room", "epoch", "started", "at", "closed", "withheld"}


def grouped(*events):
    group = Group()
    for kind, data in events:
        group.fold(f"{kind}.v1", data)
    return group


def come(*people):
    return [("speaker.joined", {"speaker": one, "analysed": True}) for one in people]


def spoke(who, seconds):
    return ("speech.ended", {"speaker": who, "started": 0.0, "at": float(seconds)})


def gone(who):
    return ("speaker.left", {"speaker": who})


CLOSED = ("room.closed", {})


@pytest.mark.parametrize(
    ("events", "size"),
    [
        ([], 0),
        (come(*PEOPLE), 5),
        ([*come(*PEOPLE), gone("bo")], 4),
        ([*come(*PEOPLE), ("speaker.analysed", {"speaker": "bo", "analysed": False})], 4),
        ([*come("zoe", "yan"), spoke("zoe", 26), *come("abe", "kim", "bo"), spoke("yan", 74)], 2),
        ([*come("zoe", "yan"), spoke("zoe", 25), *come("abe", "kim", "bo"), spoke("yan", 75)], 5),
        ([*come(*PEOPLE), spoke("zoe", 80), *map(gone, PEOPLE), CLOSED], 5),
        ([*come(*PEOPLE), spoke("zoe", 10), *map(gone, PEOPLE[2:]), spoke("zoe", 60), CLOSED], 2),
        ([*come("zoe"), spoke("zoe", 9), gone("zoe"), *come("yan"), spoke("yan", 9), gone("yan"), CLOSED], 1),
        ([*come(*PEOPLE), CLOSED], 0),
        ([spoke("zoe", 5), spoke("yan", 500)], 2),
    ],
)
def test_a_group_is_as_large_as_it_was_for_most_of_what_was_said(events, size):
    assert grouped(*events).size() == size


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("jlaws"), st.sampled_from(PEOPLE)), max_size=40), st.booleans())
def test_nobody_makes_a_group_larger_by_leaving_or_by_saying_no(steps, over):
    made = {
        "j": lambda who: come(who)[0],
        "l": gone,
        "a": lambda who: ("speaker.analysed", {"speaker": who, "analysed": True}),
        "w": lambda who: ("speaker.analysed", {"speaker": who, "analysed": False}),
        "s": lambda who: spoke(who, 3),
    }
    group = grouped(*[made[step](who) for step, who in steps], *([CLOSED] if over else []))
    before = group.size()
    group.fold("speaker.left.v1", {"speaker": "zoe"})
    assert group.size() <= before
    group.fold("speaker.analysed.v1", {"speaker": "yan", "analysed": False})
    assert group.size() <= before


def meeting_of(people, closed=True):
    numbering, told = Numbering("sales", EPOCH, datetime(2026, 1, 5, 10, tzinfo=UTC)), Meeting("sales", EPOCH)
    said = [SpeakerJoined(0.0, one, one.title()) for one in people]
    said += [SpeechEnded(9.0, people[0], 2.0), *([RoomClosed(20.0, "ended")] if closed else [])]
    for event in said:
        told.fold(numbering.wrap(event).as_dict())
    return told


def test_of_too_few_no_name_and_no_figure_is_told():
    text = json.dumps(meeting_of(PEOPLE[:4]).shown(5))
    assert set(json.loads(text)) == TOLD
    assert not any(one in text.lower() for one in PEOPLE)
    assert meeting_of(PEOPLE).shown(5)["speech"] == {"zoe": [[2.0, 9.0]]}


def test_people_stand_in_the_order_in_which_they_came_whatever_their_figures():
    speakers = {one: {"talk_s": float(rank)} for rank, one in enumerate(sorted(PEOPLE))}
    counts = {one: dict.fromkeys(sorted(PEOPLE), 1) for one in sorted(PEOPLE)}
    record = in_order(
        record_of(
            [
                *(joined(seq, 0, one, one) for seq, one in enumerate(PEOPLE, 1)),
                message("talk_time.v1", 6, 1, speakers={one: {"seconds": 1.0, "share": 0.2} for one in sorted(PEOPLE)}),
                message("conversation.v1", 7, 2, room={}, speakers=speakers, interrupted_by=counts, floor=counts),
            ]
        )
    )
    figures = record["figures"]
    tables = [record["people"], record["talk"], figures["speakers"]]
    for matrix in (figures["interrupted_by"], figures["floor"]):
        tables += [matrix, *matrix.values()]
    assert [list(table) for table in tables] == [PEOPLE] * len(tables)


@pytest.mark.parametrize(
    "away", [SpeakerLeft(10.0, "bo"), SpeakerAnalysed(10.0, "bo", False, "presence")], ids=lambda event: event.type
)
async def test_who_follows_a_meeting_is_told_nothing_more_once_somebody_leaves_a_group_of_the_smallest_size(away):
    numbering = Numbering("sales", EPOCH, datetime(2026, 1, 5, 10, tzinfo=UTC))
    async with asked(smallest_group=5, prompts=True) as (client, dashboard):
        keeper = dashboard.keep("sales", EPOCH)

        async def say(*events):
            for event in events:
                await keeper.send(numbering.wrap(event))

        async def since(seq):
            return await answer(client, f"/sales/beside?epoch={EPOCH}&since={seq}")

        await say(*(SpeakerJoined(0.0, one, one) for one in PEOPLE), SpeechStarted(1.0, "zoe"))
        await say(SpeechEnded(9.0, "zoe", 1.0))
        record = await answer(client, "/sales")
        assert list(record["people"]) == PEOPLE
        assert [one["seq"] for one in (await since(5))["events"]] == [6, 7]
        assert await since(7) == {"events": [], "prompts": []}
        await say(away, SpeechStarted(11.0, "abe"))
        assert await since(7) == {"withheld": {"smallest": 5}}
        assert set(await answer(client, "/sales")) == TOLD
        await say(SpeakerJoined(12.0, "lea", "lea"))
        assert "lea" in (await answer(client, "/sales"))["people"]


async def test_who_asks_for_what_is_no_longer_held_or_was_another_run_asks_anew(monkeypatch):
    monkeypatch.setattr("worker.report.keeper.RECENT", 2)
    async with asked() as (client, dashboard):
        keeper = dashboard.keep("sales", EPOCH)
        numbering = Numbering("sales", EPOCH, datetime(2026, 1, 5, 10, tzinfo=UTC))
        for one in PEOPLE:
            await keeper.send(numbering.wrap(SpeakerJoined(0.0, one, one)))
        for query in (f"epoch={EPOCH}&since=1", f"epoch={EPOCH - 1}&since=4", "", f"epoch={EPOCH}&since=-1", "since=x"):
            assert await answer(client, f"/sales/beside?{query}") == {"stale": True}
        events = (await answer(client, f"/sales/beside?epoch={EPOCH}&since=3"))["events"]
        assert [one["seq"] for one in events] == [4, 5]
        keeper.rewrite(lambda envelope: envelope)  # as when somebody is erased, whom a page may still show
        assert await answer(client, f"/sales/beside?epoch={EPOCH}&since=5") == {"stale": True}
        await keeper.send(numbering.wrap(SpeakerLeft(1.0, "zoe")))
        assert await answer(client, f"/sales/beside?epoch={EPOCH}&since=6") == {"events": [], "prompts": []}
