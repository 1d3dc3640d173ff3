"""Packets of one sender under the numbers of another."""

import pytest

from worker.audio.rtp import RtpHeader, parse
from worker.rooms.forward import Leg, Throttle
from worker.rooms.webrtc.peer import Line


class Subscriber:
    """A leg and what came out of it, parsed."""

    def __init__(self, monkeypatch, kind="audio", sequence=100, timestamp=1000):
        numbers = iter([sequence, timestamp])
        monkeypatch.setattr("worker.rooms.forward.random.randrange", lambda _: next(numbers))
        monkeypatch.setattr("worker.rooms.forward.time.monotonic", lambda: 50.0)
        self.open, self.sent = True, []
        self.leg = Leg(Line(kind, "3", 96, 77, 5), self._send)

    def _send(self, data):
        if self.open:
            self.sent.append(parse(data, 5))
        return self.open

    def push(self, sequence, timestamp, now, level=None, ssrc=1):
        header = RtpHeader(111, True, sequence, timestamp, ssrc, level, 12, False)
        self.leg.forward(header, bytes(12) + b"opus", now)

    @property
    def numbers(self):
        return [(header.sequence, header.timestamp) for header in self.sent]


@pytest.fixture
def subscriber(monkeypatch):
    return Subscriber(monkeypatch)


def test_packets_go_out_as_the_line_says(subscriber):
    subscriber.push(7, 0, 50.0, level=0x85)
    header = subscriber.sent[0]
    assert (header.payload_type, header.ssrc, header.marker, header.level) == (96, 77, True, 0x85)


def test_distances_stay(subscriber):
    for sequence, timestamp in [(65534, 2**32 - 960), (65535, 0), (2, 2880)]:
        subscriber.push(sequence, timestamp & 0xFFFFFFFF, 50.0)
    assert subscriber.numbers == [(101, 1000), (102, 1960), (105, 4840)]


def test_another_source_goes_on_where_the_last_one_was(subscriber):
    subscriber.push(7, 0, 50.0)
    subscriber.push(8, 960, 50.02)
    subscriber.leg.restart()
    subscriber.push(40_000, 123_456_789, 51.02)
    subscriber.push(40_001, 123_457_749, 51.04)
    assert subscriber.numbers == [(101, 1000), (102, 1960), (103, 1960 + 48_000), (104, 1960 + 48_960)]


def test_a_source_that_changes_its_ssrc_goes_on_where_it_was(subscriber):
    subscriber.push(7, 0, 50.0)
    subscriber.push(60_000, 3_000_000_000, 50.5, ssrc=2)
    subscriber.push(60_001, 3_000_000_960, 50.52, ssrc=2)
    assert subscriber.numbers == [(101, 1000), (102, 1000 + 24_000), (103, 1000 + 24_960)]


def test_pictures_have_their_own_clock(monkeypatch):
    subscriber = Subscriber(monkeypatch, "video")
    subscriber.push(7, 0, 50.0)
    subscriber.leg.restart()
    subscriber.push(500, 5, 52.0)
    assert subscriber.numbers[1] == (102, 1000 + 2 * 90_000)


def test_a_packet_sent_again_has_the_number_it_had(subscriber):
    for sequence in (7, 8, 10, 10, 9):
        subscriber.push(sequence, sequence * 960, 50.0)
    assert [number for number, _ in subscriber.numbers] == [101, 102, 104, 104, 103]
    subscriber.leg.restart()
    subscriber.push(500, 0, 50.0)
    assert subscriber.numbers[-1][0] == 105


def test_numbers_wrap(monkeypatch):
    subscriber = Subscriber(monkeypatch, sequence=65534, timestamp=2**32 - 1)
    for sequence in (1, 2, 3):
        subscriber.push(sequence, sequence * 960, 50.0)
    subscriber.leg.restart()
    subscriber.push(9, 0, 50.0)
    assert [number for number, _ in subscriber.numbers] == [65535, 0, 1, 2]


def test_what_a_subscriber_misses_is_what_the_source_called_so(subscriber):
    assert subscriber.leg.source_sequences([1]) == []
    assert subscriber.leg.timestamp(0) is None
    subscriber.push(65535, 5000, 50.0)
    subscriber.push(1, 6920, 50.04)
    assert subscriber.numbers[1][0] == 103
    assert subscriber.leg.source_sequences([101, 102, 103]) == [65535, 0, 1]
    assert subscriber.leg.timestamp(6920) == subscriber.numbers[1][1]


def test_what_was_not_sent_takes_no_number(subscriber):
    subscriber.push(7, 0, 50.0)
    subscriber.open = False
    subscriber.push(8, 960, 50.02)
    subscriber.leg.restart()
    subscriber.open = True
    subscriber.push(1, 0, 50.04)
    assert [number for number, _ in subscriber.numbers] == [101, 102]
    assert subscriber.leg.forwarded == 2


def test_one_call_per_pause():
    throttle = Throttle(0.3)
    assert [throttle(now) for now in (5.0, 5.1, 5.29, 5.31, 5.5, 9.0)] == [True, False, False, True, False, True]
