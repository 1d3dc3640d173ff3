"""The same speech in other rooms, over other lines, by other voices: what a model must not mistake for emotion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worker.audio import RATE, Samples
from worker.emotion.features import BANDS, HIGHEST_HZ, LOWEST_HZ, OCTAVE, STRENGTH, Table
from worker.emotion.prosody import VOICED
from worker.lab.opus import losses, round_trip
from worker.lab.sound import at_snr, fit

TILT = 1.0
"""Standard deviation of the tilt of a microphone's response, in nats (4.3 dB) from the middle to either end."""

LINES = ((300.0, 3_400.0), (80.0, 4_000.0), (50.0, 6_000.0))
"""Pass bands in Hz: telephone, narrow band, a cheap headset."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Sounds to mix in."""

    noises: Sequence[Samples]
    voices: Sequence[Samples]
    """Other people's speech, for babble."""
    rooms: Sequence[Samples]
    """Impulse responses."""


def view(speech: Samples, pool: Pool, random: np.random.Generator) -> Samples:
    """One way in which a clip may reach the worker; the same length."""
    chance = random.random(6)
    if pool.rooms and chance[0] < 0.4:
        speech = in_room(speech, pick(pool.rooms, random))
    if pool.noises and chance[1] < 0.35:
        noise = pick(pool.noises, random)
        speech = at_snr(speech, fit(noise, len(speech), int(random.integers(len(noise)))), random.uniform(3, 25))
    elif pool.voices and chance[1] < 0.55:
        speech = at_snr(speech, babble(pool.voices, len(speech), random), random.uniform(5, 25))
    elif chance[1] < 0.75:
        speech = at_snr(speech, coloured(len(speech), random), random.uniform(5, 35))
    if chance[2] < 0.25:
        speech = band_limited(speech, *LINES[random.integers(len(LINES))])
    if chance[3] < 0.15:
        speech = clipped(speech, random.uniform(0.2, 0.8))
    speech = gained(speech, random.uniform(-12, 12))
    if chance[4] < 0.6:
        lost = losses(random.choice([0.0, 0.02, 0.05, 0.1, 0.2]), len(speech) // 320 + 2, random)
        speech = round_trip(speech, int(random.choice([8_000, 12_000, 16_000, 24_000, 32_000])), lost)
    return speech


def pick(sounds: Sequence[Samples], random: np.random.Generator) -> Samples:
    """Any of them."""
    return sounds[int(random.integers(len(sounds)))]


def in_room(speech: Samples, response: Samples) -> Samples:
    """Convolved with an impulse response, its direct sound at time 0, and as loud as before."""
    response = response[int(np.argmax(np.abs(response))) :]
    size = 1 << (len(speech) + len(response) - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(response, size), size)[: len(speech)]
    scale = np.sqrt((np.mean(np.square(speech)) + 1e-12) / (np.mean(np.square(wet)) + 1e-12))
    return np.asarray(wet * scale, np.float32)


def babble(voices: Sequence[Samples], samples: int, random: np.random.Generator, people: int | None = None) -> Samples:
    """Three to eight people who talk at once."""
    chosen = random.integers(len(voices), size=people or int(random.integers(3, 9)))
    parts = [fit(voices[i], samples, int(random.integers(len(voices[i])))) for i in chosen]
    mixed: Samples = np.mean([part / (np.std(part) + 1e-6) for part in parts], axis=0).astype(np.float32) * 0.1
    return mixed


def coloured(samples: int, random: np.random.Generator) -> Samples:
    """Noise whose power falls by 0 to 9 dB an octave: hiss, rooms, fans."""
    size = samples + samples % 2
    spectrum = np.fft.rfft(random.standard_normal(size))
    slope = random.uniform(0, 1.5)
    spectrum *= np.maximum(np.arange(len(spectrum)), 20.0) ** -slope
    noise = np.fft.irfft(spectrum, size)[:samples]
    return np.asarray(0.1 * noise / (np.std(noise) + 1e-9), np.float32)


def band_limited(sound: Samples, low_hz: float, high_hz: float) -> Samples:
    """Only what lies between two frequencies, with edges a tenth as wide as they are high."""
    size = 1 << len(sound).bit_length()
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    passes = np.clip((hertz / low_hz - 0.9) / 0.2, 0, 1) * np.clip((1.1 - hertz / high_hz) / 0.2, 0, 1)
    return np.asarray(np.fft.irfft(np.fft.rfft(sound, size) * passes, size)[: len(sound)], np.float32)


def gained(sound: Samples, db: float) -> Samples:
    """Louder or softer; what goes beyond full scale is cut, as a sound card does."""
    return np.asarray(np.clip(sound * 10 ** (db / 20), -1, 1), np.float32)


def clipped(sound: Samples, share: float) -> Samples:
    """Cut at a share of its peak."""
    limit = np.float32(share * max(float(np.abs(sound).max()), 1e-6))
    return np.clip(sound, -limit, limit)


# -- on tables of features, while training -------------------------------------------------------------------------


def other_voice(table: Table, frames: int, random: np.random.Generator) -> Table:
    """`frames` of an `analyse` table from a random place, spoken by another voice at another pace over another line.

    The vocal tract is up to 12 % longer or shorter (Jaitly and Hinton 2013), most of what men and women differ by. The
    pitch moves with it, the pace changes by up to 12 %, and the response by a smooth curve of some dB (after
    FilterAugment, Nam et al. 2022).
    """
    pace = random.uniform(0.88, 1.12) if random.random() < 0.5 else 1.0
    table = _stretch(table, frames, pace, random)
    if random.random() < 0.6:
        table = _warp(table, float(np.exp(random.uniform(-0.12, 0.12))))
    if random.random() < 0.6:
        knots = np.sort(random.uniform(0, BANDS, size=random.integers(2, 6)))
        curve = np.interp(np.arange(BANDS), knots, random.normal(0, 1.0, size=len(knots)))
        table = table.copy()
        table[:, :BANDS] += curve.astype(np.float32)
    return table


def other_line(table: Table, random: np.random.Generator) -> Table:
    """An `analyse` table as another microphone would have made it: tilted by some dB, its pitch less clear."""
    table = table.copy()
    table[:, :BANDS] += random.normal(0, TILT) * np.linspace(-1, 1, BANDS, dtype=np.float32)
    table[:, STRENGTH] *= random.uniform(0.8, 1.1)
    return table


def floored(shown: Table, random: np.random.Generator) -> Table:
    """A `normalise` table over noise of any colour and strength that was not steady enough to be taken away."""
    colour = np.exp(np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 6), random.normal(0, 1.5, size=6)))
    level = 10 ** -random.uniform(0.5, 3.5) / colour.mean()
    shown = shown.copy()
    bands = shown[:, :BANDS]
    bands[:] = np.log(np.exp(bands) + level * colour * random.standard_exponential(bands.shape))
    return shown


def _stretch(table: Table, frames: int, pace: float, random: np.random.Generator) -> Table:
    """From a random start; begun again where the clip is shorter."""
    needed = round(frames * pace)
    start = random.integers(max(1, len(table) - needed + 1))
    rows = (start + np.round(np.linspace(0, needed - 1, frames)).astype(int)) % len(table)
    return table[rows]


def _warp(table: Table, factor: float) -> Table:
    bands = np.arange(BANDS)
    step = (_mel(HIGHEST_HZ) - _mel(LOWEST_HZ)) / (BANDS + 1)
    hertz = 700 * (10 ** ((_mel(LOWEST_HZ) + step * (bands + 1)) / 2595) - 1)
    source = np.clip((_mel(hertz / factor) - _mel(LOWEST_HZ)) / step - 1, 0, BANDS - 1)
    below = np.minimum(source.astype(int), BANDS - 2)
    weight = (source - below).astype(np.float32)
    warped = table.copy()
    warped[:, :BANDS] = table[:, below] * (1 - weight) + table[:, below + 1] * weight
    warped[:, OCTAVE] += np.float32(np.log2(factor)) * (table[:, STRENGTH] >= VOICED)
    return warped


def _mel(hertz: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700), np.float64)


def masked(shown: Table, random: np.random.Generator) -> Table:
    """SpecAugment (Park et al. 2019) on a `normalise` table: two stripes of bands and two of time show their mean."""
    shown = shown.copy()
    mean = shown[:, :BANDS].mean()
    for _ in range(2):
        width = random.integers(0, 11)
        first = random.integers(0, BANDS - width)
        shown[:, first : first + width] = mean
        length = random.integers(0, max(1, len(shown) // 6))
        begin = random.integers(0, len(shown) - length)
        shown[begin : begin + length, :BANDS] = mean
        shown[begin : begin + length, BANDS:] = 0
    return shown
