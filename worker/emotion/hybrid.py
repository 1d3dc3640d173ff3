"""Spares the model: prosody hears every window, the model only those where something may have changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from worker.audio import Samples
from worker.emotion import Emotion, EmotionModel
from worker.emotion.prosody import Prosody

TAIL = 64
"""Samples (4 ms) by which a window is known to go on with the one before."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What is kept of one speaker."""

    usual: Any = None
    """Prosody's state."""
    said: Emotion | None = None
    """The model's last answer."""
    lively: float | None = None
    """Prosody's arousal in the window that the model heard."""
    windows: int = 0
    """How many windows repeated that answer."""
    tail: bytes = b""
    """The end of the window before."""


NEWCOMER = Memory()


class Hybrid:
    """The answers of the engine `onnx`, repeated while prosody is sure that the voice goes on as it was.

    An answer is repeated whole, with the model's own arousal: prosody's is relative to the speaker's usual voice, the
    model's is not, and a mixture would jump between two scales each time the model is asked.
    """

    def __init__(
        self,
        model: str = "",
        threads: Annotated[int, Field(ge=1, le=64)] = 1,
        unsure_below: Annotated[float, Field(ge=0, le=1)] = 0.4,
        changed_by: Annotated[float, Field(gt=0, le=2)] = 0.35,
        longest_windows: Annotated[int, Field(ge=0)] = 3,
    ) -> None:
        """`model` and `threads` are those of the engine `onnx`.

        The model is asked where prosody's confidence is below `unsure_below`, where its arousal differs by more than
        `changed_by` from what it was when the model was asked last, and after `longest_windows` repetitions.
        Raises ConfigError when the model cannot be used.
        """
        self._prosody, self._model = engines(model, threads)
        self._unsure_below, self._changed_by, self._longest = unsure_below, changed_by, longest_windows
        self.windows = 0
        """Windows heard so far."""
        self.calls = 0
        """Of these, windows that the model was asked about."""

    def counts(self) -> Mapping[str, float]:
        """Windows by who answered them."""
        return {"model": self.calls, "repeated": self.windows - self.calls}

    def predict(self, batch: Sequence[tuple[Samples, Memory | None]]) -> list[tuple[Emotion, Memory]]:
        """For each (window of mono 16 kHz samples, the speaker's memory or None at first): (Emotion, next memory).

        One pass of prosody over the batch, then at most one of the model. Raises what the model does.
        """
        windows = [window for window, _ in batch]
        before = [memory or NEWCOMER for _, memory in batch]
        heard = self._prosody.predict([(w, memory.usual) for w, memory in zip(windows, before, strict=True)])
        asked = [i for i, (emotion, _) in enumerate(heard) if self._may_have_changed(windows[i], before[i], emotion)]
        said = self._model.predict([(windows[i], None) for i in asked]) if asked else []
        fresh = {i: emotion for i, (emotion, _) in zip(asked, said, strict=True)}
        self.windows += len(windows)
        self.calls += len(asked)
        return [
            _answer(window, memory, lively, usual, fresh.get(i))
            for i, (window, memory, (lively, usual)) in enumerate(zip(windows, before, heard, strict=True))
        ]

    def _may_have_changed(self, window: Samples, memory: Memory, now: Emotion) -> bool:
        if memory.said is None or not memory.said.speech or now.arousal is None or memory.lively is None:
            return True
        return (
            now.confidence < self._unsure_below
            or abs(now.arousal - memory.lively) > self._changed_by
            or memory.windows >= self._longest
            or memory.tail not in window.tobytes()
        )


def engines(model: str, threads: int) -> tuple[EmotionModel, EmotionModel]:
    """Prosody, and the model that it spares."""
    from worker.emotion.onnx import Onnx

    return Prosody(), Onnx(model, threads)


def _answer(
    window: Samples, memory: Memory, heard: Emotion, usual: Any, fresh: Emotion | None
) -> tuple[Emotion, Memory]:
    tail = np.ascontiguousarray(window[-TAIL:]).tobytes()
    if fresh is not None:
        return fresh, Memory(usual, fresh, heard.arousal, 0, tail)
    assert memory.said is not None  # nothing is repeated before the model has answered
    return memory.said, Memory(usual, memory.said, memory.lively, memory.windows + 1, tail)
