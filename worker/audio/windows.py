"""Which stretches of one speaker's utterance an emotion engine hears."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from worker.audio import RATE, Samples
from worker.errors import ConfigError


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Connected sound of one utterance, its short pauses included."""

    start: float
    end: float
    samples: Samples
    """Mono, 16 kHz, shape (n,)."""
    voiced_s: float
    provisional: bool
    """True for an utterance's first window when it holds less speech than a full one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    start: float
    samples: Samples
    voiced: bool


class Windows:
    """One per speaker. An utterance's first window comes early, the next ones as speech goes on."""

    def __init__(
        self, length_s: float = 2.0, hop_s: float = 0.5, first_s: float = 1.0, min_voiced_s: float = 0.5
    ) -> None:
        """`hop_s`, `first_s` and `min_voiced_s` count voiced sound only; `length_s` counts pauses too.

        Raises ConfigError unless 0 < min_voiced_s <= first_s <= length_s and hop_s > 0.
        """
        if not (0 < min_voiced_s <= first_s <= length_s and hop_s > 0):
            raise ConfigError("windows: set 0 < min_voiced_s <= first_s <= length_s and hop_s > 0.")
        self._length, self._hop = round(length_s * RATE), round(hop_s * RATE)
        self._first, self._least = round(first_s * RATE), round(min_voiced_s * RATE)
        self.reset()

    def reset(self) -> None:
        """Forget the utterance."""
        self._pieces: deque[_Piece] = deque()
        self._held = 0
        self._voiced = 0
        self._next = self._first
        self._given = False
        self._speaking = False

    def push(self, start: float, samples: Samples, voiced: bool, speaking: bool) -> Window | None:
        """Take the next sound, shape (n,); `speaking` is True within an utterance, short pauses included.

        Voiced sound just before `speaking` becomes True belongs to the utterance: it is what made that certain.
        """
        if not speaking and (self._speaking or not voiced):
            if not self._speaking:
                self.reset()
            return None
        self._speaking = speaking
        self._pieces.append(_Piece(start, samples, voiced))
        self._held += len(samples)
        self._voiced += len(samples) if voiced else 0
        while self._held - len(self._pieces[0].samples) >= self._length:
            self._held -= len(self._pieces.popleft().samples)
        if not speaking or self._voiced < self._next:
            return None
        self._next += self._hop
        return self._window()

    def end(self, at: float) -> Window | None:
        """The utterance ended at `at`: its only window if it was too short for the first but not for any."""
        due = self._speaking and not self._given and self._voiced >= self._least
        while self._pieces and self._pieces[-1].start >= at:
            self._pieces.pop()
        window = self._window() if due and self._pieces else None
        self.reset()
        return window

    def _window(self) -> Window:
        samples = np.concatenate([piece.samples for piece in self._pieces])[-self._length :]
        last = self._pieces[-1]
        end = last.start + len(last.samples) / RATE
        voiced = sum(len(piece.samples) for piece in self._pieces if piece.voiced)
        voiced = min(voiced, len(samples))
        provisional = not self._given and voiced < self._length
        self._given = True
        return Window(end - len(samples) / RATE, end, samples, voiced / RATE, provisional)
