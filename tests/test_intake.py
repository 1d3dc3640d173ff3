"""Frames of one size, without holes, whatever arrives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.audio import RATE, AudioChunk
from worker.audio.intake import Cut, Frame, Intake


def chunk(start, samples):
    return AudioChunk("ada", start, np.asarray(samples, np.float32))


def ramp(count, first=0):
    """Samples that tell where they were in the sound."""
    return np.arange(first, first + count, dtype=np.float32) / 100_000


def sound(items):
    return np.concatenate([np.zeros(0, np.float32), *(item.samples for item in items if isinstance(item, Frame))])


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 2000), max_size=20), size=st.integers(1, 700), start=st.floats(0, 1e5))
def test_contiguous_chunks_of_any_size_lose_nothing(sizes, size, start):
    intake, items, given_so_far = Intake(size), [], 0
    for count in sizes:
        items += intake.push(chunk(start + given_so_far / RATE, ramp(count, given_so_far)))
        given_so_far += count
    whole = given_so_far - given_so_far % size
    assert np.array_equal(sound(items), ramp(whole))
    assert [item.start for item in items] == [start + index * size / RATE for index in range(whole // size)]
    assert all(len(item.samples) == size for item in items)


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.floats(-3, 3), st.integers(1, 3000)), min_size=1, max_size=15))
def test_frames_between_cuts_are_contiguous_and_keep_to_the_clock(steps):
    intake, at, expected = Intake(), 10.0, None
    for step, count in steps:
        at = at + step
        for item in intake.push(chunk(at, ramp(count))):
            if isinstance(item, Cut):
                expected = None
                continue
            assert expected is None or item.start == pytest.approx(expected, abs=1e-9)
            expected = item.start + len(item.samples) / RATE
        at += count / RATE
        if step > -count / RATE:  # else the whole chunk was old
            assert intake.end == pytest.approx(at, abs=0.021)
        at = max(at, intake.end)


def test_a_step_below_20_ms_is_ignored():
    intake = Intake()
    items = intake.push(chunk(0.0, ramp(512))) + intake.push(chunk(0.032 + 0.019, ramp(512, 512)))
    items += intake.push(chunk(0.064 - 0.019, ramp(512, 1024)))
    assert np.array_equal(sound(items), ramp(1536))


def test_a_hole_is_filled_with_silence_of_its_length():
    intake = Intake(320)
    items = intake.push(chunk(1.0, ramp(320))) + intake.push(chunk(1.06, ramp(320, 960)))
    assert [item.start for item in items] == pytest.approx([1.0, 1.02, 1.04, 1.06])
    assert not sound(items)[320:960].any()
    assert np.array_equal(sound(items)[960:], ramp(320, 960))


def test_an_overlap_is_trimmed():
    intake = Intake(160)
    items = intake.push(chunk(0.0, ramp(1600)))
    items += intake.push(chunk(0.05, ramp(1600, 800)))
    items += intake.push(chunk(0.05, ramp(320, 800)))
    assert np.array_equal(sound(items), ramp(2400))


@pytest.mark.parametrize("start", [2.51, 0.2])
def test_a_long_hole_or_a_jump_back_cuts_at_the_end_of_the_sound(start):
    intake = Intake()
    intake.push(chunk(1.0, ramp(8000)))
    cut, *frames = intake.push(chunk(start, ramp(512)))
    assert cut == Cut(1.5)
    assert [frame.start for frame in frames] == [start]
    assert np.array_equal(sound(frames), ramp(512))


def test_broken_samples_become_silence_and_loud_ones_are_clipped():
    intake = Intake(5)
    (frame,) = intake.push(chunk(0.0, [np.nan, np.inf, -np.inf, 7, -7]))
    assert frame.samples.tolist() == [0, 0, 0, 1, -1]
    assert frame.samples.dtype == np.float32
    assert intake.repaired == 3
