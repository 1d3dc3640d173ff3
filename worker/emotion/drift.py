"""Watches whether voices, and what the engine makes of them, still are as they were at first."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import log, sqrt
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
IN_A_ROW = {"confidence": 1, "voiced_ratio": 2, "level_dbfs": 2, MIX: 2}
"""Periods one after the other that have to differ from the reference before it is said."""
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


class DriftWatch:
    """Adds up windows of all speakers until a period is large enough, and compares it with the first one.

    A period ends with the first window by which it has `windows` windows of `speakers` people. Of a person only a
    keyed hash of the pseudonym is held, to count people, and that no longer than the period lasts.

    Said is when the mean confidence fell by more than `slip` of the reference's, when the voiced part moved by
    VOICED_MOVED or the level by LEVEL_MOVED_DB, each by more than chance explains, or when the mix of classes moved
    (see `psi`). It is said once, and again only after a period in which it was not so.
    """

    def __init__(
        self,
        windows: Annotated[int, Field(ge=50)] = 500,
        speakers: Annotated[int, Field(ge=1)] = 20,
        slip: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    ) -> None:
        self._windows, self._speakers = windows, speakers
        self._limits = np.array([slip, VOICED_MOVED, LEVEL_MOVED_DB])
        self.reference: Period | None = None
        self.last: Period | None = None
        self._streaks = dict.fromkeys((*MEANS, MIX), 0)
        self._alarms = dict.fromkeys((*MEANS, MIX), 0)
        self._begin()

    def _begin(self) -> None:
        self._now = Period()
        self._people: set[bytes] = set()
        self._key = urandom(16)

    def push(self, window: Window, place: int, speaker: str, emotion: Emotion, engine: str) -> list[EmotionDrifted]:
        """Take what `engine` said of a window that `place` windows of the same utterance came before."""
        ratio = window.voiced_s / (window.end - window.start)
        self._now.add(np.array([emotion.confidence, ratio, level_dbfs(window)]), likeliest(emotion), place)
        self._people.add(blake2b(speaker.encode(), digest_size=8, key=self._key).digest())
        if self._now.windows < self._windows or len(self._people) < self._speakers:
            return []
        self.last = self._now
        self._begin()
        if self.reference is None:
            self.reference = self.last
        return [
            EmotionDrifted(window.end, measure, before, now, self.last.windows, engine)
            for measure, before, now in self._compare(self.reference, self.last)
        ]

    def _compare(self, reference: Period, last: Period) -> list[tuple[str, float, float]]:
        """Each measure that has now differed for long enough: (its name, then, now)."""
        before, now = reference.means, last.means
        moved = np.array([(before[0] - now[0]) / max(before[0], 1e-9), *np.abs(now - before)[1:]])
        by_chance = SURE * np.sqrt(reference.errors + last.errors)
        beyond = (moved > self._limits) & (np.abs(now - before) > by_chance)
        found = [(MEANS[i], float(before[i]), float(now[i]), bool(beyond[i])) for i in range(len(MEANS))]
        mix, limit = psi(reference, last)
        found.append((MIX, limit, mix, mix > limit))
        said = []
        for measure, then, value, differs in found:
            self._streaks[measure] = self._streaks[measure] + 1 if differs else 0
            if self._streaks[measure] == IN_A_ROW[measure]:
                self._alarms[measure] += 1
                said.append((measure, then, value))
        return said

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
        return self._alarms


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
