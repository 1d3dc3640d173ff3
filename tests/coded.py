"""Speech for tests as a sender codes it: Opus packets, their levels, and RTP around them."""

import av
import numpy as np

from worker.audio import RATE
from worker.audio.opus import FRAME
from worker.audio.rtp import RtpHeader


def packet(number, timestamp, payload, level=None, ssrc=7):
    """A header and the whole packet, as they come from the network."""
    return RtpHeader(111, False, number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, level, 12, False), bytes(12) + payload


def encode(sound, **options):
    """Opus packets of 20 ms, as browsers send speech."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format, encoder.layout, encoder.bit_rate = RATE, "flt", "mono", 32_000
    encoder.options = {"application": "voip", "frame_duration": "20"} | options
    encoder.open()
    coded = []
    for at in range(0, len(sound) - FRAME + 1, FRAME):
        frame = av.AudioFrame.from_ndarray(sound[np.newaxis, at : at + FRAME].copy(), format="flt", layout="mono")
        frame.sample_rate, frame.pts = RATE, at
        coded += [bytes(one) for one in encoder.encode(frame)]
    return coded


def levels_of(sound):
    """-dBov of each 20 ms, as the sender writes it beside the packet (RFC 6464)."""
    power = [float(np.mean(np.square(sound[at : at + FRAME]))) for at in range(0, len(sound) - FRAME + 1, FRAME)]
    return [min(127, max(0, round(-10 * np.log10(p)))) if p else 127 for p in power]


def by_number(chunks):
    """The sound in place of each packet, of packets of 20 ms of which number 0 was spoken at second 10."""
    return {round((chunk.start - 10) / 0.02): chunk.samples for chunk in chunks}
