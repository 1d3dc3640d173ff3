"""Watches whether voices, and what the engine makes of them, still are as they were at first."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from math import ceil, log, sqrt
from os import urandom
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from worker.audio.windows import Window
from worker.emotion import Emotion
from worker.events import EmotionDrifted

MEANS = ("confidence", "voiced_ratio", "level_dbfs")
"""What is averaged over windows: the engine's confidence, the voiced part of a window, the level of its sound."""
MIX = "class_mix"
"""How often each class is the likeliest."""

VOICED_MOVED, LEVEL_MOVED_DB = 0.1, 6.0
"""Smaller changes of a mean are taken for other people and other rooms (judgement)."""
SURE = 2.326
"""Standard normal deviate that chance exceeds once in a hundred times."""
SURE_OF_FIVE = 2.878
"""The same once in five hundred times: a mean is looked at five times while a period moves on by its own length."""
AT_ONCE = {"confidence"}
"""Said as soon as a period differs from the reference; of the others that has to last."""
STEPS = 5
"""A period moves on by this part of it."""
NOT_SPEECH = "not_speech"

Values = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Period:
    """Sums over many people's windows; nothing in them says whose they were."""

    windows: int = 0
    weights: int = 0
    """Sum over utterances of the square of their windows."""
    sums: Values = field(default_factory=lambda: np.zeros(len(MEANS)))
    squares: Values = field(default_factory=lambda: np.zeros(len(MEANS)))
    classes: Counter[str] = field(default_factory=Counter)
    """Windows by their likeliest class; empty for an engine that names none."""

    def add(self, values: Values, said: str | None, place: int) -> None:
        """One window: its values of MEANS, its class, and how many windows of its utterance came before it."""
        self.windows += 1
        self.weights += 2 * place + 1
        self.sums += values
        self.squares += values**2
        if said is not None:
            self.classes[said] += 1

    def take(self, other: "Period") -> None:
        """Add all that another one holds."""
        self.windows += other.windows
        self.weights += other.weights
        self.sums += other.sums
        self.squares += other.squares
        self.classes += other.classes

    @property
    def size(self) -> float:
        """How many independent windows these are worth: their number, less for utterances of many.

        Kish's effective sample size, windows of one utterance taken to say all the same. For utterances of equal
        length it is their number; it is never more.
        """
        return self.windows**2 / self.weights

    @property
    def means(self) -> Values:
        return self.sums / self.windows

    @property
    def errors(self) -> Values:
        """Standard errors of the means, squared."""
        return np.maximum(self.squares / self.windows - self.means**2, 0) / self.size


@dataclass(slots=True, eq=False)
class _Step:
    """A part of a period, and hashes of whose windows these are."""

    number: int
    """How many steps were begun before it, or before the oldest that it took in."""
    period: Period = field(default_factory=Period)
    people: set[bytes] = field(default_factory=set)

    def take(self, older: "_Step") -> None:
        self.number = older.number
        self.period.take(older.period)
        self.people |= older.people


@dataclass(slots=True)
class _Measure:
    """What is known of one measure."""

    differs: bool = False
    since: int = 0
    """The newest step when that began."""
    told: bool = False
    alarms: int = 0


class DriftWatch:
    """Compares the last windows of all speakers, again and again, with the first ones.

    The last period is as many of the newest windows as it takes to have `windows` windows of `speakers` people; it
    moves on by a fifth of `windows`. The reference is the first such period, and none of its windows counts again.
    While people are too few a period goes on, its oldest windows as one sum, so that memory is bounded. Of a person
    only a keyed hash of the pseudonym is held, to count people, and that no longer than a window of theirs counts.

    Said is when the mean confidence fell by more than `slip` of the reference's, when the voiced part moved by
    VOICED_MOVED or the level by LEVEL_MOVED_DB, each by more than chance explains, or when the mix of classes moved
    (see `psi`); all but the first only when that lasts until none of the windows is left with which it began. It is
    said once, and again only after it was not so for as long.

    Among `speakers` people who speak equally long each is 1 / `speakers` of the mean. With 10 no single voice can move
    the mean confidence by a `slip` of 0.1 of its value, nor the voiced part by VOICED_MOVED, though its own went from
    full to nothing; so 1 / `slip` is the least that speaks of all and not of one, and a configuration names no fewer
    than five.
    """

    def __init__(
        self,
        windows: Annotated[int, Field(ge=50)] = 500,
        speakers: Annotated[int, Field(ge=5)] = 10,
        slip: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    ) -> None:
        self._windows, self._speakers, self._step = windows, speakers, ceil(windows / STEPS)
        self._limits = np.array([slip, VOICED_MOVED, LEVEL_MOVED_DB])
        self.reference: Period | None = None
        self.last: Period | None = None
        self._measures = {name: _Measure() for name in (*MEANS, MIX)}
        self._key = urandom(16)
        self._begun = 0
        self._steps: deque[_Step] = deque()
        self._begin()

    def _begin(self) -> None:
        self._steps.append(_Step(self._begun))
        self._begun += 1

    def push(self, window: Window, place: int, speaker: str, emotion: Emotion, engine: str) -> list[EmotionDrifted]:
        """Take what `engine` said of a window that `place` windows of the same utterance came before."""
        ratio = window.voiced_s / (window.end - window.start)
        newest = self._steps[-1]
        newest.period.add(np.array([emotion.confidence, ratio, level_dbfs(window)]), likeliest(emotion), place)
        newest.people.add(blake2b(speaker.encode(), digest_size=8, key=self._key).digest())
        if newest.period.windows < self._step:
            return []
        period = self._roll()
        oldest, newest = self._steps[0], self._steps[-1]
        self._begin()
        if period is None:
            return []
        self.last = period
        if self.reference is None:
            self.reference = period
            self._steps.clear()
            self._begin()
            return []
        return [
            EmotionDrifted(window.end, measure, before, now, period.windows, engine)
            for measure, before, now, differs in self._compare(self.reference, period)
            if self._tells(measure, differs, oldest.number, newest.number)
        ]

    def _roll(self) -> Period | None:
        """The last period; None as long as there are too few windows or people."""
        while self._suffice(islice(self._steps, 1, None)):
            self._steps.popleft()
        if len(self._steps) > STEPS:
            self._steps[1].take(self._steps[0])
            self._steps.popleft()
        if not self._suffice(self._steps):
            return None
        period = Period()
        for step in self._steps:
            period.take(step.period)
        return period

    def _suffice(self, steps: Iterable[_Step]) -> bool:
        held = list(steps)
        people = set().union(*(step.people for step in held))
        return sum(step.period.windows for step in held) >= self._windows and len(people) >= self._speakers

    def _compare(self, reference: Period, last: Period) -> list[tuple[str, float, float, bool]]:
        """Of each measure: its name, then, now, and whether it differs by more than chance explains."""
        before, now = reference.means, last.means
        moved = np.array([(before[0] - now[0]) / max(before[0], 1e-9), *np.abs(now - before)[1:]])
        by_chance = SURE_OF_FIVE * np.sqrt(reference.errors + last.errors)
        beyond = (moved > self._limits) & (np.abs(now - before) > by_chance)
        mix, limit = psi(reference, last)
        means = [(MEANS[i], float(before[i]), float(now[i]), bool(beyond[i])) for i in range(len(MEANS))]
        return [*means, (MIX, limit, mix, mix > limit)]

    def _tells(self, name: str, differs: bool, oldest: int, newest: int) -> bool:
        """Whether this is to be said now that a period of the steps from `oldest` to `newest` differs, or does not."""
        measure = self._measures[name]
        if differs != measure.differs:
            measure.differs, measure.since = differs, newest
        lasts = oldest > measure.since
        if not differs:
            measure.told = measure.told and not lasts
        elif not measure.told and (lasts or name in AT_ONCE):
            measure.told, measure.alarms = True, measure.alarms + 1
            return True
        return False

    def figures(self, name: str) -> Mapping[str, float]:
        """The gauge of this name: a measure of the reference and of the last period; nothing before the first."""
        if self.reference is None or self.last is None:
            return {}
        measure = name.removeprefix("undertone_drift_")
        if measure == MIX:
            index, limit = psi(self.reference, self.last)
            return {"psi": index, "limit": limit} if limit else {}
        place = MEANS.index(measure)
        return {"reference": float(self.reference.means[place]), "last": float(self.last.means[place])}

    def alarms(self) -> Mapping[str, float]:
        """How often each measure was said to have drifted."""
        return {name: measure.alarms for name, measure in self._measures.items()}


def level_dbfs(window: Window) -> float:
    """Level of a window's sound in dB relative to full scale, at least -120."""
    return float(10 * np.log10(np.mean(np.square(window.samples, dtype=np.float64)) + 1e-12))


def likeliest(emotion: Emotion) -> str | None:
    """The class that a window counts as; None for an engine that names none."""
    if not emotion.speech:
        return NOT_SPEECH
    return max(emotion.scores, key=emotion.scores.__getitem__) if emotion.scores else None


def psi(reference: Period, last: Period) -> tuple[float, float]:
    """Population stability index of two mixes of classes, and what it exceeds once in a hundred times by chance.

    PSI = sum over bins of (a - e) ln(a / e). Between samples of sizes n and m of one population PSI / (1/n + 1/m)
    follows chi-squared with bins - 1 degrees of freedom (Yurdakul 2018); against a reference that is known exactly
    the limit for 6 bins would be 15.1 / n. The usual rule, act above 0.25, has no regard for n. Half a window is
    added to each bin, so that an empty one is not infinitely far.
    """
    names = sorted(reference.classes.keys() | last.classes.keys())
    if len(names) < 2:
        return 0.0, 0.0
    then, now = (_shares(period, names) for period in (reference, last))
    index = sum((a - e) * log(a / e) for e, a in zip(then, now, strict=True))
    return index, chi_squared(len(names) - 1) * (1 / reference.size + 1 / last.size)


def _shares(period: Period, names: list[str]) -> list[float]:
    counts = [period.classes[name] + 0.5 for name in names]
    return [count / sum(counts) for count in counts]


def chi_squared(freedom: int) -> float:
    """99th percentile of chi-squared, within 2 % (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + SURE * sqrt(spread)) ** 3
