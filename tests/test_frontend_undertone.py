"""The module for host pages, run by Node: what it makes of messages, and of connections that are only played."""

import json
import subprocess
import time
import typing
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import require
from worker.envelope import Envelope, Numbering
from worker.events import (
    EVENTS,
    EmotionEstimated,
    Gap,
    SpeakerJoined,
    SpeechStarted,
    Talk,
    TalkTime,
)
from worker.sinks.snapshot import Snapshot

MODULE = Path(__file__).parent.parent / "frontend_demo" / "undertone.js"

LISTENER = """
const heard = (log) => ({
  onEvent: ({ epoch, seq }) => log.push(["event", epoch, seq]),
  onGap: ({ epoch, data }) => log.push(["gap", epoch, data.from_seq, data.to_seq]),
  onSnapshot: ({ epoch, seq }) => log.push(["snapshot", epoch, seq]),
  onState: (state, reason) => log.push(["state", state, ...(reason ? [reason] : [])]),
});
"""

READER = (
    LISTENER
    + """
const { createInterface } = await import("node:readline");
const { EVENTS, Reader } = await import(process.argv[1]);
for await (const line of createInterface({ input: process.stdin })) {
  const { since, messages } = JSON.parse(line);
  const log = [];
  const reader = new Reader(heard(log), since);
  for (const text of messages ?? []) text === null ? reader.open() : reader.hear(text);
  log.splice(0, Infinity, ...log.filter(([kind]) => kind !== "state"));
  console.log(JSON.stringify({ log, position: reader.position, ignored: reader.ignored, EVENTS }));
}
"""
)


class Node:
    """One process for many readers."""

    def __init__(self) -> None:
        command = [require("node"), "--input-type=module", "-e", READER, MODULE.as_uri()]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self, *messages: Any, since: tuple[int, int] | None = None) -> dict[str, Any]:
        """What a reader makes of these; None is a connection that opens, other than text is made JSON."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        position = None if since is None else {"epoch": since[0], "seq": since[1]}
        texts = [one if one is None or isinstance(one, str) else json.dumps(one) for one in messages]
        self.process.stdin.write(json.dumps({"since": position, "messages": texts}) + "\n")
        self.process.stdin.flush()
        result: dict[str, Any] = json.loads(self.process.stdout.readline())
        return result

    def log(self, *messages: Any, since: tuple[int, int] | None = None) -> list[list[Any]]:
        return list(self.read(*messages, since=since)["log"])


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    one = Node()
    yield one
    one.process.communicate()


def event(seq: int, epoch: int = 1, kind: str = "speech.started.v1", **data: Any) -> dict[str, Any]:
    told = {"at": 0.5, "speaker": "p1", **data}
    return {"type": f"io.undertone.{kind}", "epoch": epoch, "seq": seq, "data": told}


def gap(first: int, last: int, epoch: int = 1) -> dict[str, Any]:
    return event(last, epoch, "gap.v1", from_seq=first, to_seq=last)


def snapshot(seq: int, epoch: int = 1, **person: Any) -> dict[str, Any]:
    one = {"name": "Ada", "generation": 1, "analysed": True, "level": "emotion", "present": True, "muted": False}
    people = {"p1": {**one, "speaking": False, "talk": {"seconds": 0, "share": 0}, "emotion": None, **person}}
    return event(seq, epoch, "snapshot.v1", room="demo", speakers=people)


# -- the contract -----------------------------------------------------------------------------------------------------


def shape(kind: Any) -> Any:
    """A Python type in the module's words."""
    plain = {float: "number", int: "number", str: "string", bool: "boolean"}
    if kind in plain:
        return plain[kind]
    if is_dataclass(kind):
        return {field.name: shape(typing.get_type_hints(kind)[field.name]) for field in fields(kind)}
    if typing.get_origin(kind) is Sequence:
        return shape(typing.get_args(kind)[0]) + "[]"
    if len(typing.get_args(kind)) > 2:
        return "value"
    first, second = typing.get_args(kind)
    return shape(first) + "?" if second is type(None) else [shape(second)]


def test_the_module_knows_every_event_with_every_field(node: Node) -> None:
    assert node.read()["EVENTS"] == {event.type: shape(event) for event in EVENTS}


def example(kind: Any) -> Any:
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return typing.cast(Any, kind)(**{field.name: example(hints[field.name]) for field in fields(kind)})
    words = shape(kind)
    if isinstance(words, list):
        return {"p1": example(typing.get_args(kind)[1])}
    return {"number": 1, "string": "x", "boolean": True, "string[]": ["x"], "value": 1}.get(words)


def test_what_the_worker_sends_is_understood(node: Node) -> None:
    numbering = Numbering("demo", 7, datetime.now(UTC))
    sent = [numbering.wrap(example(kind)) for kind in EVENTS if kind is not Gap]
    result = node.read(*(one.as_json() for one in sent))
    assert result["log"] == [["event", 7, one.seq] for one in sent]
    assert not any(result["ignored"].values())


def test_the_workers_own_snapshots_and_gaps_are_understood(node: Node) -> None:
    state, numbering = Snapshot("demo", 7), Numbering("demo", 7, datetime.now(UTC))
    estimate = EmotionEstimated(2.0, "p1", 0.0, 0.4, None, {}, 0.8, False, "prosody")
    talk = TalkTime(3.0, {"p1": Talk(1.0, 1.0)})
    for one in (SpeakerJoined(0.0, "p1", "Ada"), SpeechStarted(1.0, "p1"), estimate, talk):
        state.fold(numbering.wrap(one))
    assert node.log(state.as_json()) == [["snapshot", 7, 4]]
    assert node.log(state.gap_since(1).as_json(), state.as_json(), since=(7, 1)) == [
        ["gap", 7, 2, 4],
        ["snapshot", 7, 4],
    ]
    assert Envelope(talk, "demo", 9, 7, datetime.now(UTC)).gap_since(4).as_dict()["data"]["to_seq"] == 8


# -- order ------------------------------------------------------------------------------------------------------------


def test_each_event_is_told_once_and_none_late(node: Node) -> None:
    result = node.read(snapshot(5), event(5), event(6), event(6), event(7), event(4), event(9, epoch=0))
    assert result["log"] == [["snapshot", 1, 5], ["event", 1, 6], ["event", 1, 7]]
    assert result["position"] == {"epoch": 1, "seq": 7}
    assert result["ignored"]["repeated"] == 4


def test_a_hole_is_told_whether_it_was_announced_or_not(node: Node) -> None:
    want = [["event", 1, 5], ["gap", 1, 6, 8], ["event", 1, 9]]
    assert node.log(event(5), event(9)) == want
    assert node.log(event(5), gap(6, 8), event(9)) == want
    assert node.log(event(5), gap(2, 8), event(9)) == want
    assert node.log(event(5), gap(7, 7), event(9)) == [
        ["event", 1, 5],
        ["gap", 1, 6, 7],
        ["gap", 1, 8, 8],
        ["event", 1, 9],
    ]


def test_in_step_a_snapshot_for_others_is_passed_over(node: Node) -> None:
    """It may be ahead of the events that are still on their way, which must not be lost for it."""
    heard = node.log(None, event(5), snapshot(5), event(6), snapshot(8), event(7), event(8), snapshot(8))
    assert heard == [["event", 1, 5], ["snapshot", 1, 5], *(["event", 1, n] for n in (6, 7, 8))]


def test_after_a_hole_the_next_snapshot_counts(node: Node) -> None:
    heard = node.log(snapshot(5), gap(6, 8), snapshot(8), snapshot(8), event(9))
    assert heard == [["snapshot", 1, 5], ["gap", 1, 6, 8], ["snapshot", 1, 8], ["event", 1, 9]]


def test_who_comes_late_to_a_room_hears_on_from_the_snapshot(node: Node) -> None:
    """What was said before it came, and is in it, is no gap."""
    assert node.log(event(40), snapshot(42), event(42), event(43)) == [
        ["event", 1, 40],
        ["snapshot", 1, 42],
        ["event", 1, 43],
    ]


def test_coming_back_tells_what_was_missed(node: Node) -> None:
    assert node.log(None, event(43), since=(1, 42)) == [["event", 1, 43]]
    assert node.log(None, event(46), since=(1, 42)) == [["gap", 1, 43, 45], ["event", 1, 46]]
    assert node.log(None, snapshot(46), since=(1, 42)) == [["gap", 1, 43, 46], ["snapshot", 1, 46]]
    assert node.log(None, snapshot(42), since=(1, 42)) == [["snapshot", 1, 42]]
    assert node.log(snapshot(42), None, snapshot(44), event(45)) == [
        ["snapshot", 1, 42],
        ["gap", 1, 43, 44],
        ["snapshot", 1, 44],
        ["event", 1, 45],
    ]


def test_a_new_run_of_the_worker_starts_over(node: Node) -> None:
    assert node.log(snapshot(50), event(51), event(1, epoch=2), event(2, epoch=2))[2:] == [
        ["event", 2, 1],
        ["event", 2, 2],
    ]
    assert node.log(snapshot(50), event(3, epoch=2), snapshot(3, epoch=2))[1:] == [
        ["gap", 2, 1, 2],
        ["event", 2, 3],
        ["snapshot", 2, 3],
    ]
    assert node.log(snapshot(50), event(1, epoch=2), snapshot(1, epoch=2))[1:] == [["event", 2, 1], ["snapshot", 2, 1]]
    assert node.log(snapshot(50), snapshot(3, epoch=2))[1:] == [["gap", 2, 1, 3], ["snapshot", 2, 3]]
    assert node.log(gap(1, 3, epoch=2), snapshot(3, epoch=2), since=(1, 50)) == [["gap", 2, 1, 3], ["snapshot", 2, 3]]


def test_what_one_person_alone_is_told_has_numbers_of_its_own(node: Node) -> None:
    mine = {"audience": "p1"}
    told = [event(5), event(1) | mine, event(1) | mine, event(6), gap(2, 3) | mine, event(5) | mine, event(7)]
    assert node.log(*told) == [
        ["event", 1, 5],
        ["event", 1, 1],
        ["event", 1, 6],
        ["gap", 1, 2, 3],
        ["gap", 1, 4, 4],
        ["event", 1, 5],
        ["event", 1, 7],
    ]


MESSAGES = st.one_of(
    st.none(),
    st.builds(event, st.integers(1, 12), st.integers(1, 2)),
    st.builds(snapshot, st.integers(0, 12), st.integers(1, 2)),
    st.builds(
        lambda one, other, epoch: gap(min(one, other), max(one, other), epoch),
        *[st.integers(1, 12)] * 2,
        st.integers(1, 2),
    ),
)


@given(st.lists(MESSAGES, max_size=25))
def test_whatever_comes_numbers_only_rise_and_every_hole_is_told(node: Node, messages: list[Any]) -> None:
    heard = node.log(*messages)
    last: tuple[int, int] | None = None
    for kind, epoch, first, *rest in heard:
        if last is not None and kind == "snapshot":
            assert (epoch, first) >= last
        elif last is not None:
            assert (epoch, first) in ((last[0], last[1] + 1), (last[0] + 1, 1))
        last = (epoch, *(rest or [first]))


# -- hostile or broken ------------------------------------------------------------------------------------------------

PROMPT = dict.fromkeys(("prompt", "to", "rule", "severity", "text", "reason"), "x") | {
    "expires_s": 9,
    "numbers": {},
}
BROKEN: dict[str, Any] = {
    "no JSON": "{",
    "no object": "[1]",
    "null": "null",
    "nothing": "",
    "deep": "[" * 100_000,
    "long": json.dumps(event(6, speaker="x" * 1_000_000)),
    "no data": {"type": "io.undertone.room.opened.v1", "epoch": 1, "seq": 6},
    "somebody else's": {**event(6), "type": "speech.started.v1"},
    "a type that is none": {**event(6), "type": ["io.undertone.speech.started.v1"]},
    "a number that is text": {**event(6), "seq": "6"},
    "a number that is too large": {**event(6), "seq": 2**60},
    "a negative number": event(-6),
    "a broken number": {**event(6), "epoch": 1.5},
    "a run of the day after tomorrow": event(6, epoch=round(time.time() * 1000) + 2 * 86_400_000),
    "a time without end": json.dumps(event(6)).replace("0.5", "1e999"),
    "no speaker": event(6, speaker=None),
    "a speaker that is an object": event(6, speaker={"toString": "x"}),
    "no field": event(6, kind="speech.ended.v1"),
    "an audience that is none": {**event(6), "audience": ["p1"]},
    "a snapshot for one": {**snapshot(6), "audience": "p1"},
    "a number that is a list": event(6, kind="coaching.prompted.v1", **PROMPT | {"numbers": {"share": []}}),
    "a talk time that is none": event(6, kind="talk_time.v1", speakers={"p1": {"seconds": "long", "share": 1}}),
    "a list for a map": event(6, kind="talk_time.v1", speakers=[]),
    "a gap that ends elsewhere": {**gap(6, 8), "seq": 9},
    "a gap backwards": gap(9, 8),
    "a person without a name": snapshot(6, name=None),
    "a person with an emotion that is none": snapshot(6, emotion={"type": "constructor"}),
    "a person with half an emotion": snapshot(6, emotion={"type": "emotion.estimated.v1", "at": 1}),
    "people that are none": event(6, kind="snapshot.v1", room="demo", speakers=None),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_is_counted_and_harms_nothing(node: Node, broken: Any) -> None:
    result = node.read(event(5), broken, event(6))
    assert result["log"] == [["event", 1, 5], ["event", 1, 6]]
    assert result["ignored"] == {"malformed": 1, "unknown": 0, "repeated": 0}


def test_names_that_mean_something_to_javascript_are_only_names(node: Node) -> None:
    odd = json.dumps(snapshot(4)).replace('"p1"', '"__proto__"')
    talk = event(6, kind="talk_time.v1", speakers={"constructor": {"seconds": 1, "share": 1}})
    result = node.read(odd, event(5, speaker="__proto__"), talk)
    assert [entry[0] for entry in result["log"]] == ["snapshot", "event", "event"]


def test_events_of_a_later_worker_are_passed_over_without_a_hole(node: Node) -> None:
    result = node.read(event(5), event(6, kind="weather.v1"), event(7, kind="toString"), event(8, mood="new field"))
    assert result["log"] == [["event", 1, 5], ["event", 1, 8]]
    assert result["ignored"] == {"malformed": 0, "unknown": 2, "repeated": 0}
