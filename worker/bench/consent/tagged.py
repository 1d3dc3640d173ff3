"""Packets that say whose they are, and decoders that note whose they decode: what the worker thinks is not asked."""

import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from worker.audio import Samples
from worker.audio.opus import FRAME, OpusDecoder
from worker.bench.consent.account import Taken

MARK = b"undertone"
PADDED = 0x41
"""One frame, and padding after it (RFC 6716, 3.2.5)."""
NOBODY = 0xFFFF
"""Of a packet that says nothing, which no person here sends."""


def tag(payload: bytes, person: int) -> bytes:
    """The same sound with the person's number in Opus' padding, which decoders skip. `payload` holds one frame."""
    if payload[0] & 3:
        raise ValueError("only a packet of one frame can be tagged here")
    note = MARK + person.to_bytes(2)
    return bytes([payload[0] | 3, PADDED, len(note)]) + payload[1:] + note


def person_of(payload: bytes) -> int:
    """Who sent a packet; NOBODY when it does not say so."""
    return int.from_bytes(payload[-2:]) if payload[-2 - len(MARK) : -2] == MARK else NOBODY


class Decoded:
    """Everything that any decoder made in this process, in order."""

    def __init__(self) -> None:
        self._at, self._person, self._samples = array("d"), array("H"), array("I")

    def note(self, person: int, sound: Samples | None) -> None:
        if sound is not None:
            self._at.append(time.monotonic())
            self._person.append(person)
            self._samples.append(len(sound))

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[Taken]:
        return map(Taken, self._person, self._at, self._samples)


@contextmanager
def spying() -> Iterator[Decoded]:
    """Every ear that is made meanwhile decodes with a decoder that notes what it does."""
    decoded = Decoded()

    class Spy(OpusDecoder):
        """Sound that is guessed is of whose packet came last."""

        def __init__(self) -> None:
            super().__init__()
            self._whose = NOBODY

        def decode(self, payload: bytes) -> Samples | None:
            self._whose = person_of(payload)
            sound = super().decode(payload)
            decoded.note(self._whose, sound)
            return sound

        def recover(self, following: bytes, samples: int = FRAME) -> Samples | None:
            self._whose = person_of(following)
            sound = super().recover(following, samples)
            decoded.note(self._whose, sound)
            return sound

        def conceal(self, samples: int = FRAME) -> Samples | None:
            sound = super().conceal(samples)
            decoded.note(self._whose, sound)
            return sound

    with patch("worker.audio.ear.OpusDecoder", Spy):
        yield decoded
