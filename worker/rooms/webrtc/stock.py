"""Hears through aiortc's own receiver, for comparison and for an aiortc whose private parts are not as expected.

It is not fit for listening otherwise: a lost packet costs 100 ms of speech and delays the rest for good.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import structlog
from aiortc.mediastreams import MediaStreamError

from worker.audio import RATE, AudioChunk
from worker.audio.clock import RtpClock
from worker.audio.ear import DEAF_PACKETS, DEAF_S
from worker.audio.rtp import RtpHeader
from worker.ring import Ring

log = structlog.get_logger()

WAITING = 100
"""Packets that may wait for aiortc's receiver: 2 s."""
HELD_BACK = 16
"""Frames that aiortc's jitter buffer may hold: the first ones after somebody agreed or unmuted may be from before."""


class StockEar:
    """The same calls as `Ear`; sound comes by `give`, whenever aiortc's decoder thread has it."""

    def __init__(
        self,
        speaker: str,
        receiver: Any,
        give: Callable[[list[AudioChunk]], None],
        clock: Callable[[], float],
        may_hear: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.corrupt = 0
        """Packets that aiortc failed on."""
        self._speaker, self._receiver, self._give, self._now = speaker, receiver, give, clock
        self._may_hear = may_hear
        self._packets: Ring[bytes] = Ring(WAITING)
        self._unused, self._used_at = 0, clock()
        self._doubtful = 0
        """Frames to come that are not to be heard: what they hold may have been said before."""
        self._came: Any = None
        """When aiortc's receiver last took a packet."""
        self._tasks = [asyncio.create_task(self._read())]

    def push(self, header: RtpHeader, data: bytes, now: float) -> list[AudioChunk]:
        """Where RTP was taken out of aiortc's hands, give it a decrypted packet back."""
        if len(self._tasks) == 1:
            self._tasks.append(asyncio.create_task(self._feed()))
        if self._hears():
            self._unused += 1
            self._packets.put(data)
        return []

    def tick(self, now: float) -> list[AudioChunk]:
        """Gives nothing; notices that packets come where aiortc takes them from the network itself."""
        self._hears()
        came = max((source.timestamp for source in self._receiver.getSynchronizationSources()), default=None)
        if came != self._came and len(self._tasks) == 1:
            self._unused += 1
        self._came = came
        return []

    def forget(self) -> None:
        self._packets.clear()
        self._doubtful = HELD_BACK

    def deaf(self, now: float) -> bool:
        """Whether packets have been coming for 3 s of which none became sound."""
        return self._unused > DEAF_PACKETS and now - self._used_at > DEAF_S

    @property
    def counts(self) -> dict[str, int]:
        return {"corrupt": self.corrupt}

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _hears(self) -> bool:
        if self._may_hear(self._speaker):
            return True
        self._doubtful = HELD_BACK
        return False

    async def _feed(self) -> None:
        async for data in self._packets:
            try:
                await self._receiver.transport._handle_rtp_data(data, arrival_time_ms=int(time.time() * 1000))
            except Exception as error:  # aiortc raises what it meets in a malformed header
                self.corrupt += 1
                if self.corrupt == 1:  # there may be fifty a second
                    log.warning("aiortc did not take a packet", speaker=self._speaker, error=type(error).__name__)

    async def _read(self) -> None:
        resampler, clock = av.AudioResampler(format="s16", layout="mono", rate=RATE), RtpClock()
        while True:
            try:
                frame = await self._receiver.track.recv()
            except MediaStreamError:
                return
            self._unused, self._used_at = 0, self._now()
            heard = self._hears() and not self._doubtful
            self._doubtful = max(0, self._doubtful - 1)
            start = clock.place(frame.pts & 0xFFFFFFFF, self._now())
            for part in resampler.resample(frame):
                # resampled as float, two equal channels would come out 3 dB louder than they are
                samples = part.to_ndarray().reshape(-1).astype(np.float32) / np.float32(32_768)
                if heard and len(samples):
                    self._give([AudioChunk(self._speaker, start, samples)])
                start += len(samples) / RATE
