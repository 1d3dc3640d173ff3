"""One person given out and erased from files, reports and memory; everything of others stays byte for byte."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import FakeRoom, FakeSink, envelopes, folded
from tests.storied import ANY_EVENT, PEOPLE, ROLES
from tests.test_meeting import STORY, record_of
from worker.data.files import LinesStore
from worker.data.memory import MemoryStore
from worker.data.person import ERASED, Census
from worker.data.records import MEETING, MEETING_REST, as_meeting
from worker.data.reports import ReportStore
from worker.data.stores import Unreached, ranges
from worker.events import (
    EmotionEstimated,
    Interrupted,
    Prompted,
    RoomClosed,
    RoomOpened,
    SpeakerJoined,
    SpeechEnded,
    SpeechStarted,
    TalkTime,
)
from worker.figures import Talk
from worker.lines import Lines
from worker.privacy.sealing import Seal
from worker.report.keeper import Keeper
from worker.report.meeting import Meeting
from worker.report.page import write
from worker.sinks.data_channel import DataChannelSink
from worker.sinks.fanout import Fanout
from worker.sinks.feed import Feed
from worker.sinks.vapi import VapiSink

KEY = "env:UNDERTONE_TEST_KEY"
TALKED = TalkTime(9.0, {"p1": Talk(2.0, 0.5), "p2": Talk(2.0, 0.5)})
MEETING_OF_TWO = [
    RoomOpened(0.0),
    *(SpeakerJoined(1.0, who, PEOPLE[who], role=ROLES[who]) for who in ("p1", "p2")),
    SpeechStarted(2.0, "p1"),
    SpeechEnded(4.0, "p1", 2.0),
    SpeechStarted(3.0, "p2"),
    Interrupted(3.5, "p1", "p2", 0.5),
    Prompted(5.0, "p1.5", "p1", "r", "hint", "Let Bo speak.", "", {}, 9.0),
    Prompted(6.0, "p2.6", "p2", "r", "hint", "Let Ada speak.", "", {"event.by": "p1"}, 9.0),
    Prompted(7.0, "managers.7", "managers", "r", "hint", "Ada cut Bo off.", "", {}, 9.0),
    TALKED,
    RoomClosed(10.0, "ended"),
]
HOSTILE = [b"", b"\xff\xfe", b"[" * 2000, b'{"type":1}', b'{"p1":"Ada"}', b"null", b'{"source":"/rooms/quiet"']


def lines_of(*events, **place):
    return [envelope.as_json().encode() for envelope in envelopes(*events, **place)]


def put(path, lines):
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


async def whom_in(store, who="p1", epochs=(7,)):
    census = Census("quiet")
    await store.look(census)
    return census.whom(who, epochs)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


# -- files ----------------------------------------------------------------------------------------------------------


async def test_one_is_out_of_a_file_and_others_are_there_byte_for_byte(path):
    others = [*lines_of(*MEETING_OF_TWO, epoch=8), *lines_of(*MEETING_OF_TWO, room="loud")]
    mine = lines_of(*MEETING_OF_TWO)
    put(path, [*others[:9], *HOSTILE, *mine, *others[9:]])
    path.chmod(0o640)
    store = LinesStore(path, Seal())
    whom = await whom_in(store)
    given_out = await store.export(whom)
    assert [one["type"].removeprefix("io.undertone.") for one in given_out] == [
        "speaker.joined.v1",
        "speech.started.v1",
        "speech.ended.v1",
        "interrupted.v1",
        "coaching.prompted.v1",
        "coaching.prompted.v1",
        "talk_time.v1",
    ]
    assert given_out[-1]["data"]["speakers"] == {"p1": {"seconds": 2.0, "share": 0.5}}
    tally = await store.erase(whom)
    left = path.read_bytes().split(b"\n")[:-1]
    untouched = [line for line in mine if not (b'"p1' in line or b"Ada" in line)]
    assert len(untouched) == 4
    assert left[:9] == others[:9]
    assert left[9:16] == HOSTILE
    assert left[-len(others) + 9 :] == others[9:]
    of_run = left[16 : -len(others) + 9]
    assert [line for line in of_run if line in untouched] == untouched
    cut = [json.loads(line)["data"] for line in of_run if line not in untouched]
    assert [one.get("speaker") or one.get("text") or one["speakers"] for one in cut] == [
        ERASED,
        "Let somebody speak.",
        {"p2": {"seconds": 2.0, "share": 0.5}},
    ]
    assert not any(b'"p1' in line or b"Ada" in line for line in of_run)
    assert (tally.gone, tally.cut, tally.unread) == (5, 3, 6)
    assert ranges(tally.places) == ["7-2", "7-4..5", "7-7..8", "7-p1-1", "7-p2-1", "7-managers-1"]
    assert path.stat().st_mode & 0o777 == 0o640
    assert await store.export(whom) == []
    before = path.read_bytes()
    assert (await store.erase(whom)).records == 0
    assert path.read_bytes() == before


@given(st.lists(st.tuples(ANY_EVENT, st.sampled_from(["quiet", "loud"]), st.sampled_from([7, 8])), max_size=12))
@settings(max_examples=40)
def test_whatever_was_said_elsewhere_stays_as_it_was(tmp_path_factory, said):
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    lines = [(lines_of(event, room=room, epoch=epoch)[0], room, epoch) for event, room, epoch in said]
    put(path, [line for line, *_ in lines])

    async def run():
        store = LinesStore(path, Seal())
        await store.erase(await whom_in(store))
        return await store.export(await whom_in(store))

    assert asyncio.run(run()) == []
    left = path.read_bytes().split(b"\n")
    for line, *place in lines:
        if place != ["quiet", 7] or (b'"p1"' not in line and b"Ada" not in line):
            assert line in left


async def test_sealed_and_open_lines_are_read_and_what_is_cut_is_sealed(path, monkeypatch):
    monkeypatch.setenv("UNDERTONE_TEST_KEY", "A" * 43 + "=")
    seal = Seal([KEY])
    plain = lines_of(*MEETING_OF_TWO)
    put(path, [*plain[:5], *(seal.seal(line) for line in plain[5:])])
    before = path.read_bytes().split(b"\n")
    store = LinesStore(path, seal)
    await store.erase(await whom_in(store))
    left = path.read_bytes().split(b"\n")[:-1]
    assert all(line.startswith(b"sealed:") or line in before for line in left)
    assert not any(b"p1" in seal.unseal(line) for line in left)
    assert len(left) == len(plain) - 5


async def test_a_file_without_its_key_is_left_as_it_is(path, monkeypatch):
    monkeypatch.setenv("UNDERTONE_TEST_KEY", "A" * 43 + "=")
    put(path, [Seal([KEY]).seal(line) for line in lines_of(*MEETING_OF_TWO)])
    before = path.read_bytes()
    store = LinesStore(path, Seal())
    census = Census("quiet")
    for ask in (store.look(census), store.export(census.whom("p1", [7])), store.erase(census.whom("p1", [7]))):
        with pytest.raises(Unreached, match=r"keeping\.keys"):
            await ask
    assert path.read_bytes() == before


async def test_a_worker_may_write_on_while_somebody_is_erased(path):
    put(path, lines_of(*MEETING_OF_TWO) * 50)
    store, writer = LinesStore(path, Seal()), Lines(path)
    whom = await whom_in(store)

    erasing, count = asyncio.create_task(store.erase(whom)), 0
    while not erasing.done():
        count += writer.append(b"%d" % count)
        await asyncio.sleep(0)
    writer.append(b"last")
    writer.close()
    left = path.read_bytes().split(b"\n")[:-1]
    assert [line for line in left if line.isdigit()] == [b"%d" % n for n in range(count)]
    assert left[-1] == b"last"
    assert not any(b'"p1"' in line for line in left)


async def test_letters_that_no_webhook_took_are_erased_and_no_file_is_no_trouble(path):
    letters = [
        json.dumps(
            {"lost": "2026-01-05T10:00:00+00:00", "reason": "it answers 500", "event": json.loads(line)}
        ).encode()
        for line in lines_of(SpeechStarted(1.0, "p1"), SpeechStarted(1.0, "p2"), TALKED)
    ]
    store = LinesStore(path, Seal(), "dead_letters")
    assert (await store.erase(await whom_in(store))).records == 0
    assert not path.exists()
    put(path, letters)
    whom = await whom_in(store)
    assert [one["data"].get("speaker") for one in await store.export(whom)] == ["p1", None]
    tally = await store.erase(whom)
    left = path.read_bytes().split(b"\n")[:-1]
    assert (tally.gone, tally.cut) == (1, 1)
    assert left[0] == letters[1]
    cut = json.loads(left[1])
    assert (cut["reason"], list(cut["event"]["data"]["speakers"])) == ("it answers 500", ["p2"])


async def test_a_last_line_that_is_torn_is_told_of(path):
    path.write_bytes(lines_of(SpeechStarted(1.0, "p2"))[0] + b"\n" + lines_of(SpeechStarted(2.0, "p1"))[0][:-5])
    store = LinesStore(path, Seal())
    assert "not whole" in (await store.erase(await whom_in(store))).notes[0]


async def test_a_file_that_only_takes_holds_nothing():
    store = LinesStore(Path("/dev/null"), Seal())
    assert (await store.erase(await whom_in(store))).records == 0


async def test_a_snapshot_in_a_file_loses_one_tile(path):
    snapshot = folded(envelopes(*MEETING_OF_TWO[:3]))
    put(path, [snapshot.as_json().encode()])
    store = LinesStore(path, Seal())
    whom = await whom_in(store)
    assert whom.runs[7].names == {"Ada"}
    assert list((await store.export(whom))[0]["data"]["speakers"]) == ["p1"]
    await store.erase(whom)
    assert list(json.loads(path.read_bytes())["data"]["speakers"]) == ["p2"]


# -- reports --------------------------------------------------------------------------------------------------------


def test_every_part_of_a_meeting_is_decided():
    assert MEETING.keys() | MEETING_REST >= Meeting("quiet", 7).as_dict().keys()


async def test_a_report_is_written_anew_without_one_and_others_are_not_touched(tmp_path):
    record = record_of(STORY)
    write(record, tmp_path / "monday")
    (tmp_path / "deep").mkdir()
    write({**record, "room": "loud"}, tmp_path / "deep" / "other")
    (tmp_path / "deep" / "notes.json").write_text('{"p1": "Ada"}')
    (tmp_path / "deep" / "lone.csv").write_text("speaker,name\np1,Ada\n")
    before = {path: path.read_bytes() for path in (tmp_path / "deep").iterdir()}
    census, store = Census("sales"), ReportStore(tmp_path)
    await store.look(census)
    assert census.seen[7]["p1"].names == {"Ada"}
    whom = census.whom("p1", [7])
    [own] = await store.export(whom)
    assert own["people"].keys() == own["talk"].keys() == {"p1"}
    assert own["figures"]["speakers"].keys() == {"p1"}
    tally = await store.erase(whom)
    assert (tally.gone, tally.cut) == (0, 3)
    assert "lone.csv" in tally.notes[0]
    for ending in (".html", ".csv", ".json"):
        text = (tmp_path / "monday").with_suffix(ending).read_text()
        assert "Ada" not in text
        assert '"p1"' not in text
        assert "Bo" in text
    left = json.loads((tmp_path / "monday.json").read_text())
    assert left["interruptions"] == [[20, ERASED, "p2", 0.8]]
    assert left["emotion"] == record["emotion"]
    assert left["prompts"] == []
    assert {path: path.read_bytes() for path in (tmp_path / "deep").iterdir()} == before
    assert await store.export(whom) == []
    assert (await store.erase(whom)).records == 0


async def test_a_page_alone_is_known_by_the_record_in_it_and_one_of_nobody_else_goes(tmp_path):
    written = write(record_of(STORY), tmp_path / "monday")
    for path in written[1:]:
        path.unlink()
    census, store = Census("sales"), ReportStore(tmp_path / "monday.html")
    await store.look(census)
    assert (await store.erase(census.whom("p1", [7]))).cut == 1
    assert (await store.erase(census.whom("p2", [7]))).gone == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unreached, match="--report"):
        await store.erase(census.whom("p2", [7]))


async def test_a_damaged_report_is_told_of(tmp_path):
    record = record_of(STORY) | {"turns": [["p1"], 3]}
    (tmp_path / "bad.json").write_text(json.dumps(record))
    census, store = Census("sales"), ReportStore(tmp_path)
    await store.look(census)
    with pytest.raises(Unreached, match="damaged"):
        await store.erase(census.whom("p1", [7]))
    assert as_meeting({"room": "x"}) is None


# -- memory ---------------------------------------------------------------------------------------------------------


class Held(FakeSink):
    """A sink with a feed, as the WebSocket has one."""

    private = True

    def __init__(self, snapshot):
        super().__init__()
        self.feed = Feed(snapshot)
        self.held, self.rewrite = self.feed.held, self.feed.rewrite

    async def send(self, envelope):
        await super().send(envelope)
        self.feed.push(envelope)


async def test_memory_forgets_one_and_is_told_nothing_of_them_any_more(monkeypatch):
    monkeypatch.setattr("worker.data.memory.WAIT_S", 3600.0)
    said = envelopes(*MEETING_OF_TWO[:-1])
    snapshot = folded([])
    held, keeper = Held(snapshot), Keeper("quiet", 7, True)
    waiting, channel = FakeSink(), DataChannelSink(FakeRoom(), snapshot)
    fanout = Fanout(snapshot, [held, keeper, waiting, channel])
    for envelope in said[:-1]:
        fanout.put(envelope)
    await fanout.settle()

    await asyncio.sleep(0)
    store = MemoryStore(fanout)
    whom = await whom_in(store)
    assert whom.runs[7].names == {"Ada"}
    assert {one["type"] for one in await store.export(whom) if "type" in one} >= {"io.undertone.snapshot.v1"}
    for sink in (waiting, held):
        sink.gate.clear()
    fanout.put(said[-1])
    fanout.put(said[3])
    await asyncio.sleep(0)
    for sink in (waiting, held):
        asyncio.get_running_loop().call_later(0.05, sink.gate.set)
    async with asyncio.timeout(10):
        tally = await store.erase(whom)
    assert tally.records > 5
    assert await store.export(whom) == []
    fanout.put(said[3])
    fanout.put(said[-1])
    await asyncio.sleep(0.05)
    assert list(waiting.said[-1].event.speakers) == ["p2"]
    assert list(snapshot.as_dict()["data"]["speakers"]) == ["p2"]
    assert await store.export(whom) == []
    messages = [message async for message in closing(held.feed)]
    assert any("Bo" in message for message in messages)
    assert not any("Ada" in message or '"p1"' in message for message in messages)
    assert keeper.meeting.as_dict()["people"].keys() == {"p2"}
    assert "withheld" in keeper.meeting.shown(2)
    assert await fanout.close(1.0) == 0


async def closing(feed):
    feed.close()
    async for message in feed.subscribe((7, 0)):
        yield message


async def test_what_is_on_its_way_to_a_sink_is_told_of(monkeypatch):
    monkeypatch.setattr("worker.data.memory.WAIT_S", 0.05)
    stuck = FakeSink()
    stuck.gate.clear()
    fanout = Fanout(folded([]), [stuck])

    for envelope in envelopes(SpeechStarted(1.0, "p1"), SpeechStarted(2.0, "p1"), SpeechStarted(3.0, "p2")):
        fanout.put(envelope)
    await asyncio.sleep(0)
    store = MemoryStore(fanout)
    with pytest.raises(Unreached, match="1 events") as failure:
        await store.erase(await whom_in(store))
    assert failure.value.tally.gone == 2
    stuck.gate.set()
    await fanout.close(1.0)
    assert [envelope.as_dict()["data"].get("speaker") for envelope in stuck.said] == ["p1", None, "p2"]


async def test_the_tone_of_a_voice_is_forgotten():
    sink = VapiSink("http://localhost:9/x", whose="p1")
    said = envelopes(
        SpeakerJoined(1.0, "p1", "Ada"), EmotionEstimated(1.5, "p1", 0.0, 0.1, 0.1, {}, 0.9, True, "onnx", "calm")
    )
    for envelope in said:
        await sink.send(envelope)
    fanout = Fanout(folded(said), [sink])
    await MemoryStore(fanout).erase(Census("quiet").whom("p1", [7]))
    assert sink._tones == {}
    await fanout.close(1.0)
