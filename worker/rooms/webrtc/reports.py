"""What arrived, as the sender is told it: RTCP receiver reports (RFC 3550, 6.4), from which senders set their rate."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

PAUSE_S = 1.0
"""Mean time between two reports; aiortc's own. It varies by half, so that receivers do not report in step (6.3.1)."""
MOST = 31
"""Report blocks of one packet: their count has five bits."""


class Arrivals:
    """One stream's packets, counted."""

    def __init__(self, ssrc: int, rate: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self._rate = rate
        self._base = self._highest = 0
        """First and highest sequence number, the latter counted on beyond 16 bits."""
        self._jitter_q4 = 0
        self._arrival = self._timestamp = 0
        self._expected_before = self._received_before = 0
        self._report: tuple[int, float] | None = None

    def count(self, sequence: int, timestamp: int, now: float) -> None:
        """Take note of a packet that arrived at `now`, in seconds on a steady clock."""
        self.received += 1
        if self.received == 1:
            self._base = self._highest = sequence
        else:
            ahead = (sequence - self._highest) & 0xFFFF
            if not 0 < ahead < 0x8000:
                return
            self._highest += ahead
        arrival = int(now * self._rate)
        if timestamp != self._timestamp and self.received > 1:
            spoken = (timestamp - self._timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            self._jitter_q4 += abs(arrival - self._arrival - spoken) - ((self._jitter_q4 + 8) >> 4)  # A.8
        self._arrival, self._timestamp = arrival, timestamp

    def reported(self, ntp: int, now: float) -> None:
        """The sender reported at `ntp`, 64 bits of its own clock; our reports tell it so, and how long ago."""
        self._report = ((ntp >> 16) & 0xFFFFFFFF, now)

    def block(self, now: float) -> RtcpReceiverInfo:
        """The report block since the last one (A.3)."""
        expected = self._highest - self._base + 1
        lost = max(-(1 << 23), min(expected - self.received, (1 << 23) - 1))
        expected_now, received_now = expected - self._expected_before, self.received - self._received_before
        self._expected_before, self._received_before = expected, self.received
        lost_now = max(0, expected_now - received_now)
        last, at = self._report or (0, now)
        return RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=min(255, (lost_now << 8) // expected_now) if expected_now > 0 else 0,
            packets_lost=lost,
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=min(self._jitter_q4 >> 4, 0xFFFFFFFF),
            lsr=last,
            dlsr=min(int((now - at) * 65536), 0xFFFFFFFF),
        )


async def keep_reporting(
    ssrc: int,
    streams: Callable[[], Iterable[Arrivals]],
    send: Callable[[Any], Awaitable[None]],
    clock: Callable[[], float],
) -> None:
    """Report all streams of one connection in as few packets as they take, until cancelled. `ssrc` is our own."""
    while True:
        await asyncio.sleep(PAUSE_S * (0.5 + random.random()))
        now = clock()
        blocks: Sequence[RtcpReceiverInfo] = [stream.block(now) for stream in streams() if stream.received]
        for at in range(0, len(blocks), MOST):
            await send(RtcpRrPacket(ssrc=ssrc, reports=list(blocks[at : at + MOST])))
