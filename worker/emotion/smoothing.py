"""Makes one speaker's emotion steady, and says nothing where nothing is sure."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from worker.emotion import Emotion
from worker.errors import ConfigError
from worker.events import EmotionAbstained, EmotionEstimated

LEAST = 1e-6
"""Probability below which a category counts as this, so that one zero does not rule it out for the whole span."""


class Smoother:
    """The confidence-weighted mean of what was heard in the last `span_s` seconds of the sound's own time.

    The confidence of that mean is the mean confidence; below `min_confidence` it abstains, and says so once until the
    reason changes or it is sure again. Categories are averaged as log-probabilities, which lets no single window
    decide by its certainty alone.
    """

    def __init__(self, span_s: float = 2.5, min_confidence: float = 0.3) -> None:
        if span_s <= 0 or not 0 <= min_confidence <= 1:
            raise ConfigError("smoothing: span_s must be above 0 and min_confidence within 0 to 1.")
        self._span_s, self._min_confidence = span_s, min_confidence
        self.reset()

    def reset(self) -> None:
        """Forget everything: the sound that follows does not continue what came before."""
        self._heard: deque[tuple[float, Emotion]] = deque()
        self._abstained: str | None = None

    def push(
        self, at: float, window_start: float, provisional: bool, emotion: Emotion, engine: str, speaker: str
    ) -> EmotionEstimated | EmotionAbstained | None:
        """What the window from `window_start` to `at`, in seconds, adds; None where nothing new can be said."""
        self._heard.append((at, emotion))
        while self._heard[0][0] <= at - self._span_s:
            self._heard.popleft()
        heard = [emotion for _, emotion in self._heard]
        confidence = sum(e.confidence for e in heard) / len(heard)
        if confidence < self._min_confidence or confidence == 0:
            reason = "learning" if emotion.learning else "unsure"
            known, self._abstained = self._abstained, reason
            return None if known == reason else EmotionAbstained(at, speaker, window_start, reason, engine)
        self._abstained = None
        return EmotionEstimated(
            at=at,
            speaker=speaker,
            window_start=window_start,
            arousal=_mean(heard, lambda e: e.arousal),
            valence=_mean(heard, lambda e: e.valence),
            scores=_scores(heard),
            confidence=round(confidence, 3),
            provisional=provisional,
            engine=engine,
        )


def _mean(heard: Sequence[Emotion], value: Callable[[Emotion], float | None]) -> float | None:
    known = [(e.confidence, v) for e in heard if (v := value(e)) is not None]
    weight = sum(confidence for confidence, _ in known)
    return round(sum(confidence * v for confidence, v in known) / weight, 3) if weight else None


def _scores(heard: Sequence[Emotion]) -> Mapping[str, float]:
    """The normalised, weighted geometric mean of each category's probability."""
    known = [e for e in heard if e.scores and e.confidence]
    if not known:
        return {}
    names = list(known[-1].scores)
    table = np.array([[max(e.scores.get(name, 0.0), LEAST) for name in names] for e in known])
    weights = np.array([e.confidence for e in known])
    mean = np.exp(weights @ np.log(table) / weights.sum())
    return {name: round(float(p), 4) for name, p in zip(names, mean / mean.sum(), strict=True)}
