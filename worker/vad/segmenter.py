"""Turns speech probabilities of one speaker into utterances."""

from worker.errors import ConfigError
from worker.events import SpeechEnded, SpeechStarted


class Segmenter:
    """Hysteresis, a minimum of speech and a minimum of silence; both minima are rounded to whole windows.

    A window is voiced from `threshold` on and stays so down to `release`. An utterance starts once voiced windows in a
    row last `min_speech_s`, and ends once none has come for `min_silence_s`. The defaults of both probabilities are
    silero-vad's own (`neg_threshold` = threshold - 0.15).
    """

    def __init__(
        self,
        speaker: str,
        threshold: float = 0.5,
        release: float = 0.35,
        min_speech_s: float = 0.1,
        min_silence_s: float = 0.4,
    ) -> None:
        if not 0 < release <= threshold <= 1:
            raise ConfigError("segmenter: release and threshold must be 0 < release <= threshold <= 1.")
        if min_speech_s < 0 or min_silence_s < 0:
            raise ConfigError("segmenter: min_speech_s and min_silence_s must not be negative.")
        self.speaking = False
        self.voiced = False
        """Whether the last window counted as voice."""
        self._speaker = speaker
        self._threshold, self._release = threshold, release
        self._min_speech_s, self._min_silence_s = min_speech_s, min_silence_s
        self._first: float | None = None
        """Start of the utterance, or of voice that may become one."""
        self._last = 0.0
        """End of its last voiced window."""
        self._heard = float("-inf")

    def push(self, probability: float, start: float, end: float) -> list[SpeechStarted | SpeechEnded]:
        """One window from `start` to `end`, in seconds. What was heard before is not heard again."""
        start = max(start, self._heard)
        if end <= start:
            return []
        self._heard = end
        self.voiced = probability >= (self._release if self.voiced else self._threshold)
        half = (end - start) / 2
        events: list[SpeechStarted | SpeechEnded] = []
        silent_until = start if self.voiced else end
        if self._first is not None and silent_until - self._last + half >= self._min_silence_s:
            events += self._end(self._last)
        if self.voiced:
            self._first = start if self._first is None else self._first
            self._last = end
            if not self.speaking and end - self._first + half >= self._min_speech_s:
                self.speaking = True
                events.append(SpeechStarted(self._first, self._speaker))
        elif not self.speaking:
            self._first = None
        return events

    def cut(self, at: float) -> list[SpeechStarted | SpeechEnded]:
        """Nothing follows what was heard, or nothing that joins it: the speaker left, is muted, or sound is missing."""
        self.voiced = False
        within = self._first is not None and self._first < at
        return self._end(min(at, self._last) if within else self._last)

    def _end(self, at: float) -> list[SpeechStarted | SpeechEnded]:
        started, speaking = self._first, self.speaking
        self._first, self.speaking = None, False
        return [SpeechEnded(at, self._speaker, started)] if speaking and started is not None else []
