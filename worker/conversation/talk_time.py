"""How long everyone has spoken, and which part of all speech that is."""

from collections.abc import Iterable

from worker.errors import ConfigError
from worker.events import Event, SpeakerAnalysed, SpeakerJoined, SpeakerLeft, SpeechEnded, SpeechStarted, TalkTime
from worker.figures import Talk

LEAVERS, LEAVERS_TOLD = 200, 20
"""Of those who left the newest are kept, and every time those of them who talked most are told of."""


class TalkTimes:
    """Seconds per speaker; where speech overlaps each speaker's counts. Those who leave keep what they have.

    Of these the `LEAVERS_TOLD` who talked most are told of, and the newest `LEAVERS` at the end; of the others only the
    sum of their seconds is kept, so that shares stay right.

    Speakers who are not analysed are left out, until they agree: nothing is known about them, and 0 would be a claim.
    Who withdraws is forgotten, also in what others' shares are parts of.
    An utterance that goes on counts up to `settle_s` before now: by default its end is known at most 1.0 s after the
    fact (0.4 s of silence, or of sound that then stopped coming for 0.6 s). So no number is ever taken back; should an
    end be known later than that, the number stands still instead.
    """

    def __init__(self, every_s: float = 1.0, settle_s: float = 1.0) -> None:
        if every_s <= 0 or settle_s < 0:
            raise ConfigError("talk_time: every_s must be above 0 and settle_s not below 0.")
        self._every_s, self._settle_s = every_s, settle_s
        self._past: dict[str, float] = {}
        """Seconds of the utterances that ended before the last tick said."""
        self._said: dict[str, float] = {}
        self._ended: list[SpeechEnded] = []
        self._open: dict[str, float] = {}
        self._ticks: int | None = None
        self._left: dict[str, None] = {}
        """Who left, in the order in which they did."""
        self._forgotten_s = 0.0

    def push(self, event: Event) -> Iterable[Event]:
        match event:
            case SpeakerJoined(analysed=True):
                self._count(event)
            case SpeechStarted():
                self._count(event)  # whoever agreed only after they joined
                self._open[event.speaker] = event.at
            case SpeechEnded() if event.speaker in self._past:
                self._open.pop(event.speaker, None)
                self._ended.append(event)
            case SpeakerLeft() if event.speaker in self._past:
                self._left[event.speaker] = None
            case SpeakerAnalysed(analysed=False) | SpeakerJoined():
                self._let_go(event.speaker)
        return ()

    def _let_go(self, speaker: str) -> None:
        for kept in (self._past, self._said, self._open, self._left):
            kept.pop(speaker, None)
        self._ended = [event for event in self._ended if event.speaker != speaker]

    def _count(self, event: SpeakerJoined | SpeechStarted) -> None:
        self._past.setdefault(event.speaker, 0.0)
        self._left.pop(event.speaker, None)
        if self._ticks is None:
            self._ticks = self._reached(event.at)

    def tick(self, at: float) -> Iterable[Event]:
        """One TalkTime for each whole `every_s` reached since the last one."""
        if self._ticks is None:
            return []
        first, self._ticks = self._ticks + 1, max(self._ticks, self._reached(at))
        return [self._talk_time(round(tick * self._every_s, 6)) for tick in range(first, self._ticks + 1)]

    def close(self, at: float) -> Iterable[Event]:
        """The rest of the last, unfinished second."""
        return [self._talk_time(at, LEAVERS)] if self._ticks is not None else []

    def _reached(self, at: float) -> int:
        return int(at / self._every_s + 1e-9)

    def _talk_time(self, at: float, leavers: int = LEAVERS_TOLD) -> TalkTime:
        for event in self._ended:
            if event.at <= at:
                self._past[event.speaker] += event.at - event.started
        self._ended = [event for event in self._ended if event.at > at]
        seconds = dict(self._past)
        for event in self._ended:
            seconds[event.speaker] += max(0.0, at - event.started)
        for speaker, started in self._open.items():
            seconds[speaker] += max(0.0, at - self._settle_s - started)
        self._said = {speaker: max(s, self._said.get(speaker, 0.0)) for speaker, s in seconds.items()}
        total = sum(self._said.values()) + self._forgotten_s
        left_out = set(sorted(self._left, key=lambda speaker: -self._said[speaker])[leavers:])
        told = {
            speaker: Talk(round(s, 3), round(s / total, 4) if total else 0.0)
            for speaker, s in sorted(self._said.items())
            if speaker not in left_out
        }
        self._forget()
        return TalkTime(at, told)

    def _forget(self) -> None:
        """Let go of the oldest of too many who left. By now all that they said has been counted."""
        for speaker in list(self._left)[: max(0, len(self._left) - LEAVERS)]:
            self._forgotten_s += self._said[speaker]
            self._let_go(speaker)
