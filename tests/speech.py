"""Speech for tests: the recordings of tests/data as the worker hears them."""

from functools import cache
from pathlib import Path

import numpy as np

from worker.audio import RATE, Samples
from worker.audio.files import Recording

DATA = Path(__file__).parent / "data"


@cache
def speech(name: str) -> Samples:
    """Mono 16 kHz samples, shape (n,), of `anna`, `anna_lively` (the same voice) or `ben`; not to be written to."""
    samples = np.concatenate(list(Recording(DATA / f"{name}.ogg").blocks(mono=True)), axis=1)[0]
    samples.setflags(write=False)
    return samples


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def windows(samples: Samples, length_s: float = 2.0, hop_s: float = 0.5) -> list[Samples]:
    """Stretches of `length_s` seconds, one every `hop_s`."""
    length, hop = round(length_s * RATE), round(hop_s * RATE)
    return [samples[i : i + length] for i in range(0, len(samples) - length + 1, hop)]
