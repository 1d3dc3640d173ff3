"""One speaker's chunks of any size as frames of one size, without holes, on the room's clock."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from worker.audio import RATE, AudioChunk, Samples

JITTER_S = 0.02
"""A smaller step between chunks is rounding of timestamps; 20 ms is one Opus packet."""
LONGEST_FILL_S = 1.0
"""A longer hole is no pause of speech; Opus DTX sends at least every 0.4 s (RFC 7587, 3.1.3)."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The intake's `size` samples from `start` on."""

    start: float
    samples: Samples

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / RATE


@dataclass(frozen=True, slots=True)
class Cut:
    """The sound stops at `at`, and what follows is not connected to it: forget all state."""

    at: float


IntakeItem: TypeAlias = Frame | Cut


class Intake:
    """One per speaker. Frames between two cuts are exactly contiguous."""

    def __init__(self, size: int = 512) -> None:
        self.repaired = 0
        """Samples that were not finite and were replaced by silence."""
        self._size = size
        self._rest: Samples = np.zeros(0, np.float32)
        self._origin = 0.0
        self._given = 0
        self._begun = False

    @property
    def end(self) -> float:
        """Seconds on the room's clock up to which sound was taken; 0 before the first."""
        return self._origin + (self._given + len(self._rest)) / RATE

    def push(self, chunk: AudioChunk) -> list[IntakeItem]:
        """Every whole frame there is now.

        A step of less than 20 ms is ignored. A hole of at most 1 s is filled with silence, an overlap of less than
        1 s is dropped. At a longer step either way there is a Cut, and less than a frame before it is lost.
        """
        samples = self._clean(chunk.samples)
        step = chunk.start - self.end
        cuts: list[IntakeItem] = []
        if not self._begun or not -LONGEST_FILL_S < step <= LONGEST_FILL_S:
            cuts = [Cut(self.end)] if self._begun else []
            self._begun, self._origin, self._given, self._rest = True, chunk.start, 0, self._rest[:0]
        elif step >= JITTER_S:
            samples = np.concatenate([np.zeros(round(step * RATE), np.float32), samples])
        elif step <= -JITTER_S:
            samples = samples[round(-step * RATE) :]
        return cuts + self._frames(samples)

    def _frames(self, samples: Samples) -> list[IntakeItem]:
        sound = np.concatenate([self._rest, samples])
        frames: list[IntakeItem] = []
        for at in range(0, len(sound) - self._size + 1, self._size):
            frames.append(Frame(self._origin + self._given / RATE, sound[at : at + self._size]))
            self._given += self._size
        self._rest = sound[len(frames) * self._size :]
        return frames

    def _clean(self, samples: Samples) -> Samples:
        finite = np.isfinite(samples)
        if not finite.all():
            self.repaired += int(len(samples) - finite.sum())
            samples = np.where(finite, samples, np.float32(0))
        return np.clip(samples, -1, 1)
