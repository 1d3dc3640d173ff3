"""What carrying one media packet to one more participant costs."""

import os
import socket
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from pylibsrtp import Policy, Session

from worker.audio.rtp import parse, rewrite
from worker.rooms.forward import Leg
from worker.rooms.webrtc.peer import Line

SIZES = {"audio": 80, "video": 1100}
"""Payload bytes of a usual packet: Opus at 32 kb/s, VP8 near the path's limit."""
ROUNDS = 5


def run(quick: bool) -> dict[str, Any]:
    """Microseconds per forwarded packet, whole and by part; the median of five rounds on loopback UDP.

    `times_floor` compares with encrypting and sending the same bytes and nothing else, in the same run.
    """
    count = 5_000 if quick else 30_000
    result: dict[str, Any] = {"packets_per_round": count, "rounds": ROUNDS}
    for kind, size in SIZES.items():
        result[kind] = _measure(kind, size, count)
    return result


def _measure(kind: str, size: int, count: int) -> dict[str, float]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, socket.socket(type=socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        address = far.getsockname()
        key = os.urandom(30)
        protect = _session(key).protect

        def send(data: bytes) -> bool:
            sender.sendto(protect(data), address)
            return True

        packets = _packets(kind, size, count)
        leg = Leg(Line(kind, "1", 111, 0xABCDEF, 1), send)
        headers = [header for data in packets if (header := parse(data, 1)) is not None]
        both = list(zip(headers, packets, strict=True))

        def forward() -> None:
            leg.restart()
            for header, packet in both:
                leg.forward(header, packet, 0.0)

        def floor() -> None:
            floor_protect = _session(key).protect
            for packet in packets:
                sender.sendto(floor_protect(packet), address)

        def header_only() -> None:
            for header, packet in both:
                rewrite(header, packet, payload_type=111, sequence=1, timestamp=1, ssrc=1, level_id=1)

        def parsing() -> None:
            for packet in packets:
                parse(packet, 1)

        names = {"forward": forward, "floor": floor, "rewrite": header_only, "parse": parsing}
        rounds = [{name: _micros(work, count) for name, work in names.items()} for _ in range(ROUNDS)]
    middle = {name: median(one[name] for one in rounds) for name in names}
    return {
        "forward_us": round(middle["forward"], 2),
        "of_which_header_rewrite_us": round(middle["rewrite"], 2),
        "of_which_srtp_and_socket_us": round(middle["floor"], 2),
        "parse_once_per_incoming_us": round(middle["parse"], 2),
        "times_floor": round(median(one["forward"] / one["floor"] for one in rounds), 2),
    }


def _session(key: bytes) -> Session:
    return Session(
        Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80)
    )


def _packets(kind: str, size: int, count: int) -> list[bytes]:
    line = Line(kind, "0", 96, 1, 1)
    payload = os.urandom(size)
    first = bytes([0x80, 96]) + bytes(10) + payload
    header = parse(first)
    if header is None:
        raise ValueError("a packet of our own must parse")
    return [
        rewrite(header, first, payload_type=96, sequence=n & 0x7FFF, timestamp=n * 960, ssrc=line.ssrc)
        for n in range(count)
    ]


def _micros(work: Callable[[], None], count: int) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) / count * 1e6
