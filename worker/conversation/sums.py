"""Everything that is counted of a conversation, moved on by what happened, in order of time."""

from worker.conversation.activity import Activity
from worker.conversation.balance import Balance
from worker.conversation.floor import Floor
from worker.conversation.ordering import Ordered
from worker.conversation.pace import Pace
from worker.conversation.tally import Tallies
from worker.conversation.turns import TurnRules
from worker.events import (
    Event,
    SpeakerAnalysed,
    SpeakerJoined,
    SpeakerLeft,
    SpeechEnded,
    SpeechMeasured,
    SpeechStarted,
)

MEASURED = ("prosody", "emotion")
"""Levels at which speech is measured."""


class Sums:
    """The parts, each told what it needs. Only people who are analysed are in any of them."""

    def __init__(self, window_s: float, rules: TurnRules) -> None:
        self.activity = Activity(window_s)
        self.balance = Balance(window_s)
        self.floor = Floor(rules)
        self.tallies = Tallies(window_s)
        self.paces: dict[str, Pace] = {}
        self._roles: dict[str, str] = {}

    def advance(self, to: float) -> list[Event]:
        """Time passes; what has become certain meanwhile."""
        self.activity.advance(to)
        return self._tallied(self.floor.advance(to))

    def push(self, at: float, event: Ordered) -> list[Event]:
        said = self.advance(at)
        match event:
            case SpeakerJoined():
                self._roles[event.speaker] = event.role
                said += self._count(at, event.speaker, event.analysed)
            case SpeakerAnalysed():
                if event.level not in MEASURED:
                    self.paces.pop(event.speaker, None)
                said += self._count(at, event.speaker, event.analysed)
            case SpeakerLeft():
                self._roles.pop(event.speaker, None)
                said += self._count(at, event.speaker, False)
            case SpeechStarted():
                said += self._start(at, event.speaker)
            case SpeechEnded():
                said += self._stop(at, event.speaker)
            case SpeechMeasured() if self.balance.here(event.speaker):
                self.paces.setdefault(event.speaker, Pace()).push(event)
        return said

    def forget(self, speaker: str) -> None:
        """This one withdrew: what was counted of them is no more, and of what was being decided about them nothing
        comes. What the whole room was counted stays."""
        self.activity.leave(speaker)
        self.floor.forget(speaker, self.activity.heard)
        self.balance.forget(speaker)
        self.tallies.forget(speaker)
        self.paces.pop(speaker, None)

    def close(self, at: float) -> list[Event]:
        return [*self.advance(at), *self._tallied(self.floor.close(at))]

    def _count(self, at: float, speaker: str, counted: bool) -> list[Event]:
        """Take someone into the count, or out of it; they keep what they have."""
        if counted:
            self.balance.enter(at, speaker, self._roles.get(speaker, ""))
            self.activity.enter(speaker)
            return []
        if not self.balance.here(speaker):
            return []
        said = self._stop(at, speaker)
        self.activity.leave(speaker)
        self.floor.leave(speaker, self.activity.heard)
        self.paces.pop(speaker, None)
        for forgotten in self.balance.leave(at, speaker):
            self.tallies.forget(forgotten)
        return said

    def _start(self, at: float, speaker: str) -> list[Event]:
        if speaker in self.activity.speaking:
            return []
        if not self.balance.here(speaker):  # whoever agreed only after they joined
            self._count(at, speaker, True)
        self.activity.start(speaker)
        self.balance.start(at, speaker)
        return self._tallied(self.floor.start(at, speaker))

    def _stop(self, at: float, speaker: str) -> list[Event]:
        if speaker not in self.activity.speaking:
            return []
        self.activity.stop(speaker)
        self.balance.stop(at, speaker)
        return self._tallied(self.floor.stop(at, speaker))

    def _tallied(self, said: list[Event]) -> list[Event]:
        for event in said:
            self.tallies.push(event)
        return said
