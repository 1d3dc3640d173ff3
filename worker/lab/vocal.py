"""Laughs, coughs, breaths and cries, made by a source and a filter: human sounds that are nobody's speech."""

import numpy as np
from numpy.typing import NDArray

from worker.audio import RATE, Samples
from worker.lab.augment import Pool, pick
from worker.lab.sound import fit

SIZE = 1024
"""Samples from which the shape of a mouth is taken."""
SMOOTH = 40
"""Cepstral coefficients of that shape: formants are kept, harmonics are not (Noll 1967)."""

Curve = NDArray[np.float64]


def laugh(pool: Pool, samples: int, random: np.random.Generator) -> Samples:
    """Bursts at 3.5 to 6 a second whose pitch and strength fall, with or without voice (Bachorowski et al. 2001)."""
    pitch, gain, voice = np.full(samples, 200.0), np.zeros(samples), np.zeros(samples)
    at = int(random.integers(RATE // 2))
    while at < samples:
        high, fall = random.uniform(140, 650), random.uniform(0.85, 1.0)
        period, voiced = RATE / random.uniform(3.5, 6), random.random() < 0.7
        for number in range(int(random.integers(3, 10))):
            first, last = round(at + number * period), round(at + (number + random.uniform(0.4, 0.8)) * period)
            burst = slice(first, min(last, samples))
            size = max(0, burst.stop - first)
            pitch[burst] = high * fall**number
            gain[burst] = np.hanning(size + 2)[1:-1] * 0.9**number
            voice[burst] = np.linspace(0.1, random.uniform(0.5, 1), size) if voiced else 0.0
        at += round(10 * period * random.uniform(0.6, 1.4))
    return _spoken(pitch, gain, voice, mouth(pool, random), random)


def cough(pool: Pool, samples: int, random: np.random.Generator) -> Samples:
    """A burst, a noisy decay and often a voiced end, once or several times; throats are cleared with more voice."""
    gain, voice = np.zeros(samples), np.zeros(samples)
    at, voiced = int(random.integers(RATE)), random.uniform(0, 0.9)
    while at < samples:
        length = round(RATE * random.uniform(0.15, 0.5))
        part = slice(at, min(at + length, samples))
        time = np.linspace(0, 1, length)[: part.stop - at]
        gain[part] = np.minimum(1, time * 50) * np.exp(-time * random.uniform(2, 6))
        voice[part] = np.clip((time - random.uniform(0.2, 0.8)) * 4, 0, voiced)
        at += round(length * random.uniform(1.1, 4))
    pitch = np.full(samples, random.uniform(90, 350))
    return _spoken(pitch, gain, voice, mouth(pool, random), random)


def breath(pool: Pool, samples: int, random: np.random.Generator) -> Samples:
    """Sighs, pants and yawns: noise through a mouth, swelling, at most a trace of voice."""
    time = np.arange(samples) / RATE
    gain = np.abs(np.sin(np.pi * time / random.uniform(0.2, 2.5) + random.uniform(0, 3))) ** random.uniform(0.5, 3)
    pitch = random.uniform(90, 250) * np.linspace(1, random.uniform(0.6, 1.0), samples)
    voice = np.full(samples, random.choice([0.0, 0.0, 0.3]))
    return _spoken(pitch, gain, voice, mouth(pool, random), random)


def cry(pool: Pool, samples: int, random: np.random.Generator) -> Samples:
    """Screams, moans, sobs and hums: one vowel held at any pitch, that glides, trembles and is rough."""
    time = np.arange(samples) / RATE
    knots = random.uniform(0.7, 1.4, size=6)
    glide = np.interp(np.linspace(0, 5, samples), np.arange(6), knots)
    tremble = 1 + random.uniform(0, 0.06) * np.sin(2 * np.pi * random.uniform(4, 9) * time)
    pitch = np.clip(random.choice([120, 250, 450, 900]) * random.uniform(0.7, 1.4) * glide * tremble, 60, 2_500)
    phrase = random.uniform(0.5, 3)
    gain = np.clip(np.sin(np.pi * time / phrase + random.uniform(0, 3)) * 3, 0, 1)
    voice = np.full(samples, random.uniform(0.4, 1))
    return _spoken(pitch, gain, voice, mouth(pool, random), random)


def mouth(pool: Pool, random: np.random.Generator) -> Curve:
    """The spectral shape of somebody's vowel: shape (SIZE // 2 + 1,), its loudest part 1."""
    voice = fit(pick(pool.voices, random), 2 * RATE, int(random.integers(RATE * 4)))
    pieces = voice[: len(voice) // SIZE * SIZE].reshape(-1, SIZE)
    loudest = pieces[int(np.argmax(np.square(pieces).sum(axis=1)))]
    cepstrum = np.fft.irfft(np.log(np.abs(np.fft.rfft(loudest * np.hanning(SIZE))) + 1e-6))
    cepstrum[SMOOTH:-SMOOTH] = 0
    shape = np.exp(np.fft.rfft(cepstrum).real)
    return np.asarray(shape / shape.max())


def _spoken(pitch: Curve, gain: Curve, voice: Curve, shape: Curve, random: np.random.Generator) -> Samples:
    """Pulses at `pitch` Hz and noise, mixed by `voice` (0 to 1), through a mouth, as strong as `gain`."""
    phase = np.cumsum(pitch / RATE * (1 + 0.01 * random.standard_normal(len(pitch))))
    pulses = np.diff(np.floor(phase), prepend=0.0) * np.sqrt(RATE / pitch)
    source = (voice * pulses + (1 - voice) * random.standard_normal(len(pitch))) * gain
    size = 1 << len(source).bit_length()
    filtered = np.interp(np.linspace(0, 1, size // 2 + 1), np.linspace(0, 1, len(shape)), shape)
    out = np.fft.irfft(np.fft.rfft(source, size) * filtered, size)[: len(source)]
    return np.asarray(out / max(float(np.abs(out).max()), 1e-6), np.float32)
