"""Who speaks, and when."""

from collections.abc import Sequence
from typing import Any, Protocol

from worker.audio import Samples

WINDOW = 512
"""Samples a voice-activity model hears at a time: 32 ms at 16 kHz."""

VADS = {"silero": "worker.vad.silero:Silero"}


class Vad(Protocol):
    """A voice-activity model; the speaker keeps the state, the model has none."""

    def predict(self, batch: Sequence[tuple[Samples, Any]]) -> list[tuple[float, Any]]:
        """For each (512 samples, state or None for a new utterance): (speech probability 0..1, next state)."""
        ...
