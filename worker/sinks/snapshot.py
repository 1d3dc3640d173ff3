"""A room's present state, for whoever arrives late."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from worker.envelope import Envelope
from worker.events import (
    PREFIX,
    EmotionAbstained,
    EmotionEstimated,
    EmotionUnavailable,
    Gap,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeakerUnmuted,
    SpeechEnded,
    SpeechStarted,
    TalkTime,
)

TYPE = PREFIX + "snapshot.v1"
LEAVERS = 200
"""People who left and are still in it, the newest."""
SILENT = {"seconds": 0.0, "share": 0.0}
"""The talk time of who has none, or agrees to none."""


class Snapshot:
    """What all events of a room so far add up to.

    Who takes a snapshot goes on with the event after its `seq`; events up to it are already in it.
    """

    def __init__(self, room: str, epoch: int) -> None:
        self.room = room
        self.epoch = epoch
        self.seq = 0
        """Number of the last event in it; 0 before the first."""
        self._at = 0.0
        self._time: datetime | None = None
        self._speakers: dict[str, dict[str, Any]] = {}
        self._left: dict[str, None] = {}
        """Those of them who left, in the order in which they did."""

    def fold(self, envelope: Envelope) -> None:
        """Take in the next event. A person who left stays, with `present` false, if they have talk time, which counts
        on; of these the newest `LEAVERS`."""
        self.seq, self._time = envelope.seq, envelope.time
        event = envelope.event
        self._at = max(self._at, event.at)
        match event:
            case SpeakerJoined():
                self._speakers[event.speaker] = _arrived(event, self._speakers.get(event.speaker))
                self._left.pop(event.speaker, None)
            case SpeakerLeft():
                self._set(event.speaker, present=False, speaking=False, emotion=None)
                self._leave(event.speaker)
            case SpeakerAnalysed():
                kept: dict[str, Any] = {} if event.level == "emotion" else {"emotion": None}
                kept |= {} if event.analysed else {"speaking": False, "talk": dict(SILENT)}
                self._set(event.speaker, analysed=event.analysed, level=event.level, **kept)
            case SpeakerMuted():
                self._set(event.speaker, muted=True)
            case SpeakerUnmuted():
                self._set(event.speaker, muted=False)
            case SpeechStarted():
                self._set(event.speaker, speaking=True)
            case SpeechEnded():
                self._set(event.speaker, speaking=False)
            case EmotionEstimated() | EmotionAbstained() | EmotionUnavailable():
                self._set(event.speaker, emotion={"type": event.type, **asdict(event)})
            case TalkTime():
                for speaker, talk in event.speakers.items():
                    self._set(speaker, talk=asdict(talk))
                self._forget_silent()

    def _leave(self, speaker: str) -> None:
        if speaker in self._speakers:
            self._left[speaker] = None
        if len(self._left) > LEAVERS:
            self._forget(next(iter(self._left)))

    def _forget_silent(self) -> None:
        """Whoever left without talk time, once it has been said: it is told later than the last word was spoken."""
        for speaker in [one for one in self._left if not self._speakers[one]["talk"]["seconds"]]:
            self._forget(speaker)

    def _forget(self, speaker: str) -> None:
        del self._left[speaker], self._speakers[speaker]

    def erase(self, speaker: str) -> None:
        """Nothing of this person is in it any more; whether they come back into it is up to what is folded next."""
        self._left.pop(speaker, None)
        self._speakers.pop(speaker, None)

    def _set(self, speaker: str, **fields: Any) -> None:
        if speaker in self._speakers:
            self._speakers[speaker].update(fields)

    def is_present(self, speaker: str) -> bool:
        return bool(self._speakers.get(speaker, {}).get("present"))

    def present(self) -> set[str]:
        return {speaker for speaker, fields in self._speakers.items() if fields["present"]}

    def as_dict(self, speakers: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """With these speakers instead of all, if any are given."""
        return {
            "specversion": "1.0",
            "id": f"{self.room}:{self.epoch}:{self.seq}:snapshot",
            "source": f"/rooms/{self.room}",
            "type": TYPE,
            **({"time": self._time.isoformat(timespec="milliseconds").replace("+00:00", "Z")} if self._time else {}),
            "datacontenttype": "application/json",
            "seq": self.seq,
            "epoch": self.epoch,
            "data": {"room": self.room, "at": self._at, "speakers": self._speakers if speakers is None else speakers},
        }

    def as_json(self, largest: int | None = None) -> str:
        """One line of JSON, with the attributes of an event; `time` is absent before the first event.

        Where it would have more than `largest` bytes it holds less: not those who left, then no emotions, then only
        those who talked most.
        """
        text = ""
        for speakers in self._ever_less():
            text = _json(self.as_dict(speakers))
            if largest is None or len(text.encode()) <= largest:
                break
        return text

    def _ever_less(self) -> Iterator[Mapping[str, dict[str, Any]]]:
        yield self._speakers
        here = {speaker: fields for speaker, fields in self._speakers.items() if fields["present"]}
        yield here
        ranked = sorted(here, key=lambda speaker: here[speaker]["talk"]["seconds"], reverse=True)
        bare = {speaker: here[speaker] | {"emotion": None} for speaker in ranked}
        yield bare
        while ranked:
            ranked = ranked[: len(ranked) * 9 // 10]
            yield {speaker: bare[speaker] for speaker in ranked}

    def as_hash(self) -> dict[str, str]:
        """The same as flat fields: `room`, `epoch`, `seq`, `at`, and `speaker:{id}` with that speaker as JSON."""
        head = {"room": self.room, "epoch": str(self.epoch), "seq": str(self.seq), "at": str(self._at)}
        return head | {f"speaker:{speaker}": _json(fields) for speaker, fields in self._speakers.items()}

    def gap_since(self, last: int) -> Envelope:
        """The Gap for every event after `last` that is in this snapshot. Needs at least one such event."""
        if self._time is None or last >= self.seq:
            raise ValueError("no event lies between")
        return Envelope(Gap(self._at, last + 1, self.seq), self.room, self.seq, self.epoch, self._time)


def _arrived(event: SpeakerJoined, before: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": event.name,
        "generation": event.generation,
        "analysed": event.analysed,
        "level": event.level,
        "present": True,
        "muted": False,
        "speaking": False,
        "talk": before["talk"] if before and event.analysed else dict(SILENT),
        "emotion": None,
    }


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
