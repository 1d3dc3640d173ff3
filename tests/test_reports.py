"""What a sender is told of its packets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.rooms.webrtc.reports import MOST, Arrivals, keep_reporting

RATE = 48_000


def arrived(*numbers, first=0.0):
    one = Arrivals(7, RATE)
    for number in numbers:
        one.count(number & 0xFFFF, number * 960 & 0xFFFFFFFF, first + number * 0.02)
    return one


@pytest.mark.parametrize(
    ("numbers", "lost", "highest"),
    [
        ([1, 2, 3], 0, 3),
        ([1, 3, 4], 1, 4),
        ([1, 3, 2, 4], 0, 4),
        ([1, 1, 2], -1, 2),
        ([65_534, 65_537], 2, 65_537),
    ],
)
def test_lost_packets_and_the_highest_number(numbers, lost, highest):
    block = arrived(*numbers).block(0.0)
    assert (block.ssrc, block.packets_lost, block.highest_sequence) == (7, lost, highest)


def test_the_share_lost_is_of_the_time_since_the_last_report():
    one = arrived(*(number for number in range(100) if number % 4))
    assert one.block(0.0).fraction_lost == pytest.approx(256 / 4, abs=2)
    for number in range(100, 200):
        one.count(number, number * 960, number * 0.02)
    assert one.block(0.0).fraction_lost == 0
    assert one.block(0.0).fraction_lost == 0  # nothing has come since


def test_even_arrival_has_no_jitter_and_uneven_has():
    assert arrived(*range(500), first=5.0).block(0.0).jitter <= 1
    one = Arrivals(7, RATE)
    for number in range(500):
        one.count(number, number * 960, number * 0.02 + 0.005 * (number % 2))
    assert one.block(0.0).jitter == pytest.approx(0.005 * RATE, rel=0.1)


def test_a_timestamp_that_wraps_is_no_jitter():
    one = Arrivals(7, RATE)
    for number in range(200):
        one.count(number, (2**32 - 50_000 + number * 960) & 0xFFFFFFFF, number * 0.02)
    assert one.block(0.0).jitter <= 1


def test_the_sender_learns_which_of_its_reports_came_and_how_long_ago():
    one = arrived(1)
    assert (one.block(9.0).lsr, one.block(9.0).dlsr) == (0, 0)
    one.reported(0xAAAA_1111_2222_BBBB, 10.0)
    block = one.block(10.5)
    assert (block.lsr, block.dlsr) == (0x1111_2222, 32_768)


async def test_many_streams_are_reported_in_few_packets(monkeypatch):
    monkeypatch.setattr("worker.rooms.webrtc.reports.PAUSE_S", 0.0)
    sent = []

    async def send(packet):
        sent.append(packet)
        if len(sent) == 3:
            raise ConnectionResetError

    streams = [Arrivals(number, RATE) for number in range(2 * MOST + 2)]
    for stream in streams[1:]:
        stream.count(1, 960, 0.0)
    with pytest.raises(ConnectionResetError):
        await keep_reporting(5, lambda: streams, send, lambda: 0.0)
    assert [len(packet.reports) for packet in sent] == [MOST, MOST, 1]
    assert {packet.ssrc for packet in sent} == {5}
    assert all(bytes(packet) for packet in sent)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.booleans()),
        max_size=60,
    )
)
def test_whatever_arrives_fits_a_report(packets):
    one = Arrivals(7, RATE)
    for sequence, timestamp, now, report in packets:
        one.count(sequence, timestamp, now)
        if report:
            block = one.block(now)
            assert bytes(block)
            assert 0 <= block.fraction_lost <= 255
