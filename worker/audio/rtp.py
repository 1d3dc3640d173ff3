"""Reads and writes RTP packet headers (RFC 3550, RFC 8285, RFC 6464)."""

import struct
from typing import NamedTuple

_FIXED = struct.Struct("!BBHLL")
_ONE_BYTE = 0xBEDE


class RtpHeader(NamedTuple):
    """The clear part of an RTP packet; true of the packet before and after SRTP alike."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    level: int | None
    """The octet of the RFC 6464 extension: voice flag and -dBov."""
    size: int
    """Octets before the payload."""
    padded: bool

    def payload(self, packet: bytes) -> bytes:
        """The payload of the decrypted packet without padding; empty for padding alone or a lie about its length."""
        end = len(packet) - (packet[-1] if self.padded else 0)
        return packet[self.size : end] if end > self.size else b""


def parse(data: bytes, level_id: int | None = None) -> RtpHeader | None:
    """The header of a packet from the network, or None when it is malformed. Never raises."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
    end = 12 + 4 * (first & 15)
    level = None
    if first & 16:
        if end + 4 > len(data):
            return None
        profile, words = struct.unpack_from("!HH", data, end)
        start, end = end + 4, end + 4 + 4 * words
        if end > len(data):
            return None
        if level_id and profile == _ONE_BYTE:
            found = _element(data, start, end, level_id)
            level = None if found is None else data[found]
    if end > len(data):
        return None
    return RtpHeader(second & 127, second > 127, sequence, timestamp, ssrc, level, end, bool(first & 32))


def extension(data: bytes, wanted: int) -> bytes | None:
    """The content of a header extension element of a packet that `parse` took, such as its MID (RFC 9143)."""
    at = 12 + 4 * (data[0] & 15)
    if not data[0] & 16 or struct.unpack_from("!H", data, at)[0] != _ONE_BYTE:
        return None
    end = at + 4 + 4 * struct.unpack_from("!H", data, at + 2)[0]
    found = _element(data, at + 4, end, wanted)
    return None if found is None else data[found : found + 1 + (data[found - 1] & 15)]


def _element(data: bytes, position: int, end: int, wanted: int) -> int | None:
    """Where the content of a one-byte-header element begins; None when it is not there whole."""
    while position < end:
        head = data[position]
        if head == 0:
            position += 1
            continue
        length = (head & 15) + 1
        if head >> 4 == 15 or position + 1 + length > end:
            return None
        if head >> 4 == wanted:
            return position + 1
        position += 1 + length
    return None


def rewrite(
    header: RtpHeader,
    packet: bytes,
    *,
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    level_id: int | None = None,
) -> bytes:
    """The same payload under another header. Of the extensions only the audio level is kept, under its id there."""
    with_level = header.level is not None and level_id is not None
    first = 0x80 | (0x20 if header.padded else 0) | (0x10 if with_level else 0)
    second = payload_type | (0x80 if header.marker else 0)
    fixed = _FIXED.pack(first, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    if header.level is not None and level_id is not None:
        fixed += struct.pack("!HHBBxx", _ONE_BYTE, 1, level_id << 4, header.level)
    return fixed + packet[header.size :]
