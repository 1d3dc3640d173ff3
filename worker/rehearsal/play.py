"""Plays a recording, or the events of one, to the observers and a coach, as the session would have."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter, ValidationError

from worker.coaching.coach import Coach, HeldBack
from worker.coaching.files import load
from worker.config import Settings
from worker.conversation import OBSERVERS, Observer
from worker.errors import ConfigError
from worker.events import (
    PREFIX,
    EmotionAbstained,
    EmotionEstimated,
    EmotionUnavailable,
    Event,
    Prompted,
    RoomInterrupted,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeakerUnmuted,
    SpeechEnded,
    SpeechMeasured,
    SpeechStarted,
)
from worker.privacy.keeping import Keeping
from worker.registry import build, construct
from worker.report.sources import Unseal, as_it_is, from_file
from worker.supervisor import replay

TICK_S = 0.1
HEARD: dict[str, type[Any]] = {
    cls.type: cls
    for cls in (
        SpeakerJoined,
        SpeakerLeft,
        SpeakerMuted,
        SpeakerUnmuted,
        SpeakerAnalysed,
        SpeechStarted,
        SpeechEnded,
        SpeechMeasured,
        EmotionEstimated,
        EmotionAbstained,
        EmotionUnavailable,
        RoomInterrupted,
    )
}
"""What was heard; all that follows from it is worked out anew."""


@dataclass(slots=True)
class Outcome:
    """What would have been said, what would have been held back, and which rules were left out by which option."""

    said: list[Prompted] = field(default_factory=list)
    held_back: list[HeldBack] = field(default_factory=list)
    unused: Mapping[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """What the speakers call themselves."""


class Stage:
    """The part of a session that comes after the speakers: observers, the coach behind them, and the clock."""

    def __init__(self, settings: Settings) -> None:
        observers: list[Any] = [
            build(OBSERVERS, section, f"conversation.{n}") for n, section in enumerate(settings.conversation)
        ]
        conversation = next(observer for observer in observers if hasattr(observer, "figures"))
        coach: Coach = construct(Coach, settings.coaching or {}, "coaching", conversation=conversation)
        self.outcome = Outcome(unused=coach.unused)
        coach.held_back = self.outcome.held_back.append
        self._observers: list[Observer] = [*observers, coach]
        self._ticks = 0

    def play(self, heard: Iterable[tuple[float, Event | None]]) -> Outcome:
        """Each event with when it was known; None for a moment at which nothing was heard."""
        at = 0.0
        for at, event in heard:
            while (self._ticks + 1) * TICK_S <= at + 1e-9:
                self._ticks += 1
                self._say_all(observer.tick(round(self._ticks * TICK_S, 6)) for observer in self._observers)
            if event is not None:
                self._say(event)
        self._say_all(observer.close(at) for observer in self._observers)
        return self.outcome

    def _say_all(self, told: Iterable[Iterable[Event]]) -> None:
        for events in told:
            for event in events:
                self._say(event)

    def _say(self, event: Event) -> None:
        if isinstance(event, Prompted):
            self.outcome.said.append(event)
        elif isinstance(event, SpeakerJoined):
            self.outcome.names[event.speaker] = event.name
        self._say_all(observer.push(event) for observer in self._observers)


def rehearse(settings: Settings, files: Sequence[Path], progress: Callable[[float, float], None]) -> Outcome:
    """Play a file of events, or recordings, to the rules of the section `coaching`. Raises ConfigError."""
    keeping: Keeping = construct(Keeping, settings.keeping, "keeping")
    if all(path.suffix == ".jsonl" for path in files) and len(files) == 1:
        return Stage(settings).play(events_of(files[0], keeping.seal.unseal))
    stage = Stage(settings)
    with TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        asyncio.run(replay(_only_heard(settings, files, events), progress))
        return stage.play(events_of(events, keeping.seal.unseal))


def _only_heard(settings: Settings, files: Sequence[Path], events: Path) -> Settings:
    """The chain up to what is heard, with a clock among the events; emotion only where a rule needs it."""
    needed = any(rule.needs == "emotion" for rule in load((settings.coaching or {})["rules"]))
    changes = {
        "room": {"kind": "replay", "files": list(files)},
        "conversation": [{"kind": "talk_time", "every_s": TICK_S}],
        "coaching": None,
        "sinks": [{"kind": "jsonl", "path": events, "append": False}],
        "emotion": settings.emotion if needed else None,
    }
    return settings.model_copy(update=changes)


def events_of(path: Path, unseal: Unseal = as_it_is) -> Iterator[tuple[float, Event | None]]:
    """What was heard in the newest meeting of a file, each with the newest moment that stands before it.

    Raises ConfigError when the file cannot be read or holds something else.
    """
    newest = max((message["epoch"] for message in from_file(path, unseal)), default=None)
    now = 0.0
    for message in from_file(path, unseal):
        if message["epoch"] != newest or "at" not in message["data"]:
            continue
        now = max(now, float(message["data"]["at"]))
        cls = HEARD.get(message["type"].removeprefix(PREFIX))
        try:
            yield now, TypeAdapter(cls).validate_python(message["data"]) if cls is not None else None
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(str(part) for part in fault["loc"])
            raise ConfigError(f"{path}: {message['type']} has a wrong {key}: {fault['msg']}.") from None
