"""One speaker, from sound to emotion: the path every sample takes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from worker.audio import RATE, AudioChunk, Samples
from worker.audio.intake import Cut, Frame, Intake
from worker.audio.windows import Window, Windows
from worker.conversation.syllables import Stretches
from worker.emotion import Emotion
from worker.emotion.smoothing import Smoother
from worker.errors import EngineError
from worker.events import EmotionUnavailable, Event, SpeechEnded
from worker.vad import WINDOW
from worker.vad.segmenter import Segmenter

STOPPED_S = 0.6
"""Without any sound for this long an utterance is over: the sender is mute, or sends nothing in silence."""


class Watch(Protocol):
    """Is shown every window and what the engine said of it; see `worker.emotion.drift`."""

    def push(self, window: Window, place: int, speaker: str, emotion: Emotion, engine: str) -> Sequence[Event]: ...


@dataclass(frozen=True, slots=True)
class Models:
    """What all speakers share. Each call takes (sound, the speaker's state) and gives (answer, next state)."""

    vad: Callable[[tuple[Samples, Any]], Awaitable[tuple[float, Any]]] | None
    """None where nobody may be heard."""
    engine: Callable[[tuple[Samples, Any]], Awaitable[tuple[Emotion, Any]]] | None
    """None when no emotion is wanted, or nobody's may be heard."""
    engine_name: str
    watch: Watch | None = None


class Speaker:
    """Sound goes into `hear`, which answers with events and with the windows worth feeling; those go into `feel`.

    The two are apart because a slow engine must never hold up voice activity. All state of a voice lives here and
    ends with this object; a person who comes back is a new one.
    """

    def __init__(
        self,
        speaker: str,
        models: Models,
        segmenter: Segmenter,
        windows: Windows | None = None,
        smoother: Smoother | None = None,
        stretches: Stretches | None = None,
    ) -> None:
        """Without `stretches` no prosody is measured; without `windows` and `smoother` no emotion is felt."""
        self.id = speaker
        self._models = models
        self._intake = Intake(WINDOW)
        self._segmenter = segmenter
        self._windows = windows
        self._smoother = smoother
        self._takers = [one for one in (stretches, windows) if one is not None]
        """Whatever is given the sound besides voice activity."""
        self._vad_state: Any = None
        self._engine_state: Any = None
        self._felt = 0
        """Windows of this utterance that the engine answered."""
        self._felt_until = 0.0

    async def hear(self, chunk: AudioChunk) -> list[Event | Window]:
        """Chunk → frames of 32 ms → speech probability → utterances and windows."""
        found: list[Event | Window] = []
        for item in self._intake.push(chunk):
            found += self.stop(item.at) if isinstance(item, Cut) else await self._listen(item)
        return found

    async def _listen(self, frame: Frame) -> list[Event | Window]:
        if self._models.vad is None:
            return []
        probability, self._vad_state = await self._models.vad((frame.samples, self._vad_state))
        said = self._segmenter.push(probability, frame.start, frame.start + WINDOW / RATE)
        found: list[Event | Window] = []
        for event in said:
            found += self._ended(event) if isinstance(event, SpeechEnded) else [event]
        heard = frame.start, frame.samples, self._segmenter.voiced, self._segmenter.speaking
        found += [item for taker in self._takers if (item := taker.push(*heard)) is not None]
        return found

    def _ended(self, event: SpeechEnded) -> list[Event | Window]:
        window = self._windows.end(event.at) if self._windows is not None else None
        return [event, window] if window is not None else [event]

    def stop(self, at: float) -> list[Event | Window]:
        """No sound follows what was heard until `at`, or none that joins it: close the utterance, forget the VAD's."""
        self._vad_state = None
        found: list[Event | Window] = []
        for event in self._segmenter.cut(at):
            found += self._ended(event) if isinstance(event, SpeechEnded) else [event]
        for taker in self._takers:
            taker.reset()
        return found

    def tick(self, at: float) -> list[Event | Window]:
        """The room's clock reached `at`; an utterance whose sound stopped coming ends where the sound did."""
        waiting = self._segmenter.speaking and at - self._intake.end > STOPPED_S
        return self.stop(self._intake.end) if waiting else []

    async def feel(self, window: Window) -> list[Event]:
        """Window → emotion → smoothed emotion. An engine that fails is said so, never taken for neutral."""
        if self._models.engine is None or self._smoother is None:
            return []
        try:
            emotion, self._engine_state = await self._models.engine((window.samples, self._engine_state))
        except EngineError as error:
            self._smoother.unanswered()
            return [EmotionUnavailable(window.end, self.id, window.start, error.code, self._models.engine_name)]
        event = self._smoother.push(
            window.end, window.start, window.provisional, emotion, self._models.engine_name, self.id
        )
        said: list[Event] = [event] if event is not None else []
        return [*said, *self._drift(window, emotion)]

    def _drift(self, window: Window, emotion: Emotion) -> Sequence[Event]:
        """Windows of one utterance overlap: that is how the watch knows which belong together."""
        self._felt = self._felt + 1 if window.start < self._felt_until else 0
        self._felt_until = window.end
        watch = self._models.watch
        return watch.push(window, self._felt, self.id, emotion, self._models.engine_name) if watch is not None else []
