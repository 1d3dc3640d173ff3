"""The emotion engine that comes with Undertone: a small network that hears each window by itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from worker.audio import Samples
from worker.emotion import CLASSES, Emotion
from worker.emotion.model import Model
from worker.errors import ConfigError

SHIPPED = Path(__file__).parent / "models" / "undertone-1.onnx"
SHA256 = "fa76a445224dc8f27e728f6a2ec9133e12d6eced9e5bd89e0c908e27cec4ec8e"
"""Of the file that ships, so that another one in its place is noticed."""


class Onnx:
    """Classes, valence and arousal of windows of 1 to 3 s, whoever speaks; see docs/emotion.md for what they mean."""

    def __init__(self, model: str = "", threads: Annotated[int, Field(ge=1, le=64)] = 1) -> None:
        """`model` is a file of `undertone lab calibrate`; empty for the one that ships.

        Raises ConfigError when it cannot be used.
        """
        self._model = Model(Path(model) if model else SHIPPED, threads)
        if not model and self._model.digest != SHA256:
            raise ConfigError(f"{SHIPPED} is not the file that belongs to this version: install Undertone again.")
        self.about: Mapping[str, Any] = {**self._model.about, "sha256": self._model.digest}
        """What the model says of itself: data and their licences, calibration, figures on development speakers."""

    def predict(self, batch: Sequence[tuple[Samples, None]]) -> list[tuple[Emotion, None]]:
        """For each (window of mono 16 kHz samples, None): (Emotion, None). Windows of equal length run together."""
        if not batch:
            return []
        said = self._model([window for window, _ in batch])
        return [
            (
                Emotion(
                    arousal=float(affect[1]),
                    valence=float(affect[0]),
                    confidence=float(shares.max()),
                    scores=dict(zip(CLASSES, map(float, shares), strict=True)),
                    speech=bool(heard),
                    margin=float(margin),
                ),
                None,
            )
            for shares, affect, margin, heard in zip(
                said.probabilities, said.affect, said.margin, said.heard, strict=True
            )
        ]
