"""The record of a conversation, folded alike by Python and by the page."""

import json
from pathlib import Path
from typing import Any

from tests.support import in_node
from worker.report import meeting
from worker.report.meeting import Meeting

MODULE = Path(__file__).parent.parent / "frontend_demo" / "meeting.js"
FOLD = """
const { empty, fold } = await import(process.argv[1]);
console.log(JSON.stringify(JSON.parse(process.argv[2]).reduce(fold, empty("sales", 7))));
"""
PROMPT = {"prompt": "c1", "to": "p1", "rule": "long_run", "severity": "hint", "text": "Ask.", "reason": "95 s"}


def message(kind: str, seq: int, at: float, audience: str = "", /, **data: Any) -> dict[str, Any]:
    whom = {"audience": audience} if audience else {}
    head = {"type": f"io.undertone.{kind}", "source": "/rooms/sales", "seq": seq, "epoch": 7, **whom}
    return head | {"time": f"2026-01-05T10:00:{at:06.3f}Z", "data": {"at": at, **data}}


def joined(seq: int, at: float, speaker: str, name: str, role: str = "") -> dict[str, Any]:
    who = {"speaker": speaker, "name": name, "generation": 1, "role": role}
    return message("speaker.joined.v1", seq, at, **who, analysed=True, level="emotion")


STORY = [
    joined(1, 0, "p1", "Ada", "seller"),
    joined(2, 1, "p2", "Bo"),
    message("speech.started.v1", 3, 2, speaker="p1"),
    message("speech.ended.v1", 4, 5, speaker="p1", started=2.0),
    message("speech.started.v1", 5, 6, speaker="p2"),
    message("emotion.estimated.v1", 6, 7, speaker="p2", arousal=0.2, valence=-0.1, label="tense", confidence=0.7),
    message("emotion.estimated.v1", 7, 8, speaker="p2", arousal=0.4, valence=-0.1, label="tense", confidence=0.7),
    message("emotion.abstained.v1", 8, 13, speaker="p2", reason="mixed"),
    message("emotion.abstained.v1", 9, 19, speaker="p2", reason="learning"),
    message("turn.ended.v1", 10, 20, speaker="p2", started=6.0),
    message("interrupted.v1", 11, 20, speaker="p1", by="p2", overlap_s=0.8),
    message("overlapped.v1", 12, 20, speaker="p1", on="p2", overlap_s=0.8),
    message("back_channel.v1", 13, 20, speaker="p1", to="p2", seconds=0.4),
    message("coaching.prompted.v1", 1, 21, "p1", numbers={}, expires_s=10.0, **PROMPT),
    message("coaching.answered.v1", 2, 22, "p1", prompt="c1", to="p1", rule="long_run", answer="snoozed"),
    message("engagement.v1", 14, 23, score=61.5, confidence=0.4, parts={"balance": 0.9}, weights={"balance": 0.4}),
    message("engagement.v1", 15, 28, score=62.5, confidence=0.4, parts={"balance": 0.8}, weights={"balance": 0.4}),
    message("emotion.shifted.v1", 16, 29, speaker="p2", kind="arousal_rise", before=0.1, now=0.5, seconds=9.0),
    message("conversation.v1", 17, 30, room={"people": 2}, speakers={"p1": {"talk_s": 3.0, "talk_share": 0.2}}),
    message("talk_time.v1", 18, 30, speakers={"p1": {"seconds": 3.0, "share": 0.2}}),
    message("gap.v1", 20, 31, from_seq=19, to_seq=20),
    message("room.interrupted.v1", 21, 40, seconds=3.0, reason="unreachable", attempts=1),
    message("speaker.analysed.v1", 22, 41, speaker="p2", analysed=False, level="presence"),
    message("speaker.left.v1", 23, 42, speaker="p2", reason="left"),
    message("of.a.later.worker.v1", 24, 43, anything=1),
    message("room.closed.v1", 25, 44, reason="ended"),
    message("speech.ended.v1", 4, 5, speaker="p1", started=2.0),
]


def record_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    one = Meeting("sales", 7)
    for each in messages:
        one.fold(each)
    return one.as_dict()


def test_a_record_holds_what_happened_once():
    record = record_of(STORY)
    ada = {"name": "Ada", "role": "seller", "analysed": True, "level": "emotion", "present": True}
    assert record["people"]["p1"] == ada
    assert [record["people"]["p2"][key] for key in ("analysed", "level", "present")] == [False, "presence", False]
    assert record["speech"] == {"p1": [[2.0, 5]]}
    assert record["speaking"] == {}
    assert record["emotion"]["p2"] == [[7, 0.2, -0.1, "tense", 0.7], [13, None, None, "mixed", None]]
    assert record["engagement"] == [[23, 61.5, 0.4]]
    assert record["parts"] == {"balance": 0.8}
    assert (record["prompts"][0]["text"], record["prompts"][0]["answer"]) == ("Ask.", "snoozed")
    assert record["outages"] == [[37.0, 40, "unreachable"]]
    assert (record["missed"], record["closed"], record["seq"]) == (2, "ended", 25)
    assert record["started"] == "2026-01-05T10:00:00.000Z"


def test_the_page_folds_alike():
    assert in_node(FOLD, MODULE.as_uri(), json.dumps(STORY)) == record_of(STORY)


def test_the_oldest_make_room(monkeypatch):
    monkeypatch.setattr(meeting, "MOST", 2)
    ends = [message("speech.ended.v1", n, n, speaker="p1", started=n - 0.5) for n in range(1, 6)]
    record = record_of(ends)
    assert [end for _, end in record["speech"]["p1"]] == [4, 5]
    assert record["forgotten"] == 3
