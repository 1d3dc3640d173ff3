"""Carries one participant's packets to the others without decoding or encoding them."""

import random
import time
from collections.abc import Callable

from worker.audio.rtp import RtpHeader, rewrite
from worker.rooms.webrtc.peer import Line
from worker.rooms.webrtc.transport import CLOCK

KEYFRAME_PAUSE_S = 0.3
"""Least time between two keyframe requests to one sender: each costs it a burst of bits."""


class Leg:
    """One subscriber's m-line. It carries one source at a time, under an SSRC and a numbering of its own,
    so that the source can change without a new offer."""

    def __init__(self, line: Line, send: Callable[[bytes], bool]) -> None:
        self.line = line
        self.forwarded = 0
        self._send = send
        self._sequence = random.randrange(0x8000)  # below the wrap, or SRTP may start in the wrong cycle
        self._timestamp = random.randrange(0x100000000)
        self._shifts: tuple[int, int] | None = None
        self._sent_at = time.monotonic()
        self._source: int | None = None

    def restart(self) -> None:
        """The next packet comes from another source: its numbers go on from the last ones."""
        self._shifts = None

    def forward(self, header: RtpHeader, packet: bytes, now: float) -> None:
        if self._shifts is None or header.ssrc != self._source:
            self._source = header.ssrc
            elapsed = int((now - self._sent_at) * CLOCK[self.line.kind])
            self._shifts = (self._sequence + 1 - header.sequence, self._timestamp + elapsed - header.timestamp)
        sequence, timestamp = header.sequence + self._shifts[0], header.timestamp + self._shifts[1]
        data = rewrite(
            header,
            packet,
            payload_type=self.line.payload_type,
            sequence=sequence,
            timestamp=timestamp,
            ssrc=self.line.ssrc,
            level_id=self.line.level_id,
        )
        if self._send(data):
            self.forwarded += 1
            self._sent_at = now
            if (sequence - self._sequence) & 0xFFFF < 0x8000:
                self._sequence, self._timestamp = sequence & 0xFFFF, timestamp & 0xFFFFFFFF

    def timestamp(self, source: int) -> int | None:
        """The source's RTP timestamp as this leg's; None before the first packet."""
        return None if self._shifts is None else (source + self._shifts[1]) & 0xFFFFFFFF

    def source_sequences(self, lost: list[int]) -> list[int]:
        """This leg's sequence numbers as the source's."""
        return [] if self._shifts is None else [(number - self._shifts[0]) & 0xFFFF for number in lost]


class Throttle:
    """Lets one call through per pause."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._last = float("-inf")

    def __call__(self, now: float) -> bool:
        if now - self._last < self._pause_s:
            return False
        self._last = now
        return True
