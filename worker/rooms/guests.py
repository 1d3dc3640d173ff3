"""Synthetic voices that take part in a room, so that a person without company sees life at once."""

import asyncio
import time
from collections.abc import Callable, Iterator
from importlib.resources import as_file, files
from itertools import count
from pathlib import Path

import av

from worker.audio.rtp import RtpHeader

NAMES = ("Robin (synthetic)", "Kim (synthetic)", "Alex (synthetic)", "Sam (synthetic)")
STEP = 960
"""RTP ticks of a 20 ms packet at 48 kHz."""


def packets(voice: int) -> list[bytes]:
    """One recorded voice as Opus packets of 20 ms, silence included, ready to be sent over and over."""
    with as_file(files("worker.rooms") / "voices") as folder:
        recordings = sorted(Path(folder).glob("*.ogg"))
        with av.open(str(recordings[voice % len(recordings)])) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def numbered(voice: list[bytes], offset: int) -> Iterator[tuple[RtpHeader, bytes]]:
    """The voice as a stream of RTP packets without end, beginning `offset` packets into the recording."""
    for number in count():
        payload = voice[(number + offset) % len(voice)]
        header = RtpHeader(111, False, number & 0xFFFF, number * STEP & 0xFFFFFFFF, 0, None, 0, False)
        yield header, payload


async def speak(guest: int, on_rtp: Callable[[str, RtpHeader, bytes, float], None]) -> None:
    """Give `on_rtp` one packet every 20 ms until cancelled."""
    voice = packets(guest)
    begun = time.monotonic()
    for number, (header, payload) in enumerate(numbered(voice, 0)):
        await asyncio.sleep(max(0.0, begun + number * 0.02 - time.monotonic()))
        on_rtp("audio", header, payload, time.monotonic())
