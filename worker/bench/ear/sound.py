"""Known speech as Opus packets with their audio levels, and what decrypting and decoding them costs in C alone."""

import math
import os
import time
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import av
import numpy as np
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from worker.audio import RATE, Samples
from worker.audio.opus import FRAME, LONGEST, OpusDecoder
from worker.rooms import guests

WIRE = 48_000
STEP = 960
"""RTP ticks of a 20 ms packet at 48 kHz."""
SPEAKERS, VOICES = 20, 4
PAUSE = 50
"""-dBov: quieter packets of a recorded voice are its pauses."""


class Sent(NamedTuple):
    """What one packet carries."""

    payload: bytes
    level: int
    """-dBov, 127 for digital silence."""


@cache
def speech(voice: int) -> Samples:
    """A synthetic voice without its pauses, 16 kHz."""
    decoder = OpusDecoder()
    frames = [decoder.decode(payload) for payload in guests.packets(voice)]
    return np.concatenate([f for f in frames if f is not None and len(f) == FRAME and level(f) < PAUSE])


def level(samples: Samples) -> int:
    """-dBov of a sound, as RFC 6464 counts it."""
    power = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return 127 if power == 0 else min(127, max(0, round(-20 * math.log10(power))))


@cache
def stream(voice: int, talk_s: float, cycle_s: float) -> list[Sent]:
    """A voice that talks for `talk_s` out of every `cycle_s`; sent over and over. In-band FEC is on."""
    talk, cycle = round(talk_s * 50), round(cycle_s * 50)
    sound = np.resize(speech(voice), talk * FRAME)
    sound = np.concatenate([sound, np.zeros((cycle - talk) * FRAME, np.float32)])
    levels = [level(sound[n * FRAME : (n + 1) * FRAME]) for n in range(cycle)]
    return [Sent(*pair) for pair in zip(encode(sound), levels, strict=True)]


def encode(sound: Samples, bitrate: int = 32_000, loss_percent: int = 20) -> list[bytes]:
    """16 kHz sound as 20 ms Opus packets, as a browser would send them; the encoder expects `loss_percent`."""
    codec = av.CodecContext.create("libopus", "w")
    codec.bit_rate, codec.format, codec.layout, codec.sample_rate = bitrate, "s16", "mono", WIRE
    codec.time_base = Fraction(1, WIRE)
    codec.options = {"application": "voip", "fec": "1", "packet_loss": str(loss_percent)}
    at = np.arange(len(sound) * 3) / 3
    wide = (np.interp(at, np.arange(len(sound)), sound) * 32_767).astype(np.int16)
    packets = []
    for number in range(len(wide) // STEP):
        frame = av.AudioFrame.from_ndarray(wide[None, number * STEP : (number + 1) * STEP], "s16", "mono")
        frame.sample_rate, frame.pts = WIRE, number * STEP
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return [*packets, *(bytes(packet) for packet in codec.encode(None))][: len(wide) // STEP]


def floor_us(count: int, pace_s: float) -> float:
    """Microseconds per packet of libsrtp's and libopus' own work: the same calls from a bare loop, less the loop.

    `count` packets come from all speakers in turn. `pace_s` passes between two of them, as it does in a call: a
    processor that wakes up for every packet does the same work more slowly than in one go.
    """
    key = os.urandom(44)
    profile = Policy.SRTP_PROFILE_AEAD_AES_256_GCM
    sealing = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
    opening = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
    streams = [stream(n % VOICES, 4.0, 4.0) for n in range(SPEAKERS)]
    sealed = []
    for number in range(count):
        turn, speaker = divmod(number, SPEAKERS)
        head = bytes([0x80, 111]) + turn.to_bytes(2) + (turn * STEP).to_bytes(4) + speaker.to_bytes(4)
        sealed.append(sealing.protect(head + streams[speaker][turn % len(streams[speaker])].payload))
    decoders, context = [OpusDecoder() for _ in range(SPEAKERS)], opening._srtp[0]
    opus, calls = decoders[0]._ffi, decoders[0]._lib
    buffer, length = ffi.new("char[]", 2048), ffi.new("int *")
    payload = opus.cast("unsigned char *", int(ffi.cast("uintptr_t", buffer))) + 12

    def work(real: bool) -> float:
        spent = 0.0
        for number, data in enumerate(sealed):
            decoder = decoders[number % SPEAKERS]
            if pace_s:
                time.sleep(pace_s)
            began = time.thread_time()
            length[0] = len(data)
            ffi.memmove(buffer, data, len(data))
            if real:
                lib.srtp_unprotect(context, buffer, length)
                calls.opus_decode_float(decoder._state, payload, length[0] - 12, decoder._out, LONGEST, 0)
            else:
                calls.opus_packet_get_nb_samples(payload, 0, RATE)
                calls.opus_packet_get_nb_samples(payload, 0, RATE)
            spent += time.thread_time() - began
        return spent

    return (work(True) - work(False)) / count * 1e6
