"""The arithmetic of the receive-path figures, on written measurements, and the material they are taken with."""

import numpy as np
import pytest

from worker.audio.opus import FRAME, OpusDecoder
from worker.bench import ear
from worker.bench.ear import sound


def test_what_is_lost_and_not_rebuilt_is_missing():
    """20 speakers, every fourth with the same loss; of the second kind each lost 10 packets and had 4 rebuilt."""
    missed, rebuilt = [0, 10, 20, 40] * 5, [0, 4, 20, 30] * 5
    found = {"missed": missed, "rebuilt_each": rebuilt, "frames": 200}
    assert [ear._missing(found, which) for which in range(4)] == [0.0, 3.0, 0.0, 5.0]


def test_sound_that_never_came_is_missing_on_the_stock_path():
    assert ear._missing_stock({"heard_s": [4.0, 3.0, 2.0, 1.0] * 5, "frames": 200}, 1) == 25.0


def burst(late_s):
    """One packet every 20 ms for 3 s, heard 1 ms after it was sent; 10 lost at 1 s, and then late for `late_s`."""
    sent = [(0, n * 960, 5.0 + n * 0.02) for n in range(150) if not 50 <= n < 60]
    heard = [(line, ts, at + (0.03 if 6.2 <= at < 6.2 + late_s else 0.001)) for line, ts, at in sent]
    return {"sent": sent, "heard": heard}


@pytest.mark.parametrize("late_s", [0.0, 0.2, 0.6])
def test_how_long_delay_lasts_after_a_burst_of_loss(late_s):
    found = ear._delays(burst(late_s))
    assert found["delay_p50_ms"] == found["delay_p95_ms"] == pytest.approx(1.0)
    assert found["delay_settled_after_burst_ms"] == pytest.approx(max(0.0, late_s - 0.04) * 1e3, abs=21)


def test_figures_of_rounds_are_medians_with_their_range():
    def one(talking, stock):
        cores = {name: {"cores": 0.1} for name in ear.PATTERNS}
        return cores | {"talking": {"cores": talking}, "talking_stock": {"cores": stock}}

    figures = ear._processor([one(0.1, 0.3), one(0.1, 0.4), one(0.1, 0.8)], [20.0, 25.0, 90.0])
    assert (figures["cpu_gain"], figures["ranges"]["cpu_gain"]) == (4.0, [3.0, 8.0])
    assert figures["floor_ratio"] == 4.0  # 0.1 cores for 20 speakers is 100 µs a packet
    assert figures["cores_40_silent"] == 0.1


def test_the_gate_changes_no_sample_of_speech():
    found = ear._gating()
    assert found["gated_samples_compared"] > 2 * 16_000
    assert found["gated_samples_differing"] == 0


def test_a_stream_talks_and_is_silent_as_long_as_it_should():
    packets = sound.stream(0, 1.0, 2.0)
    assert len(packets) == 100
    assert max(packet.level for packet in packets[:50]) < sound.PAUSE
    assert {packet.level for packet in packets[50:]} == {127}
    decoder = OpusDecoder()
    assert all(len(decoder.decode(packet.payload)) == FRAME for packet in packets)
    assert sum(decoder.carries_copy(packet.payload) for packet in packets[:50]) > 25


def test_levels_are_counted_as_on_the_wire():
    assert sound.level(np.zeros(320, np.float32)) == 127
    assert sound.level(np.ones(320, np.float32)) == 0
    assert sound.level(np.full(320, 0.001, np.float32)) == 60


def test_the_floor_is_more_than_nothing():
    assert 0 < sound.floor_us(100, 0.0) < 10_000
