"""When a voice has come to sound otherwise for longer than a moment; words for it are left to others."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.errors import ConfigError
from worker.events import EmotionEstimated, EmotionShifted, Event, SpeakerAnalysed, SpeakerLeft

NEGATIVE = frozenset({"tense", "low"})
BEFORE_LEAST = 20
"""Estimates that show how a voice sounded before: about 10 s of speech (judgement)."""
BEFORE_MOST = 240
"""From two minutes of speech on what was before follows slowly instead of being the mean of all (judgement)."""
SHIFT_LEAST = 4
"""Estimates that a shift lasts, besides its seconds: never one window alone."""
APART_S = 30.0
"""After as long a silence a shift begins anew."""


@dataclass(slots=True)
class Level:
    """One thing that may shift in one voice: what it was, and how it has been since it is otherwise."""

    kind: str
    mean: float = 0.0
    count: int = 0
    since: float | None = None
    """When the shift under way began."""
    last: float = 0.0
    sum: float = 0.0
    length: int = 0
    said: bool = False

    def usual(self, value: float) -> None:
        """It is as before: nothing is under way."""
        self.since, self.said = None, False
        self.count = min(self.count + 1, BEFORE_MOST)
        self.mean += (value - self.mean) / self.count

    def other(self, event: EmotionEstimated, value: float, hold_s: float) -> EmotionShifted | None:
        """It is otherwise; a shift once that has lasted."""
        if self.since is None or (event.at - self.last > APART_S and not self.said):
            self.since, self.sum, self.length = event.at, 0.0, 0
        self.last, self.sum, self.length = event.at, self.sum + value, self.length + 1
        lasted = event.at - self.since
        if self.said or self.count < BEFORE_LEAST or self.length < SHIFT_LEAST or lasted < hold_s:
            return None
        self.said = True
        return EmotionShifted(event.at, event.speaker, self.kind, self.mean, self.sum / self.length, lasted)


@dataclass(slots=True)
class Voice:
    arousal: Level = field(default_factory=lambda: Level("arousal_rise"))
    valence: Level = field(default_factory=lambda: Level("to_negative"))


class Shifts:
    """Fed with smoothed estimates. First answers from little speech, and abstentions, say nothing either way.

    A rise is `rise` above the mean of all that was no rise. A voice turns negative when it is labelled tense or low
    after it was labelled otherwise. Each is said once, and again only after the voice has been as before. An engine
    without valence or labels can only rise.
    """

    def __init__(self, rise: float = 0.3, hold_s: float = 6.0) -> None:
        if not 0 < rise <= 2 or hold_s <= 0:
            raise ConfigError("shifts: set 0 < rise <= 2 and hold_s above 0.")
        self._rise, self._hold_s = rise, hold_s
        self._voices: dict[str, Voice] = {}

    def push(self, event: Event) -> Iterable[Event]:
        match event:
            case EmotionEstimated(provisional=False):
                voice = self._voices.setdefault(event.speaker, Voice())
                return [*self._rose(event, voice.arousal), *self._turned(event, voice.valence)]
            case SpeakerLeft() | SpeakerAnalysed():
                self._voices.pop(event.speaker, None)
        return ()

    def tick(self, at: float) -> Iterable[Event]:
        return ()

    def close(self, at: float) -> Iterable[Event]:
        return ()

    def _rose(self, event: EmotionEstimated, level: Level) -> Iterable[Event]:
        if event.arousal is None:
            return ()
        if level.count < BEFORE_LEAST or event.arousal < level.mean + self._rise:
            level.usual(event.arousal)
            return ()
        shift = level.other(event, event.arousal, self._hold_s)
        return [shift] if shift is not None else ()

    def _turned(self, event: EmotionEstimated, level: Level) -> Iterable[Event]:
        if event.valence is None or event.label is None:
            return ()
        if event.label not in NEGATIVE:
            level.usual(event.valence)
            return ()
        shift = level.other(event, event.valence, self._hold_s)
        return [shift] if shift is not None else ()
