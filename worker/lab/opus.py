"""Sound as it arrives over a lossy line: coded as browsers code it, and heard by the worker's own ear."""

from collections.abc import Sequence

import av
import numpy as np

from worker.audio import RATE, Samples
from worker.audio.ear import Ear
from worker.audio.opus import FRAME
from worker.audio.rtp import RtpHeader

START_S = 10.0
"""Seconds on the clock at which the first packet arrives."""


def losses(share: float, packets: int, random: np.random.Generator, burst: float = 1.5) -> list[bool]:
    """Which packets never come: `share` of them, in bursts of `burst` packets on average (Gilbert 1960)."""
    if not 0 < share < 1:
        return [share >= 1] * packets
    end = 1 / burst
    begin = end * share / (1 - share)
    lost, pattern = False, []
    for chance in random.random(packets):
        lost = chance >= end if lost else chance < begin
        pattern.append(lost)
    return pattern


def round_trip(sound: Samples, bit_rate: int = 24_000, lost: Sequence[bool] = (), fec: bool = True) -> Samples:
    """What is heard of a sound through Opus, with the packets of 20 ms that `lost` marks missing; the same length.

    In-band copies (`fec`) are used and gaps concealed as for a live speaker, since it is `worker.audio.ear` that hears.
    """
    packets = _encode(sound, bit_rate, 10 if fec and any(lost) else 0)
    ear = Ear("clip", gated=False)
    heard = np.zeros(len(sound), np.float32)
    chunks = []
    for number, payload in enumerate(packets):
        if number < len(lost) and lost[number]:
            continue
        header = RtpHeader(111, False, number & 0xFFFF, number * 960, 7, None, 12, False)
        chunks += ear.push(header, bytes(12) + payload, START_S + number * FRAME / RATE)
    chunks += ear.tick(START_S + len(packets) * FRAME / RATE + 1.0)
    for chunk in chunks:
        at = round((chunk.start - START_S) * RATE)
        piece = chunk.samples[max(0, -at) :][: max(0, len(heard) - max(0, at))]
        heard[max(0, at) : max(0, at) + len(piece)] = piece
    return heard


def _encode(sound: Samples, bit_rate: int, expected_loss: int) -> list[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format, encoder.layout, encoder.bit_rate = RATE, "flt", "mono", bit_rate
    encoder.options = {
        "application": "voip",
        "frame_duration": "20",
        "fec": str(int(expected_loss > 0)),
        "packet_loss": str(expected_loss),
        "compression_level": "5",
    }
    encoder.open()
    padded = np.pad(np.clip(sound, -1, 1), (0, -len(sound) % FRAME)).astype(np.float32)
    coded: list[bytes] = []
    for at in range(0, len(padded), FRAME):
        frame = av.AudioFrame.from_ndarray(padded[np.newaxis, at : at + FRAME].copy(), format="flt", layout="mono")
        frame.sample_rate, frame.pts = RATE, at
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    return coded + [bytes(packet) for packet in encoder.encode(None)]
