"""How a voice sounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from worker.audio import Samples

ENGINES = {
    "onnx": "worker.emotion.onnx:Onnx",
    "hybrid": "worker.emotion.hybrid:Hybrid",
    "egemaps": "worker.emotion.egemaps:Egemaps",
    "prosody": "worker.emotion.prosody:Prosody",
}

CLASSES = ("neutral", "happy", "sad", "angry", "fearful", "disgusted")
"""What the engines that name categories tell apart, in the order of their outputs."""


@dataclass(frozen=True, slots=True)
class Emotion:
    """What an engine hears in one window of voiced speech. An engine leaves out what it does not know."""

    arousal: float | None
    """From -1, calm, to 1, lively."""
    confidence: float
    """From 0 to 1; how far the engine trusts this answer."""
    valence: float | None = None
    """From -1, unpleasant, to 1, pleasant."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Probability of each category, for engines that name categories."""
    learning: bool = False
    """True while the engine does not know this speaker's usual voice well enough."""
    speech: bool = True
    """False where the engine hears something that is not one person's speech: music, laughter, a crowd."""
    margin: float | None = None
    """How far above the engine's own bound its score for speech is, in log-odds; None where it has no such score."""


class EmotionModel(Protocol):
    """A model in this process; `Batcher(model.predict)` makes it awaitable. The speaker keeps the state."""

    def predict(self, batch: Sequence[tuple[Samples, Any]]) -> list[tuple[Emotion, Any]]:
        """For each (window of mono 16 kHz samples, the speaker's state or None at first): (Emotion, next state)."""
        ...
