"""How each person speaks, how fast, how loud and over how many semitones, against their own usual."""

from collections import deque

from worker.events import SpeechMeasured

RECENT = 5
"""Stretches of about 2 s of speech: the last 10 s."""
LEAST = 2
"""Of these with an answer; under 4 s of speech nothing is said."""
USUAL_LEAST = 15
"""Stretches before those that make a usual: 30 s of speech (judgement)."""
USUAL_MOST = 300
"""From ten minutes of speech on the usual follows slowly instead of being the mean of all (judgement)."""


class Usual:
    """The last stretches of one figure, and the mean of all before them."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._mean, self._count = 0.0, 0

    def push(self, value: float) -> None:
        self._recent.append(value)
        if len(self._recent) > RECENT:
            self._count = min(self._count + 1, USUAL_MOST)
            self._mean += (self._recent.popleft() - self._mean) / self._count

    @property
    def now(self) -> float | None:
        return sum(self._recent) / len(self._recent) if len(self._recent) >= LEAST else None

    @property
    def usual(self) -> float | None:
        return self._mean if self._count >= USUAL_LEAST else None

    @property
    def difference(self) -> float | None:
        now, usual = self.now, self.usual
        return now - usual if now is not None and usual is not None else None


class Pace:
    """One person's rate, level and spread of pitch."""

    def __init__(self) -> None:
        self._rate, self._level, self._spread = Usual(), Usual(), Usual()

    def push(self, event: SpeechMeasured) -> None:
        if event.syllables_per_s is not None:
            self._rate.push(event.syllables_per_s)
        self._level.push(event.level_dbfs)
        if event.pitch_spread_st is not None:
            self._spread.push(event.pitch_spread_st)

    @property
    def syllables_per_s(self) -> float | None:
        return self._rate.now

    @property
    def change(self) -> float | None:
        """0.15 is 15 % faster than usual."""
        now, usual = self._rate.now, self._rate.usual
        return now / usual - 1 if now is not None and usual else None

    @property
    def loudness_change_db(self) -> float | None:
        return self._level.difference

    @property
    def pitch_spread_st(self) -> float | None:
        return self._spread.now

    @property
    def pitch_spread_change_st(self) -> float | None:
        return self._spread.difference
