"""Synthetic voices."""

import asyncio
from itertools import islice

import numpy as np
import pytest

from worker.audio.opus import OpusDecoder
from worker.rooms import guests


@pytest.mark.parametrize("voice", [0, 1])
def test_a_voice_is_a_whole_round_of_20_ms_packets(voice):
    found, decoder = guests.packets(voice), OpusDecoder()
    sound = [decoder.decode(packet) for packet in found]
    assert {len(part) for part in sound} == {320}
    assert len(found) * 0.02 == pytest.approx(32, abs=0.1)
    assert 0.01 < float(np.sqrt(np.mean(np.concatenate(sound) ** 2))) < 0.5


def test_more_guests_than_voices_share_them():
    assert guests.packets(0) == guests.packets(2) != guests.packets(1)


def test_a_voice_without_end():
    numbered = list(islice(guests.numbered([b"a", b"b", b"c"], 1), 5))
    assert [payload for _, payload in numbered] == [b"b", b"c", b"a", b"b", b"c"]
    assert [(header.sequence, header.timestamp) for header, _ in numbered] == [(n, n * 960) for n in range(5)]
    assert all(header.payload(payload) == payload for header, payload in numbered)


def test_its_numbers_wrap():
    header, _ = next(islice(guests.numbered([b"a"], 0), 2**16 + 1, None))
    assert header.sequence == 1


async def test_a_guest_speaks_until_cancelled():
    heard = []
    task = asyncio.create_task(guests.speak(0, lambda *packet: heard.append(packet)))
    while len(heard) < 4:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [kind for kind, *_ in heard] == ["audio"] * 4
    assert heard[3][3] - heard[0][3] > 0.03
