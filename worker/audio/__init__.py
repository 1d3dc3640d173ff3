"""Any sound becomes float32 mono 16 kHz on the room's clock."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples per second of every sound past the rooms."""

Samples: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """A stretch of one speaker's sound."""

    speaker: str
    start: float
    """Seconds on the room's clock, from media timestamps."""
    samples: Samples
    """Mono, 16 kHz, in [-1, 1], shape (n,)."""

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / RATE
