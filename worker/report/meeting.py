"""Folds a room's events into one record of the conversation, for the dashboard and the report."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from worker.events import PREFIX
from worker.report.group import Group, in_order, withheld

MOST = 50_000
"""Entries of one list; 20 people fill about half of one in eight hours. The oldest make room, and are counted."""
EMOTION_S, ENGAGEMENT_S = 5.0, 15.0
"""Points nearer to the one before are left out: no screen is wide enough for them."""

Data = Mapping[str, Any]


class Meeting:
    """One room, from opening to closing; `frontend_demo/meeting.js` folds alike, and a test holds both to it.

    Whatever kind of event is unknown is passed over: a later worker may say more.
    """

    def __init__(self, room: str, epoch: int) -> None:
        self.epoch = epoch
        self.seq = 0
        """Number of the last event in it."""
        self._group = Group()
        self._record: dict[str, Any] = {
            "room": room,
            "epoch": epoch,
            "started": None,
            "at": 0.0,
            "closed": None,
            "people": {},
            "talk": {},
            "speech": {},
            "speaking": {},
            "turns": [],
            "interruptions": [],
            "overlaps": [],
            "back_channels": [],
            "emotion": {},
            "shifts": [],
            "engagement": [],
            "parts": None,
            "figures": None,
            "prompts": [],
            "outages": [],
            "missed": 0,
            "forgotten": 0,
        }

    @property
    def ended(self) -> float:
        """When the last event in it was, in seconds since 1970."""
        return self.epoch / 1000 + float(self._record["at"])

    def fold(self, message: Data) -> None:
        """Take in the next message as every listener gets it; one that was taken in before changes nothing."""
        kind, data = message["type"].removeprefix(PREFIX), message["data"]
        if not message.get("audience"):
            if message["seq"] <= self.seq:
                return
            self.seq = message["seq"]
        record = self._record
        if record["started"] is None and message.get("time"):
            began = datetime.fromisoformat(message["time"]) - timedelta(seconds=data["at"])
            record["started"] = began.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record["at"] = max(record["at"], data["at"])
        self._group.fold(kind, data)
        if (take := FOLDS.get(kind)) is not None:
            take(self._record, data)

    def is_of(self, smallest: int) -> bool:
        """Whether it is a meeting of at least so many people, see `Group.size`; 1 sets no bound."""
        return smallest <= 1 or self._group.size() >= smallest

    def shown(self, smallest: int) -> dict[str, Any]:
        """What may be told of it where a group has at least `smallest` people: `copy`, or its name and time alone."""
        return in_order(self.copy()) if self.is_of(smallest) else withheld(self._record, smallest)

    def name(self, people: Mapping[str, Data]) -> None:
        """Add who is not known, since the event that named them is no longer held."""
        for speaker, one in people.items():
            if speaker not in self._record["people"]:
                self._record["people"][speaker] = {
                    key: one.get(key, "") for key in ("name", "role", "analysed", "level", "present")
                }

    def erase(self, speaker: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Go on with what `change` makes of the record, and count this person as gone."""
        self._record = change(self._record)
        self._group.fold("speaker.left.v1", {"speaker": speaker})

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; not a copy."""
        return {"seq": self.seq, **self._record}

    def copy(self) -> dict[str, Any]:
        """`as_dict` as it stands now, which later events do not change; entries of lists alone are shared."""
        return {key: _copied(value) for key, value in self.as_dict().items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return value.copy() if isinstance(value, list) else value


def _add(record: dict[str, Any], entries: list[Any], entry: Any) -> None:
    entries.append(entry)
    if len(entries) > MOST:
        del entries[0]
        record["forgotten"] += 1


def _thin(record: dict[str, Any], points: list[Any], point: list[Any], every_s: float) -> None:
    if not points or point[0] - points[-1][0] >= every_s:
        _add(record, points, point)


def _joined(record: dict[str, Any], data: Data) -> None:
    person = {key: data.get(key, "") for key in ("name", "role", "analysed", "level")}
    record["people"][data["speaker"]] = {**person, "present": True}


def _left(record: dict[str, Any], data: Data) -> None:
    record["speaking"].pop(data["speaker"], None)
    if data["speaker"] in record["people"]:
        record["people"][data["speaker"]]["present"] = False


def _analysed(record: dict[str, Any], data: Data) -> None:
    """Who withdrew has no figures of now any more; the course of the meeting before that stays."""
    speaker = data["speaker"]
    if speaker in record["people"]:
        record["people"][speaker] |= {"analysed": data["analysed"], "level": data.get("level", "")}
    if not data["analysed"]:
        record["talk"] = {who: talk for who, talk in record["talk"].items() if who != speaker}
        if record["figures"] is not None:
            people = {who: one for who, one in record["figures"]["speakers"].items() if who != speaker}
            record["figures"] = {**record["figures"], "speakers": people}


def _speech_started(record: dict[str, Any], data: Data) -> None:
    record["speaking"][data["speaker"]] = data["at"]


def _speech_ended(record: dict[str, Any], data: Data) -> None:
    record["speaking"].pop(data["speaker"], None)
    _add(record, record["speech"].setdefault(data["speaker"], []), [data["started"], data["at"]])


def _estimated(record: dict[str, Any], data: Data) -> None:
    point = [data["at"], data["arousal"], data["valence"], data.get("label"), data["confidence"]]
    _thin(record, record["emotion"].setdefault(data["speaker"], []), point, EMOTION_S)


def _abstained(record: dict[str, Any], data: Data) -> None:
    if data["reason"] == "mixed":
        point = [data["at"], None, None, "mixed", None]
        _thin(record, record["emotion"].setdefault(data["speaker"], []), point, EMOTION_S)


def _talk_time(record: dict[str, Any], data: Data) -> None:
    record["talk"] = data["speakers"]


def _conversation(record: dict[str, Any], data: Data) -> None:
    record["figures"] = data


def _engagement(record: dict[str, Any], data: Data) -> None:
    record["parts"] = data["parts"]
    _thin(record, record["engagement"], [data["at"], data["score"], data["confidence"]], ENGAGEMENT_S)


def _turn(record: dict[str, Any], data: Data) -> None:
    _add(record, record["turns"], [data["speaker"], data["started"], data["at"]])


def _prompted(record: dict[str, Any], data: Data) -> None:
    kept = {key: data[key] for key in ("prompt", "at", "to", "rule", "severity", "text", "reason")}
    _add(record, record["prompts"], {**kept, "answer": None})


def _answered(record: dict[str, Any], data: Data) -> None:
    for prompt in reversed(record["prompts"]):
        if (prompt["prompt"], prompt["to"]) == (data["prompt"], data["to"]):
            prompt["answer"] = data["answer"]
            return


def _interrupted(record: dict[str, Any], data: Data) -> None:
    record["speaking"] = {}
    _add(record, record["outages"], [max(0.0, data["at"] - data["seconds"]), data["at"], data["reason"]])


def _gap(record: dict[str, Any], data: Data) -> None:
    record["missed"] += data["to_seq"] - data["from_seq"] + 1


def _closed(record: dict[str, Any], data: Data) -> None:
    record["closed"] = data["reason"]


def _listed(name: str, *keys: str) -> Callable[[dict[str, Any], Data], None]:
    def take(record: dict[str, Any], data: Data) -> None:
        _add(record, record[name], [data[key] for key in keys])

    return take


FOLDS: Mapping[str, Callable[[dict[str, Any], Data], None]] = {
    "speaker.joined.v1": _joined,
    "speaker.left.v1": _left,
    "speaker.analysed.v1": _analysed,
    "speech.started.v1": _speech_started,
    "speech.ended.v1": _speech_ended,
    "emotion.estimated.v1": _estimated,
    "emotion.abstained.v1": _abstained,
    "emotion.shifted.v1": _listed("shifts", "at", "speaker", "kind", "before", "now"),
    "talk_time.v1": _talk_time,
    "turn.ended.v1": _turn,
    "interrupted.v1": _listed("interruptions", "at", "speaker", "by", "overlap_s"),
    "overlapped.v1": _listed("overlaps", "at", "speaker", "on", "overlap_s"),
    "back_channel.v1": _listed("back_channels", "at", "speaker", "to", "seconds"),
    "conversation.v1": _conversation,
    "engagement.v1": _engagement,
    "coaching.prompted.v1": _prompted,
    "coaching.answered.v1": _answered,
    "room.interrupted.v1": _interrupted,
    "room.closed.v1": _closed,
    "gap.v1": _gap,
}
