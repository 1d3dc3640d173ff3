"""RTP headers, well made and not."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_rtp import SEED, datagrams
from worker.audio.rtp import RtpHeader, extension, parse, rewrite


def packet(first=0x80, second=111, sequence=7, timestamp=960, ssrc=0xABCD, rest=b""):
    return struct.pack("!BBHLL", first, second, sequence, timestamp, ssrc) + rest


LEVEL = bytes.fromhex("bede0001 10 85 0000")
"""One element of one octet: id 1, voice flag and -5 dBov."""


def test_a_plain_packet():
    header = parse(packet(second=0x80 | 111, rest=b"opus"))
    assert header == RtpHeader(111, True, 7, 960, 0xABCD, None, 12, False)
    assert header.payload(packet(rest=b"opus")) == b"opus"


def test_the_audio_level_is_read_under_its_own_id():
    data = packet(0x90, rest=LEVEL + b"opus")
    assert parse(data, 1).level == 0x85
    assert parse(data, 2).level is None
    assert parse(data).level is None
    assert parse(data, 1).payload(data) == b"opus"


@pytest.mark.parametrize(
    ("extension", "level"),
    [
        ("bede0002 21aabb 00 00 1022 00", 0x22),  # behind another element and padding
        ("bede0001 f0 10 22 00", None),  # id 15 ends the list (RFC 8285, 4.2)
        ("bede0001 1f 22 0000", None),  # claims 16 octets of 3
        ("bede0001 00 00 00 10", None),  # ends after its head
        ("bede0000", None),
        ("10000001 0101 2200", None),  # two-byte heads are not negotiated
    ],
)
def test_extension_elements(extension, level):
    data = packet(0x90, rest=bytes.fromhex(extension) + b"opus")
    header = parse(data, 1)
    assert header.level == level
    assert header.payload(data) == b"opus"


def test_sources_stand_before_the_extension():
    data = packet(0x90 | 2, rest=bytes(8) + LEVEL + b"opus")
    assert parse(data, 1).level == 0x85
    assert parse(data, 1).payload(data) == b"opus"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        packet()[:11],
        packet(0x00),  # version 0
        packet(0x81),  # a source that is not there
        packet(0x90),  # an extension that is not there
        packet(0x90, rest=LEVEL[:-1]),
        packet(0x90, rest=bytes.fromhex("bedeffff") + bytes(100)),
    ],
)
def test_a_malformed_packet_is_none(data):
    assert parse(data, 1) is None


@pytest.mark.parametrize(
    ("rest", "payload"), [(b"abc\x00\x02", b"abc"), (b"\x00\x02", b""), (b"ab\xff", b""), (b"a" * 200 + b"\xff", b"")]
)
def test_padding_is_no_payload(rest, payload):
    data = packet(0xA0, rest=rest)
    assert parse(data).payload(data) == payload


@settings(deadline=None)
@given(st.binary(max_size=80) | st.binary(max_size=68).map(lambda rest: packet(0xB3, rest=rest)), st.integers(0, 14))
def test_parse_never_raises_and_stays_inside_the_packet(data, level_id):
    header = parse(data, level_id)
    if header is not None:
        assert header.size <= len(data)
        assert header.payload(data) in data


def test_extensions_are_found_by_their_id():
    data = packet(0x91, rest=bytes(4) + bytes.fromhex("bede0002 41 3132 00 10 28 0000") + b"opus")
    assert [extension(data, wanted) for wanted in (4, 1, 2)] == [b"12", b"\x28", None]
    assert extension(packet(), 4) is None
    assert extension(packet(0x90, rest=bytes.fromhex("10000001 0101 2200")), 1) is None


def test_thousands_of_hostile_packets():
    taken = 0
    for data in datagrams(SEED, 8000):
        header = parse(data, 1)
        if header is not None:
            taken += 1
            assert header.payload(data) in data[header.size :]
            assert header.level is None or extension(data, 1)[0] == header.level
            assert (extension(data, 4) or b"") in data[12 : header.size]
    assert 2000 < taken < 6000


@settings(deadline=None)
@given(
    payload=st.binary(min_size=1, max_size=40),
    level=st.none() | st.integers(0, 255),
    marker=st.booleans(),
    sequence=st.integers(-70_000, 70_000),
    timestamp=st.integers(-(2**33), 2**33),
)
def test_a_rewritten_packet_says_what_was_asked(payload, level, marker, sequence, timestamp):
    extension = b"" if level is None else bytes([0xBE, 0xDE, 0, 1, 0x10, level, 0, 0])
    data = packet(0x80 if level is None else 0x90, 0x80 * marker | 96, rest=extension + payload)
    new = rewrite(parse(data, 1), data, payload_type=111, sequence=sequence, timestamp=timestamp, ssrc=99, level_id=14)
    header = parse(new, 14)
    assert header == RtpHeader(
        111, marker, sequence % 2**16, timestamp % 2**32, 99, level, 12 if level is None else 20, False
    )
    assert header.payload(new) == payload


def test_a_rewritten_packet_keeps_its_padding_and_drops_an_extension_nobody_asked_for():
    data = packet(0xB0, rest=LEVEL + b"opus\x00\x02")
    new = rewrite(parse(data, 1), data, payload_type=1, sequence=1, timestamp=1, ssrc=1)
    assert new[0] == 0xA0
    assert parse(new).payload(new) == b"opus"
