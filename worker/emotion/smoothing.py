"""Makes one speaker's emotion steady, and says nothing where nothing is sure."""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from worker.emotion import Emotion
from worker.emotion.labels import LABELS, fold
from worker.emotion.verdict import Bounds, Verdict
from worker.errors import ConfigError
from worker.events import EmotionAbstained, EmotionEstimated

LEAST = 1e-3
"""A category counts as no less likely than this: no single window is certain enough to rule one out for a span."""

SILENT_S = 2.0
"""After a longer silence a voice is heard afresh: how someone sounded is not carried into their next turn."""

MARGINS = 8
"""Of so many windows: someone who laughs after a long sentence laughs all the same."""


@dataclass(frozen=True, slots=True)
class _Answer:
    confidence: float
    scores: Mapping[str, float]
    heard: Sequence[Emotion]
    weights: Sequence[float]
    label: str | None = None


class Smoother:
    """The mean of what was heard in the last `span_s` seconds of the sound's own time.

    Engines that name categories: the mean of log-probabilities, which lets no single window decide by its certainty
    alone, folded into labels; `Verdict` says which one is shown. Windows that are not speech are left out of the mean;
    those of one utterance must be speech by `speech_margin` on average, in log-odds above the engine's bound for one.
    A label is shown once it was at least as likely as `min_probability` for `appear_windows` windows in a row, and a
    voice's first answer is one from `first_probability` on. It goes once `leave_windows` in a row, each by itself, give
    it less than `min_probability` - `hysteresis`. `min_probability` of the room's `language`, a code such as "de", may
    be set apart in `by_language`. The defaults were chosen on CREMA-D's development speakers: see docs/emotion.md.

    Other engines: windows count by their confidence, and below a mean confidence of `min_confidence` it abstains.

    An abstention is said once, until its reason changes or something is estimated again.
    """

    def __init__(
        self,
        span_s: float = 3.0,
        min_confidence: float = 0.3,
        min_probability: float = 0.55,
        first_probability: float = 0.75,
        hysteresis: float = 0.25,
        appear_windows: Annotated[int, Field(ge=1, le=100)] = 5,
        leave_windows: Annotated[int, Field(ge=1, le=100)] = 4,
        speech_margin: float = -0.3,
        language: str = "",
        by_language: Mapping[str, float] = {},
    ) -> None:
        if span_s <= 0 or not (0 <= min_confidence <= 1 and 0 <= first_probability <= 1):
            raise ConfigError("smoothing: span_s must be above 0, min_confidence and first_probability within 0 to 1.")
        if not all(0 <= hysteresis < least <= 1 for least in (min_probability, *by_language.values())):
            raise ConfigError(
                "smoothing: min_probability and every value of by_language must be above hysteresis and at most 1, "
                "and hysteresis not negative."
            )
        if not all(re.fullmatch("[a-z]{2,3}", code) for code in (*by_language, *filter(None, [language]))):
            raise ConfigError("smoothing: language and the keys of by_language are codes of small letters, such as de.")
        self._span_s, self._min_confidence, self._speech_margin = span_s, min_confidence, speech_margin
        least = by_language.get(language, min_probability)
        self._bounds = Bounds(max(first_probability, least), least, least - hysteresis, appear_windows, leave_windows)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the sound that follows does not continue what came before."""
        self._begin()
        self._abstained: str | None = None

    def unanswered(self) -> None:
        """The engine failed and listeners were told so; an abstention that follows is news to them."""
        self._abstained = None

    def push(
        self, at: float, window_start: float, provisional: bool, emotion: Emotion, engine: str, speaker: str
    ) -> EmotionEstimated | EmotionAbstained | None:
        """What the window from `window_start` to `at`, in seconds, adds; None where nothing new can be said."""
        if self._heard and window_start - self._heard[-1][0] > SILENT_S:
            self._begin()
        emotion = self._weighed(window_start, emotion)
        self._heard.append((at, emotion))
        while self._heard[0][0] <= at - self._span_s:
            self._heard.popleft()
        answer = self._label(emotion) if emotion.scores or not emotion.speech else self._trust(emotion)
        if answer is None:
            return None
        if isinstance(answer, str):
            known, self._abstained = self._abstained, answer
            return None if known == answer else EmotionAbstained(at, speaker, window_start, answer, engine)
        self._abstained = None
        return EmotionEstimated(
            at=at,
            speaker=speaker,
            window_start=window_start,
            arousal=_mean(answer, lambda e: e.arousal),
            valence=_mean(answer, lambda e: e.valence),
            scores={name: round(p, 4) for name, p in answer.scores.items()},
            confidence=round(answer.confidence, 3),
            provisional=provisional,
            engine=engine,
            label=answer.label,
        )

    def _begin(self) -> None:
        self._heard: deque[tuple[float, Emotion]] = deque()
        self._margins: deque[float] = deque(maxlen=MARGINS)
        self._verdict = Verdict(self._bounds)

    def _weighed(self, start: float, emotion: Emotion) -> Emotion:
        """Not speech where the utterance is not, on average. Windows of one utterance overlap; no others do."""
        if emotion.margin is None or not self._heard or start >= self._heard[-1][0]:
            self._margins.clear()
        if emotion.margin is None:
            return emotion
        self._margins.append(emotion.margin)
        return replace(emotion, speech=sum(self._margins) / len(self._margins) >= self._speech_margin)

    def _label(self, emotion: Emotion) -> _Answer | str | None:
        """The label that is shown, with its own probability even where it is about to change; or why there is none."""
        if not emotion.speech:
            shown = self._verdict.push_other()
            return shown if shown not in LABELS else None
        heard = [e for _, e in self._heard if e.speech and e.scores]
        scores = _scores(heard)
        likely = fold(scores)
        shown = self._verdict.push(likely, fold(emotion.scores))
        return _Answer(likely[shown], scores, heard, [1.0] * len(heard), shown) if shown in LABELS else shown

    def _trust(self, emotion: Emotion) -> _Answer | str:
        """What engines without categories hear, or why nothing is said of it."""
        heard = [e for _, e in self._heard]
        weights = [e.confidence for e in heard]
        confidence = sum(weights) / len(weights)
        if confidence < self._min_confidence or confidence == 0:
            return "learning" if emotion.learning else "unsure"
        return _Answer(confidence, {}, heard, weights)


def _mean(answer: _Answer, value: Callable[[Emotion], float | None]) -> float | None:
    pairs = zip(answer.weights, answer.heard, strict=True)
    known = [(weight, v) for weight, e in pairs if (v := value(e)) is not None]
    total = sum(weight for weight, _ in known)
    return round(sum(weight * v for weight, v in known) / total, 3) if total else None


def _scores(heard: Sequence[Emotion]) -> Mapping[str, float]:
    """The normalised geometric mean of each category's probability."""
    names = list(heard[-1].scores)
    table = np.array([[max(e.scores.get(name, 0.0), LEAST) for name in names] for e in heard])
    mean = np.exp(np.log(table).mean(axis=0))
    return {name: float(p) for name, p in zip(names, mean / mean.sum(), strict=True)}
