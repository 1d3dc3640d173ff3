"""Synthetic guests who have a scripted conversation, so that a person without company sees life at once."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from itertools import count
from typing import Any

import av
import yaml

from worker.audio.rtp import RtpHeader
from worker.privacy.levels import LEVELS, Level

STEP = 960
"""RTP ticks of a 20 ms packet at 48 kHz."""
PACKET_S = 0.02
SILENCE = bytes.fromhex("4807c979c8c957c0")
"""What libopus makes of 20 ms of digital silence, coded as the clips are."""
NO_SOUND = 127
"""-dBov of digital silence (RFC 6464)."""
PAUSE = 25
"""Packets before each clip of a voice that says everything in a row."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One part of the conversation."""

    name: str
    role: str
    """What the guest is in the call, such as `seller`; empty for who is not in the script."""
    agrees: Level
    """How much this guest agrees to have made of their voice."""
    packets: list[bytes]
    """A round of the conversation as Opus packets of 20 ms, silence included."""


@cache
def script() -> dict[str, Any]:
    """worker/rooms/voices/script.yaml: `round_s`, and `guests`, `clips` and `lines`."""
    content: dict[str, Any] = yaml.safe_load((files("worker.rooms") / "voices" / "script.yaml").read_text("utf-8"))
    return content


@cache
def clip(who: str, name: str) -> tuple[bytes, ...]:
    """One clip as Opus packets of 20 ms; it begins and ends in silence."""
    number = list(script()["guests"]).index(who) + 1
    file = files("worker.rooms") / "voices" / f"{number}-{who}-{name}.ogg"
    with as_file(file) as path, av.open(str(path)) as container:
        return tuple(bytes(packet) for packet in container.demux(audio=0) if packet.size)


def packets(voice: int) -> list[bytes]:
    """All clips of one voice in a row, with silence before each."""
    voices = list(script()["clips"].items())
    who, names = voices[voice % len(voices)]
    return [packet for name in names for packet in [*[SILENCE] * PAUSE, *clip(who, name)]]


def guest(number: int) -> Guest:
    """The `number`th part, from 0; beyond those of the script everyone listens."""
    parts = list(script()["guests"].items())
    if number >= len(parts):
        return Guest(f"Guest {number + 1} (synthetic)", "", Level.METRICS, _round(""))
    who, part = parts[number]
    return Guest(part["name"], part["role"], LEVELS[part["agrees"]], _round(who))


def _round(who: str) -> list[bytes]:
    whole = [SILENCE] * round(script()["round_s"] / PACKET_S)
    for at, speaker, name in script()["lines"]:
        if speaker == who:
            said = clip(who, name)
            begin = round(at / PACKET_S)
            whole[begin : begin + len(said)] = said
    return whole


def numbered(voice: Sequence[bytes], offset: int) -> Iterator[tuple[RtpHeader, bytes]]:
    """The voice as a stream of RTP packets without end, beginning `offset` packets into the recording.

    Silence says in its header that it is silence, so that nobody need decode it.
    """
    for number in count():
        payload = voice[(number + offset) % len(voice)]
        level = NO_SOUND if payload is SILENCE else None
        header = RtpHeader(111, False, number & 0xFFFF, number * STEP & 0xFFFFFFFF, 0, level, 0, False)
        yield header, payload


async def converse(guests: Sequence[Guest], on_rtp: Callable[[int, RtpHeader, bytes, float], None]) -> None:
    """Give `on_rtp` one packet of each guest, by its place among them, every 20 ms until cancelled."""
    begun = time.monotonic()
    streams = [numbered(one.packets, 0) for one in guests]
    for step in count():
        await asyncio.sleep(max(0.0, begun + step * PACKET_S - time.monotonic()))
        for place, stream in enumerate(streams):
            header, payload = next(stream)
            on_rtp(place, header, payload, time.monotonic())
