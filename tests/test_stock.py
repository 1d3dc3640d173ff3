"""What is heard through aiortc's own receiver, with the receiver played by a fake."""

import asyncio
import fractions
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from structlog.testing import capture_logs

from tests.sfu import until
from worker.audio.rtp import RtpHeader
from worker.rooms.webrtc.stock import HELD_BACK, WAITING, StockEar

HEADER = RtpHeader(111, False, 1, 960, 7, None, 12, False)


def frame(number, hertz=440):
    """20 ms of a tone as aiortc gives it: 48 kHz, stereo."""
    at = np.arange(number * 960, (number + 1) * 960)
    sound = (8000 * np.sin(2 * np.pi * hertz * at / 48_000)).astype(np.int16).repeat(2)
    one = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="stereo")
    one.sample_rate, one.time_base, one.pts = 48_000, fractions.Fraction(1, 48_000), number * 960
    return one


class Receiver:
    """aiortc's receiver: `frames` come out of its track, `fed` went into its transport."""

    def __init__(self, fault=None):
        self.frames, self.fed, self.fault, self.took = asyncio.Queue(), [], fault, []
        self.track = SimpleNamespace(recv=self._recv)
        self.transport = SimpleNamespace(_handle_rtp_data=self._feed)

    async def _recv(self):
        given = await self.frames.get()
        if given is None:
            raise MediaStreamError
        return given

    async def _feed(self, data, arrival_time_ms):
        self.fed.append(data)
        if self.fault is not None:
            raise self.fault

    def getSynchronizationSources(self):
        return self.took[-1:]

    def take(self, number):
        """A packet came from the network."""
        self.took.append(SimpleNamespace(timestamp=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number * 0.02)))


class Listening:
    def __init__(self, fault=None):
        self.now, self.yes, self.chunks = 100.0, True, []
        self.receiver = Receiver(fault)
        self.ear = StockEar("ada", self.receiver, self.chunks.extend, lambda: self.now, lambda _: self.yes)

    async def hear(self, numbers):
        for number in numbers:
            self.now = max(self.now, 100.0 + number * 0.02)
            self.receiver.frames.put_nowait(frame(number))
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@pytest.fixture
async def one(request):
    listening = Listening(*getattr(request, "param", []))
    yield listening
    listening.ear.close()


async def test_frames_become_mono_at_16_khz_on_the_rooms_clock(one):
    await one.hear(range(50))
    sound = np.concatenate([chunk.samples for chunk in one.chunks])
    assert sound.dtype == np.float32
    assert len(sound) == pytest.approx(16_000, abs=400)
    spectrum = np.abs(np.fft.rfft(sound[1600:9600]))
    assert np.argmax(spectrum) * 2 == pytest.approx(440, abs=4)
    assert np.abs(sound).max() == pytest.approx(8000 / 32_768, rel=0.05)
    assert one.chunks[0].start == pytest.approx(100.0)
    assert one.chunks[-1].start == pytest.approx(100.98)
    assert {chunk.speaker for chunk in one.chunks} == {"ada"}


async def test_without_consent_nothing_is_given(one):
    one.yes = False
    one.ear.push(HEADER, b"packet", 100.0)
    await one.hear(range(5))
    assert one.chunks == one.receiver.fed == []


@pytest.mark.parametrize("by", ["frame", "tick", "mute"])
async def test_what_aiortc_held_back_meanwhile_is_not_heard_later(one, by):
    if by == "mute":
        one.ear.forget()
    else:
        one.yes = False
        await one.hear(range(5 if by == "frame" else 0))
        one.ear.tick(100.0)
        one.yes = True
    await one.hear(range(5, 5 + HELD_BACK + 10))
    assert sum(len(chunk.samples) for chunk in one.chunks) == pytest.approx(10 * 320, abs=32)
    assert one.chunks[0].start == pytest.approx(100.0 + (5 + HELD_BACK) * 0.02, abs=0.01)


async def test_packets_are_given_back_to_aiortc(one):
    assert one.ear.push(HEADER, b"a", 100.0) == one.ear.push(HEADER, b"b", 100.0) == []
    await until(lambda: one.receiver.fed == [b"a", b"b"])


async def test_what_waits_is_bounded_and_can_be_forgotten(one):
    for number in range(WAITING + 20):
        one.ear.push(HEADER, b"%d" % number, 100.0)
    await until(lambda: one.receiver.fed)
    assert one.receiver.fed == [b"%d" % number for number in range(20, WAITING + 20)]
    one.ear.push(HEADER, b"more", 100.0)
    one.ear.forget()
    await asyncio.sleep(0.01)
    assert len(one.receiver.fed) == WAITING


@pytest.mark.parametrize("one", [[ValueError("odd")], [IndexError()]], indirect=True)
async def test_packets_that_aiortc_fails_on_end_nothing_and_are_said_once(one):
    with capture_logs() as said:
        one.ear.push(HEADER, b"a", 100.0)
        one.ear.push(HEADER, b"b", 100.0)
        await until(lambda: one.ear.corrupt == 2)
    assert one.receiver.fed == [b"a", b"b"]
    assert len(said) == 1
    assert "odd" not in str(said)


@pytest.mark.parametrize("by", ["push", "tick"])
async def test_packets_without_sound_for_3_s_are_noticed(one, by):
    for number in range(200):
        one.now = 100.0 + number * 0.02
        if by == "push":
            one.ear.push(HEADER, b"a", one.now)
        else:
            one.receiver.take(number)
            assert one.ear.tick(one.now) == []
        assert one.ear.deaf(one.now) == (one.now - 100.0 > 3.0)
    await one.hear([0])
    assert not one.ear.deaf(one.now)


async def test_a_speaker_who_sends_nothing_is_not_deaf(one):
    one.receiver.take(0)
    for second in range(60):
        one.ear.tick(100.0 + second)
        assert not one.ear.deaf(100.0 + second)


async def test_a_track_that_ended_is_read_no_more(one):
    one.receiver.frames.put_nowait(None)
    await one.hear([0])
    assert one.chunks == []


async def test_closing_ends_its_tasks():
    listening = Listening()
    listening.ear.push(HEADER, b"a", 100.0)
    await listening.hear([0])
    listening.ear.close()
    await asyncio.gather(*listening.ear._tasks, return_exceptions=True)
    assert len(listening.ear._tasks) == 2
    assert all(task.cancelled() for task in listening.ear._tasks)
