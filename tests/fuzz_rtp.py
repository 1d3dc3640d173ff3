"""Hostile packets: five million for the parser and 400,000 for the ear by `make fuzz`, a few thousand in the tests."""

import random
import struct
import sys
import time
from collections.abc import Iterator
from functools import cache

from worker.audio import RATE
from worker.audio.ear import BURST_S, FASTEST, Ear
from worker.audio.rtp import RtpHeader, extension, parse
from worker.rooms.guests import packets

SEED = 20_260_101
DATAGRAMS, STRANGE = 5_000_000, 100_000
EXTENSIONS = [
    (0x80, ""),
    (0x90, "bede0001 10 85 0000"),  # the level, and padding
    (0x90, "bede0002 41 3132 10 28 000000"),  # MID and level
    (0x92, "0000000a 0000000b bede0001 10 7f 40 33"),  # two sources before them
    (0x90, "10000001 0101 2200"),  # two-byte heads
    (0xB0, "bede0000"),  # padding at the end, of as many octets as the payload's last one says
]


@cache
def real() -> list[bytes]:
    """Packets of speech under every kind of header."""
    voice = packets(0)[40:100]
    return [
        struct.pack("!BBHLL", first, 111, number, number * 960, 7) + bytes.fromhex(extras) + payload
        for number, payload in enumerate(voice)
        for first, extras in EXTENSIONS
    ]


def datagrams(seed: int, count: int) -> Iterator[bytes]:
    """Octets at random, and real packets of which some are changed, cut off or put in."""
    chance, whole = random.Random(seed), real()
    for number in range(count):
        data = whole[int(chance.random() * len(whole))]
        at = int(chance.random() * 32)
        match number % 4:
            case 0:
                yield chance.randbytes(int(chance.random() * 64))
            case 1:
                yield bytes([0x80 | int(chance.random() * 64)]) + chance.randbytes(at)
            case 2:
                yield data[:at] + chance.randbytes(1 + number % 3) + data[at + 1 + number % 3 :]
            case _:
                yield data[:at] + chance.randbytes(number % 5) + data[at + int(chance.random() * 8) :]


def strange(seed: int, count: int) -> Iterator[tuple[RtpHeader, bytes, float]]:
    """Headers, packets and arrivals of a sender that keeps to no rule."""
    chance, voice = random.Random(seed), packets(0)[40:140]
    sequence = timestamp = 0
    now, ssrc = 10.0, 7
    for number in range(count):
        now += chance.choice((0.0, 0.001, 0.02, 0.02, 0.02, 0.05, 0.5) if number % 97 else (5.0,))
        sequence += chance.choice((1, 1, 1, 1, 1, 2, 3, 0, -1, 7, -40) if number % 53 else (40, 60, 30_000, -30_000))
        timestamp += chance.choice(
            (960, 960, 960, 1920, 2880, 0, -960, 5760) if number % 31 else (2**31, 48_000, 10**9)
        )
        ssrc = ssrc + 1 if not number % 211 else ssrc
        payload = voice[number % len(voice)]
        at = int(chance.random() * len(payload))
        payload = chance.choice(
            (
                payload,
                payload,
                payload[:at] + chance.randbytes(1) + payload[at + 1 :],
                payload[:at],
                chance.randbytes(at),
                b"",
                bytes([0x1B, 2]),
                bytes([0x1B, 2]),
            )
        )
        level = chance.choice((None, 0, 40, 55, 70, 127, 127, 127, 0x80 | 127, 0x80 | 40))
        header = RtpHeader(111, False, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, level, 12, not number % 17)
        yield header, bytes(12) + payload, now


def endure(ear: Ear, seed: int, count: int) -> int:
    """Push strange packets; the samples that came out. Sound that lies ahead of its arrival, or is more than the
    time it took allows, is an AssertionError."""
    begun, samples = None, 0
    for header, data, now in strange(seed, count):
        begun = now if begun is None else begun
        for chunk in [*ear.push(header, data, now), *ear.tick(now)]:
            assert chunk.start <= now + 1e-6, (chunk.start, now)
            samples += len(chunk.samples)
        assert samples <= (BURST_S + FASTEST * (now - begun)) * RATE + 1, (samples, now)
        ear.deaf(now)
    assert ear.rebuilt <= ear.lost
    return samples


def ears(seed: int) -> list[Ear]:
    """One of each kind; the sealed ones can't open every third packet."""
    chance = random.Random(seed)

    def unseal(data: bytes) -> bytes | None:
        return data if chance.random() < 0.67 else None

    return [Ear("ada", gated=gated, unseal=door) for gated in (True, False) for door in (None, unseal)]


def main() -> None:
    begun, taken = time.monotonic(), 0
    for data in datagrams(SEED, DATAGRAMS):
        try:
            header = parse(data, 1)
            if header is not None:
                taken += 1
                extension(data, 4)
                header.payload(data)
        except Exception:
            print(f"The parser failed on {data.hex()}")
            raise
    print(f"parser: {DATAGRAMS:,} inputs, {taken:,} taken, {time.monotonic() - begun:.0f} s")
    begun, samples = time.monotonic(), 0
    for kind, ear in enumerate(ears(SEED)):
        samples += endure(ear, SEED + kind, STRANGE)
    print(f"ear: {4 * STRANGE:,} inputs, {samples / RATE:,.0f} s of sound, {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
