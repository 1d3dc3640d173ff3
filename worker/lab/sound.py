"""The sound of a clip as the worker would hear it: 16 kHz mono."""

import hashlib
from pathlib import Path

import numpy as np

from worker.audio import RATE, Samples
from worker.audio.files import Recording
from worker.errors import ConfigError

LONGEST_S = 30.0
"""Seconds of a clip that are read; a labelled clip is one utterance."""


def decode(path: Path) -> Samples:
    """Mono 16 kHz samples, shape (n,), of a recording's first LONGEST_S seconds; ConfigError when there are none."""
    blocks, held = [], 0
    for block in Recording(path).blocks(block_s=1.0, mono=True):
        blocks.append(block[0])
        held += len(block[0])
        if held >= LONGEST_S * RATE:
            break
    if not held:
        raise ConfigError(f"{path} holds no sound: leave it out of the corpus.")
    return np.concatenate(blocks)[: round(LONGEST_S * RATE)]


def seeded(*names: object) -> np.random.Generator:
    """A random generator that depends on nothing but these names."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def fit(sound: Samples, samples: int, start: int = 0) -> Samples:
    """`samples` of a sound from `start` on, begun again as often as needed."""
    return np.take(sound, np.arange(start, start + samples), mode="wrap")


def loudness(sound: Samples) -> float:
    """Root mean square of the louder half of its 20 ms frames: pauses do not count."""
    frames = sound[: len(sound) // 320 * 320].reshape(-1, 320) if len(sound) >= 320 else sound[np.newaxis]
    power = np.sort(np.mean(np.square(frames, dtype=np.float64), axis=1))
    return float(np.sqrt(power[len(power) // 2 :].mean()))


def at_snr(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """Speech with noise of the same length under it."""
    gain = loudness(speech) / max(loudness(noise), 1e-9) * 10 ** (-snr_db / 20)
    return (speech + np.float32(gain) * noise).astype(np.float32)


def read_scaled(path: Path) -> Samples:
    """A clip with its peak at 0.5, for making other sounds of it."""
    sound = decode(path)
    return sound * np.float32(0.5 / max(float(np.abs(sound).max()), 1e-6))
