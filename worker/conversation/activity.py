"""How long anyone speaks, several do, and nobody does."""

from worker.conversation.rolling import RollingSeconds


class Activity:
    """Sums over the whole call and a rolling window. To read them changes nothing, so they are the same however often.

    Time in which nobody is there to be heard is left out: it is neither speech nor silence.
    """

    def __init__(self, window_s: float) -> None:
        self.now = 0.0
        self.speaking: set[str] = set()
        self.silent_since: float | None = None
        """None while anyone speaks, or the room is not heard."""
        self._here: set[str] = set()
        self._since = 0.0
        """The last change; what lasts since then is in no sum yet."""
        self._speech_s = self._overlap_s = self._silence_s = self._longest_silence_s = 0.0
        self._speech, self._silence = RollingSeconds(window_s), RollingSeconds(window_s)

    def advance(self, to: float) -> None:
        self.now = max(self.now, to)

    def enter(self, speaker: str) -> None:
        self._change()
        if not self._here:
            self.silent_since = self.now
        self._here.add(speaker)

    def leave(self, speaker: str) -> None:
        """Who speaks stops."""
        self.stop(speaker)
        self._here.discard(speaker)
        if not self._here:
            self.silent_since = None

    def start(self, speaker: str) -> None:
        self._change()
        self.speaking.add(speaker)
        self.silent_since = None

    def stop(self, speaker: str) -> None:
        self._change()
        if speaker in self.speaking:
            self.speaking.remove(speaker)
            self.silent_since = None if self.speaking else self.now

    def _change(self) -> None:
        """Count what lasted until now."""
        if self._here and self.now > self._since:
            (self._speech if self.speaking else self._silence).add(self._since, self.now)
        self._longest_silence_s = self.longest_silence_s
        self._speech_s, self._overlap_s, self._silence_s = self.speech_s, self.overlap_s, self.all_silence_s
        self._since = self.now

    @property
    def heard(self) -> bool:
        """Whether anyone is there to be heard."""
        return bool(self._here)

    @property
    def speech_s(self) -> float:
        return self._speech_s + (self.now - self._since if self.speaking else 0.0)

    @property
    def overlap_s(self) -> float:
        return self._overlap_s + (self.now - self._since if len(self.speaking) > 1 else 0.0)

    @property
    def all_silence_s(self) -> float:
        return self._silence_s + (self.now - self._since if self.silent_since is not None else 0.0)

    @property
    def heard_s(self) -> float:
        return self.speech_s + self.all_silence_s

    @property
    def silence_s(self) -> float:
        """Of the silence under way."""
        return self.now - self.silent_since if self.silent_since is not None else 0.0

    @property
    def longest_silence_s(self) -> float:
        return max(self._longest_silence_s, self.silence_s)

    def recent(self) -> tuple[float, float]:
        """Seconds of speech and of silence within the window."""
        speech = self._speech.total(self.now, self._since if self.speaking else None)
        return speech, self._silence.total(self.now, self._since if self.silent_since is not None else None)
