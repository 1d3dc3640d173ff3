"""The dashboard's HTTP API: who may ask, which meetings there are, and what their records hold."""

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import redis
from aiohttp.test_utils import TestClient, TestServer

from tests.test_meeting import STORY, record_of
from worker.envelope import Numbering
from worker.errors import ConfigError
from worker.events import Prompted, RoomClosed, SpeakerJoined, SpeechEnded, SpeechStarted, TalkTime
from worker.ops import dashboard as dashboard_module
from worker.ops.dashboard import Dashboard
from worker.ops.http import Server
from worker.ops.tokens import ANY_RUN, Pass, Tokens
from worker.privacy.keeping import Keeping
from worker.report import sources
from worker.report.archive import Shelf

EPOCH = 7
KEY = "a key for tests, of 32 bytes or more"
PROMPT = Prompted(3.0, "c1", "p1", "long_run", "hint", "Ask.", "You have gone on for 95 s.", {}, 10.0)
SAID = [SpeakerJoined(0.0, "p1", "Ada"), SpeechStarted(1.0, "p1"), PROMPT, SpeechEnded(4.0, "p1", 1.0)]


@asynccontextmanager
async def asked(server=None, **options):
    """A client, and the dashboard that it asks."""
    server = server or Server()
    dashboard = Dashboard(server, **{"smallest_group": 1, **options})
    async with TestClient(TestServer(server.app())) as client:
        yield client, dashboard


async def told(keeper, events=SAID):
    numbering = Numbering("sales", EPOCH, datetime(2026, 1, 5, 10, tzinfo=UTC))
    for event in events:
        envelope = numbering.wrap(event)
        if keeper.private or not envelope.audience:
            await keeper.send(envelope)


async def answer(client, path="", token=None, status=200):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with client.get(f"/v1/meetings{path}", headers=headers) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def test_a_room_that_is_open_is_listed_and_shown_as_far_as_it_is():
    async with asked() as (client, dashboard):
        await told(dashboard.keep("sales", EPOCH))
        assert await answer(client) == {"meetings": [{"room": "sales", "epoch": EPOCH, "open": True}]}
        record = await answer(client, "/sales")
    assert (record["seq"], record["speech"], record["prompts"]) == (3, {"p1": [[1.0, 4.0]]}, [])
    assert record["started"] == "2026-01-05T10:00:00.000Z"


async def test_prompts_are_shown_only_where_that_is_switched_on():
    async with asked(prompts=True) as (client, dashboard):
        await told(dashboard.keep("sales", EPOCH))
        beside = await answer(client, f"/sales/beside?epoch={EPOCH}&since=3")
        assert [one["text"] for one in beside["prompts"]] == ["Ask."]
        assert (await answer(client, "/sales"))["prompts"] == beside["prompts"]
    async with asked() as (client, dashboard):
        await told(dashboard.keep("sales", EPOCH))
        beside = await answer(client, f"/sales/beside?epoch={EPOCH}&since=3")
        assert beside == {"events": [], "prompts": []}


async def test_a_record_that_is_asked_for_changes_no_more():
    async with asked() as (_, dashboard):
        keeper = dashboard.keep("sales", EPOCH)
        await told(keeper)
        before = keeper.meeting.copy()
        await told(keeper, [*SAID, SpeechStarted(5.0, "p1"), SpeechEnded(9.0, "p1", 5.0)])
    assert (before["seq"], before["speech"]) == (3, {"p1": [[1.0, 4.0]]})
    assert keeper.meeting.as_dict()["speech"] == {"p1": [[1.0, 4.0], [5.0, 9.0]]}


async def test_meetings_that_ended_stay_for_a_while_the_newest_first():
    async with asked(remembered=2) as (client, dashboard):
        for number in range(4):
            keeper = dashboard.keep(f"room {number}", EPOCH + number)
            await told(keeper, [*SAID, RoomClosed(9.0, "ended")])
            await keeper.close()
        dashboard.keep("now", 99)
        listed = (await answer(client))["meetings"]
        assert [(one["room"], one["open"]) for one in listed] == [
            ("now", True),
            ("room 3", False),
            ("room 2", False),
        ]
        assert (await answer(client, "/room 3"))["closed"] == "ended"
        assert (await answer(client, "/room 0", status=404))["error"] == "There is no meeting of this name."
        assert await answer(client, f"/room 3/beside?epoch={EPOCH + 3}&since=3") == {"stale": True}


async def test_its_own_token_opens_it_and_the_servers_does_not():
    server = Server(token="for who may join", signing_key=KEY)
    async with asked(server, token="for the dashboard") as (client, dashboard):
        dashboard.keep("sales", EPOCH)
        for token in (None, "for who may join", "wrong"):
            for path in ("", "/sales", "/sales/beside", "/no such room"):
                await answer(client, path, token, status=401)
        assert "token" not in await answer(client, "/sales/beside", "for the dashboard")


async def test_a_manager_s_token_shows_the_meeting_it_names_and_no_other():
    tokens = Tokens(KEY)
    async with asked(Server(token="join", signing_key=KEY), token="for the dashboard") as (client, dashboard):
        for room in ("sales", "other"):
            await told(dashboard.keep(room, EPOCH))
        for run in (EPOCH, ANY_RUN):
            mine = tokens.issue("sales", run, Pass("manager"), 60)
            assert [one["room"] for one in (await answer(client, "", mine))["meetings"]] == ["sales"]
            assert (await answer(client, "/sales", mine))["seq"] == 3
            assert await answer(client, f"/sales/beside?epoch={EPOCH}&since=3", mine)
            for path in ("/other", "/other/beside", "/no such room"):
                assert (await answer(client, path, mine, 403))["error"] == "This token is for another meeting."
        earlier = tokens.issue("sales", EPOCH - 1, Pass("manager"), 60)
        assert await answer(client, "", earlier) == {"meetings": []}
        await answer(client, "/sales", earlier, 403)
        await answer(client, "", tokens.issue("sales", EPOCH, Pass("viewer"), 60), 401)


async def test_of_what_redis_holds_a_manager_sees_the_meeting_of_the_name_but_not_by_a_token_for_one_run(redis_url):
    for room in ("sales", "other"):
        write(redis_url, PUBLIC, room=room)
    tokens = Tokens(KEY)
    async with asked(Server(token="join", signing_key=KEY), token="own", redis=redis_url) as (client, _):
        by_name = tokens.issue("sales", ANY_RUN, Pass("manager"), 60)
        assert [one["room"] for one in (await answer(client, "", by_name))["meetings"]] == ["sales"]
        assert await answer(client, "/sales", by_name) == record_of(PUBLIC)
        await answer(client, "/other", by_name, 403)
        of_a_run = tokens.issue("sales", PUBLIC[0]["epoch"], Pass("manager"), 60)
        assert await answer(client, "", of_a_run) == {"meetings": []}
        await answer(client, "/sales", of_a_run, 403)


def test_beyond_loopback_it_needs_a_token_of_its_own():
    with pytest.raises(ConfigError, match=r"dashboard\.token is missing"):
        Dashboard(Server("0.0.0.0", token="for who may join"))


def write(url, messages, stream="events", room="sales"):
    with redis.Redis.from_url(url) as client:
        for number, message in enumerate(messages):
            client.xadd(
                f"ut:{{{room}}}:{stream}", {"event": json.dumps(message)}, id=f"{message['epoch']}-{number + 1}"
            )


PUBLIC = [message for message in STORY[:-1] if "audience" not in message]


async def test_past_meetings_are_read_from_redis_and_what_is_open_here_is_not(redis_url):
    write(redis_url, PUBLIC)
    write(redis_url, PUBLIC, room="other")
    async with asked(redis=redis_url) as (client, dashboard):
        dashboard.keep("other", 8)
        assert (await answer(client))["meetings"] == [
            {"room": "other", "epoch": 8, "open": True},
            {"room": "sales", "epoch": None, "open": None},
        ]
        assert await answer(client, "/sales") == record_of(PUBLIC)
        assert (await answer(client, "/other"))["seq"] == 0
        await answer(client, "/no such room", status=404)


@pytest.mark.parametrize("prompts", [False, True])
async def test_of_past_meetings_too_prompts_are_shown_only_where_that_is_switched_on(redis_url, prompts):
    private = [message for message in STORY[:-1] if "audience" in message]
    write(redis_url, PUBLIC)
    write(redis_url, private, "prompts")
    async with asked(redis=redis_url, prompts=prompts) as (client, _):
        record = await answer(client, "/sales")
    assert record["prompts"] == (record_of([*PUBLIC, *private])["prompts"] if prompts else [])
    assert private


async def test_what_is_open_here_is_shown_while_redis_is_away():
    async with asked(redis="redis://127.0.0.1:1/0") as (client, dashboard):
        dashboard.keep("sales", EPOCH)
        assert [one["room"] for one in (await answer(client))["meetings"]] == ["sales"]
        assert "Redis does not answer" in (await answer(client, "/other", status=503))["error"]


def read(shelf):
    return json.loads(shelf.record())


def test_a_meeting_is_read_on_from_where_reading_came_to(redis_url, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK", 4)
    shelf = Shelf(redis_url, "sales", smallest=1)
    assert shelf.record() is None
    write(redis_url, PUBLIC[:9])
    assert read(shelf) == record_of(PUBLIC[:9])
    with redis.Redis.from_url(redis_url) as client:
        client.xtrim("ut:{sales}:events", maxlen=0)
        for number, message in enumerate(PUBLIC[9:], 10):
            client.xadd("ut:{sales}:events", {"event": json.dumps(message)}, id=f"7-{number}")
    assert read(shelf) == record_of(PUBLIC)
    later = [{**message, "epoch": 9} for message in PUBLIC[:3]]
    write(redis_url, later)
    assert (read(shelf)["epoch"], read(shelf)["seq"]) == (9, 3)


@pytest.mark.parametrize("gone", ["events", "prompts"])
def test_what_redis_holds_no_longer_is_not_known_any_more(redis_url, gone):
    write(redis_url, PUBLIC)
    write(redis_url, [message for message in STORY[:-1] if "audience" in message], "prompts")
    shelf = Shelf(redis_url, "sales", prompts=True, smallest=1)
    assert read(shelf)["prompts"]
    with redis.Redis.from_url(redis_url) as client:
        client.delete(f"ut:{{sales}}:{gone}")
    if gone == "prompts":
        assert read(shelf) == record_of(PUBLIC)
    else:
        assert "Ada" not in str(shelf.record())


def test_who_was_erased_is_not_known_any_more(redis_url):
    write(redis_url, PUBLIC)
    shelf = Shelf(redis_url, "sales", smallest=1)
    assert "Ada" in str(read(shelf))
    with redis.Redis.from_url(redis_url) as client:
        client.delete("ut:{sales}:events")
        write(redis_url, [message for message in PUBLIC if "Ada" not in str(message)])
        client.set(f"ut:{{sales}}:{sources.ERASED}", "another")
    assert "Ada" not in str(read(shelf))


def test_figures_that_later_ones_replace_are_passed_over(redis_url):
    numbering = Numbering("sales", EPOCH, datetime(2026, 1, 5, 10, tzinfo=UTC))
    said = [
        SpeakerJoined(0.0, "p1", "Ada"),
        *(TalkTime(float(at), {}) for at in range(1, 90)),
        SpeechStarted(89.5, "p1"),
    ]
    envelopes = [numbering.wrap(event) for event in said]
    with redis.Redis.from_url(redis_url) as client:
        for one in envelopes:
            client.xadd("ut:{sales}:events", {"event": one.as_json()}, id=f"{one.epoch}-{one.seq}")
    assert [message["seq"] for message in sources.from_redis(redis_url, "sales")] == [1, 90, 91]


def test_who_came_before_what_redis_still_holds_has_a_name_and_the_hole_is_said(redis_url):
    write(redis_url, PUBLIC[4:9])
    with redis.Redis.from_url(redis_url) as client:
        state = {"name": "Bo", "role": "", "analysed": True, "present": True, "talk": {}}
        client.hset("ut:{sales}:state", mapping={"seq": 9, "speaker:p2": json.dumps(state)})
    record = read(Shelf(redis_url, "sales", smallest=1))
    assert record["people"] == {"p2": {"name": "Bo", "role": "", "analysed": True, "level": "", "present": True}}
    assert record["missed"] == 4


async def test_a_meeting_that_ended_is_forgotten_when_events_of_its_time_are(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(dashboard_module.time, "time", lambda: now[0])
    async with asked(keeping=Keeping(events_days=1)) as (client, dashboard):
        ended, under_way = dashboard.keep("sales", EPOCH), dashboard.keep("support", EPOCH)
        for keeper in (ended, under_way):
            await told(keeper)
        await ended.close()
        for days, names in ((0.9, ["support", "sales"]), (1.0, ["support"])):
            now[0] = EPOCH / 1000 + 4.0 + 86_400 * days
            assert [one["room"] for one in (await answer(client))["meetings"]] == names
        await answer(client, "/sales", status=404)
