"""Puts the parts of one room together, from its settings and the models that all rooms share."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from worker import __version__
from worker.audio.windows import Window, Windows
from worker.batch import Batcher
from worker.coaching.coach import Coach
from worker.config import Settings, option_model
from worker.conversation import OBSERVERS
from worker.conversation.syllables import Stretches
from worker.emotion import ENGINES, Emotion
from worker.emotion.drift import DriftWatch
from worker.emotion.smoothing import Smoother
from worker.envelope import Numbering, epoch_of
from worker.events import Event
from worker.ops.dashboard import Dashboard
from worker.ops.http import Server
from worker.privacy.keeping import Keeping
from worker.privacy.levels import Level
from worker.privacy.policy import Policy
from worker.registry import build, construct
from worker.rooms import Room
from worker.session import Session
from worker.sinks import SINKS, Sink
from worker.sinks.fanout import Fanout
from worker.sinks.snapshot import Snapshot
from worker.speaker import Models, Speaker
from worker.vad import VADS
from worker.vad.segmenter import Segmenter


class SharedModels:
    """The models, one thread each, that all rooms of a process share; what the policy leaves off is not even made."""

    def __init__(self, settings: Settings, engines: Collection[str]) -> None:
        """`engines`: which of those of `worker.privacy.levels.ENGINES` may be made."""
        self._settings = settings
        vad = build(VADS, settings.vad, "vad") if "vad" in engines else None
        emotion = settings.emotion if "emotion" in engines else None
        self.engine = build(ENGINES, emotion, "emotion") if emotion else None
        self.watch: DriftWatch = construct(DriftWatch, settings.drift, "drift")
        self._name = str(settings.emotion["kind"]) if settings.emotion else "none"
        self._vad: Batcher[Any, Any] | None = Batcher(vad.predict, "vad") if vad is not None else None
        self._emotion: Batcher[Any, Any] | None = None
        if self.engine is not None:
            self._emotion = Batcher(self.engine.predict, "emotion")

    def of(self, room: str) -> Models:
        return Models(self._vad, self._emotion, self._name, RoomWatch(self.watch, room))

    def describe(self) -> list[dict[str, Any]]:
        """What runs, with everything that decides when something is said; of the models alone, nothing of voices."""
        about: Mapping[str, Any] = getattr(self.engine, "about", {})
        segmenter, smoothing = (
            option_model(name).model_validate(section).model_dump()
            for name, section in (("segmenter", self._settings.segmenter), ("smoothing", self._settings.smoothing))
        )
        models: list[dict[str, Any]] = []
        if self._vad is not None:
            models.append({"part": "vad", "name": self._settings.vad["kind"], "thresholds": segmenter})
        if self.engine is not None:
            speech = {"speech": about["speech"]["threshold"]} if "speech" in about else {}
            given = {"temperature": about["temperature"]} if "temperature" in about else {}
            thresholds = _numbers(smoothing) | given | speech
            models.append({"part": "emotion", "name": self._name, "thresholds": thresholds})
            models[-1] |= {"sha256": about["sha256"]} if "sha256" in about else {}
        return [one | {"version": __version__} for one in models]

    def close(self) -> None:
        for model in (self._vad, self._emotion):
            if model is not None:
                model.close()


def _numbers(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if isinstance(value, int | float)}


class RoomWatch:
    """One room's view of the watch: the same pseudonym in two rooms is two people."""

    def __init__(self, watch: DriftWatch, room: str) -> None:
        self._watch, self._room = watch, room

    def push(self, window: Window, place: int, speaker: str, emotion: Emotion, engine: str) -> Sequence[Event]:
        return self._watch.push(window, place, f"{self._room}\n{speaker}", emotion, engine)


class Worker:
    """One room with its session and its sinks."""

    def __init__(
        self,
        settings: Settings,
        models: SharedModels,
        room: Room,
        policy: Policy,
        server: Server | None,
        dashboard: Dashboard | None = None,
    ) -> None:
        self._settings = settings
        epoch = epoch_of(room.started)
        self._models = models.of(room.name)
        self.snapshot = Snapshot(room.name, epoch)
        keeping: Keeping = construct(Keeping, settings.keeping, "keeping")
        given = {"room": room, "snapshot": self.snapshot, "server": server, "keeping": keeping}
        self.sinks: list[Sink] = [
            build(SINKS, section, f"sinks.{number}", answers=self._answer, **given)
            for number, section in enumerate(settings.sinks)
        ]
        if dashboard is not None:
            self.sinks.append(dashboard.keep(room.name, epoch))
        self.fanout = Fanout(self.snapshot, self.sinks)
        observers: list[Any] = [build(OBSERVERS, s, f"conversation.{n}") for n, s in enumerate(settings.conversation)]
        self.coach: Coach | None = None
        self.figures = next((one for one in observers if hasattr(one, "figures")), None)
        """The observer that has the figures of the conversation."""
        if settings.coaching is not None:
            # Comes last: it reads what the others made of the same moment.
            self.coach = construct(Coach, settings.coaching, "coaching", conversation=self.figures)
            observers.append(self.coach)
        numbering = Numbering(room.name, epoch, room.started)
        self.session = Session(room, policy, self._make_speaker, observers, numbering, self.fanout)

    def _make_speaker(self, speaker: str, level: Level) -> Speaker:
        """With the parts that this level leaves, and no others."""
        segmenter = construct(Segmenter, self._settings.segmenter, "segmenter", speaker=speaker)
        stretches = Stretches(speaker) if level >= Level.PROSODY else None
        if level < Level.EMOTION or self._models.engine is None:
            return Speaker(speaker, self._models, segmenter, stretches=stretches)
        windows = construct(Windows, self._settings.windows, "windows")
        smoother = construct(Smoother, self._settings.smoothing, "smoothing")
        return Speaker(speaker, self._models, segmenter, windows, smoother, stretches)

    def _answer(self, who: str, prompt: str, answer: str) -> None:
        self.session.answer(who, prompt, answer)

    async def check(self) -> None:
        """Ask each sink that can tell whether it will work. Raises ConfigError when the operator must act."""
        for sink in self.sinks:
            if (check := getattr(sink, "check", None)) is not None:
                await check()
